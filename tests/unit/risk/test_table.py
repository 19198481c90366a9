from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.risk.expiry import maturities, minutes_to_expiry
from straddle.risk.implied import option_price_ticks
from straddle.risk.inputs import RiskInputError, RiskInputs, encode_inputs
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_VOL_BPS
from straddle.risk.scaling import scaled
from straddle.risk.scenarios import forward_multiplier, moneyness_bps, scenarios, shocked_vol_bps
from straddle.risk.table import EXPOSURE_LIMIT, build_table, check_exposure, table_from_bytes

NOW = 1_590_103_380_000
DAY_MS = 86_400_000


def scalar_deltas(inputs, option):
    """Every delta of one option from the scalar functions: the plain statement of what the vectorised table holds."""
    parameters = DEFAULT_PARAMETERS
    forward, vol = dict(inputs.forwards)[option.expiry_ms], dict(inputs.vols)[option.id]
    minutes = minutes_to_expiry(option.expiry_ms, inputs.time_ms, parameters)
    moneyness = moneyness_bps(forward, option.strike_ticks, minutes, parameters.skew_full_moneyness_bps)
    value = option_price_ticks(option.kind, forward, option.strike_ticks, vol, minutes)
    deltas = []
    for shock in scenarios(parameters):
        moved = (forward * forward_multiplier(shock, parameters, minutes) + 2**13) >> 14
        price = option_price_ticks(option.kind, moved, option.strike_ticks, shocked_vol_bps(shock, parameters, vol, minutes, moneyness), minutes)
        deltas.append(((price - value) * shock.weight_bps + 5_000) // 10_000)
    return value, tuple(deltas)


def small_market():
    instruments = [
        Instrument(1, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 10**7),
        Instrument(2, Kind.CALL, BTC, NOW + DAY_MS, 900_000, 50, 100, 10**7),
        Instrument(3, Kind.PUT, BTC, NOW + DAY_MS, 900_000, 50, 100, 10**7),
        Instrument(4, Kind.CALL, BTC, NOW + 90 * DAY_MS, 1_000_000, 50, 100, 10**7),
    ]
    inputs = RiskInputs(5, NOW, 908_500, 909_000, -1_250, 77, ((NOW + DAY_MS, 908_600), (NOW + 90 * DAY_MS, 920_000)), ((2, 7_400), (3, 7_400), (4, 9_000)))
    return instruments, inputs


def test_every_delta_of_the_recorded_chain_equals_the_scalar_statement(inputs, instruments):
    table = build_table(inputs, instruments)
    assert len(table.rows) == 327
    for option in instruments[1::9]:
        row = table[option.id]
        assert (row.value, row.deltas) == scalar_deltas(inputs, option)
        assert not row.linear and row.funding == 0 and row.expiry_ms == option.expiry_ms


def test_rows_fit_their_widths_and_the_exposure_limit(inputs, instruments):
    for instrument, row in zip(instruments, build_table(inputs, instruments), strict=True):
        assert row.instrument == instrument.id
        assert all(-(2**39) <= value < 2**39 for value in (row.value, row.funding, *row.deltas))
        assert all(0 <= value < 2**39 for value in (row.band, row.long_im, row.long_mm, row.short_im, row.short_mm))
        assert instrument.position_cap_lots * max(abs(row.value), *map(abs, row.deltas)) < EXPOSURE_LIMIT
        assert row.short_mm <= row.short_im and row.long_mm <= row.long_im


def test_perpetual_row():
    instruments, inputs = small_market()
    row = build_table(inputs, instruments)[1]
    assert row.linear and row.mark == 909_000 and row.funding == -1_250 and row.value == 910_250
    shocks = scenarios(DEFAULT_PARAMETERS)
    moves = dict(zip([(s.move_bps, s.vol) for s in shocks[:27]], row.deltas, strict=False))
    assert moves[1_600, 0] == ((909_000 * round(1.16 * 2**14) + 2**13) >> 14) - 909_000
    assert row.deltas[40:] == (0,) * 8
    assert (row.long_im, row.short_im, row.long_mm, row.short_mm) == (9_085, 9_085, 4_543, 4_543)


def test_short_option_floor_and_band():
    instruments, inputs = small_market()
    row = build_table(inputs, instruments)[2]
    assert (row.long_im, row.long_mm, row.short_im, row.short_mm) == (0, 0, -(-908_500 * 150 // 10_000), 9_085)
    wider = option_price_ticks(Kind.CALL, 908_600, 900_000, 7_400 + 1_500, minutes_to_expiry(NOW + DAY_MS, NOW, DEFAULT_PARAMETERS))
    assert wider - row.value < row.band == 908_500 * 50 // 10_000
    minutes = minutes_to_expiry(NOW + 90 * DAY_MS, NOW, DEFAULT_PARAMETERS)
    far = build_table(inputs, instruments)[4]
    assert far.band == option_price_ticks(Kind.CALL, 920_000, 1_000_000, 9_000 + 1_500, minutes) - far.value > 4_542


def test_put_call_parity_holds_in_every_scenario_of_equal_weight():
    instruments, inputs = small_market()
    table = build_table(inputs, instruments)
    minutes = minutes_to_expiry(NOW + DAY_MS, NOW, DEFAULT_PARAMETERS)
    for shock, call, put in zip(scenarios(DEFAULT_PARAMETERS), table[2].deltas, table[3].deltas, strict=True):
        moved = (908_600 * forward_multiplier(shock, DEFAULT_PARAMETERS, minutes) + 2**13) >> 14
        assert abs((call - put) - (moved - 908_600) * shock.weight_bps / 10_000) <= 1


def test_expired_option_is_worth_its_settlement_value_without_risk():
    instruments, inputs = small_market()
    later = replace(inputs, time_ms=NOW + DAY_MS, vols=inputs.vols[2:])
    row = build_table(later, instruments)[2]
    assert (row.value, row.band, row.short_im, row.short_mm, set(row.deltas)) == (8_600, 0, 0, 0, {0})
    assert build_table(later, instruments)[3].value == 0


@pytest.mark.parametrize(
    ("left_ms", "minutes"),
    [(0, 0), (-5, 0), (1, 1), (60_000, 1), (9 * 60_000, 3), (29 * 60_000, 10), (30 * 60_000, 10), (31 * 60_000, 11), (DAY_MS, 1_420), (DAY_MS + 59_999, 1_420)],
)
def test_minutes_to_expiry(left_ms, minutes):
    assert minutes_to_expiry(NOW + left_ms, NOW, DEFAULT_PARAMETERS) == minutes


def night_market():
    """Ten minutes before an expiry: its call, put and future, a far option and future, the perpetual, and an expiry of the day before."""
    soon, far, gone = NOW + 600_000, NOW + 90 * DAY_MS, NOW - DAY_MS
    instruments = [
        Instrument(1, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 10**7),
        Instrument(2, Kind.CALL, BTC, soon, 900_000, 50, 100, 10**7),
        Instrument(3, Kind.PUT, BTC, soon, 900_000, 50, 100, 10**7),
        Instrument(4, Kind.FUTURE, BTC, soon, 0, 50, 100, 10**7),
        Instrument(5, Kind.CALL, BTC, far, 1_000_000, 50, 100, 10**7),
        Instrument(6, Kind.FUTURE, BTC, far, 0, 50, 100, 10**7),
        Instrument(7, Kind.CALL, BTC, gone, 880_000, 50, 100, 10**7),
        Instrument(8, Kind.PUT, BTC, gone, 880_000, 50, 100, 10**7),
        Instrument(9, Kind.FUTURE, BTC, gone, 0, 50, 100, 10**7),
    ]
    inputs = RiskInputs(
        epoch=5,
        time_ms=NOW,
        index_ticks=908_500,
        perpetual_mark_ticks=909_000,
        cumulative_funding=-1_250,
        funding_remainder=77,
        forwards=((soon, 908_600), (far, 920_000)),
        vols=((2, 7_400), (3, 7_400), (5, 9_000)),
        scale_ppm=1_500_000,
        hours=(900_000, 905_000),
        windows=((soon, 1_200_000, 1_200_000 * 890_000),),
        settlements=((gone, 879_000),),
        activity=((soon, 100, 50), (far, 1_000, 100), (NEVER_MS, 5, 0)),
    )
    return instruments, inputs


def test_a_future_is_the_forward_and_moves_with_it():
    instruments, inputs = night_market()
    table, parameters = build_table(inputs, instruments), scaled(DEFAULT_PARAMETERS, 1_500_000)
    far, minutes = table[6], minutes_to_expiry(NOW + 90 * DAY_MS, NOW, DEFAULT_PARAMETERS)
    assert far.linear and far.value == far.mark == 920_000 and far.funding == 0
    for shock, delta in zip(scenarios(parameters), far.deltas, strict=True):
        moved = (920_000 * forward_multiplier(shock, parameters, minutes) + 2**13) >> 14
        assert delta == ((moved - 920_000) * shock.weight_bps + 5_000) // 10_000
    calm = build_table(replace(inputs, activity=()), instruments)[6]
    assert (calm.long_im, calm.long_mm, calm.short_im, calm.short_mm) == (9_085, 4_543, 9_085, 4_543)
    assert far.band == 908_500 * 200 // 10_000


def test_inside_the_window_only_a_third_of_the_average_is_left_to_move():
    """Twenty of thirty minutes are fixed at 890,000."""
    instruments, inputs = night_market()
    table, parameters = build_table(inputs, instruments), scaled(DEFAULT_PARAMETERS, 1_500_000)
    future, maturity = table[4], maturities(inputs, parameters)[NOW + 600_000]
    assert future.value == round((2 * 890_000 + 908_600) / 3)
    moves = {(shock.move_bps, shock.vol): delta for shock, delta in zip(scenarios(parameters)[:27], future.deltas[:27], strict=True)}
    assert moves[2_400, 0] == pytest.approx(908_600 * 0.24 / 3, abs=10) and moves[-2_400, 1] == pytest.approx(-908_600 * 0.24 / 3, abs=10)
    for kind, row in ((Kind.CALL, table[2]), (Kind.PUT, table[3])):
        assert row.value == maturity.option_value(kind, 900_000, 7_400)
        for shock, delta in zip(scenarios(parameters), row.deltas, strict=True):
            moved = (908_600 * forward_multiplier(shock, parameters, maturity.minutes) + 2**13) >> 14
            moneyness = moneyness_bps(908_600, 900_000, maturity.minutes, parameters.skew_full_moneyness_bps)
            vol = shocked_vol_bps(shock, parameters, 7_400, maturity.minutes, moneyness)
            assert delta == ((maturity.option_value(kind, 900_000, vol, moved) - row.value) * shock.weight_bps + 5_000) // 10_000
    assert abs(table[2].value - table[3].value - (future.value - 900_000)) <= 1


def test_a_settled_row_is_its_settlement_value_and_nothing_else():
    instruments, inputs = night_market()
    before, after = build_table(inputs, instruments), build_table(inputs, instruments, DEFAULT_PARAMETERS, {7: 0, 8: 1_000, 9: 879_000})
    for id_, value in ((7, 0), (8, 1_000), (9, 879_000)):
        row = after[id_]
        assert row.settled and row.value == row.mark == value and row.linear == (id_ == 9)
        assert row.deltas == (0,) * 48 and not any((row.funding, row.band, row.long_im, row.long_mm, row.short_im, row.short_mm))
        assert before[id_] == replace(row, settled=False)
    assert [row for row in after if not row.settled] == list(before.rows[:6])


def test_the_algorithm_is_frozen():
    """Every number of one table with all kinds of rows. Another digest is another algorithm: watchers would no longer recompute older epochs."""
    instruments, inputs = night_market()
    table = build_table(inputs, instruments, DEFAULT_PARAMETERS, {7: 0, 8: 1_000, 9: 879_000})
    rows = [(row.instrument, row.value, row.band, row.long_im, row.long_mm, row.short_im, row.short_mm, *row.deltas) for row in table]
    assert sha256(repr(rows).encode()).hexdigest() == "1ee518a1fe82188f2adaa2f45b04ac6d99356892123508c005fc8d0772bb0950"


def test_settlements_that_the_feeds_contradict_are_refused():
    instruments, inputs = night_market()
    with pytest.raises(RiskInputError, match="instrument 8: settled at 999: expected 1000"):
        build_table(inputs, instruments, DEFAULT_PARAMETERS, {8: 999})
    with pytest.raises(RiskInputError, match="since instrument 2 is settled"):
        build_table(inputs, instruments, DEFAULT_PARAMETERS, {2: 5})


def test_an_expired_strike_far_from_the_settlement_price_stops_nothing():
    instruments, inputs = night_market()
    row = build_table(replace(inputs, settlements=((NOW - DAY_MS, 1),)), instruments)[8]
    assert row.value == 879_999


def test_concentration_is_charged_by_expiry():
    """Days of volume: 2 (free), 10 (a tenth of the unit's own worst loss), and no volume at all (the cap)."""
    instruments, inputs = night_market()
    calm = build_table(replace(inputs, activity=()), instruments)
    table = build_table(inputs, instruments)
    assert table[2] == calm[2] and table[4] == calm[4]
    for id_, part in ((5, 10), (6, 10), (1, 3.3333333333333335)):
        for side, worst in (("long", -min(table[id_].deltas)), ("short", max(table[id_].deltas))):
            added = getattr(table[id_], f"{side}_im") - getattr(calm[id_], f"{side}_im")
            assert added == pytest.approx(worst / part, abs=1.0) and added >= worst / part - 1e-6
            assert getattr(table[id_], f"{side}_mm") - getattr(calm[id_], f"{side}_mm") == -(-added * 4 // 5)


def test_scaling_widens_the_table():
    instruments, inputs = night_market()
    table, base = build_table(inputs, instruments), build_table(replace(inputs, scale_ppm=1_000_000), instruments)
    assert min(table[1].deltas[:27]) == pytest.approx(1.5 * min(base[1].deltas[:27]), abs=60)
    assert max(table[5].deltas[:27]) > 1.2 * max(base[5].deltas[:27])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"windows": ()}, r"windows: .*missing"),
        ({"windows": ((NOW + 600_000, 1_200_001, 1_200_001 * 890_000),)}, "observed_ms of expiry .* = 1200001: expected at most the 1200000"),
        ({"settlements": ()}, "settlements and forwards: .*missing"),
        ({"forwards": ((NOW - DAY_MS, 5), (NOW + 600_000, 908_600), (NOW + 90 * DAY_MS, 920_000))}, "each once"),
        ({"vols": ((2, 7_400), (3, 7_400), (5, 9_000), (7, 7_400))}, r"vols: .*too many \[7\]"),
        ({"activity": ((NOW, 1, 1),)}, "activity: expiry"),
        ({"scale_ppm": 999_999}, "scale_ppm"),
    ],
)
def test_night_feeds_that_do_not_fit_are_refused(change, match):
    instruments, inputs = night_market()
    with pytest.raises(RiskInputError, match=match):
        build_table(replace(inputs, **change), instruments)


