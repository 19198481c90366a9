"""What one unit of an order's legs is on the current table: sizes and prices that it trades in, what it may cost in fees, what it uses of a protection.

Derived from table, instruments and fee schedule; kept a table long, since every order asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from straddle.core.combinations import canonical_fault, price_step, size_step
from straddle.core.exposure import RiskContext
from straddle.core.fees import band_fee
from straddle.core.instruments import Instrument
from straddle.core.orders import Legs, Order
from straddle.core.params import BPS, POSITION_VALUE_BOUND, TICKS_MAX
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
    fee: int
    """Worst fee inside the bands, micro-dollars."""
    buyer_cap_bps: int | None
    """Share of its limit that a buyer's fee does not exceed; None where there is no such cap."""
    most_lots: tuple[int, ...]
    """By leg: the largest position that its cap and the value bound allow."""

    def worst_fee(self, order: Order) -> int:
        """The most that one unit of an order with a limit inside the bands can cost in fees, micro-dollars: `worst_unit_fee`, in short."""
        if self.buyer_cap_bps is None or not order.side:
            return self.fee
        return min(self.fee, -(-self.buyer_cap_bps * order.limit_ticks // BPS))


class Units:
    """The units of one table, by legs."""

    __slots__ = ("_instruments", "context", "known", "table")

    def __init__(self, context: RiskContext, instruments: Mapping[int, Instrument]) -> None:
        self.context = context
        self.table = context.table
        self._instruments = instruments
        self.known: dict[Legs, Unit] = {}
        """Those that were asked for so far."""

    def __getitem__(self, legs: Legs) -> Unit:
        """Of legs that trade on this table: those of any order that entered."""
        unit = self.known.get(legs)
        if unit is None:
            unit = self.known[legs] = self._make(legs)
        return unit

    def check(self, legs: Legs) -> Unit | Rejection:
        """Of any legs; why they may not trade."""
        unit = self.known.get(legs)
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

    def _make(self, legs: Legs) -> Unit:
        mark = band = lots = slope = 0
        for instrument, ratio in legs:
            row = self.table[instrument]
            mark += ratio * row.mark
            band += abs(ratio) * row.band
            lots += abs(ratio)
            slope += ratio * unit_slope(row)
        fees, outright = self.context.fees, len(legs) == 1
        return Unit(
            step=size_step(self._instruments, legs),
            tick=price_step(self._instruments, legs),
            lowest=1 if outright else -TICKS_MAX,
            low=mark - band,
            high=mark + band,
            lots=lots,
            slope=slope,
            fee=band_fee(fees, self.table, legs),
            buyer_cap_bps=fees.option_cap_bps if outright and not self.table[legs[0].instrument].linear else None,
            most_lots=tuple(self._most_lots(leg.instrument) for leg in legs),
        )

    def _most_lots(self, instrument: int) -> int:
        cap, largest = self._instruments[instrument].position_cap_lots, self.table.packed.largest(instrument)
        return min(cap, (POSITION_VALUE_BOUND - 1) // largest) if largest else cap
