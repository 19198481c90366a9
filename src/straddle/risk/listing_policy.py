"""Automatic listing: which instruments have to be listed now, as a pure function of time, index and what is listed. Integers only.

**Expiries**, at 08:00 UTC as Deribit's: the next days, the next Fridays, the last Fridays of the next months, and those of the next quarters; each with a
dated future. **Strikes** an expiry: all multiples of a step within a reach of the index; step and reach widen with the time to expiry. Nothing is ever
taken off: when the index moves, what comes into reach is added, and when an expiry comes nearer, its finer strikes. Whoever has less **room** than that
lists half of each expiry's share at first and keeps the other half for where the index goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from straddle.core.instruments import Instrument, Kind
from straddle.risk.listing import DEFAULT_SIZES, InstrumentSizes, nice_number, terms
from straddle.risk.parameter_keys import check_ranges
from straddle.risk.parameters import BPS
from straddle.risk.piecewise import check_piecewise, piecewise
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_MINUTES

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EXPIRY_MS = 8 * HOUR_MS
"""08:00 UTC."""
_EPOCH = date(1970, 1, 1)
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class ListingPolicy:
    """What is kept listed; each number's unit, range and meaning: straddle.risk.parameter_keys."""

    days: int = 2
    weeks: int = 3
    months: int = 3
    quarters: int = 4
    term_days: tuple[int, ...] = (1, 7, 30, 90, 365)
    step_bps: tuple[int, ...] = (150, 300, 600, 1_200, 2_400)
    down_bps: tuple[int, ...] = (1_500, 2_500, 5_000, 6_500, 7_000)
    up_bps: tuple[int, ...] = (1_500, 3_000, 7_500, 15_000, 30_000)
    max_strikes: int = 60
    quiet_ms: int = HOUR_MS

    def __post_init__(self) -> None:
        check_ranges("listing", self)
        for name in ("step_bps", "down_bps", "up_bps"):
            check_piecewise("term_days", self.term_days, getattr(self, name))
        if not (self.days or self.weeks or self.months or self.quarters):
            raise ValueError("days, weeks, months, quarters: all 0: expected some expiry")


DEFAULT_POLICY = ListingPolicy()
POLICY_REASONS = {
    "days": "As Deribit's.",
    "weeks": "As Deribit's.",
    "months": "As Deribit's.",
    "quarters": "As Deribit's.",
    "term_days": "A day, a week, a month, a quarter, a year.",
    "step_bps": "$100 a day out, $2,000 a year out at the recording: 21 to 35 strikes cover each expiry.",
    "down_bps": "Four standard deviations of a day at 75 % volatility, two of a month.",
    "up_bps": "As far in ln(K/F) as down for a week, further beyond: prices have no upper end.",
    "max_strikes": "More than the reaches hold at the recording's index.",
    "quiet_ms": "An hour: what would expire sooner has no time to trade.",
}
"""Why each default is what it is."""


def expiries(time_ms: int, policy: ListingPolicy = DEFAULT_POLICY) -> tuple[int, ...]:
    """Expiries to have listed, ascending, unix milliseconds: all after `time_ms` and within two years."""
    first = _EPOCH + timedelta(days=(time_ms - EXPIRY_MS) // DAY_MS + 1)
    fridays = [first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 7 * week) for week in range(policy.weeks)]
    month_ends = [last for last in (_last_friday(first, ahead) for ahead in range(max(policy.months, 3 * policy.quarters) + 3)) if last >= first]
    quarter_ends = [last for last in month_ends if last.month % 3 == 0]
    wanted = {first + timedelta(days=day) for day in range(policy.days)}
    wanted.update(fridays, month_ends[: policy.months], quarter_ends[: policy.quarters])
    moments = ((day - _EPOCH).days * DAY_MS + EXPIRY_MS for day in wanted)
    return tuple(sorted(moment for moment in moments if moment <= time_ms + MAX_MINUTES * 60_000))


def _last_friday(start: date, ahead: int) -> date:
    """The last Friday of the month `ahead` months after that of `start`."""
    years, month = divmod(start.month + ahead, 12)
    last = date(start.year + years, month + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - _FRIDAY) % 7)


