from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import log, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.risk.inputs import SCALE_ONE, RiskInputError, RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS as PARAMETERS
from straddle.risk.scaling import check_scale, first_scaling, next_scaling, realised_vol_bps, scaled, target_scale_ppm
from straddle.risk.scenarios import scenarios

HOUR = 3_600_000
DAY = 24 * HOUR
CALM = (900_000,) * 25
BASE = RiskInputs(1, 1_000 * HOUR, 900_000, 900_000, 0, 0, (), (), hours=CALM)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(100_000, 2_000_000), min_size=1, max_size=25), st.integers(100_000, 2_000_000))
def test_realised_volatility_is_that_of_the_formula(hours, index):
    prices = [*hours, index]
    expected = 10_000 * sqrt(sum(log(b / a) ** 2 for a, b in pairwise(prices)) * 8_760 / 24)
    assert abs(realised_vol_bps(hours, index, PARAMETERS) - expected) <= 1 + 1e-8 * expected


def test_target_is_flat_below_the_floor_and_above_the_cap():
    assert target_scale_ppm(CALM, 900_000, PARAMETERS) == SCALE_ONE
    assert target_scale_ppm(CALM, 450_000, PARAMETERS) == 2_500_000
    assert target_scale_ppm((), 900_000, PARAMETERS) == SCALE_ONE
    one_hour = [round(900_000 * 2.718281828 ** (vol / sqrt(365))) for vol in (1.0, 1.5, 2.0, 3.0)]
    assert [target_scale_ppm(CALM, index, PARAMETERS) // 10_000 for index in one_hour] == pytest.approx([100, 137, 175, 212], abs=1)


def test_up_at_once_down_slowly():
    """A fall by a tenth inside a minute scales margin in the same epoch; afterwards it comes down by a tenth of the base a day."""
    hours, scale = next_scaling(BASE, BASE.time_ms + 60_000, 810_000, PARAMETERS)
    assert scale == target_scale_ppm(CALM, 810_000, PARAMETERS) > 1_700_000 and hours == CALM
    inputs = replace(BASE, time_ms=BASE.time_ms + 60_000, index_ticks=810_000, scale_ppm=scale)
    for hour in range(1, 30):
        hours, now = next_scaling(inputs, inputs.time_ms + HOUR, 810_000, PARAMETERS)
        assert now == max(inputs.scale_ppm - 100_000 // 24, target_scale_ppm(hours, 810_000, PARAMETERS)), hour
        inputs = replace(inputs, time_ms=inputs.time_ms + HOUR, hours=hours, scale_ppm=now)
    assert inputs.hours == (810_000,) * 25 and scale - 125_000 < inputs.scale_ppm < scale


def test_never_below_the_floor():
    assert next_scaling(replace(BASE, scale_ppm=1_000_001), BASE.time_ms + 900 * DAY, 900_000, PARAMETERS)[1] == SCALE_ONE


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3 * HOUR), min_size=1, max_size=40), st.integers(SCALE_ONE, 2_500_000))
def test_hours_pass_once_however_epochs_are_cut(steps, scale):
    inputs = replace(BASE, time_ms=1_000 * HOUR + 5, scale_ppm=scale)
    moment, seen = inputs.time_ms, list(CALM)
    for i, step in enumerate(steps):
        before, moment = moment, moment + step
        seen += [900_000 + i] * (moment // HOUR - before // HOUR)
        hours, now = next_scaling(inputs, moment, 900_000 + i, PARAMETERS)
        inputs = replace(inputs, time_ms=moment, hours=hours, scale_ppm=now)
    assert inputs.hours == tuple(seen[-25:])
    slowest = scale - sum(steps) * 100_000 // DAY
    assert max(SCALE_ONE, slowest) <= inputs.scale_ppm <= max(SCALE_ONE, slowest + len(steps))


def test_a_long_silence_is_one_move():
    hours, scale = next_scaling(BASE, BASE.time_ms + 90 * HOUR, 700_000, PARAMETERS)
    assert hours == (700_000,) * 25 and scale == SCALE_ONE
    hours, scale = next_scaling(BASE, BASE.time_ms + 10 * HOUR, 700_000, PARAMETERS)
    assert hours == (900_000,) * 15 + (700_000,) * 10 and scale == 2_500_000


def test_time_does_not_go_back():
    with pytest.raises(RiskInputError, match="time_ms"):
        next_scaling(BASE, BASE.time_ms - 1, 900_000, PARAMETERS)


def test_first_epoch():
    assert first_scaling(range(1, 100), 99, PARAMETERS)[0] == tuple(range(75, 100))
    assert first_scaling((), 5, PARAMETERS) == ((), SCALE_ONE)


def test_range_and_vol_shocks_are_scaled():
    double = scaled(PARAMETERS, 2_000_000)
    assert (double.range_bps, double.vol_up_bps, double.vol_down_bps) == (3_200, 10_000, 5_000)
    assert scaled(PARAMETERS, SCALE_ONE).range_bps == PARAMETERS.range_bps
    assert max(shock.move_bps for shock in scenarios(double)[:27]) == 3_200
    assert scaled(replace(PARAMETERS, vol_down_bps=9_000), 2_500_000).vol_down_bps == 10_000


def test_a_scaling_below_what_the_hours_ask_for_is_refused():
    check_scale(replace(BASE, scale_ppm=1_300_000), PARAMETERS)
    shaken = replace(BASE, index_ticks=810_000, scale_ppm=1_300_000)
    for bad, match in (
        (shaken, "scale_ppm = 1300000: expected 1"),
        (replace(BASE, scale_ppm=999_999), "scale_ppm"),
        (replace(BASE, scale_ppm=2_500_001), "scale_ppm"),
        (replace(BASE, hours=CALM + CALM), "hours = 50"),
    ):
        with pytest.raises(RiskInputError, match=match):
            check_scale(bad, PARAMETERS)
