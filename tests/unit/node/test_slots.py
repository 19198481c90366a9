"""No batch is closed that layer 1 has no slot for: not for time, not by an epoch, not by its users, whatever they send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.operated import DOMAIN, Operated

from straddle.core import messages
from straddle.core.commands import Command, L1Deposit, L2Cancel
from straddle.core.market_state import MarketState
from straddle.core.messages import MessageKind
from straddle.core.rejections import Rejection
from straddle.node.feed import RecordedMarket
from straddle.node.policy import pace_ms
from straddle.node.settings import BatchSettings, EpochSettings, Settings
from straddle.node.slots import CLOSING, KEPT, LAST, Slots
from straddle.node.traders import Trader
from straddle.risk.market_parameters import DEFAULT_MARKET
from straddle.sequencer.sequencer import ClosedBatch
from straddle.sequencer.settling import ProveWhenChallenged

PACE_MS = 200_000
SETTINGS = Settings(preset="nano", epochs=EpochSettings(seconds=60), batches=BatchSettings(seconds=0.1))


@dataclass
class Layer1:
    """It holds as many proposals as the test says, and makes them final when it says so."""

    closed: list[ClosedBatch] = field(default_factory=list)
    most: int = 255
    final: int = 0

    def standing(self) -> int:
        """Of 255, so that `most` may change."""
        return len(self.closed) - self.final + 255 - self.most


@pytest.fixture(scope="module")
def market() -> RecordedMarket:
    return RecordedMarket.load(Settings(preset="nano"), DEFAULT_MARKET)


@pytest.fixture
def layer1() -> Layer1:
    return Layer1()


@pytest.fixture
def world(tmp_path: Path, market: RecordedMarket, layer1: Layer1) -> Iterator[Operated]:
    world = Operated(tmp_path, market, SETTINGS, Slots(255, layer1.standing, pace_ms=PACE_MS))
    layer1.closed = world.closed
    world.operator.open()
    yield world
    world.close()


def deposit(world: Operated) -> None:
    world.do(L1Deposit(world.exchange.queue_pointer, 3, 0xA, 1_000_000))


def test_a_window_of_batches_takes_three_quarters_of_the_slots() -> None:
    def pace(window_s: int, *, optimistic: bool = True) -> int:
        deployment = SimpleNamespace(config=SimpleNamespace(optimistic=optimistic, challenge_window_s=window_s))
        return pace_ms(deployment, ProveWhenChallenged.slots)  # type: ignore[arg-type]

    week_s = 7 * 24 * 3_600
    assert 1000 * week_s / pace(week_s) == pytest.approx(3_071, abs=1) and pace(week_s) == 196_923
    assert pace(30 * 24 * 3_600) == 450_000  # a table must be young enough when its batch is proposed: early proofs make up for the rest
    assert pace(week_s, optimistic=False) == 0


def test_an_epoch_waits_for_a_batch_with_rows_and_no_longer_than_the_pace(world: Operated) -> None:
    deposit(world)
    for _ in range(3):  # a minute of the market is half a minute here
        world.step(30)
        assert world.table.epoch == 1
    world.step(10)
    assert world.table.epoch == 2 and len(world.closed) == 1
    for epoch in (3, 4, 5):  # nothing is in the way of the tables of an empty batch
        world.step(30)
        assert world.table.epoch == epoch
    assert len(world.closed) == 1


def test_an_expiry_does_not_wait(world: Operated) -> None:
    deposit(world)
    expiry = min(row.expiry_ms for row in world.table.rows if row.expiry_ms > world.table.time_ms)
    assert not world.operator._is_epoch_due(world.table.time_ms + PACE_MS - 1)
    table = world.table
    rows = [replace(row, expiry_ms=table.time_ms + 30_000) if row.expiry_ms == expiry else row for row in table.rows]
    world.sequencer.exchange.table = replace(table, rows=tuple(rows))
    assert [world.operator._is_epoch_due(table.time_ms + after_ms) for after_ms in (29_999, 30_000)] == [False, True]
    world.sequencer.exchange.table = table


def test_batches_that_are_closed_for_time_keep_the_pace(world: Operated) -> None:
    world.step()
    count = len(world.closed)
    for seconds in (98, 2):
        deposit(world)
        world.operator._batch_due = 0
        world.step(seconds)
        assert len(world.closed) == count + (seconds == 2)


def test_the_market_shuts_before_the_slots_are_gone_and_opens_when_they_come_back(world: Operated, layer1: Layer1) -> None:
    states = []
    for left in (KEPT, KEPT - 1, KEPT + 1, 2 * KEPT - 1, 2 * KEPT):
        layer1.most = len(world.closed) + left
        world.step()
        states.append(world.exchange.market_state)
    shut = MarketState.CANCEL_ONLY
    assert states == [MarketState.OPEN, shut, shut, shut, MarketState.OPEN]
    assert world.said[1:] == [
        f"layer 1 takes {KEPT - 1} more batches before one is final: the market is cancel-only",
        "the market is open",
    ]


def test_what_may_end_a_batch_grows_less_with_the_slots() -> None:
    def at(left: int) -> Slots:
        return Slots(100, lambda: 100 - left)

    assert [at(left).queue_room for left in (KEPT + 5, KEPT, -3)] == [5, 0, 0]
    assert [at(left).may_close() for left in (CLOSING + 1, CLOSING)] == [True, False]
    assert [at(left).may_advance() for left in (LAST + 1, LAST)] == [True, False]
    assert at(-1).shortage(shut=False) == "layer 1 takes 0 more batches before one is final" and at(KEPT).shortage(shut=False) == ""


def test_a_wallet_without_ether_for_bonds_shuts_the_market_too() -> None:
    def at(bonds: int) -> Slots:
        return Slots(4095, lambda: 3000, lambda: bonds)

    assert at(KEPT).shortage(shut=False) == "" and at(KEPT).shortage(shut=True) != ""
    assert at(KEPT - 1).shortage(shut=False) == f"the sequencer's wallet has bonds for {KEPT - 1} more batches: send it ether"
    assert (at(-2).left, at(-2).may_close(), at(-2).may_advance(), at(5000).left) == (-2, False, False, 1095)


def cancels(world: Operated, traders: list[Trader]) -> list[Command]:
    """They cost nothing, are taken in a shut market, and each takes rows of its account."""
    found: list[Command] = []
    for trader in traders:
        trader.next_nonce += 1
        words = messages.signed_words(DOMAIN, MessageKind.CANCEL, trader.account, 1, messages.cancel_payload(trader.next_nonce))
        found.append(L2Cancel(trader.account, 1, trader.next_nonce, trader.key.sign(words)))
    return found


def test_whatever_users_send_no_batch_is_closed_without_a_slot_and_it_goes_on_when_there_are(world: Operated, layer1: Layer1) -> None:
    traders = [world.join(f"trader {i}", 10_000_000_000) for i in range(12)]  # more than a batch has room for
    world.step(100)
    layer1.most = len(world.closed) + CLOSING + 6
    for _ in range(10):
        answers = world.writer.submit(cancels(world, traders)).result()
        world.step()
    assert {answer.code.value for answer in answers if isinstance(answer, Rejection)} == {"batch_boundary"}
    assert layer1.most - len(world.closed) == CLOSING and world.exchange.market_state is MarketState.CANCEL_ONLY
    layer1.most = len(world.closed) + LAST + 1
    for _ in range(4):  # epochs end batches still, as long as there is room for what they may lead to
        world.writer.submit(cancels(world, traders)).result()
        world.step(100)
    assert layer1.most - len(world.closed) == LAST
    table = world.table
    world.step(100)
    assert world.table is table
    layer1.final = len(world.closed)
    layer1.most = 255
    world.step(100)
    world.do(*cancels(world, traders))
    assert len(world.closed) > layer1.final and world.table is not table and world.exchange.market_state is MarketState.OPEN
