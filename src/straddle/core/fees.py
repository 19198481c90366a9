"""Fees: a rate on the index, capped by a share of an option's price; integers, rounded up, paid to the fee account."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.orders import Side
from straddle.core.params import BPS
from straddle.core.risk_table import RiskRow


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


def _rate(bps: int, cap_bps: int, index_ticks: int, row: RiskRow, price_ticks: int) -> int:
    """Fee of one lot in micro-dollars, times BPS. A negative price pays nothing under the option cap."""
    rate = bps * index_ticks
    return rate if row.linear else min(rate, cap_bps * max(price_ticks, 0))


def fill_fee(bps: int, schedule: FeeSchedule, index_ticks: int, row: RiskRow, price_ticks: int, size_lots: int) -> int:
    """Fee of a fill in micro-dollars, rounded up; `bps` is the payer's rate (taker or maker)."""
    return -(-_rate(bps, schedule.option_cap_bps, index_ticks, row, price_ticks) * size_lots // BPS)


def worst_fee_per_lot(schedule: FeeSchedule, index_ticks: int, row: RiskRow, side: Side, limit_ticks: int) -> int:
    """The most that one lot of an order can cost in fees, taking or making, at any price that it may fill at, rounded up.

    A fill's fee is at most this times its size: rounding up once never exceeds rounding up every lot.
    A buyer fills at its limit or lower, a seller at the upper edge of the band or lower.
    """
    bps = max(schedule.taker_bps, schedule.maker_bps)
    price_max = limit_ticks if side is Side.BUY else max(limit_ticks, row.mark + row.band)
    return -(-_rate(bps, schedule.option_cap_bps, index_ticks, row, price_max) // BPS)
