"""The settlement window: an option on a partly fixed average, against the same thing in arbitrary precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf, ncdf
from scipy.special import ndtr

from straddle.core.instruments import BTC, Instrument, Kind
from straddle.risk.expiry import Maturity, in_window, maturities, minutes_to_expiry
from straddle.risk.inputs import RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_STRIKE_OVER_FORWARD, MAX_VOL_BPS, black76, root_time, root_time_ms
from straddle.risk.valuation import OptionBlock

EXPIRY = 1_590_134_400_000
MINUTE = 60_000
WINDOW_MS = 30 * MINUTE
YEAR_MS = 365 * 86_400_000


def window(forward, left_ms, observed_ms, average_ticks):
    return Maturity(EXPIRY, forward, 1, root_time_ms(left_ms, 3), left_ms, observed_ms + left_ms, observed_ms * average_ticks)


def exact(kind, maturity, strike, vol_bps):
    """F* = wF, K* = K - A, variance sigma^2 t / 3, in 40 digits."""
    with mp.workdps(40):
        w = mpf(maturity.unfixed_ms) / maturity.average_ms
        forward, rest = w * maturity.forward_ticks, strike - mpf(maturity.fixed) / maturity.average_ms
        if rest <= 0:
            return max(forward - rest, mpf(0)) if kind is Kind.CALL else mpf(0)
        deviation = mpf(vol_bps) / 10_000 * mp.sqrt(mpf(maturity.unfixed_ms) / 3 / YEAR_MS)
        d1 = mp.log(forward / rest) / deviation + deviation / 2
        call = forward * ncdf(d1) - rest * ncdf(d1 - deviation)
        return call if kind is Kind.CALL else call - forward + rest


@st.composite
def window_points(draw):
    forward = draw(st.integers(1, MAX_FEED_PRICE_TICKS))
    left_ms = draw(st.integers(1, WINDOW_MS))
    observed_ms = draw(st.integers(0, WINDOW_MS - left_ms))
    average = draw(st.one_of(st.integers(1, MAX_FEED_PRICE_TICKS), st.integers(max(1, forward * 9 // 10), min(MAX_FEED_PRICE_TICKS, forward * 11 // 10 + 1))))
    near = st.integers(max(1, forward * 95 // 100), min(MAX_FEED_PRICE_TICKS, forward * 105 // 100 + 1))
    strike = draw(st.one_of(near, st.integers(1, min(MAX_FEED_PRICE_TICKS, MAX_STRIKE_OVER_FORWARD * forward))))
    return window(forward, left_ms, observed_ms, average), strike, draw(st.integers(1, MAX_VOL_BPS))


@settings(max_examples=400, deadline=None)
@given(window_points(), st.sampled_from([Kind.CALL, Kind.PUT]))
def test_the_window_price_is_within_a_tick_of_the_exact_one(point, kind):
    maturity, strike, vol = point
    error = abs(maturity.option_value(kind, strike, vol) - exact(kind, maturity, strike, vol))
    assert error <= 1 + mpf("1e-7") * max(maturity.forward_ticks, strike)


@settings(max_examples=300, deadline=None)
@given(window_points())
def test_put_call_parity_is_exact_to_the_rounding(point):
    maturity, strike, vol = point
    call, put = (maturity.option_value(kind, strike, vol) for kind in (Kind.CALL, Kind.PUT))
    assert call >= 0 and put >= 0 and abs(call - put - (maturity.future_value() - strike)) <= 1


@settings(max_examples=200, deadline=None)
@given(st.lists(window_points(), min_size=1, max_size=8), st.lists(st.integers(1, 60_000), min_size=1, max_size=5), st.data())
def test_the_vector_prices_are_the_scalar_ones(points, factors_bps, data):
    """Any mixture of windows, at shocked forwards and vols."""
    options, at = [], {}
    for i, (maturity, strike, _) in enumerate(points):
        at[EXPIRY + i] = replace(maturity, expiry_ms=EXPIRY + i)
        options.append(Instrument(i + 1, data.draw(st.sampled_from([Kind.CALL, Kind.PUT])), BTC, EXPIRY + i, strike, 1, 1, 1))
    forwards = np.array([[max(1, maturity.forward_ticks * factor // 10_000) for factor in factors_bps] for maturity, _, _ in points], dtype=np.int64)
    vols = np.array([[vol * 5 for _ in factors_bps] for _, _, vol in points], dtype=np.int64)
    values = OptionBlock.of(options, at).values(forwards, vols)
    for i, option in enumerate(options):
        expected = [
            at[option.expiry_ms].option_value(option.kind, option.strike_ticks, int(vol), int(forward))
            for forward, vol in zip(forwards[i], vols[i], strict=True)
        ]
        assert values[i].tolist() == expected


def test_two_hundred_thousand_window_points_inside_a_tick():
    """At Bitcoin's scale, against double precision (good to 1e-9 of a tick there)."""
    draw = np.random.default_rng(20)
    worst = 0.0
    for _ in range(50):
        left, forward = int(draw.integers(1, WINDOW_MS)), int(draw.integers(500_000, 15_000_000))
        observed, average = int(draw.integers(0, WINDOW_MS - left + 1)), int(forward * draw.uniform(0.9, 1.1))
        maturity = window(forward, left, observed, average)
        strikes = draw.integers(int(forward * 0.8), int(forward * 1.2), 4_000)
        vols = draw.integers(1_000, 30_000, 4_000)
        options = [Instrument(i + 1, Kind.CALL, BTC, EXPIRY, int(strike), 1, 1, 1) for i, strike in enumerate(strikes)]
        values = OptionBlock.of(options, {EXPIRY: maturity}).values(np.full((4_000, 1), forward), vols[:, None].astype(np.int64))[:, 0]
        w = left / (left + observed)
        rest = strikes - observed * average / (left + observed)
        deviation = vols / 1e4 * np.sqrt(left / 3 / YEAR_MS)
        d1 = np.log(w * forward / np.maximum(rest, 1e-9)) / deviation + deviation / 2
        expected = np.where(rest > 0, w * forward * ndtr(d1) - rest * ndtr(d1 - deviation), w * forward - rest)
        worst = max(worst, float(np.abs(values - expected).max()))
    assert 0.4 < worst <= 1.0


