"""Fees: a rate on the index, capped by a share of an option's price; integers, rounded up, paid to the fee account."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.orders import Legs, Order
from straddle.core.params import BPS
from straddle.core.risk_table import RiskRow, RiskTable


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Basis points of the index (per unit of underlying), and the cap on options in basis points of the fill's price.

    Defaults follow Deribit's: 0.03 % to a taker and at most 12.5 % of an option's price; makers pay a third, to reward quotes.
    """

    taker_bps: int = 3
    maker_bps: int = 1
    option_cap_bps: int = 1250

    def __post_init__(self) -> None:
        for name in ("taker_bps", "maker_bps", "option_cap_bps"):
            value = getattr(self, name)
            if not 0 <= value <= BPS:
                raise ValueError(f"fees.{name}: {value}, expected 0 to {BPS}")


def fill_fee(bps: int, schedule: FeeSchedule, index_ticks: int, row: RiskRow, price_ticks: int, size_lots: int) -> int:
    """Fee of a fill in micro-dollars, rounded up; `bps` is the payer's rate (taker or maker). A negative price pays nothing under the option cap."""
    rate = bps * index_ticks
    if not row.linear:
        rate = min(rate, schedule.option_cap_bps * price_ticks if price_ticks > 0 else 0)
    return -(-rate * size_lots // BPS)


def fill_fees(schedule: FeeSchedule, index_ticks: int, row: RiskRow, price_ticks: int, size_lots: int) -> tuple[int, int]:
    """`fill_fee` of the taker and of the maker."""
    taker, maker = schedule.taker_bps * index_ticks, schedule.maker_bps * index_ticks
    if not row.linear:
        cap = schedule.option_cap_bps * price_ticks if price_ticks > 0 else 0
        if taker > cap:
            taker = cap
        if maker > cap:
            maker = cap
    return -(-taker * size_lots // BPS), -(-maker * size_lots // BPS)


def worst_unit_fee(schedule: FeeSchedule, table: RiskTable, order: Order) -> int:
    """The most that one unit of an order can cost in fees, taking or making, at any prices that it may fill at, each lot rounded up.

    A fill's fee is at most this times its units: rounding up once never exceeds rounding up every lot.
    An outright's buyer fills at its limit or lower, a seller, and any leg of a combination, at the upper edge of the band or lower.
    """
    bps = max(schedule.taker_bps, schedule.maker_bps)
    legs = order.legs
    if len(legs) == 1:
        row = table[legs[0].instrument]
        price_max = order.limit_ticks if order.side.sign > 0 else max(order.limit_ticks, row.mark + row.band)
        return fill_fee(bps, schedule, table.index_ticks, row, price_max, 1)
    return band_fee(schedule, table, legs)


def band_fee(schedule: FeeSchedule, table: RiskTable, legs: Legs) -> int:
    """The most that one unit of these legs can cost in fees, at any prices inside the bands, each lot rounded up."""
    bps = max(schedule.taker_bps, schedule.maker_bps)
    rows = [(table[leg.instrument], abs(leg.ratio)) for leg in legs]
    return sum(ratio * fill_fee(bps, schedule, table.index_ticks, row, row.mark + row.band, 1) for row, ratio in rows)
