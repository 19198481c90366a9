"""What a combination is worth leg by leg: its canonical form, the sizes in which it trades, and the prices of its legs when it meets another one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from math import gcd, lcm

from straddle.core.instruments import Instrument
from straddle.core.orders import MAX_LEGS, RATIO_MAX, Legs
from straddle.core.risk_table import RiskRow, RiskTable


def canonical_fault(legs: Legs) -> str | None:
    """What is wrong with the form of an order's legs (docs/protocol/messages.md), or None: one form for one combination."""
    if not 1 <= len(legs) <= MAX_LEGS:
        return f"1 to {MAX_LEGS} legs"
    if len(legs) == 1:
        return None if legs[0].ratio == 1 else "ratio 1 for one leg"
    if any(after.instrument <= before.instrument for before, after in itertools.pairwise(legs)):
        return "distinct instruments, ascending"
    if not all(0 < abs(leg.ratio) <= RATIO_MAX for leg in legs):
        return f"ratios 1 to {RATIO_MAX}, negative where a leg is sold"
    if legs[0].ratio < 0:
        return "a first leg that is bought"
    return None if gcd(*[leg.ratio for leg in legs]) == 1 else "ratios with greatest common divisor 1"


def size_step(instruments: Mapping[int, Instrument], legs: Legs) -> int:
    """Sizes are multiples of this many units, so that every leg fills in multiples of its instrument's minimum size."""
    if len(legs) == 1:
        return instruments[legs[0].instrument].min_lots
    return lcm(*[instruments[leg.instrument].min_lots // gcd(instruments[leg.instrument].min_lots, leg.ratio) for leg in legs])


def price_step(instruments: Mapping[int, Instrument], legs: Legs) -> int:
    """Limits are multiples of this many ticks: for a combination the greatest common divisor of its instruments' ticks."""
    return gcd(*[instruments[leg.instrument].tick_ticks for leg in legs])


def leg_prices(table: RiskTable, legs: Legs, net_ticks: int) -> tuple[int, ...] | None:
    """Prices in ticks, one a leg, whose net over the ratios is exactly `net_ticks`; None when there are none near the band's inside.

    Each leg moves away from its mark by the same share of it, as far as its band allows; the other legs then take the rest. What rounding leaves is at most
    some ticks, and goes where whole numbers of ticks make it up. No price is negative.
    """
    rows = [table[leg.instrument] for leg in legs]
    if len(legs) == 1:
        return (net_ticks,) if _within(rows[0], net_ticks) else None
    ratios = [leg.ratio for leg in legs]
    prices = _proportional(rows, ratios, net_ticks)
    if prices is None:
        return None
    rest = net_ticks - sum(ratio * price for ratio, price in zip(ratios, prices, strict=True))
    order = sorted(range(len(ratios)), key=lambda i: -abs(ratios[i]))
    for place, change in zip(order, whole_changes([ratios[i] for i in order], rest), strict=True):
        prices[place] += change
    exact = sum(ratio * price for ratio, price in zip(ratios, prices, strict=True)) == net_ticks
    return tuple(prices) if exact and all(_within(row, price) for row, price in zip(rows, prices, strict=True)) else None


def _bounds(row: RiskRow) -> tuple[int, int]:
    return max(0, row.mark - row.band), row.mark + row.band


def _within(row: RiskRow, price_ticks: int) -> bool:
    low, high = _bounds(row)
    return low <= price_ticks <= high


def _proportional(rows: Sequence[RiskRow], ratios: Sequence[int], net_ticks: int) -> list[int] | None:
    """Whole prices that come near the net: legs that their band stops are fixed there, the others share what is missing by their marks."""
    prices, free = [row.mark for row in rows], list(range(len(rows)))
    while free:
        missing = net_ticks - sum(ratio * price for ratio, price in zip(ratios, prices, strict=True))
        weights = {i: abs(ratios[i]) * max(rows[i].mark, 1) for i in free}
        total, stopped = sum(weights.values()), []
        moved = {i: prices[i] + _toward_zero(missing * weights[i], total * ratios[i]) for i in free}
        for i, price in moved.items():
            low, high = _bounds(rows[i])
            if not low <= price <= high:
                prices[i] = min(max(price, low), high)
                stopped.append(i)
        if not stopped:
            for i, price in moved.items():
                prices[i] = price
            return prices
        free = [i for i in free if i not in stopped]
    return prices


def _toward_zero(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) is (denominator < 0) else -quotient


def whole_changes(ratios: Sequence[int], rest: int) -> list[int]:
    """Small whole numbers whose sum over the ratios is `rest`. The ratios have greatest common divisor 1, or one that divides `rest`."""
    if len(ratios) == 1:
        return [rest // ratios[0]]
    divisor = gcd(*ratios[1:])
    common = gcd(ratios[0], divisor)
    modulus = divisor // common
    residue = rest // common * pow(ratios[0] // common, -1, modulus) if modulus > 1 else 0
    share = rest // ratios[0]
    change = share + (residue - share + modulus // 2) % modulus - modulus // 2
    return [change, *whole_changes(ratios[1:], rest - change * ratios[0])]
