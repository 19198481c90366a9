"""The market's clock, and when the engine hears of it."""

from __future__ import annotations

from typing import cast

import pytest

from straddle.core.commands import Command, InternalMarket, L1Deposit, L2Cancel
from straddle.core.market_state import MarketState
from straddle.core.orders import Signature
from straddle.core.state import Exchange
from straddle.node.clock import AFTERMATH_MS, MarketClock, Timekeeper
from straddle.sequencer.sequencer import Sequencer

START_MS, END_MS = 1_000_000, 1_600_000


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0])
def test_the_recording_runs_at_its_speed_and_its_aftermath_by_the_wall_clock(speed: float) -> None:
    now = [5.0]
    clock = MarketClock(START_MS, speed, END_MS, lambda: now[0])
    assert clock.now_ms() == START_MS
    now[0] = 5.0 + 300 / speed
    assert clock.now_ms() == START_MS + 300_000
    ended_s = 5.0 + 600 / speed
    now[0] = ended_s
    assert clock.now_ms() == END_MS
    now[0] = ended_s + 100
    assert clock.now_ms() == END_MS + 100_000
    over_s = ended_s + AFTERMATH_MS / 1000
    now[0] = over_s + 10
    assert clock.now_ms() == END_MS + AFTERMATH_MS + int(10_000 * speed)


@pytest.mark.parametrize(("start_ms", "later_ms"), [(END_MS + 1_000, 100_000), (END_MS + AFTERMATH_MS, 6_000_000)])
def test_a_clock_that_begins_after_the_end_goes_on_from_there(start_ms: int, later_ms: int) -> None:
    now = [0.0]
    clock = MarketClock(start_ms, 60.0, END_MS, lambda: now[0])
    now[0] = 100.0
    assert clock.now_ms() == start_ms + later_ms


def test_the_time_never_goes_back() -> None:
    now = [0.0]
    clock, seen = MarketClock(START_MS, 7.3, END_MS, lambda: now[0]), [0]
    while seen[-1] < END_MS + 2 * AFTERMATH_MS:
        now[0] += 0.37
        seen.append(clock.now_ms())
    assert seen == sorted(seen)


class Told:
    """What a timekeeper looks at."""

    time_ms, market = START_MS, MarketState.REDUCE_ONLY

    @property
    def exchange(self) -> Exchange:
        return cast(Exchange, self)


def test_the_time_goes_before_signed_commands_once_it_is_old_enough() -> None:
    told, now = Told(), [0.0]
    keeper = Timekeeper(cast(Sequencer, told), MarketClock(START_MS, 1.0, END_MS, lambda: now[0]), 250)
    signed: list[Command] = [L1Deposit(0, 3, 1, 1), L2Cancel(3, 1, 1, Signature(0, 0, 0))]
    now[0] = 0.249
    assert keeper(signed) is None
    now[0] = 0.25
    assert keeper(signed) == InternalMarket(START_MS + 250, MarketState.REDUCE_ONLY)
    assert keeper(signed[:1]) is None and keeper([InternalMarket(0, MarketState.OPEN)]) is None
    told.time_ms = START_MS + 250
    assert keeper(signed) is None
