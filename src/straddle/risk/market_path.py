"""Where the market goes after the recorded snapshot: an index for every moment, forwards and vols that follow it, and the feed values of an epoch.

The index starts at the recorded one and moves in proportion to the recorded hourly candles. Inside an hour the minutes are SYNTHETIC: a seeded path
that starts at the candle's open, touches its high and low, stays between them and ends at its close. Each forward keeps its recorded basis, which
shrinks in proportion to the time left. Vols are sticky in moneyness (`surface`): the smile of an expiry keeps its vol at each ln(strike / forward).
Hours before the snapshot, where the candles hold them, seed realised volatility.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from straddle.core.instruments import Instrument, Kind
from straddle.risk.candles import HOUR_MS, Candle, Candles
from straddle.risk.concentration import Activity
from straddle.risk.expiry import in_window
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.recording import Recording
from straddle.risk.scaling import first_scaling, next_scaling
from straddle.risk.settlement import IndexAverage
from straddle.risk.surface import Surface

MINUTE_MS = 60_000


class PathError(ValueError):
    """A moment that the recordings do not cover."""


def minute_prices(candle: Candle, seed: int) -> tuple[int, ...]:
    """61 synthetic prices in ticks, minutes 0 to 60 of the candle: open, high, low and close are its own, the rest is a seeded random walk pinned to them."""
    draw = random.Random(f"straddle.minutes/{seed}/{candle.open_ms}")
    first, second = sorted(draw.sample(range(1, 60), 2))
    extremes = (candle.low_ticks, candle.high_ticks) if draw.random() < 0.5 else (candle.high_ticks, candle.low_ticks)
    prices = [0] * 61
    knots = ((0, candle.open_ticks), (first, extremes[0]), (second, extremes[1]), (60, candle.close_ticks))
    for minute, price in knots:
        prices[minute] = price
    for (left, _), (right, _) in itertools.pairwise(knots):
        _fill_between(prices, left, right, candle, draw)
    return tuple(prices)


def _fill_between(prices: list[int], left: int, right: int, candle: Candle, draw: random.Random) -> None:
    """Midpoint displacement, kept between the candle's low and high."""
    if right - left < 2:
        return
    middle = (left + right) // 2
    reach = (candle.high_ticks - candle.low_ticks) * (right - left) // 120
    straight = prices[left] + (prices[right] - prices[left]) * (middle - left) // (right - left)
    prices[middle] = max(candle.low_ticks, min(candle.high_ticks, straight + draw.randint(-reach, reach)))
    _fill_between(prices, left, middle, candle, draw)
    _fill_between(prices, middle, right, candle, draw)


