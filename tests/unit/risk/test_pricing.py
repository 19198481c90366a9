from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from straddle.core.instruments import Kind
from straddle.risk import pricing
from straddle.risk.implied import implied_vol_bps, option_price_ticks
from straddle.risk.pricing import (
    MAX_FEED_PRICE_TICKS,
    MAX_HALF_VOL,
    MAX_MINUTES,
    MAX_PRICE_TICKS,
    MAX_VOL_BPS,
    PricingLimitError,
    black76,
    black76_vector,
    check_feed,
    half_total_vol,
    ln_q35,
    ln_q35_vector,
    root_time,
)
from straddle.risk.pricing_tables import NORMAL_ROWS, TABLES_FILE, TABLES_SHA256, encode_tables, load_tables, log_entry, log_two_entry, normal_entry


def float_call(forward, strike, vol_bps, minutes):
    """Black-76 in double precision, the out-of-the-money side first so that it keeps its digits."""
    forward, strike = forward.astype(float), strike.astype(float)
    total = vol_bps / 1e4 * np.sqrt(minutes / 525_600)
    d1 = np.log(forward / strike) / total + total / 2
    call = forward * ndtr(d1) - strike * ndtr(d1 - total)
    put = strike * ndtr(total - d1) - forward * ndtr(-d1)
    return np.where(forward < strike, call, put + forward - strike)


def vector(forward, strike, vol_bps, minutes):
    roots = np.array([root_time(int(m)) for m in minutes])
    return black76_vector(forward, strike, vol_bps, roots)


def random_points(n, seed, *, wide):
    draw = np.random.default_rng(seed)
    minutes = np.exp(draw.uniform(0, np.log(600_000), n)).astype(np.int64)
    if wide:
        forward = np.exp(draw.uniform(0, np.log(MAX_FEED_PRICE_TICKS), n)).astype(np.int64).clip(1)
        vol = draw.integers(1, MAX_VOL_BPS + 1, n)
        moneyness = np.clip(vol / 1e4 * np.sqrt(minutes / 525_600) * draw.normal(0, 2.5, n), -6.9, 6.9)
    else:
        forward, vol, moneyness = draw.integers(10**5, 10**7, n), draw.integers(1_000, 20_001, n), draw.normal(0, 0.4, n)
    strike = np.clip((forward * np.exp(moneyness)).round(), 1, MAX_FEED_PRICE_TICKS).astype(np.int64)
    return forward, strike, vol, minutes


def test_tables_are_those_of_mpmath():
    tables = load_tables()
    assert hashlib.sha256(encode_tables(tables)).hexdigest() == TABLES_SHA256 == hashlib.sha256(TABLES_FILE.read_bytes()).hexdigest()
    for row in [0, 1, *range(7_000, NORMAL_ROWS, 211), NORMAL_ROWS - 1]:
        assert tables.normal[row] == normal_entry(row)
    for row in [*range(0, 1024, 97), 1023]:
        assert (tables.log_value[row], tables.log_slope[row]) == log_entry(row)
    assert tables.log_two == log_two_entry()


def test_accuracy_at_realistic_points():
    forward, strike, vol, minutes = random_points(200_000, 5, wide=False)
    calls, puts = vector(forward, strike, vol, minutes)
    assert np.abs(calls - float_call(forward, strike, vol, minutes)).max() < 1.0
    assert ((calls - puts) == forward - strike).all()


def test_accuracy_over_the_whole_domain():
    forward, strike, vol, minutes = random_points(200_000, 6, wide=True)
    calls, puts = vector(forward, strike, vol, minutes)
    error = np.abs(calls - float_call(forward, strike, vol, minutes))
    assert (error <= 0.5 + 6e-8 * np.maximum(forward, strike)).all()
    assert (calls >= np.maximum(forward - strike, 0)).all() and (puts >= np.maximum(strike - forward, 0)).all()
    assert (calls <= forward).all() and (puts <= strike).all()


