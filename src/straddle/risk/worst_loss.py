"""Which portfolios the scenarios see least of: the worst loss at expiry within +-r, divided by the initial margin, over the listed strikes.

A spread that keeps its time value scans to almost nothing and still loses its width when it expires on the wrong strike. The short-option floor is
there for these; `search` measures what it leaves and `floor_for` what it would have to be. Floats: this is a study, no part of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import RiskTable
from straddle.risk.expiry import minutes_to_expiry
from straddle.risk.inputs import RiskInputs
from straddle.risk.naming import instrument_name
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import Int64Array, black76_vector, root_time
from straddle.risk.scaling import scaled
from straddle.risk.table import build_table

GRID_STEPS = 33
"""Evenly spaced forwards at expiry, besides the strikes: payoffs bend only there."""

MINUTE_MS = 60_000

Legs = tuple[tuple[int, int], ...]
"""(instrument id, signed lots)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One portfolio, in ticks for one unit of each leg."""

    kind: str
    legs: Legs
    names: tuple[str, ...]
    loss_ticks: int
    """Worst loss at the nearest expiry within +-r, far legs at their model value with unchanged vol."""
    scan_ticks: int
    floor_ticks: int
    short_options: int

    @property
    def margin_ticks(self) -> int:
        """Initial margin."""
        return self.scan_ticks + self.floor_ticks

    @property
    def ratio(self) -> float:
        """Worst loss over initial margin."""
        return self.loss_ticks / max(self.margin_ticks, 1)


def structures(options: Sequence[Instrument]) -> Iterator[tuple[str, Legs]]:
    """Verticals, butterflies (equal wings), short strangles, risk reversals and calendars over listed strikes, bought and sold."""
    by_series: dict[tuple[int, Kind], list[Instrument]] = {}
    for option in sorted(options, key=lambda option: option.strike_ticks):
        by_series.setdefault((option.expiry_ms, option.kind), []).append(option)
    for (expiry, kind), series in by_series.items():
        by_strike = {option.strike_ticks: option.id for option in series}
        for low, high in combinations(series, 2):
            yield from _both("vertical", ((low.id, 1), (high.id, -1)))
            middle, odd = divmod(low.strike_ticks + high.strike_ticks, 2)
            if not odd and middle in by_strike:
                yield from _both("butterfly", ((low.id, 1), (by_strike[middle], -2), (high.id, 1)))
        if kind is Kind.CALL:
            for put in by_series.get((expiry, Kind.PUT), ()):
                for call in series:
                    if put.strike_ticks <= call.strike_ticks:
                        yield "short strangle", ((put.id, -1), (call.id, -1))
                        yield from _both("risk reversal", ((put.id, -1), (call.id, 1)))
    yield from _calendars(by_series)


def _calendars(by_series: Mapping[tuple[int, Kind], Sequence[Instrument]]) -> Iterator[tuple[str, Legs]]:
    for (near, kind), (far, other) in combinations(sorted(by_series), 2):
        if kind is not other:
            continue
        by_strike = {option.strike_ticks: option.id for option in by_series[far, kind]}
        for option in by_series[near, kind]:
            if option.strike_ticks in by_strike:
                yield from _both("calendar", ((by_strike[option.strike_ticks], 1), (option.id, -1)))


def _both(kind: str, legs: Legs) -> Iterable[tuple[str, Legs]]:
    return (f"long {kind}", legs), (f"short {kind}", tuple((instrument, -lots) for instrument, lots in legs))


def search(inputs: RiskInputs, instruments: Sequence[Instrument], parameters: RiskParameters = DEFAULT_PARAMETERS) -> list[Finding]:
    """Every structure over the listed options that have not expired, measured; unordered."""
    table = build_table(inputs, instruments, parameters)
    options = [instrument for instrument in instruments if not instrument.linear and instrument.expiry_ms > inputs.time_ms]
    by_id = {option.id: option for option in options}
    names = {option.id: instrument_name(option) for option in options}
    gains = _gains(inputs, options, table, parameters)
    deltas = {option.id: np.array(table[option.id].deltas, dtype=np.int64) for option in options}
    findings = []
    for kind, legs in structures(options):
        near = min(by_id[instrument].expiry_ms for instrument, _ in legs)
        gain = sum((lots * gains[near, instrument] for instrument, lots in legs), start=np.zeros(1, dtype=np.int64))
        scan = sum((lots * deltas[instrument] for instrument, lots in legs), start=np.zeros(1, dtype=np.int64))
        shorts = sum(max(-lots, 0) for _, lots in legs)
        floor = sum(max(-lots, 0) * table[instrument].short_im for instrument, lots in legs)
        loss, scanned = max(0, -int(gain.min())), max(0, -int(scan.min()))
        findings.append(Finding(kind, legs, tuple(names[instrument] for instrument, _ in legs), loss, scanned, floor, shorts))
    return findings


def _gains(inputs: RiskInputs, options: Sequence[Instrument], table: RiskTable, parameters: RiskParameters) -> dict[tuple[int, int], Int64Array]:
    """(expiry at which all is valued, instrument) -> value then less value now, over forwards within +-r."""
    forwards, vols = dict(inputs.forwards), dict(inputs.vols)
    strikes = np.array(sorted({option.strike_ticks for option in options}), dtype=np.int64)
    gains: dict[tuple[int, int], Int64Array] = {}
    for expiry in sorted({option.expiry_ms for option in options}):
        reach = forwards[expiry] * scaled(parameters, inputs.scale_ppm).range_bps // BPS
        even = np.linspace(forwards[expiry] - reach, forwards[expiry] + reach, GRID_STEPS).astype(np.int64)
        grid = np.concatenate([even, strikes[abs(strikes - forwards[expiry]) <= reach]])
        for option in options:
            if option.expiry_ms < expiry:
                continue
            minutes = minutes_to_expiry(option.expiry_ms, expiry, parameters)
            forward = np.maximum(grid * forwards[option.expiry_ms] // forwards[expiry], 1)
            one = np.ones_like(forward)
            calls, puts = black76_vector(forward, option.strike_ticks * one, vols[option.id] * one, root_time(minutes) * one)
            gains[expiry, option.id] = np.asarray((calls if option.kind is Kind.CALL else puts) - table[option.id].value, dtype=np.int64)
    return gains


def worst_by_kind(findings: Iterable[Finding]) -> dict[str, Finding]:
    """The finding with the highest ratio of each kind, highest first."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        if finding.kind not in worst or finding.ratio > worst[finding.kind].ratio:
            worst[finding.kind] = finding
    return dict(sorted(worst.items(), key=lambda item: -item[1].ratio))


