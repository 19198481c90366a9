"""Committed states made of plain portfolios, and their risk tables, for tests of what is proved of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import NamedTuple

from straddle.commitments.holdings import HoldingsPreset
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import Account
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.proving.holdings import HoldingsFacts
from support.market import DOMAIN, INSTRUMENTS, OPERATOR, table

PARAMS = Params(account_depth=8, slot_depth=4, k_im_bps=10_000, k_mm_bps=8_000, risk_digest=7)
FACTS = HoldingsFacts(chain_id=31337, rollup=0x0123456789ABCDEF0123456789ABCDEF01234567, vk_id=b"\x05" * 32, beneficiary=0xBEEF)
EXIT = HoldingsPreset("nano-exit", PARAMS.account_depth, PARAMS.slot_depth, instruments=7, chunk_bits=0, positions=18)
CHUNKS = HoldingsPreset("nano-solvency", PARAMS.account_depth, PARAMS.slot_depth, instruments=7, chunk_bits=2, positions=24)
IDS = tuple(instrument.id for instrument in INSTRUMENTS)


class Portfolio(NamedTuple):
    """An account's cash and positions; without an owner it does not exist."""

    cash: int
    positions: Mapping[int, int] = {}
    owner: int = 0xABC


def state_of(portfolios: Mapping[int, Portfolio], params: Params = PARAMS, batch_number: int = 9) -> CommittedState:
    """A state with these accounts besides accounts 1 and 2, which they may replace."""
    state = CommittedState.genesis(params, OPERATOR)
    state.listed = state.listed.extended(INSTRUMENTS)
    state.batch_number, state.queue_pointer = batch_number, 21
    for id_, portfolio in portfolios.items():
        account = Account(id_, owner=portfolio.owner, cash=portfolio.cash, positions={key: size for key, size in portfolio.positions.items() if size})
        committed = state.account(id_)
        state.accounts[id_] = replace(committed, account=account)
        state.tree.set(id_, state.accounts[id_].leaf.hash)
    return state


def random_state(random: Random, accounts: int, params: Params = PARAMS) -> CommittedState:
    """Accounts 3, 4, ... whose positions sum to zero; some of them owe more than they have, some are short of margin, some hold nothing."""
    held: dict[int, dict[int, int]] = {id_: {} for id_ in (2, *range(3, 3 + accounts))}
    for _ in range(2 * accounts):
        one, other = random.sample(sorted(held), 2)
        instrument, lots = random.choice(IDS), random.randint(1, 400)
        held[one][instrument] = held[one].get(instrument, 0) + lots
        held[other][instrument] = held[other].get(instrument, 0) - lots
    return state_of({id_: Portfolio(random.choice([0, random.randint(-(10**8), 10**9)]), positions, 0x1000 + id_) for id_, positions in held.items()}, params)


def random_table(random: Random) -> RiskTable:
    """A table over INSTRUMENTS with random values, deltas and charges."""
    changes = {
        f"row_{id_}": {
            "value": random.randint(-20_000, 900_000),
            "deltas": tuple(random.randint(-40_000, 40_000) for _ in range(48)),
            "long_mm": random.randint(0, 2_000),
            "short_mm": random.randint(0, 2_000),
        }
        for id_ in IDS
    }
    return table(**changes)  # type: ignore[arg-type]


__all__ = ["CHUNKS", "DOMAIN", "EXIT", "FACTS", "IDS", "PARAMS", "Portfolio", "random_state", "random_table", "state_of"]
