"""What an exchange owes against what it holds."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.holdings import DOMAIN, Portfolio, state_of
from support.market import CALL, PUT, table
from support.session import Run

from straddle.commitments.holdings import HoldingsPreset
from straddle.l1.events import QueueEntryAdded
from straddle.l1.rpc import Rpc, RpcError
from straddle.node.counting import Books, check_rows, count, deposits_between, row_at, unanswered_deposits
from straddle.proving.presets import load_holdings_preset
from straddle.proving.witness import WitnessError

from .test_verify import PLACE, deployment_of, history_of

HELD = Portfolio(7, {CALL: -1, PUT: -2})
STATE = state_of({3: Portfolio(9_000_000, {CALL: 10}), 4: Portfolio(8_000_000, {CALL: -10}), 9: Portfolio(5)})


def books(**changes: Any) -> Books:
    holdings = count(STATE, table(), DOMAIN, 2, 3)
    return Books(replace(holdings, **changes), holdings.cash + 700, 700)


def test_books_that_hold_and_books_that_do_not() -> None:
    assert books().problems == [] and books().holdings.cash == 17_000_005
    assert replace(books(), row=None).problems == []
    assert "are not the vault's row, 5" in replace(books(), row=5).problems[0]
    assert "are not the vault's row" in replace(books(), deposits=0).problems[0]
    (owed,) = books(debts=3, claims=books().holdings.claims + 3).problems
    assert "accounts owe 3 micro-dollars" in owed
    assert books(nets=(0, -4, 0)).problems == ["positions in row 2 of the risk table sum to -4 lots, expected 0"]


def test_deposits_that_no_batch_has_answered(run: Run) -> None:
    history = history_of(run)
    deposits = [entry.word_1 for entry in history.queue if entry.kind == 1]
    assert unanswered_deposits(history, 0, 99) == sum(deposits)
    assert unanswered_deposits(history, len(history.final), 99) == 0
    late = QueueEntryAdded(**(PLACE | {"block_number": 50}), index=len(history.queue), kind=1, account=3, owner=1, word_1=77, word_2=0)
    history.queue.append(late)
    assert unanswered_deposits(history, len(history.final), 50) == 77 and unanswered_deposits(history, len(history.final), 49) == 0
    assert deposits_between(history, len(history.final), len(history.queue)) == 77 and deposits_between(history, len(history.final), late.index) == 0
    assert deposits_between(history, 0, 1) == next(entry.word_1 for entry in history.queue)


def test_a_node_that_has_forgotten_a_block_says_nothing_of_its_row(run: Run) -> None:
    def forgotten(to: str, data: bytes, block: int) -> bytes:
        raise RpcError("eth_call", -32000, "missing trie node")

    deployment = deployment_of(run)
    assert row_at(cast(Rpc, SimpleNamespace(eth_call=forgotten)), deployment, 7) is None
    assert row_at(cast(Rpc, SimpleNamespace(eth_call=lambda to, data, block: block.to_bytes(32, "big"))), deployment, 7) == 7


def test_a_chunk_that_the_circuit_has_no_rows_for_is_named_before_anything_is_sent() -> None:
    """Accounts 4 to 7 hold three positions together, 8 to 11 hold four."""
    state = state_of({3: Portfolio(1), 5: Portfolio(9, {CALL: 10, PUT: 1}), 7: Portfolio(8, {CALL: -10}), 8: Portfolio(5, {CALL: 1, PUT: 1}), 11: HELD})
    check_rows(state, few_rows(4))
    check_rows(state_of({}), few_rows(1))
    with pytest.raises(WitnessError, match=r"chunk 2 \(accounts 8 to 11\): 4 positions, expected at most 3 in circuit nano-solvency\..*--single"):
        check_rows(state, few_rows(3))


def few_rows(positions: int) -> HoldingsPreset:
    """A circuit of chunks of four accounts with so many position rows."""
    return replace(load_holdings_preset("nano", "solvency"), chunk_bits=2, positions=positions)