@dataclass(frozen=True, slots=True)
class FloorStudy:
    """What the short-option floor does for portfolios with one nearest expiry."""

    minutes: int
    """To that expiry."""
    floor_bps: int
    """IM of a short option there, basis points of the index."""
    worst: Finding
    """The one with the highest ratio."""
    ratio_flat: float
    """The highest ratio with the floor of the first days throughout."""
    ratio_bare: float
    """The same without a floor."""
    needed_bps: float
    """The floor under which the highest ratio would be 1."""


def study_floor(inputs: RiskInputs, instruments: Sequence[Instrument], parameters: RiskParameters = DEFAULT_PARAMETERS) -> tuple[FloorStudy, ...]:
    """The search with the floor of the parameters, with a flat one and without, by nearest expiry, ascending."""
    heights, expiries = parameters.short_floor_im_bps, {instrument.id: instrument.expiry_ms for instrument in instruments}
    table = build_table(inputs, instruments, parameters)

    def by_expiry(*floors: int) -> dict[int, list[Finding]]:
        found: dict[int, list[Finding]] = {}
        for finding in search(inputs, instruments, replace(parameters, short_floor_im_bps=floors)):
            found.setdefault(min(expiries[instrument] for instrument, _ in finding.legs), []).append(finding)
        return found

    chosen, flat, bare = by_expiry(*heights), by_expiry(*[heights[0]] * len(heights)), by_expiry(*[0] * len(heights))
    studies = []
    for expiry in sorted(chosen):
        floor = min(table[option.id].short_im for option in instruments if not option.linear and option.expiry_ms == expiry)
        worst, ratio_flat, ratio_bare = (max(found[expiry], key=lambda finding: finding.ratio) for found in (chosen, flat, bare))
        needed = floor_for(chosen[expiry], 1.0, inputs.index_ticks)
        minutes = (expiry - inputs.time_ms) // MINUTE_MS
        studies.append(FloorStudy(minutes, floor * BPS // inputs.index_ticks, worst, ratio_flat.ratio, ratio_bare.ratio, needed))
    return tuple(studies)


def floor_for(findings: Iterable[Finding], ratio: float, index_ticks: int) -> float:
    """The least short-option floor, in basis points of the index, under which no finding that is short an option exceeds the ratio."""
    needed = [(finding.loss_ticks / ratio - finding.scan_ticks) / finding.short_options for finding in findings if finding.short_options]
    return max(0.0, *needed) * BPS / index_ticks
