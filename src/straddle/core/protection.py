"""Market-maker protection: how much of an account's resting orders may fill within an interval, before the others leave the market by themselves.

The engine's own caution, chosen by the account; nothing of it is proved. Immutable: a change is a new value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from straddle.core.params import SIZE_LOTS_MAX
from straddle.core.risk_table import RiskRow

UP_SCENARIO, DOWN_SCENARIO = 4, 7
"""The grid's moves by +r/4 and -r/4 with vols the same (r: the scan range): the smallest ones, between which a row's delta is measured."""


@dataclass(frozen=True, slots=True)
class ProtectionLimits:
    """What the account signed. A limit of 0 is none."""

    interval_ms: int
    frozen_ms: int
    """For this long after it tripped only immediate-or-cancel orders enter."""
    quantity_lots: int
    """Lots that may fill in an interval, over all instruments."""
    delta_micros: int
    """Largest net delta of an interval's fills, either way: micro-dollars between the index at -r/4 and at +r/4."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Limits and what the interval has used of them. The use never exceeds a limit."""

    nonce: int
    limits: ProtectionLimits
    start_ms: int
    """When the interval began."""
    quantity_lots: int = 0
    delta_micros: int = 0
    frozen_until_ms: int = 0

    def at(self, time_ms: int) -> Protection:
        """As it stands at a time: a new interval begins when the last one is over."""
        over = time_ms - self.start_ms >= self.limits.interval_ms
        return replace(self, start_ms=time_ms, quantity_lots=0, delta_micros=0) if over else self

    @property
    def lots_left(self) -> int | None:
        """Lots that may still fill in the interval; None for any number."""
        return self.limits.quantity_lots - self.quantity_lots if self.limits.quantity_lots else None

    def room(self, lots: int, slope: int, step: int) -> int:
        """Units of an order that may still fill, a multiple of `step`, rounded down: one unit is `lots` lots and `slope` micro-dollars of delta, signed."""
        left = self.lots_left
        units = SIZE_LOTS_MAX if left is None else left // lots
        if self.limits.delta_micros and slope:
            used = self.delta_micros if slope > 0 else -self.delta_micros
            units = min(units, (self.limits.delta_micros - used) // abs(slope))
        return units - units % step

    def filled(self, lots: int, slope: int) -> Protection:
        """After fills of so many lots and so much delta, which had room."""
        return replace(self, quantity_lots=self.quantity_lots + lots, delta_micros=self.delta_micros + slope)

    @property
    def exhausted(self) -> bool:
        """Whether a limit is used up exactly."""
        quantity, delta = self.limits.quantity_lots, self.limits.delta_micros
        return bool((quantity and self.quantity_lots == quantity) or (delta and abs(self.delta_micros) == delta))

    def tripped(self, time_ms: int) -> Protection:
        """Frozen, with a new interval."""
        return Protection(self.nonce, self.limits, time_ms, frozen_until_ms=time_ms + self.limits.frozen_ms)


def unit_slope(row: RiskRow) -> int:
    """Delta of one lot bought, in micro-dollars between the two scenarios."""
    return row.deltas[UP_SCENARIO] - row.deltas[DOWN_SCENARIO]
