"""Dynamic margin scaling: price range and vol shocks follow realised volatility, up at once, down slowly.

Everything comes from published inputs: the index at the last full hours, the index now, and the scaling of the epoch before.

    S         = sum over neighbouring hours of ln(ratio)^2, the hour that runs included                 ln in Q35
    realised  = isqrt(S * 10^8 * 8760 // realised_hours) >> 35                                          basis points a year, rounded down
    target    = 100 * piecewise(scaling_vol_bps, scaling_bps)(realised)                                  parts per million
    scale     = max(target, previous - elapsed_ms * scaling_decay_bps * 100 // day)

Each passing of a full hour appends the index of the first epoch after it (once for every hour passed), and the oldest falls out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from math import isqrt

from straddle.risk.inputs import SCALE_ONE, RiskInputError, RiskInputs
from straddle.risk.parameters import BPS, RiskParameters
from straddle.risk.piecewise import piecewise
from straddle.risk.pricing import ln_q35

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HOURS_PER_YEAR = 8_760
_PPM_PER_BPS = SCALE_ONE // BPS


def realised_vol_bps(hours: Sequence[int], index_ticks: int, parameters: RiskParameters) -> int:
    """Volatility a year over the hours and up to now, in basis points."""
    logs = [ln_q35(ticks) for ticks in (*hours, index_ticks)]
    squares = sum((after - before) ** 2 for before, after in itertools.pairwise(logs))
    return isqrt(squares * BPS * BPS * HOURS_PER_YEAR // parameters.realised_hours) >> 35


def target_scale_ppm(hours: Sequence[int], index_ticks: int, parameters: RiskParameters) -> int:
    """The scaling that the realised volatility asks for."""
    vol = realised_vol_bps(hours, index_ticks, parameters)
    return piecewise(parameters.scaling_vol_bps, parameters.scaling_bps, vol) * _PPM_PER_BPS


def first_scaling(hours: Sequence[int], index_ticks: int, parameters: RiskParameters) -> tuple[tuple[int, ...], int]:
    """(hours, scale_ppm) of the first epoch, from the index of the hours before it, oldest first, as many as there are."""
    kept = tuple(hours[-(parameters.realised_hours + 1) :])
    return kept, target_scale_ppm(kept, index_ticks, parameters)


def next_scaling(previous: RiskInputs, time_ms: int, index_ticks: int, parameters: RiskParameters) -> tuple[tuple[int, ...], int]:
    """(hours, scale_ppm) of the epoch after `previous`.

    Raises:
        RiskInputError: time_ms before the previous epoch's.
    """
    elapsed_ms = time_ms - previous.time_ms
    if elapsed_ms < 0:
        raise RiskInputError(f"time_ms = {time_ms}: expected at least the previous epoch's {previous.time_ms}")
    passed = min(time_ms // HOUR_MS - previous.time_ms // HOUR_MS, parameters.realised_hours + 1)
    hours = (*previous.hours, *[index_ticks] * passed)[-(parameters.realised_hours + 1) :]
    decayed = previous.scale_ppm - elapsed_ms * parameters.scaling_decay_bps * _PPM_PER_BPS // DAY_MS
    return hours, max(decayed, target_scale_ppm(hours, index_ticks, parameters))


def scaled(parameters: RiskParameters, scale_ppm: int) -> RiskParameters:
    """The parameters with price range and vol shocks scaled, rounded down; vol never falls by more than all of it; no scaling is left to do."""
    return replace(
        parameters,
        range_bps=parameters.range_bps * scale_ppm // SCALE_ONE,
        vol_up_bps=parameters.vol_up_bps * scale_ppm // SCALE_ONE,
        vol_down_bps=min(parameters.vol_down_bps * scale_ppm // SCALE_ONE, BPS),
        scaling_bps=(BPS,) * len(parameters.scaling_bps),
    )


def check_scale(inputs: RiskInputs, parameters: RiskParameters) -> None:
    """Refuse a scaling below what the published hours ask for, or above the cap.

    Raises:
        RiskInputError: naming scale_ppm and its bounds.
    """
    low, high = target_scale_ppm(inputs.hours, inputs.index_ticks, parameters), max(parameters.scaling_bps) * _PPM_PER_BPS
    if not low <= inputs.scale_ppm <= high:
        raise RiskInputError(f"scale_ppm = {inputs.scale_ppm}: expected {low} (realised volatility) to {high}")
    if len(inputs.hours) > parameters.realised_hours + 1:
        raise RiskInputError(f"number of hours = {len(inputs.hours)}: expected at most {parameters.realised_hours + 1}")