def test_bytes_rebuild_the_table(inputs, instruments):
    assert table_from_bytes(encode_inputs(inputs), instruments) == build_table(inputs, instruments)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"vols": ((2, 7_400), (3, 7_400))}, r"vols: .*missing \[4\]"),
        ({"vols": ((2, 7_400), (3, 7_400), (4, 9_000), (9, 1))}, r"vols: .*too many \[9\]"),
        ({"forwards": ((NOW + DAY_MS, 908_600),)}, "forwards: .*missing"),
        ({"forwards": ((NOW + DAY_MS, 908_600), (NOW + 90 * DAY_MS, 2))}, "instrument 4: strike_ticks"),
    ],
)
def test_inputs_that_do_not_fit_the_listings_are_refused(change, match):
    instruments, inputs = small_market()
    with pytest.raises(RiskInputError, match=match):
        build_table(replace(inputs, **change), instruments)


def test_expiry_too_far_and_unordered_instruments_are_refused():
    instruments, inputs = small_market()
    with pytest.raises(RiskInputError, match="minutes"):
        build_table(replace(inputs, time_ms=NOW - 800 * DAY_MS), instruments)
    with pytest.raises(RiskInputError, match="ascending"):
        build_table(inputs, instruments[::-1])


def test_exposure_above_the_limit_is_refused():
    instruments, inputs = small_market()
    instruments[1] = replace(instruments[1], position_cap_lots=2**40 - 1)
    with pytest.raises(RiskInputError, match="instrument 2: position cap"):
        build_table(inputs, instruments)