def strikes(expiry_ms: int, time_ms: int, index_ticks: int, policy: ListingPolicy = DEFAULT_POLICY) -> tuple[int, ...]:
    """Strikes to have listed for an expiry, ascending, ticks: inside the pricing limits, nearest to the money first where there are too many."""
    term_ms = [days * DAY_MS for days in policy.term_days]
    step_bps, down_bps, up_bps = (piecewise(term_ms, heights, expiry_ms - time_ms) for heights in (policy.step_bps, policy.down_bps, policy.up_bps))
    step = nice_number(index_ticks * step_bps // BPS)
    reach = policy.max_strikes * step  # what lies further is never among the nearest
    low = max(1, index_ticks * (BPS - down_bps) // BPS, index_ticks - reach)
    high = min(index_ticks * (BPS + up_bps) // BPS, index_ticks + reach, MAX_FEED_PRICE_TICKS)
    grid = range(-(-low // step) * step, high + 1, step)
    nearest = sorted(grid, key=lambda strike: (abs(strike - index_ticks), strike))
    return tuple(sorted(nearest[: policy.max_strikes]))


def due(
    time_ms: int,
    index_ticks: int,
    listed: Iterable[Instrument],
    first_id: int,
    policy: ListingPolicy = DEFAULT_POLICY,
    room: Room | None = None,
    sizes: InstrumentSizes = DEFAULT_SIZES,
) -> tuple[Instrument, ...]:
    """What has to be listed now, ids running from `first_id`: futures first, then options by their distance from the money. `listed` are all instruments
    that are listed already, settled ones too; empty when nothing is due. `room`: for whom not everything that the policy wants fits."""
    listed = tuple(listed)
    wanted: list[tuple[Kind, int, int]] = []
    for expiry in expiries(time_ms, policy) if room is None else room.expiries:
        if expiry - time_ms >= policy.quiet_ms:
            known = frozenset(instrument.strike_ticks for instrument in listed if instrument.expiry_ms == expiry and not instrument.linear)
            grid = strikes(expiry, time_ms, index_ticks, policy)
            wanted.append((Kind.FUTURE, expiry, 0))
            chosen = grid if room is None else (*known, *room.choose(grid, known, index_ticks))
            wanted += [(kind, expiry, strike) for strike in chosen for kind in (Kind.CALL, Kind.PUT)]
    present = {(instrument.kind, instrument.expiry_ms, instrument.strike_ticks) for instrument in listed}
    missing = sorted((key for key in wanted if key not in present), key=lambda key: (key[0] is not Kind.FUTURE, abs(key[2] - index_ticks), key[1], key[0]))
    if room is not None:
        missing = missing[: max(0, room.instruments - len(listed))]
    return tuple(terms(first_id + i, kind, expiry, strike, index_ticks, sizes) for i, (kind, expiry, strike) in enumerate(missing))


@dataclass(frozen=True, slots=True)
class Room:
    """A table with fewer rows than the policy wants: each expiry has an equal share of them, since steps widen with the time to expiry so that as many
    strikes cover each alike. Half of a share is listed at first; the rest is kept for where the index goes, since nothing can be taken off before it expires.
    """

    instruments: int
    """Rows that may be listed, the perpetual's among them."""
    expiries: tuple[int, ...]
    """Those that are to be listed, ascending."""

    @property
    def share(self) -> int:
        """Strikes that an expiry may have listed; each takes two rows. It grows as the others expire."""
        return ((self.instruments - 1) // max(1, len(self.expiries)) - 1) // 2

    def choose(self, grid: Sequence[int], known: frozenset[int], index_ticks: int) -> tuple[int, ...]:
        """Strikes of an expiry to add to those that are listed, ascending; `grid`: what the policy wants.

        Until half of the share is listed, and two strikes at least, the nearest to the money. From then on only what keeps a strike near it on either side:
        within two steps of the grid, and within twice as many each time that half of what was kept is used up, so that the kept half outlasts a long way.
        """
        first = min(self.share, max(2, (self.share + 1) // 2))
        if len(known) < first:
            near = sorted(grid, key=lambda strike: (abs(strike - index_ticks), strike))
            return tuple(sorted([strike for strike in near if strike not in known][: first - len(known)]))
        kept, left = self.share - first, self.share - len(known)
        if left <= 0 or len(grid) < 2:
            return ()
        gap = (grid[1] - grid[0]) << (kept // left).bit_length()
        below = index_ticks // gap * gap
        sides = ((below, index_ticks - gap, index_ticks), (below + gap, index_ticks, index_ticks + gap))
        bare = [strike for strike, low, high in sides if not any(low < listed <= high for listed in known)]
        return tuple(strike for strike in bare if grid[0] <= strike <= grid[-1])[:left]
