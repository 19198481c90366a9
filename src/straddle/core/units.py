"""What one unit of an order's legs is on the current table: sizes and prices that it trades in, what it may cost in fees, what it uses of a protection.

Derived from table, instruments and fee schedule; kept a table long, since every order asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from straddle.core.combinations import canonical_fault, price_step, size_step
from straddle.core.exposure import RiskContext
from straddle.core.fees import worst_unit_fee
from straddle.core.instruments import Instrument
from straddle.core.orders import Legs, Order
from straddle.core.params import TICKS_MAX
from straddle.core.protection import unit_slope
from straddle.core.rejections import Rejection, RejectionCode


@dataclass(slots=True)
class Unit:
    """Legs that may trade."""

    step: int
    """Sizes are multiples of this."""
    tick: int
    """Limits are multiples of this."""
    lowest: int
    """Least limit, in ticks: an outright's is positive."""
    low: int
    """Net price at the lower edge of the bands, ticks."""
    high: int
    lots: int
    """Over all legs."""
    slope: int
    """Delta of a unit bought: micro-dollars between the two scenarios of a protection."""


class Units:
    """The units of one table, by legs."""

    __slots__ = ("_instruments", "_known", "context", "table")

    def __init__(self, context: RiskContext, instruments: Mapping[int, Instrument]) -> None:
        self.context = context
        self.table = context.table
        self._instruments = instruments
        self._known: dict[Legs, Unit] = {}

    def __getitem__(self, legs: Legs) -> Unit:
        """Of legs that trade on this table: those of any order that entered."""
        unit = self._known.get(legs)
        if unit is None:
            unit = self._known[legs] = self._make(legs)
        return unit

    def check(self, legs: Legs) -> Unit | Rejection:
        """Of any legs; why they may not trade."""
        unit = self._known.get(legs)
        if unit is not None:
            return unit
        fault = canonical_fault(legs)
        if fault is not None:
            return Rejection(RejectionCode.LEGS, "legs", [tuple(leg) for leg in legs], fault)
        for instrument, _ in legs:
            if instrument not in self.table:
                return Rejection(RejectionCode.INSTRUMENT, "instrument", instrument, "an instrument listed and not retired")
            if self.table[instrument].expiry_ms <= self.table.time_ms:
                return Rejection(RejectionCode.INSTRUMENT_EXPIRED, "instrument", instrument, f"one that expires after the table's time {self.table.time_ms}")
        if len({self._instruments[leg.instrument].underlying for leg in legs}) > 1:
            return Rejection(RejectionCode.LEGS, "legs", [tuple(leg) for leg in legs], "legs of one underlying")
        return self[legs]

    def worst_fee(self, order: Order) -> int:
        """The most that one unit of an order can cost in fees, micro-dollars."""
        return worst_unit_fee(self.context.fees, self.table, order)

    def _make(self, legs: Legs) -> Unit:
        mark = band = lots = slope = 0
        for instrument, ratio in legs:
            row = self.table[instrument]
            mark += ratio * row.mark
            band += abs(ratio) * row.band
            lots += abs(ratio)
            slope += ratio * unit_slope(row)
        lowest = 1 if len(legs) == 1 else -TICKS_MAX
        return Unit(size_step(self._instruments, legs), price_step(self._instruments, legs), lowest, mark - band, mark + band, lots, slope)
