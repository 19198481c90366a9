"""Vols that follow realised vol: as strongly as the recorded year says."""

from __future__ import annotations

import numpy as np
import pytest

from straddle.bots.vol_response import DAYS, ELASTICITY, MOST, PAST_HOURS, realised_ratios, vol_factors
from straddle.risk.candles import HOUR_MS, Candle, Candles

DAY_MS = 24 * HOUR_MS


def hours(report, moves, first_ms=0):
    """Candles that rise and fall by so much in turn."""
    closes = [100_000 + (move if i % 2 else -move) for i, move in enumerate(moves)]
    return Candles(tuple(Candle(first_ms + i * HOUR_MS, 100_000, 200_000, 50_000, close) for i, close in enumerate(closes)), report)


@pytest.mark.parametrize(("days", "elasticity"), [*zip(DAYS, ELASTICITY, strict=True)])
def test_elasticities_are_those_of_the_recording(candles, days, elasticity):
    """ln(realised vol of the next days) on ln(realised vol of the last 24 hours), at every hour."""
    squares = np.array([np.log(candle.close_ticks / candle.open_ticks) ** 2 for candle in candles.hours])
    totals = np.concatenate([[0], np.cumsum(squares)])
    ahead = int(24 * days)
    now = np.arange(PAST_HOURS, len(squares) - ahead)
    past, future = totals[now] - totals[now - PAST_HOURS], (totals[now + ahead] - totals[now]) / ahead
    slope, _ = np.polyfit(np.log(past) / 2, np.log(future) / 2, 1)
    assert slope == pytest.approx(elasticity, abs=0.01)


def test_ratios_begin_at_one_and_follow_the_last_day(candles):
    start = PAST_HOURS * HOUR_MS
    calm = hours(candles.report, [100] * 60)
    wild = hours(candles.report, [1_000] * 30, start)
    grid = [start + 60_000, start + HOUR_MS, start + 12 * HOUR_MS, start + DAY_MS]
    ratios = realised_ratios(calm, [calm, wild], grid)
    assert ratios[0] == pytest.approx([1, 1, 1, 1], rel=0.02)
    assert ratios[1] == pytest.approx([1, np.sqrt((23 + 100) / 24), np.sqrt((12 + 12 * 100) / 24), 10], rel=0.02)


def test_hours_that_were_not_recorded_count_as_the_mean(candles):
    calm = hours(candles.report, [100] * 60)
    assert realised_ratios(calm, [calm], [0, 30 * HOUR_MS]) == pytest.approx(np.ones((1, 2)), rel=0.02)
    flat = hours(candles.report, [0] * 60)
    assert np.isfinite(realised_ratios(hours(candles.report, [0] * 24 + [5]), [flat], [DAY_MS, 2 * DAY_MS])).all()


def test_what_expires_soon_answers_most_within_bounds():
    ratios = np.array([[0.001, 0.5, 1.0, 2.0, 1_000.0]])
    day, month, year = (vol_factors(ratios, days * DAY_MS)[0] for days in (1, 30, 365))
    assert day == pytest.approx([1 / MOST, 0.5**0.53, 1, 2**0.53, MOST])
    assert month[3] == pytest.approx(2**0.17) and year[3] == pytest.approx(2**0.07)
    assert vol_factors(ratios, -5)[0][3] == day[3]
