"""What happens on time: listing, epochs, batches, and the market shut to new risk while the prover lags. Oracle, engine, journal and writer are real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from straddle.commitments.params import params_hash
from straddle.core import messages
from straddle.core.commands import L1Deposit
from straddle.core.market_state import MarketState
from straddle.node.feed import OracleReplay, RecordedMarket
from straddle.node.market import exchange_params, genesis
from straddle.node.operator import MarketClock, Operator
from straddle.node.settings import BatchSettings, Settings
from straddle.node.traders import wallet_of
from straddle.node.writer import Writer
from straddle.risk.inputs import decode_inputs
from straddle.risk.oracle import EpochMessage, OracleCommittee, address_of, signature_from_bytes
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

IDENTITY = LogIdentity(31337, 0x1234)
SECRETS = (b"\1" * 32, b"\2" * 32)


@dataclass
class Epochs:
    """The poster, as far as epochs go."""

    kept: dict[int, SignedEpoch] = field(default_factory=dict)

    def add_epoch(self, epoch: SignedEpoch) -> None:
        self.kept[epoch.epoch] = epoch

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        return [self.kept[number] for number in sorted(self.kept) if after < number <= last]


class World:
    """An operator without its thread: tests take the steps; the clock stands until they move it."""

    def __init__(self, folder: Path, market: RecordedMarket, settings: Settings) -> None:
        self.market = market
        params = exchange_params(settings.circuit, market.parameters)
        exchange, committed = genesis(settings.circuit, params, messages.domain(IDENTITY.chain_id, IDENTITY.rollup), 0xFEE)
        self.closed: list[ClosedBatch] = []
        journal = Journal(folder / "journal.sqlite", IDENTITY)
        signer = wallet_of(1, "sequencer")
        self.sequencer = Sequencer(exchange, committed, journal, signer, clock_ms=lambda: 1, inclusion_ms=1, on_batch=self.closed.append)
        self.failures: list[BaseException] = []
        self.writer = Writer(self.sequencer, on_failure=self.failures.append)
        self.writer.start()
        self.epochs, self.lag, self.said, self.now_s = Epochs(), 0, list[str](), 0.0
        start_ms = max(market.path.start_ms, exchange.table.time_ms if exchange.table else 0)
        clock = MarketClock(start_ms, 2.0, lambda: self.now_s)
        oracle = OracleReplay(market, IDENTITY, SECRETS)
        self.operator = Operator(
            settings, self.writer, self.sequencer, oracle, self.epochs, clock, lag=lambda: self.lag, notice=self.said.append, on_failure=self.failures.append
        )

    @property
    def exchange(self) -> Any:
        return self.sequencer.exchange

    def step(self, seconds: float = 0.0) -> None:
        self.now_s += seconds
        self.operator._step()


@pytest.fixture(scope="module")
def market() -> RecordedMarket:
    return RecordedMarket.load(Settings(preset="nano"))


@pytest.fixture
def world(tmp_path: Path, market: RecordedMarket) -> Iterator[World]:
    world = World(tmp_path, market, Settings(preset="nano", batches=BatchSettings(seconds=0.1, lag_max=4)))
    world.operator.open()
    yield world
    world.writer.stop()
    world.sequencer.close()
    assert world.failures == []


def test_it_lists_the_market_and_opens_it(world: World) -> None:
    assert len(world.exchange.instruments) == 3 and world.exchange.trading_open
    assert world.exchange.table.epoch == 1 and world.exchange.market_state is MarketState.OPEN
    before = world.sequencer.sequence
    world.operator.open()  # nothing is left to do
    assert world.sequencer.sequence == before


def test_epochs_come_by_the_markets_clock_and_are_kept_before_they_are_entered(world: World) -> None:
    start = world.market.path.start_ms
    for number in (2, 3, 4):
        world.step(29.9)
        assert world.exchange.table.epoch == number - 1
        world.step(0.1)  # 60 s of the market, at twice the speed
        assert (world.exchange.table.epoch, world.exchange.table.time_ms) == (number, start + (number - 1) * 60_000)
        assert world.exchange.time_ms == world.exchange.table.time_ms
    assert sorted(world.epochs.kept) == [1, 2, 3, 4]


def test_every_epoch_is_signed_by_the_committee_over_its_table(world: World) -> None:
    world.step(30)
    committee = OracleCommittee(tuple(map(address_of, SECRETS)), 2)
    for signed in world.epochs.kept.values():
        hashed = params_hash(world.sequencer.committed.params)
        message = EpochMessage(IDENTITY.chain_id, IDENTITY.rollup, signed.epoch, signed.time_ms, hashed, signed.risk_root, signed.inputs)
        committee.verify(message, [signature_from_bytes(signature) for signature in signed.signatures])
        assert decode_inputs(signed.inputs).index_ticks == world.market.path.index_ticks(signed.time_ms)


def test_a_batch_is_closed_when_it_is_time_and_there_is_something_to_prove(world: World) -> None:
    world.operator._batch_due = 0
    world.step()
    assert len(world.closed) == 1  # the listings
    for _ in range(3):
        world.operator._batch_due = 0
        world.step(30)
    assert len(world.closed) == 1 and world.exchange.table.epoch == 4  # epochs alone prove nothing
    world.writer.submit([L1Deposit(0, 3, 0xA, 1_000_000)]).result()
    world.step()
    assert len(world.closed) == 1
    world.operator._batch_due = 0
    world.step()
    assert len(world.closed) == 2


def test_a_lagging_prover_shuts_the_market_until_half_is_verified(world: World) -> None:
    states = []
    for lag in (3, 4, 5, 3, 2, 0, 4):
        world.lag = lag
        world.step()
        states.append(world.exchange.market_state.value)
    assert states == ["open", "cancel_only", "cancel_only", "cancel_only", "open", "open", "cancel_only"]
    assert len(world.said) == 3 and "4 batches wait for their proofs (batches.lag_max = 4)" in world.said[0]


def test_no_batch_is_closed_for_time_while_the_prover_lags(world: World) -> None:
    world.lag, world.operator._batch_due = 4, 0
    world.step()
    assert world.closed == []


def test_the_end_of_the_recording_leaves_the_market_cancel_only(world: World) -> None:
    world.step((world.market.path.end_ms - world.market.path.start_ms) / 2000)
    world.step(60)
    assert world.exchange.market_state is MarketState.CANCEL_ONLY
    assert world.said == ["the recording has ended: no more epochs, the market is cancel-only"]
    epoch = world.exchange.table.epoch
    world.step(60)
    assert world.exchange.table.epoch == epoch and len(world.said) == 1