def test_recorded_chain_is_within_one_tick(recording):
    options = [option for option in recording.options if option.mark_vol_bps]
    columns = (
        [o.underlying_ticks for o in options],
        [o.strike_ticks for o in options],
        [o.mark_vol_bps for o in options],
        [max(1, (o.expiry_ms - o.time_ms) // 60_000) for o in options],
    )
    forward, strike, vol, minutes = (np.array(column, dtype=np.int64) for column in columns)
    calls, _ = vector(forward, strike, vol, minutes)
    assert len(options) == 326
    assert np.abs(calls - float_call(forward, strike, vol, minutes)).max() < 0.6


@pytest.mark.parametrize("wide", [False, True])
def test_vector_equals_scalar(wide):
    forward, strike, vol, minutes = random_points(3_000, 8, wide=wide)
    calls, puts = vector(forward, strike, vol, minutes)
    for i in range(len(forward)):
        assert black76(int(forward[i]), int(strike[i]), int(vol[i]), int(minutes[i])) == (calls[i], puts[i])


def test_vector_equals_scalar_at_the_limits():
    """int64 overflow is silent in numpy: every corner of the admitted range, in Python integers and in int64."""
    prices = [1, 2, 3, 1 << 20, MAX_FEED_PRICE_TICKS, MAX_PRICE_TICKS - 1, MAX_PRICE_TICKS]
    vols, times = [0, 1, 100, MAX_VOL_BPS, 2**18 - 1], [0, 1, 2, 525_600, MAX_MINUTES]
    points = np.array([(f, k, v, t) for f in prices for k in prices for v in vols for t in times], dtype=np.int64)
    calls, puts = vector(*points.T)
    for row, call, put in zip(points.tolist(), calls, puts, strict=True):
        assert black76(*row) == (call, put)
        assert 0 <= call <= row[0] and 0 <= put <= row[1]


@settings(max_examples=300, deadline=None)
@given(st.integers(1, MAX_PRICE_TICKS), st.integers(1, MAX_PRICE_TICKS), st.integers(0, 2**18 - 1), st.integers(0, MAX_MINUTES))
def test_vector_equals_scalar_property(forward, strike, vol, minutes):
    arrays = (np.array([value], dtype=np.int64) for value in (forward, strike, vol))
    calls, puts = black76_vector(*arrays, np.array([root_time(minutes)]))
    assert black76(forward, strike, vol, minutes) == (calls[0], puts[0])


def test_known_values():
    assert black76(908_519, 900_000, 7_492, 11_000) == (43_487, 34_968)
    assert black76(908_519, 908_519, 1, 1) == (0, 0)
    assert black76(100, 100, 0, 5) == (0, 0)
    assert black76(105, 100, 5_000, 0) == (5, 0)
    assert black76(1_000, 100_000, 100, 60) == (0, 99_000)


def test_logarithm():
    values = np.concatenate([np.arange(1, 20_000), 2 ** np.arange(1, 38), 2 ** np.arange(2, 38) - 1]).astype(np.int64)
    logs = ln_q35_vector(values)
    assert 0 <= ln_q35(1) <= 1
    assert [ln_q35(int(value)) for value in values[::50]] == logs[::50].tolist()
    assert np.abs(logs - np.log(values.astype(np.longdouble)) * 2**35).max() < 3


def test_monotone_to_a_tick():
    for vol, minutes in ((2_000, 100), (7_500, 11_000), (15_000, 200_000)):
        strike = np.arange(500_000, 1_500_000, 199, dtype=np.int64)
        forward = np.full_like(strike, 908_519)
        calls, _ = vector(forward, strike, np.full_like(strike, vol), np.full_like(strike, minutes))
        assert np.diff(calls).max() <= 1


def test_total_vol_is_capped():
    assert half_total_vol(2**18 - 1, root_time(MAX_MINUTES)) == MAX_HALF_VOL
    assert half_total_vol(10_000, root_time(525_600)) == 1 << 23
    assert half_total_vol(MAX_VOL_BPS, root_time(MAX_MINUTES)) < MAX_HALF_VOL


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("forward_ticks = 0", (0, 1, 1, 1)),
        ("forward_ticks", (2**30, 1, 1, 1)),
        ("strike_ticks = 0", (1, 0, 1, 1)),
        ("strike_ticks", (1, 2**30, 1, 1)),
        ("vol_bps = 0", (1, 1, 0, 1)),
        ("vol_bps = 50001", (1, 1, 50_001, 1)),
        ("minutes = 0", (1, 1, 1, 0)),
        ("minutes", (1, 1, 1, MAX_MINUTES + 1)),
        ("times the forward", (10, 10_001, 1, 1)),
    ],
)
def test_feed_limits(field, arguments):
    with pytest.raises(PricingLimitError, match=field):
        check_feed(*arguments)


def test_feed_limits_admit_their_bounds():
    check_feed(MAX_FEED_PRICE_TICKS, 1, MAX_VOL_BPS, 525_600)
    check_feed(1, 1_000, 1, MAX_MINUTES)


@pytest.mark.parametrize(("name", "values"), [("forward_ticks", (MAX_PRICE_TICKS + 1, 1, 1)), ("strike_ticks", (1, 0, 1)), ("vol_bps", (1, 1, 2**18))])
def test_vector_refuses_what_could_overflow(name, values):
    with pytest.raises(PricingLimitError, match=name):
        black76_vector(*(np.array([value], dtype=np.int64) for value in values), np.array([root_time(1)]))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([Kind.CALL, Kind.PUT]), st.integers(500_000, 1_500_000), st.integers(500, 30_000), st.integers(60, 300_000))
def test_implied_vol_reproduces_the_price(kind, strike, vol, minutes):
    price = option_price_ticks(kind, 908_519, strike, vol, minutes)
    intrinsic = max(908_519 - strike if kind is Kind.CALL else strike - 908_519, 0)
    found = implied_vol_bps(kind, price, 908_519, strike, minutes)
    if price <= intrinsic:
        assert found is None
    else:
        assert found is not None
        assert abs(option_price_ticks(kind, 908_519, strike, found, minutes) - price) <= 1


def test_no_vol_outside_the_possible_prices():
    assert implied_vol_bps(Kind.CALL, 8_519, 908_519, 900_000, 1_000) is None
    assert implied_vol_bps(Kind.PUT, 900_000, 908_519, 900_000, 1_000) is None
    assert implied_vol_bps(Kind.PUT, 10_000, 908_519, 900_000, 0) is None


def test_tampered_tables_are_refused(tmp_path, monkeypatch):
    data = bytearray(TABLES_FILE.read_bytes())
    data[40_000] ^= 1
    (tmp_path / "tables.bin").write_bytes(data)
    monkeypatch.setattr("straddle.risk.pricing_tables.TABLES_FILE", tmp_path / "tables.bin")
    load_tables.cache_clear()
    with pytest.raises(RuntimeError, match="sha256"):
        load_tables()
    monkeypatch.undo()
    assert load_tables() == pricing._TABLES
