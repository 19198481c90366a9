"""The recorded chain's bid and ask vols as a smooth surface without static arbitrage: one SVI smile an expiry (`svi`), checked and repaired.

Floats are allowed here: the surface is an oracle's own affair. What it signs are whole basis points, and from those on everything is exact.
Sticky moneyness: a smile stays where it is in ln(strike / forward), and its volatility stays when time passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from statistics import median_low

import numpy as np

from straddle.risk.expiry import minutes_to_expiry
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import MAX_VOL_BPS, MINUTES_PER_YEAR
from straddle.risk.recording import RecordedOption, Recording
from straddle.risk.svi import Floats, Quotes, Slice, fit_slice

GRID_POINTS = 401
GRID_MARGIN = 0.5
"""The arbitrage checks reach this far in ln(strike / forward) beyond the recorded strikes."""
TOLERANCE = 1e-9
MIN_QUOTES = 3


class SurfaceError(ValueError):
    """A chain that no arbitrage-free surface is made from; the message names the expiry."""


@dataclass(frozen=True, slots=True)
class SliceReport:
    """How one smile fits. Errors in volatility (0.01 = one vol point) against the recorded mid, over options quoted on both sides."""

    expiry_ms: int
    two_sided: int
    one_sided: int
    rmse: float
    median_error: float
    max_error: float
    inside: float
    """Share of two-sided options whose fitted vol lies within bid and ask."""
    min_density: float
    """Least g on the grid: >= 0 is no butterfly arbitrage."""
    calendar_gap: float
    """Least excess of total variance over the expiry before, on the grid: >= 0 is no calendar arbitrage."""
    flattened: float
    """Repair: part of the smile that was flattened to make g >= 0."""
    raised: float
    """Repair: constant added to total variance to clear the expiry before."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Smiles by expiry, ascending, their reports, and the expiries left out."""

    slices: Mapping[int, Slice]
    reports: tuple[SliceReport, ...]
    refused: tuple[tuple[int, str], ...] = ()
    """(expiry_ms, reason) of expiries that no smile is made from; nothing of them can be listed."""

    def covered(self, recording: Recording) -> Recording:
        """The recording without the refused expiries."""
        return replace(recording, options=tuple(option for option in recording.options if option.expiry_ms in self.slices))

    def vol_bps(self, expiry_ms: int, strike_ticks: int, forward_ticks: int) -> int:
        """Volatility in whole basis points, 1 to MAX_VOL_BPS.

        Raises:
            SurfaceError: an expiry that the chain did not hold.
        """
        if expiry_ms not in self.slices:
            raise SurfaceError(f"expiry_ms = {expiry_ms}: expected one of the fitted expiries {list(self.slices)}")
        vol = float(self.slices[expiry_ms].vol(np.array([log(strike_ticks / forward_ticks)]))[0])
        return max(1, min(MAX_VOL_BPS, round(vol * BPS)))


def fit_surface(recording: Recording, parameters: RiskParameters = DEFAULT_PARAMETERS) -> Surface:
    """Fit every expiry of the recording, nearest first.

    A recorded vol is over the calendar time left; here it is scaled to the variance time of `table.minutes_to_expiry`, so that prices stay.

    Raises:
        SurfaceError: every expiry was refused: fewer than 3 vol quotes, or a smile that stays arbitrageable after repair.
    """
    by_expiry: dict[int, list[RecordedOption]] = {}
    for option in recording.options:
        by_expiry.setdefault(option.expiry_ms, []).append(option)
    grid = _grid(recording.options)
    slices: dict[int, Slice] = {}
    reports, refused = [], []
    floor = np.zeros_like(grid)
    for expiry in sorted(by_expiry):
        try:
            slices[expiry], report = _fit_expiry(expiry, by_expiry[expiry], grid, floor, parameters)
        except SurfaceError as error:
            refused.append((expiry, str(error)))
            continue
        reports.append(report)
        floor = slices[expiry].total_variance(grid)
    if not slices:
        raise SurfaceError(f"no expiry has a usable smile: {'; '.join(reason for _, reason in refused)}")
    return Surface(slices, tuple(reports), tuple(refused))


def _grid(options: Sequence[RecordedOption]) -> Floats:
    k = [log(option.strike_ticks / option.underlying_ticks) for option in options]
    return np.linspace(min(k) - GRID_MARGIN, max(k) + GRID_MARGIN, GRID_POINTS)


def _quotes(options: Sequence[RecordedOption], parameters: RiskParameters) -> Quotes:
    quoted = [option for option in options if option.bid_vol_bps is not None or option.ask_vol_bps is not None]
    scale = [sqrt((option.expiry_ms - option.time_ms) / (60_000 * minutes_to_expiry(option.expiry_ms, option.time_ms, parameters))) for option in quoted]

    def vols(values: list[int | None]) -> Floats:
        return np.array([np.nan if value is None else value / BPS * factor for value, factor in zip(values, scale, strict=True)])

    return Quotes(
        np.array([log(option.strike_ticks / option.underlying_ticks) for option in quoted]),
        vols([option.bid_vol_bps for option in quoted]),
        vols([option.ask_vol_bps for option in quoted]),
    )


def _fit_expiry(expiry: int, options: Sequence[RecordedOption], grid: Floats, floor: Floats, parameters: RiskParameters) -> tuple[Slice, SliceReport]:
    quotes = _quotes(options, parameters)
    if len(quotes.k) < MIN_QUOTES:
        raise SurfaceError(f"expiry_ms = {expiry}: {len(quotes.k)} vol quotes, expected at least {MIN_QUOTES}")
    middle = median_low(option.time_ms for option in options)
    years = minutes_to_expiry(expiry, middle, parameters) / MINUTES_PER_YEAR
    fitted = fit_slice(quotes, years, grid, floor)
    fitted, flattened = _flatten(expiry, fitted, grid)
    gap = float(np.min(fitted.total_variance(grid) - floor))
    raised = max(0.0, -gap) * (1 + TOLERANCE)
    fitted = fitted.raised(raised)
    density, gap = float(np.min(fitted.density(grid))), float(np.min(fitted.total_variance(grid) - floor))
    if density < -TOLERANCE or gap < -TOLERANCE:
        raise SurfaceError(f"expiry_ms = {expiry}: arbitrage stays after repair: least density {density:.2g}, least calendar gap {gap:.2g}")
    return fitted, _report(expiry, fitted, quotes, (density, gap, flattened, raised))


def _flatten(expiry: int, fitted: Slice, grid: Floats) -> tuple[Slice, float]:
    """The smile flattened just enough for g >= 0, by bisection; a flat one has g = 1 - w/16 * 0 = 1."""
    if np.min(fitted.density(grid)) >= 0:
        return fitted, 0.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if np.min(fitted.flattened(middle).density(grid)) >= 0 else (middle, high)
    return fitted.flattened(high), high


def _report(expiry: int, fitted: Slice, quotes: Quotes, checks: tuple[float, float, float, float]) -> SliceReport:
    both = ~np.isnan(quotes.bid) & ~np.isnan(quotes.ask)
    vol = fitted.vol(quotes.k[both])
    bid, ask = quotes.bid[both], quotes.ask[both]
    error = np.abs(vol - (bid + ask) / 2) if len(vol) else np.zeros(1)
    inside = float(np.mean((vol >= bid) & (vol <= ask))) if len(vol) else 1.0
    rmse, median, largest = float(np.sqrt(np.mean(error**2))), float(np.median(error)), float(error.max())
    return SliceReport(expiry, int(both.sum()), int((~both).sum()), rmse, median, largest, inside, *checks)
