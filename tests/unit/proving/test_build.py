"""From a closed batch to witness rows and layer-1 data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.commitments.challenge import challenge, commitment, evaluate, header_hash
from straddle.commitments.ledger import LedgerError
from straddle.proving.build import HeaderFacts, build_witness, post_change
from straddle.proving.presets import all_presets, load_preset
from straddle.proving.vector import bind
from straddle.proving.witness import WitnessError
from tests.differential.histories import BENEFICIARY, CHAIN_ID, PRESET, ROLLUP, VK_ID, ClosedBatch, History


@pytest.fixture(scope="module")
def closed() -> list[ClosedBatch]:
    return [item for seed in range(3) for item in History(seed).batches(15)]


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
            [row.account for row in witness.withdrawals],
        ):
            assert keys == sorted(set(keys))


def test_fills_point_at_the_rows_of_their_orders(busy: ClosedBatch) -> None:
    witness, batch = busy.posted.witness, busy.batch
    for row, fill in zip(witness.fills, batch.fills, strict=True):
        for place, use in ((row.taker, batch.order_uses[fill.taker]), (row.maker, batch.order_uses[fill.maker])):
            assert (witness.orders[place].account, witness.orders[place].nonce) == (use.account, use.order.nonce)
    assert [row.account for row in witness.orders] != [use.account for use in batch.order_uses], "the test needs rows that were reordered"


def test_signatures_of_one_set_share_a_row(closed: list[ClosedBatch]) -> None:
    shared = 0
    for item in closed:
        witness = item.posted.witness
        assert len(set(witness.signatures)) == len(witness.signatures)
        named = {row.signature for row in (*witness.orders, *witness.withdrawals)} | {row.cancel_signature for row in witness.accounts} - {-1}
        assert named == set(range(len(witness.signatures)))
        shared += len(witness.orders) - len({row.signature for row in witness.orders})
    assert shared > 0


def test_every_position_of_a_touched_account_has_a_row(closed: list[ClosedBatch]) -> None:
    for item in closed:
        for row in item.posted.witness.accounts:
            held = item.before.account(row.id).account.positions.keys() | item.after.account(row.id).account.positions.keys()
            assert held == {position.instrument for position in item.posted.witness.positions if position.account == row.id}


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
    assert {"nano", "demo"} <= all_presets().keys()
    assert load_preset("nano").effects_words == 10 + 3 * 4 + 2
    assert load_preset("demo").body_words == 16 + 64 + 96 + 112
    with pytest.raises(ValueError, match="'huge', expected one of nano, demo"):
        load_preset("huge")