@dataclass(slots=True)
class MarketPath:
    """The market from the snapshot on. Deterministic in the recordings and the seed. `recording` loses the expiries that the surface refused."""

    recording: Recording
    surface: Surface
    candles: Candles
    seed: int = 0
    _hours: Mapping[int, Candle] = field(init=False, repr=False)
    _minutes: dict[int, tuple[int, ...]] = field(init=False, repr=False)
    _forwards: Mapping[int, int] = field(init=False, repr=False)
    _anchor_ticks: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._hours = {candle.open_ms: candle for candle in self.candles.hours}
        self._minutes = {}
        self.recording = self.surface.covered(self.recording)
        self._forwards = self.recording.forwards()
        self._anchor_ticks = self._candle_ticks(self.start_ms)

    @property
    def start_ms(self) -> int:
        """The snapshot's time."""
        return self.recording.time_ms

    @property
    def end_ms(self) -> int:
        """The end of the last hour that follows the snapshot without a gap."""
        hour = self.start_ms // HOUR_MS * HOUR_MS
        while hour in self._hours:
            hour += HOUR_MS
        return hour

    def index_ticks(self, time_ms: int) -> int:
        """The index at a moment: recorded at the start, from then on in proportion to the candles.

        Raises:
            PathError: before the snapshot, or in an hour without a candle.
        """
        if time_ms < self.start_ms:
            raise PathError(f"time_ms = {time_ms}: expected at least the snapshot's {self.start_ms}")
        return max(1, self.recording.index_ticks * self._candle_ticks(time_ms) // self._anchor_ticks)

    def _candle_ticks(self, time_ms: int) -> int:
        hour = time_ms // HOUR_MS * HOUR_MS
        if hour not in self._hours:
            raise PathError(f"{self.candles.report.file}: no candle of the hour that starts at {hour // 1000} s, needed for time_ms = {time_ms}")
        if hour not in self._minutes:
            self._minutes[hour] = minute_prices(self._hours[hour], self.seed)
        return self._minutes[hour][(time_ms - hour) // MINUTE_MS]

    def forward_ticks(self, expiry_ms: int, time_ms: int, parameters: RiskParameters = DEFAULT_PARAMETERS) -> int:
        """The forward of a recorded expiry; once it has passed, its settlement price under the parameters.

        Raises:
            PathError: an expiry that the recording does not hold, or a moment as in `index_ticks`.
        """
        if expiry_ms not in self._forwards:
            raise PathError(f"expiry_ms = {expiry_ms}: expected one of the recorded {list(self._forwards)}")
        if time_ms >= expiry_ms:
            return self.settlement_ticks(expiry_ms, parameters)
        index, whole = self.recording.index_ticks, expiry_ms - self.start_ms
        basis = (self._forwards[expiry_ms] - index) * (expiry_ms - time_ms)
        return max(1, self.index_ticks(time_ms) * (index * whole + basis) // (index * whole))

    def average(self, expiry_ms: int, time_ms: int, parameters: RiskParameters = DEFAULT_PARAMETERS) -> IndexAverage:
        """The settlement average of an expiry as it stands at `time_ms`, from the index at each minute since the window began (or since the snapshot)."""
        average = IndexAverage.of(expiry_ms, parameters)
        first = max(expiry_ms - average.window_ms, self.start_ms)
        for moment in range(first, min(time_ms, expiry_ms - 1) + 1, MINUTE_MS):
            average.observe(moment, self.index_ticks(moment))
        return average

    def settlement_ticks(self, expiry_ms: int, parameters: RiskParameters = DEFAULT_PARAMETERS) -> int:
        """The settlement price: time-weighted average of the index over the window before expiry, or over what of it lies after the snapshot."""
        return self.average(expiry_ms, expiry_ms, parameters).price()

    def hours(self, time_ms: int, count: int) -> tuple[int, ...]:
        """The index at the last full hours up to `time_ms`, oldest first: at most `count`, as many as the candles hold without a gap."""
        hour, ticks = time_ms // HOUR_MS * HOUR_MS, list[int]()
        while hour in self._hours and len(ticks) < count:
            before = self.recording.index_ticks * self._hours[hour].open_ticks // self._anchor_ticks
            ticks.append(max(1, before) if hour < self.start_ms else self.index_ticks(hour))
            hour -= HOUR_MS
        return tuple(reversed(ticks))

    def inputs(
        self,
        epoch: int,
        time_ms: int,
        instruments: Sequence[Instrument],
        previous: RiskInputs | None = None,
        perpetual_mark_ticks: int | None = None,
        parameters: RiskParameters = DEFAULT_PARAMETERS,
        activity: Activity = (),
    ) -> RiskInputs:
        """The feed values of an epoch for the listed instruments.

        `previous` are the epoch's before, which funding and margin scaling follow (None: no funding yet, and the path's own last hours). The
        perpetual's mark is the index unless given (`funding.perpetual_mark`). `activity` is `concentration.market_activity`. An expiry that has passed
        gets its settlement price, the published one if there is one.

        Raises:
            PathError: as above; an option or future whose expiry was not recorded.
        """
        index = self.index_ticks(time_ms)
        cumulative, remainder = accrue(previous, time_ms, parameters) if previous is not None else (0, 0)
        if previous is not None:
            hours, scale = next_scaling(previous, time_ms, index, parameters)
        else:
            hours, scale = first_scaling(self.hours(time_ms, parameters.realised_hours + 1), index, parameters)
        settled = dict(previous.settlements) if previous is not None else {}
        expiries = sorted({instrument.expiry_ms for instrument in instruments if instrument.kind is not Kind.PERPETUAL})
        forwards = {expiry: self.forward_ticks(expiry, time_ms) for expiry in expiries if expiry > time_ms}
        alive = [instrument for instrument in instruments if not instrument.linear and instrument.expiry_ms > time_ms]
        averages = {expiry: self.average(expiry, time_ms, parameters).fixed(time_ms) for expiry in forwards if in_window(expiry, time_ms, parameters)}
        return RiskInputs(
            epoch=epoch,
            time_ms=time_ms,
            index_ticks=index,
            perpetual_mark_ticks=index if perpetual_mark_ticks is None else perpetual_mark_ticks,
            cumulative_funding=cumulative,
            funding_remainder=remainder,
            forwards=tuple(forwards.items()),
            vols=tuple((option.id, self.surface.vol_bps(option.expiry_ms, option.strike_ticks, forwards[option.expiry_ms])) for option in alive),
            scale_ppm=scale,
            hours=hours,
            windows=tuple((expiry, *fixed) for expiry, fixed in averages.items()),
            settlements=tuple((expiry, settled.get(expiry) or self.settlement_ticks(expiry, parameters)) for expiry in expiries if expiry <= time_ms),
            activity=activity,
        )
