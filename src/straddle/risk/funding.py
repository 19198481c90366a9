"""Funding of the perpetual, folded into its value: accrues at epoch boundaries only, in exact integers.

Over an epoch that began with index I and perpetual mark M, in hundredths of a basis point (parts per million):

    premium = (M - I) * 10^6 // I
    rate    = max(dampener, premium) + min(-dampener, premium), within +-cap        per funding interval (8 hours)
    owed    = I * rate * elapsed_ms + remainder                                      long pays short when positive
    cumulative += owed // (10^6 * interval_ms);   remainder = owed mod (10^6 * interval_ms)

`elapsed_ms` counts at most `funding_max_gap_minutes`; the cumulative value stays within +-2^38 ticks (where it is cut, the remainder becomes 0).
The premium's source is the mark that the oracles sign: `perpetual_mark` gives it from the perpetual's own book.
"""

from __future__ import annotations

from collections.abc import Sequence

from straddle.risk.inputs import MAX_FUNDING_TICKS, RiskInputError, RiskInputs
from straddle.risk.parameters import BPS, RiskParameters

PARTS = 10**6


def funding_rate(index_ticks: int, mark_ticks: int, parameters: RiskParameters) -> int:
    """Rate per funding interval in parts per million, positive when longs pay."""
    premium = (mark_ticks - index_ticks) * PARTS // index_ticks
    dampener, cap = parameters.funding_dampener_bps_e2, parameters.funding_cap_bps_e2
    return max(-cap, min(cap, max(dampener, premium) + min(-dampener, premium)))


def accrue(previous: RiskInputs, time_ms: int, parameters: RiskParameters) -> tuple[int, int]:
    """(cumulative_funding, funding_remainder) at `time_ms`, the time of the next epoch.

    Raises:
        RiskInputError: time_ms before the previous epoch's.
    """
    if time_ms < previous.time_ms:
        raise RiskInputError(f"time_ms = {time_ms}: expected at least the previous epoch's {previous.time_ms}")
    elapsed_ms = min(time_ms - previous.time_ms, parameters.funding_max_gap_minutes * 60_000)
    rate = funding_rate(previous.index_ticks, previous.perpetual_mark_ticks, parameters)
    owed = previous.index_ticks * rate * elapsed_ms + previous.funding_remainder
    ticks, remainder = divmod(owed, PARTS * parameters.funding_interval_minutes * 60_000)
    cumulative = previous.cumulative_funding + ticks
    if abs(cumulative) > MAX_FUNDING_TICKS:
        return max(-MAX_FUNDING_TICKS, min(MAX_FUNDING_TICKS, cumulative)), 0
    return cumulative, remainder


Level = tuple[int, int]
"""(price_ticks, size_lots)."""


def perpetual_mark(
    index_ticks: int,
    quoted_index_ticks: int,
    bids: Sequence[Level],
    asks: Sequence[Level],
    previous_marks: Sequence[tuple[int, int]],
    parameters: RiskParameters,
    impact_lots: int = 10_000,
) -> int:
    """Mark of the perpetual: index plus its premium, averaged with those of earlier epochs and clamped to premium_clamp_bps of the index.

    The premium now is the mean of what buying and selling `impact_lots` would cost over `quoted_index_ticks`, the index that the book was quoted on: over
    the new one, the book's age would count as a premium. A side that is not that deep gives none, and the premium is then 0. `previous_marks` holds
    (index_ticks, mark_ticks) of the epochs to average with.
    """
    buy, sell = _impact_price(asks, impact_lots), _impact_price(bids, impact_lots)
    premiums = [(mark - index) * PARTS // index for index, mark in previous_marks]
    premiums.append(0 if buy is None or sell is None else ((buy + sell) // 2 - quoted_index_ticks) * PARTS // quoted_index_ticks)
    limit = parameters.premium_clamp_bps * (PARTS // BPS)
    premium = max(-limit, min(limit, sum(premiums) // len(premiums)))
    return index_ticks + index_ticks * premium // PARTS


def _impact_price(levels: Sequence[Level], lots: int) -> int | None:
    left, cost = lots, 0
    for price, size in levels:
        taken = min(left, size)
        left, cost = left - taken, cost + taken * price
        if not left:
            return cost // lots
    return None
