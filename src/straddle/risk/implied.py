"""Implied volatility in whole basis points, by bisection on the exact integer prices."""

from __future__ import annotations

from straddle.core.instruments import Kind
from straddle.risk.pricing import MAX_VOL_BPS, black76


def option_price_ticks(kind: Kind, forward_ticks: int, strike_ticks: int, vol_bps: int, minutes: int) -> int:
    """The option's exact integer price."""
    call, put = black76(forward_ticks, strike_ticks, vol_bps, minutes)
    return call if kind is Kind.CALL else put


def implied_vol_bps(kind: Kind, price_ticks: int, forward_ticks: int, strike_ticks: int, minutes: int) -> int | None:
    """The vol whose price is nearest below or at `price_ticks`; None when the price is at or below intrinsic value, worth less than a tick over it at
    every vol, or above the price at 500 %."""
    intrinsic = max(forward_ticks - strike_ticks if kind is Kind.CALL else strike_ticks - forward_ticks, 0)
    if price_ticks <= intrinsic or minutes < 1:
        return None
    low, high = 1, MAX_VOL_BPS
    if option_price_ticks(kind, forward_ticks, strike_ticks, low, minutes) > price_ticks:
        return None
    if option_price_ticks(kind, forward_ticks, strike_ticks, high, minutes) < price_ticks:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if option_price_ticks(kind, forward_ticks, strike_ticks, middle, minutes) <= price_ticks:
            low = middle
        else:
            high = middle
    return low
