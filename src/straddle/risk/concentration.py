"""The concentration charge: its rate follows how many days of trading the market's open interest amounts to (the piecewise scaling function).

    days   = 100 * open interest // traded lots of the last day             hundredths; the last knot when nothing traded
    rate   = piecewise(concentration_days_e2, concentration_bps)(days)
    charge = rate * (worst loss of one unit over the scenarios, long or short), rounded up; for MM concentration_mm_part_bps of it

Both are counted over all instruments of an expiry (the perpetual for itself): neighbouring strikes are hedged with one another and closed against one
another, while most single strikes do not trade on most days, so a strike's own ratio would be noise, and moving one strike on would avoid it.
The rate is the market's, not the account's, and the charge is linear in each side, so splitting an account avoids nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from straddle.core.instruments import Instrument
from straddle.risk.parameters import BPS, RiskParameters
from straddle.risk.piecewise import piecewise

HOUR_MS = 3_600_000
DAY_HOURS = 24

Activity = tuple[tuple[int, int, int], ...]
"""(expiry_ms, open interest in lots, traded lots of the last day), ascending, as in `RiskInputs.activity`."""


def concentration_rate_bps(open_interest_lots: int, traded_lots: int, parameters: RiskParameters) -> int:
    """The rate for an expiry."""
    knots = parameters.concentration_days_e2
    days_e2 = 100 * open_interest_lots // traded_lots if traded_lots else (knots[-1] if open_interest_lots else 0)
    return piecewise(knots, parameters.concentration_bps, days_e2)


def concentration_charges(rate_bps: int, deltas: Sequence[int], parameters: RiskParameters) -> tuple[int, int, int, int]:
    """(long_im, long_mm, short_im, short_mm) of one unit, from its scenario deltas; ticks."""
    long_im = -(-rate_bps * max(0, -min(deltas)) // BPS)
    short_im = -(-rate_bps * max(0, max(deltas)) // BPS)
    part = parameters.concentration_mm_part_bps
    return long_im, -(-long_im * part // BPS), short_im, -(-short_im * part // BPS)


@dataclass(slots=True)
class TradedLots:
    """Lots traded by instrument in the last 24 hours, in hour buckets: the hour that runs and the 23 before it."""

    _hours: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def add(self, time_ms: int, instrument: int, lots: int) -> None:
        """A trade of `lots`."""
        self._hours[time_ms // HOUR_MS][instrument] += lots

    def last_day(self, time_ms: int) -> dict[int, int]:
        """instrument -> lots; what is older is forgotten."""
        first = time_ms // HOUR_MS - DAY_HOURS + 1
        for hour in [hour for hour in self._hours if hour < first]:
            del self._hours[hour]
        totals: dict[int, int] = defaultdict(int)
        for traded in self._hours.values():
            for instrument, lots in traded.items():
                totals[instrument] += lots
        return dict(totals)


def market_activity(accounts: Iterable[Mapping[int, int]], instruments: Iterable[Instrument], traded: Mapping[int, int]) -> Activity:
    """Open interest (the sum of long positions) and volume by expiry; `accounts` are positions by instrument."""
    expiries = {instrument.id: instrument.expiry_ms for instrument in instruments}
    interest: dict[int, int] = defaultdict(int)
    for positions in accounts:
        for instrument, size in positions.items():
            if size > 0 and instrument in expiries:
                interest[expiries[instrument]] += size
    named = {expiry for expiry in {*expiries.values()} if interest[expiry] or traded.get(expiry)}
    return tuple((expiry, interest[expiry], traded.get(expiry, 0)) for expiry in sorted(named))