@pytest.mark.parametrize("id_", [1, 3])
def test_the_exposure_limit_is_exact(id_):
    """The perpetual's value is larger than its deltas, the put's deltas are larger than its value: both count, and the limit itself is refused."""
    instruments, inputs = small_market()
    row = build_table(inputs, instruments)[id_]
    largest = max(abs(row.value), *map(abs, row.deltas))
    assert (largest == row.value) == (id_ == 1)
    cap = (EXPOSURE_LIMIT - 1) // largest
    check_exposure(replace(instruments[id_ - 1], position_cap_lots=cap), row)
    with pytest.raises(RiskInputError, match=f"instrument {id_}"):
        check_exposure(replace(instruments[id_ - 1], position_cap_lots=cap + 1), row)


def test_the_emptiest_market():
    table = build_table(RiskInputs(1, NOW, 1, 1, 0, 0, (), ()), [])
    assert table.rows == ()


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, MAX_FEED_PRICE_TICKS),
    st.integers(1, MAX_FEED_PRICE_TICKS),
    st.integers(1, MAX_VOL_BPS),
    st.integers(-DAY_MS, 700 * DAY_MS),
    st.sampled_from([Kind.CALL, Kind.PUT]),
)
def test_every_admitted_feed_is_priced(forward, strike, vol, left_ms, kind):
    """Margin is total: extreme forwards, strikes and vols give a table that fits, or a refusal that names the instrument."""
    option = Instrument(1, kind, BTC, NOW + left_ms, strike, 1, 1, 1)
    windows = ((option.expiry_ms, 0, 0),) if 0 < left_ms <= 30 * 60_000 else ()
    inputs = RiskInputs(1, NOW, forward, forward, 0, 0, ((option.expiry_ms, forward),), ((1, vol),) if left_ms > 0 else (), windows=windows)
    try:
        row = build_table(inputs, [option])[1]
    except RiskInputError as error:
        assert left_ms > 0 and strike > 1_000 * forward and "instrument 1" in str(error)
        return
    assert left_ms <= 0 or windows or (row.value, row.deltas) == scalar_deltas(inputs, option)
    assert row.value >= 0 and row.band >= 0