def test_the_formula_is_that_of_a_partly_fixed_average():
    """Simulated: ten minutes left, twenty fixed at 905,000; the mean payoff of an option on the average, over 40,000 paths."""
    maturity = window(900_000, 10 * MINUTE, 20 * MINUTE, 905_000)
    steps, paths = 200, 40_000
    deviation = 0.8 * np.sqrt(10 * MINUTE / YEAR_MS / steps)
    walk = np.cumsum(np.random.default_rng(1).standard_normal((paths, steps)) * deviation - deviation**2 / 2, axis=1)
    settlement = (2 * 905_000 + 900_000 * np.exp(walk).mean(axis=1)) / 3
    for strike in (902_500, 903_333, 904_000):
        payoff = np.maximum(settlement - strike, 0)
        assert abs(payoff.mean() - maturity.option_value(Kind.CALL, strike, 8_000)) < 4 * payoff.std() / np.sqrt(paths) + 1


def test_price_runs_smoothly_into_the_window():
    """31 minutes before, at the window's start, and a millisecond into it: the variance is that of an average of 30 minutes."""

    def value(time_ms, windows=()):
        inputs = RiskInputs(1, time_ms, 900_000, 900_000, 0, 0, ((EXPIRY, 900_000),), (), windows=windows)
        return maturities(inputs, DEFAULT_PARAMETERS)[EXPIRY].option_value(Kind.CALL, 900_000, 8_000)

    start = EXPIRY - WINDOW_MS
    assert value(start, ((EXPIRY, 0, 0),)) == black76(900_000, 900_000, 8_000, 10)[0]
    assert abs(value(start + 1, ((EXPIRY, 1, 900_000),)) - value(start, ((EXPIRY, 0, 0),))) <= 1
    assert value(start - 1) == black76(900_000, 900_000, 8_000, 10)[0]


def test_what_is_fixed_cannot_move():
    """A quarter of the average left: the future moves by a quarter of the index, and an option deep in the fixed part is linear."""
    maturity = window(800_000, WINDOW_MS // 4, 3 * WINDOW_MS // 4, 1_000_000)
    assert maturity.future_value() == 950_000
    assert maturity.future_value(880_000) - maturity.future_value() == 20_000
    assert maturity.option_value(Kind.CALL, 750_000, 9_000) == 200_000 and maturity.option_value(Kind.PUT, 750_000, 9_000) == 0
    assert maturity.option_value(Kind.CALL, 750_000, 9_000, 880_000) == 220_000


def test_almost_fixed_is_intrinsic():
    maturity = window(1_200_000, 1, WINDOW_MS - 1, 1_000_000)
    assert [maturity.option_value(Kind.CALL, strike, 9_000) for strike in (900_000, 1_000_000, 1_100_000)] == [100_000, 0, 0]
    assert [maturity.option_value(Kind.PUT, strike, 9_000) for strike in (900_000, 1_000_000, 1_100_000)] == [0, 0, 100_000]


def test_guard_bits_leave_room_for_the_shocks():
    for forward in (1, 2**21, 2**29, MAX_FEED_PRICE_TICKS):
        for strike in (1, forward, min(1_000 * forward, MAX_FEED_PRICE_TICKS)):
            rest, scaled, guard = window(forward, 7, 1_000, max(1, strike // 3)).strike(strike)
            assert 0 <= guard <= 8 and 1 <= scaled < 2**33 and forward << guard < 2**30 and rest > 0


def test_maturities_of_settled_and_running_expiries():
    inputs = RiskInputs(1, EXPIRY, 5, 5, 0, 0, ((EXPIRY + 10 * MINUTE, 6),), (), windows=((EXPIRY + 10 * MINUTE, 3, 15),), settlements=((EXPIRY, 7),))
    settled, running = maturities(inputs, DEFAULT_PARAMETERS).values()
    assert settled == Maturity(EXPIRY, 7, 0, 0) and settled.expired and settled.future_value() == 7
    assert running == Maturity(EXPIRY + 10 * MINUTE, 6, 4, root_time_ms(10 * MINUTE, 3), 10 * MINUTE, 10 * MINUTE + 3, 15) and not running.expired


@pytest.mark.parametrize(("time_ms", "inside"), [(EXPIRY - WINDOW_MS - 1, False), (EXPIRY - WINDOW_MS, True), (EXPIRY - 1, True), (EXPIRY, False)])
def test_window_bounds(time_ms, inside):
    assert in_window(EXPIRY, time_ms, DEFAULT_PARAMETERS) is inside


def test_root_time_by_the_millisecond():
    assert root_time_ms(30 * MINUTE, 3) == root_time(10) and root_time_ms(0) == 0 and root_time_ms(1, 3) > 0
    assert minutes_to_expiry(EXPIRY, EXPIRY - WINDOW_MS, DEFAULT_PARAMETERS) == 10
