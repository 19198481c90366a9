"""Settlement: the time-weighted average of the index over the last half hour before expiry, and what instruments are worth at it.

An observation counts from its moment until the next one, but no longer than `hold_ms`; what is left uncovered is a gap and does not count: the sum is
divided by the time really observed. An observation from just before the window counts for its first moments likewise. If nothing at all was observed
inside the window, the last observation before expiry is the settlement price.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.instruments import Instrument, Kind
from straddle.risk.parameters import RiskParameters


class SettlementError(ValueError):
    """No settlement price can be had, or an observation out of order."""


@dataclass(slots=True)
class IndexAverage:
    """The average of one expiry, in exact integers, fed with (time_ms, index_ticks) in order."""

    expiry_ms: int
    window_ms: int
    hold_ms: int
    _observed_ms: int = 0
    _fixed: int = 0
    _last: tuple[int, int] | None = None
    """(time_ms, index_ticks) of the last observation, not added yet."""

    @classmethod
    def of(cls, expiry_ms: int, parameters: RiskParameters) -> IndexAverage:
        """An empty one under the parameters' window and gap rule."""
        return cls(expiry_ms, parameters.settlement_window_minutes * 60_000, parameters.settlement_hold_seconds * 1_000)

    def observe(self, time_ms: int, index_ticks: int) -> None:
        """Add an observation. Those at or after expiry do not count.

        Raises:
            SettlementError: not later than the last one, or an index below 1.
        """
        if self._last is not None and time_ms <= self._last[0]:
            raise SettlementError(f"time_ms = {time_ms}: expected after the last observation's {self._last[0]}")
        if index_ticks < 1:
            raise SettlementError(f"index_ticks = {index_ticks}: expected at least 1")
        if time_ms < self.expiry_ms:
            self._observed_ms, self._fixed = self.fixed(time_ms)
            self._last = (time_ms, index_ticks)

    def fixed(self, time_ms: int) -> tuple[int, int]:
        """(observed_ms, sum of index ticks x milliseconds) from the window's start to `time_ms`, which is not before the last observation."""
        if self._last is None:
            return self._observed_ms, self._fixed
        since, ticks = self._last
        covered = max(0, min(time_ms, since + self.hold_ms, self.expiry_ms) - max(since, self.expiry_ms - self.window_ms))
        return self._observed_ms + covered, self._fixed + covered * ticks

    def price(self) -> int:
        """The settlement price in ticks, rounded to nearest, half up.

        Raises:
            SettlementError: nothing was ever observed.
        """
        observed_ms, fixed = self.fixed(self.expiry_ms)
        if observed_ms:
            return (fixed + observed_ms // 2) // observed_ms
        if self._last is None:
            raise SettlementError(f"expiry {self.expiry_ms}: expected an observation of the index before it")
        return self._last[1]


def settlement_value(instrument: Instrument, price_ticks: int) -> int:
    """What one unit of an expiring instrument is worth at the settlement price, ticks.

    Raises:
        SettlementError: the perpetual, which does not expire.
    """
    if instrument.kind is Kind.CALL:
        return max(price_ticks - instrument.strike_ticks, 0)
    if instrument.kind is Kind.PUT:
        return max(instrument.strike_ticks - price_ticks, 0)
    if instrument.kind is Kind.FUTURE:
        return price_ticks
    raise SettlementError(f"instrument {instrument.id}: kind {instrument.kind.name} does not expire")
