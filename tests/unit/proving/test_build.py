"""From a closed batch to witness rows and layer-1 data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from straddle.commitments.challenge import challenge, commitment, evaluate, header_hash
from straddle.commitments.ledger import LedgerError
from straddle.proving.build import HeaderFacts, build_witness, post_change
from straddle.proving.presets import all_presets, load_preset
from straddle.proving.vector import bind
from straddle.proving.witness import WitnessError
from tests.differential.scenes import BENEFICIARY, CHAIN_ID, PRESET, ROLLUP, VK_ID, ClosedBatch
from tests.differential.stories import STORIES, told


@pytest.fixture(scope="module")
def closed() -> list[ClosedBatch]:
    return told()


@pytest.fixture(scope="module")
def busy(closed: list[ClosedBatch]) -> ClosedBatch:
    """A batch with several fills and orders of one account."""
    return max(closed, key=lambda item: len(item.posted.witness.fills))


def test_rows_are_sorted_as_the_statement_wants(closed: list[ClosedBatch]) -> None:
    for item in closed:
        witness = item.posted.witness
        for keys in (
            [row.id for row in witness.accounts],
            [(row.account, row.instrument) for row in witness.positions],
            [(row.account, row.step) for row in witness.orders],
            [(row.order, row.place) for row in witness.legs],
            [row.account for row in witness.withdrawals],
        ):
            assert keys == sorted(set(keys))


def test_fills_point_at_the_rows_of_their_orders(busy: ClosedBatch) -> None:
    witness, batch = busy.posted.witness, busy.batch
    for row, fill in zip(witness.fills, batch.fills, strict=True):
        for leg, use, place in ((row.taker, batch.order_uses[fill.taker], fill.taker_leg), (row.maker, batch.order_uses[fill.maker], fill.maker_leg)):
            order = witness.orders[witness.legs[leg].order]
            assert (order.account, order.nonce) == (use.account, use.order.nonce)
            assert (witness.legs[leg].instrument, witness.legs[leg].place) == (use.order.legs[place].instrument, place)
    assert [row.account for row in witness.orders] != [use.account for use in batch.order_uses], "the test needs rows that were reordered"


def test_signatures_of_one_set_share_a_row(closed: list[ClosedBatch]) -> None:
    shared = 0
    for item in closed:
        witness = item.posted.witness
        assert len(set(witness.signatures)) == len(witness.signatures)
        rows = (*witness.orders, *witness.withdrawals, *witness.transfers, *witness.takeovers)
        named = {row.signature for row in rows} | {row.cancel_signature for row in witness.accounts}
        assert named - {-1} == set(range(len(witness.signatures)))
        shared += len(witness.orders) - len({row.signature for row in witness.orders})
    assert shared > 0


def test_every_position_of_an_opened_account_has_a_row_and_no_other(closed: list[ClosedBatch]) -> None:
    unopened = 0
    for item in closed:
        for row in item.posted.witness.accounts:
            rows = {position.instrument for position in item.posted.witness.positions if position.account == row.id}
            held = item.before.account(row.id).account.positions.keys() | item.after.account(row.id).account.positions.keys()
            assert rows == (held if row.id in item.batch.opened else set())
            unopened += bool(held) and row.id not in item.batch.opened
    assert unopened > 3


def test_every_execution_of_a_combination_has_a_row_of_its_own() -> None:
    witness = STORIES["combinations"]().closed[1].posted.witness
    rows = [i for i, row in enumerate(witness.orders) if len([leg for leg in witness.legs if leg.order == i]) == 2]
    assert [(witness.orders[i].nonce, witness.orders[i].fill, witness.orders[i].slot_new.filled) for i in rows] == [(1, 10, 10), (1, 20, 30)]
    assert [(leg.place, leg.ratio, leg.sell) for leg in witness.legs if leg.order == rows[0]] == [(0, 2, 0), (1, 1, 1)]


def test_requests_keep_what_was_signed() -> None:
    bid, fund = (next(row for item in STORIES[name]().closed for row in item.posted.witness.takeovers) for name in ("takeovers", "fund_takeover"))
    assert (bid.limit, bid.nonce) == (bid.payment + 5, 1) and bid.signature >= 0
    assert (fund.winner, fund.limit, fund.nonce, fund.signature) == (2, 0, 0, -1)
    paid = [(row.amount, row.paid) for item in STORIES["forced_withdrawals"]().closed for row in item.posted.witness.queue if row.kind == 3]
    assert paid[0] == (5_000_000, 5_000_000) and paid[1][0] > paid[1][1] > 0 and paid[-1] == (1, 0)


def test_public_inputs_and_header_hash(busy: ClosedBatch) -> None:
    posted, parent = busy.posted, busy.chain.parent_header_hash
    effects, body = posted.effects_words, posted.body_words
    public = posted.witness.public
    assert len(effects) == PRESET.effects_words
    assert body[-1] != 0
    assert public.c == commitment(effects, [*body, *[0] * (PRESET.body_words - len(body))])
    assert public.z == challenge(CHAIN_ID, ROLLUP, VK_ID, busy.batch.number, parent, effects, body, public.c)
    assert (public.y_effects, public.y_body, public.beneficiary) == (evaluate(effects, public.z), evaluate(body, public.z), BENEFICIARY)
    assert posted.header_hash == header_hash(parent, busy.batch.number, effects, body, public.c, public.z, public.y_effects, public.y_body)


def test_another_parent_changes_only_the_challenge(busy: ClosedBatch) -> None:
    other = bind(busy.posted.witness, PRESET, replace(busy.chain, parent_header_hash=b"\x01" * 32))
    assert other.witness.public.c == busy.posted.witness.public.c
    assert other.witness.public.z != busy.posted.witness.public.z
    assert replace(other.witness, public=busy.posted.witness.public) == busy.posted.witness


def test_building_twice_gives_the_same_and_keeps_the_state(busy: ClosedBatch) -> None:
    facts = HeaderFacts(busy.posted.effects.domain, busy.posted.effects.log_root)
    root = busy.before.root
    assert build_witness(busy.before, busy.batch, PRESET, facts, busy.chain) == busy.posted
    assert busy.before.root == root


def test_a_batch_that_does_not_fit_is_named(busy: ClosedBatch) -> None:
    facts = HeaderFacts(1, 2)
    small = replace(PRESET, fills=len(busy.batch.fills) - 1)
    with pytest.raises(WitnessError, match=f"fills: {len(busy.batch.fills)} rows, expected at most {small.fills} in preset nano"):
        build_witness(busy.before, busy.batch, small, facts, busy.chain)
    with pytest.raises(WitnessError, match="tree depths differ"):
        build_witness(busy.before, busy.batch, load_preset("demo"), facts, busy.chain)
    with pytest.raises(LedgerError, match=r"batch\.number"):
        build_witness(busy.after, busy.batch, PRESET, facts, busy.chain)


def test_a_position_without_a_risk_row_is_named(busy: ClosedBatch) -> None:
    change = busy.before.copy().apply_batch(busy.batch)
    instrument = change.positions[0].instrument
    assert busy.batch.table is not None
    table = replace(busy.batch.table, rows=tuple(row for row in busy.batch.table.rows if row.instrument != instrument))
    batch = replace(busy.batch, table=table)
    with pytest.raises(WitnessError, match=f"instrument {instrument} is not in the risk table"):
        post_change(change, batch, busy.before.params, PRESET, HeaderFacts(1, 2), busy.chain)
    with pytest.raises(WitnessError, match="no risk table"):
        post_change(change, replace(busy.batch, table=None), busy.before.params, PRESET, HeaderFacts(1, 2), busy.chain)


def test_presets() -> None:
    assert {"nano", "demo", "standard"} <= all_presets().keys()
    for preset in all_presets().values():
        assert preset.effects_words == 10 + 3 * preset.queue + preset.withdrawals
        assert preset.body_words == preset.accounts + 2 * ((preset.orders + 2) // 3) + (preset.positions + 3) // 4 + preset.listings
        assert preset.instruments <= 1023
    with pytest.raises(ValueError, match="'huge', expected one of nano, demo, standard"):
        load_preset("huge")


def test_the_reference_lists_the_presets() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "witness.md").read_text()
    columns = ("account_depth", "slot_depth", "accounts", "positions", "instruments", "listings", "signatures", "orders", "legs", "fills", "queue",
               "withdrawals", "transfers", "takeovers", "deleverages")  # fmt: skip
    for name, preset in all_presets().items():
        assert f"| `{name}` | " + " | ".join(str(getattr(preset, column)) for column in columns) + " |" in text
