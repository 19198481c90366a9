"""What happens on time: listing, epochs, batches, and the market shut to new risk while the prover lags. Oracle, engine, journal and writer are real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.operated import IDENTITY, SECRETS, Operated

from straddle.commitments.params import params_hash
from straddle.core.commands import InternalList, L1Deposit
from straddle.core.instruments import Kind
from straddle.core.market_state import MarketState
from straddle.node.feed import RecordedMarket
from straddle.node.settings import BatchSettings, Settings
from straddle.risk.inputs import decode_inputs
from straddle.risk.oracle import EpochMessage, OracleCommittee, address_of, signature_from_bytes


@pytest.fixture(scope="module")
def market() -> RecordedMarket:
    return RecordedMarket.load(Settings(preset="nano"))


@pytest.fixture
def world(tmp_path: Path, market: RecordedMarket) -> Iterator[Operated]:
    world = Operated(tmp_path, market, Settings(preset="nano", batches=BatchSettings(seconds=0.1, lag_max=4)))
    world.operator.open()
    yield world
    world.close()


def test_it_lists_the_market_and_opens_it(world: Operated) -> None:
    kinds = [(instrument.kind.name, instrument.expiry_ms) for instrument in world.exchange.instruments.values()]
    first, second = sorted({expiry for _, expiry in kinds})[:2]
    assert kinds[:3] == [("PERPETUAL", kinds[0][1]), ("FUTURE", first), ("FUTURE", second)]
    assert sorted(kinds[3:]) == sorted((kind, expiry) for kind in ("CALL", "PUT") for expiry in (first, second))
    assert world.said == ["7 instruments listed"] and world.exchange.trading_open
    assert world.table.epoch == 1 and world.exchange.market_state is MarketState.OPEN
    before = world.sequencer.sequence
    world.operator.open()  # nothing is left to do
    assert world.sequencer.sequence == before


def test_what_is_due_fits_the_room_and_the_recording(market: RecordedMarket) -> None:
    start, recorded = market.path.start_ms, market.path.recording.forwards()
    for most in (4, 7, 40, 160):
        found = market.due(start, (), 5, most)
        assert [instrument.id for instrument in found] == list(range(5, 5 + most))
        assert found[0].kind is Kind.PERPETUAL and all(instrument.expiry_ms in recorded for instrument in found[1:])
        for expiry in {instrument.expiry_ms for instrument in found[1:]}:
            assert {instrument.kind for instrument in found if instrument.expiry_ms == expiry} == {Kind.FUTURE, Kind.CALL, Kind.PUT}
        assert market.due(start, found, 5 + most, most) == ()


def test_a_crash_between_words_and_their_table_is_made_good(tmp_path: Path, market: RecordedMarket) -> None:
    settings = Settings(preset="nano")
    begun = Operated(tmp_path, market, settings)
    begun.do(InternalList(market.due(market.path.start_ms, (), 1, settings.listed)))
    begun.close()
    again = Operated(tmp_path, market, settings)
    assert again.exchange.instruments and not again.exchange.trading_open
    again.operator.open()
    assert again.exchange.trading_open and again.said == []
    again.close()


def test_a_lost_layer_1_shuts_the_market_for_good(world: Operated) -> None:
    world.said.clear()
    world.trouble = "layer 1: gone"
    for _ in range(3):
        world.step(30)
    assert world.exchange.market_state is MarketState.CANCEL_ONLY and world.said == ["layer 1: gone: the market is cancel-only"]


def test_epochs_come_by_the_markets_clock_and_are_kept_before_they_are_entered(world: Operated) -> None:
    start = world.market.path.start_ms
    for number in (2, 3, 4):
        world.step(29.9)
        assert world.table.epoch == number - 1
        world.step(0.1)  # 60 s of the market, at twice the speed
        assert (world.table.epoch, world.table.time_ms) == (number, start + (number - 1) * 60_000)
        assert world.exchange.time_ms == world.table.time_ms
    assert sorted(world.epochs.kept) == [1, 2, 3, 4]


def test_every_epoch_is_signed_by_the_committee_over_its_table(world: Operated) -> None:
    world.step(30)
    committee = OracleCommittee(tuple(map(address_of, SECRETS)), 2)
    for signed in world.epochs.kept.values():
        hashed = params_hash(world.sequencer.committed.params)
        message = EpochMessage(IDENTITY.chain_id, IDENTITY.rollup, signed.epoch, signed.time_ms, hashed, signed.risk_root, signed.inputs)
        committee.verify(message, [signature_from_bytes(signature) for signature in signed.signatures])
        assert decode_inputs(signed.inputs).index_ticks == world.market.path.index_ticks(signed.time_ms)


def test_a_batch_is_closed_when_it_is_time_and_there_is_something_to_prove(world: Operated) -> None:
    world.operator._batch_due = 0
    world.step()
    assert len(world.closed) == 1  # the listings
    for _ in range(3):
        world.operator._batch_due = 0
        world.step(30)
    assert len(world.closed) == 1 and world.table.epoch == 4  # epochs alone prove nothing
    world.writer.submit([L1Deposit(0, 3, 0xA, 1_000_000)]).result()
    world.step()
    assert len(world.closed) == 1
    world.operator._batch_due = 0
    world.step()
    assert len(world.closed) == 2


def test_a_lagging_prover_shuts_the_market_until_half_is_verified(world: Operated) -> None:
    states = []
    for lag in (3, 4, 5, 3, 2, 0, 4):
        world.lag = lag
        world.step()
        states.append(world.exchange.market_state.value)
    assert states == ["open", "cancel_only", "cancel_only", "cancel_only", "open", "open", "cancel_only"]
    assert len(world.said) == 4 and "4 batches wait for their proofs (batches.lag_max = 4)" in world.said[1]


def test_no_batch_is_closed_for_time_while_the_prover_lags(world: Operated) -> None:
    world.lag, world.operator._batch_due = 4, 0
    world.step()
    assert world.closed == []


def test_the_end_of_the_recording_leaves_the_market_cancel_only(world: Operated) -> None:
    world.step((world.market.path.end_ms - world.market.path.start_ms) / 2000)
    world.step(60)
    assert world.exchange.market_state is MarketState.CANCEL_ONLY
    assert world.said[1:] == ["the recording has ended: no more epochs, the market is cancel-only"]
    before = world.table
    world.step(60)
    assert world.table is before and len(world.said) == 2
