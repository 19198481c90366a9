"""The market's clock, and how the engine hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from straddle.core.commands import Command, InternalMarket, L2Bid, L2Cancel, L2Protect, L2Trade, L2Transfer, L2Withdraw
from straddle.sequencer.sequencer import Sequencer

AFTERMATH_MS = 10 * 60_000
"""After the recording's end: layer 1 takes batches on the last table for 15 minutes, and the last batch needs some of them to get there."""
SIGNED = (L2Trade, L2Withdraw, L2Transfer, L2Bid, L2Cancel, L2Protect)


class MarketClock:
    """The recording's time: it goes on from where it stood, `speed` times as fast as the wall clock. The aftermath of the recording takes as
    long as on the wall clock: layer 1's own runs then, too."""

    def __init__(self, start_ms: int, speed: float, end_ms: int, now_s: Callable[[], float] = time.monotonic) -> None:
        """`end_ms`: the recording's end. Times are unix milliseconds of the recording."""
        self._start_ms, self._speed, self._end_ms, self._now_s = start_ms, speed, end_ms, now_s
        self._start_s = now_s()

    def now_ms(self) -> int:
        """Unix milliseconds of the recording."""
        left_ms, at_ms = (self._now_s() - self._start_s) * 1000, self._start_ms
        for until_ms, speed in ((self._end_ms, self._speed), (self._end_ms + AFTERMATH_MS, 1.0)):
            span_ms = max(0, until_ms - at_ms)
            if left_ms * speed <= span_ms:
                return at_ms + int(left_ms * speed)
            left_ms, at_ms = left_ms - span_ms / speed, at_ms + span_ms
        return at_ms + int(left_ms * self._speed)


class Timekeeper:
    """The time goes before the signed commands of a group, when the engine has not heard it for a while: orders' dates, the intervals and freezes of
    market-maker protections and the age of the table are then right for what follows. Nothing is written while nobody sends anything."""

    def __init__(self, sequencer: Sequencer, clock: MarketClock, every_ms: int) -> None:
        """`every_ms`: from one telling to the next at least, milliseconds of the market."""
        self._sequencer, self._clock, self._every_ms = sequencer, clock, every_ms

    def __call__(self, commands: Sequence[Command]) -> InternalMarket | None:
        """What goes before the commands; None: nothing. In the writer."""
        exchange, now_ms = self._sequencer.exchange, self._clock.now_ms()
        if now_ms - exchange.time_ms < self._every_ms or not any(isinstance(command, SIGNED) for command in commands):
            return None
        return InternalMarket(now_ms, exchange.market)
