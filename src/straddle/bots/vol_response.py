"""How implied vols answer what the market has just done. SYNTHETIC: the recording holds them at one moment only.

An option's vol is taken as a forecast of the realised vol until its expiry. Over the recorded year, the realised vol of the next days answers that of the
last 24 hours with the elasticities below (least squares of the logarithms over all hours; tests/unit/bots/test_vol_response.py measures them again): a
doubling raises the vol of a day by 44 %, that of a month by 12 %. So every smile is multiplied by

    (realised vol of the last 24 hours / that at the start) ^ elasticity(days to expiry)            within 1/3 and 3

Only the level moves, and only with realised vol: no premium for risk, no news before the move.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from straddle.risk.candles import HOUR_MS, Candle, Candles

Floats = npt.NDArray[np.float64]

PAST_HOURS = 24
DAYS = (1.0, 2.0, 7.0, 14.0, 30.0, 60.0, 90.0)
ELASTICITY = (0.53, 0.48, 0.38, 0.26, 0.17, 0.11, 0.07)
"""At so many days to expiry; straight lines between, flat outside."""
MOST = 3.0
"""Vols rise to this multiple at most, and fall to its inverse."""
DAY_MS = 24 * HOUR_MS


def realised_ratios(recorded: Candles, histories: Sequence[Candles], grid: Sequence[int]) -> Floats:
    """(histories, moments): realised vol of the 24 full hours before each moment over that before the first one, which are recorded; of hours that the
    recording lacks there, its mean is taken. `histories` begin with the hour of the first moment at the latest and reach the last one."""
    first = grid[0] // HOUR_MS * HOUR_MS
    hours = np.array([(moment - first) // HOUR_MS for moment in grid])
    mean = float(np.mean([_square(candle) for candle in recorded.hours]))
    before = _squares(recorded, first - PAST_HOURS * HOUR_MS, PAST_HOURS, mean)
    squares = np.array([before + _squares(history, first, int(hours[-1]), mean) for history in histories])
    totals = np.concatenate([np.zeros((len(squares), 1)), np.cumsum(squares, axis=1)], axis=1)
    past = np.maximum(totals[:, hours + PAST_HOURS] - totals[:, hours], mean * 1e-6)
    return np.asarray(np.sqrt(past / past[:, :1]))


def vol_factors(ratios: Floats, left_ms: int) -> Floats:
    """What the vols of an expiry so far away are multiplied by."""
    factors = ratios ** np.interp(left_ms / DAY_MS, DAYS, ELASTICITY)
    return np.asarray(np.clip(factors, 1 / MOST, MOST))


def _squares(candles: Candles, first_ms: int, count: int, missing: float) -> list[float]:
    end_ms = first_ms + count * HOUR_MS
    known = {candle.open_ms: _square(candle) for candle in candles.hours if first_ms <= candle.open_ms < end_ms}
    return [known.get(first_ms + i * HOUR_MS, missing) for i in range(count)]


def _square(candle: Candle) -> float:
    """Squared return of the hour."""
    return float(np.log(candle.close_ticks / candle.open_ticks)) ** 2
