from __future__ import annotations

import csv

import pytest

from straddle.core.instruments import Kind
from straddle.risk.candles import Candle, Candles
from straddle.risk.csv_rows import Report
from straddle.risk.inputs import encode_inputs
from straddle.risk.listing import list_chain, perpetual_terms, position_cap_lots
from straddle.risk.market_path import MarketPath, PathError, minute_prices
from straddle.risk.naming import format_name
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.recording import load_chain
from straddle.risk.settlement import settlement_value
from straddle.risk.successor import check_successor
from straddle.risk.surface import fit_surface
from straddle.risk.table import EXPOSURE_LIMIT, build_table, table_from_bytes
from tests.unit.conftest import CHAIN

HOUR = 3_600_000
MINUTE = 60_000


@pytest.fixture(scope="module")
def night(path):
    """Everything that the recorded night lists."""
    return [instrument for instrument, _ in list_chain(path.recording, path.recording.options, futures=True).values()]


@pytest.mark.parametrize("seed", range(20))
def test_minutes_stay_inside_the_candle_and_touch_it(seed):
    candle = Candle(seed * HOUR, 1_000, 1_090, 950, 1_010)
    prices = minute_prices(candle, seed)
    assert len(prices) == 61 and (prices[0], prices[60]) == (1_000, 1_010)
    assert (min(prices), max(prices)) == (950, 1_090)
    assert minute_prices(candle, seed) == prices != minute_prices(candle, seed + 1)


def test_a_flat_candle_is_flat():
    assert set(minute_prices(Candle(0, 5, 5, 5, 5), 1)) == {5}


def test_the_path_starts_at_the_record_and_follows_the_candles(path, recording, candles):
    assert path.index_ticks(path.start_ms) == recording.index_ticks
    hours = {hour.open_ms: hour for hour in candles.hours}
    anchor = path._anchor_ticks
    for step in range(1, 200):
        hour = path.start_ms // HOUR * HOUR + step * HOUR
        assert path.index_ticks(hour) == recording.index_ticks * hours[hour].open_ticks // anchor
        inside = path.index_ticks(hour + step * 1_000 % HOUR)
        assert hours[hour].low_ticks - 1 <= inside * anchor / recording.index_ticks <= hours[hour].high_ticks + anchor / recording.index_ticks + 1


def test_the_path_is_a_function_of_its_seed(recording, surface, candles, path):
    again, other = MarketPath(recording, surface, candles, seed=7), MarketPath(recording, surface, candles, seed=8)
    moments = [path.start_ms + minute * 60_000 for minute in range(0, 120, 7)]
    assert [again.index_ticks(m) for m in moments] == [path.index_ticks(m) for m in moments] != [other.index_ticks(m) for m in moments]


def test_forwards_keep_their_basis_until_expiry(path, recording):
    for expiry, forward in recording.forwards().items():
        assert abs(path.forward_ticks(expiry, path.start_ms) - forward) <= 1
        if expiry > path.end_ms:
            continue
        last = expiry - 1
        assert abs(path.forward_ticks(expiry, last) - path.index_ticks(last)) <= 1
        assert path.forward_ticks(expiry, expiry) == path.forward_ticks(expiry, expiry + 5) == path.settlement_ticks(expiry)


def test_settlement_is_the_average_of_the_last_half_hour(path):
    expiry = 1_590_134_400_000
    minutes = [path.index_ticks(expiry - minute * 60_000) for minute in range(30, 0, -1)]
    assert path.settlement_ticks(expiry) == (sum(minutes) + 15) // 30


def test_gaps_and_other_days_are_refused(recording, surface, candles):
    hour = recording.time_ms // HOUR * HOUR
    holed = Candles(tuple(candle for candle in candles.hours if candle.open_ms != hour + 2 * HOUR), candles.report)
    path = MarketPath(recording, surface, holed)
    assert path.end_ms == hour + 2 * HOUR
    path.index_ticks(path.end_ms - 1)
    with pytest.raises(PathError, match="no candle"):
        path.index_ticks(path.end_ms)
    with pytest.raises(PathError, match="snapshot"):
        path.index_ticks(path.start_ms - 1)
    with pytest.raises(PathError, match="no candle"):
        MarketPath(recording, surface, Candles(candles.hours[:10], Report("other.csv")))
    with pytest.raises(PathError, match="expiry_ms = 1"):
        path.forward_ticks(1, path.start_ms)


def test_epochs_follow_each_other_through_an_expiry(path, instruments):
    """Twelve hours of epochs: every table builds, funding follows, the first expiry settles."""
    previous = None
    for epoch in range(1, 14):
        time_ms = path.start_ms + (epoch - 1) * HOUR
        index = path.index_ticks(time_ms)
        inputs = path.inputs(epoch, time_ms, instruments, previous, perpetual_mark_ticks=index + index // 500)
        if previous is not None:
            check_successor(previous, inputs, DEFAULT_PARAMETERS)
        table = build_table(inputs, instruments)
        previous = inputs
    assert previous.cumulative_funding > 0 and table[1].funding == previous.cumulative_funding
    settled = [instrument for instrument in instruments if instrument.expiry_ms == 1_590_134_400_000]
    price = path.settlement_ticks(1_590_134_400_000)
    for instrument in settled:
        gap = price - instrument.strike_ticks
        assert table[instrument.id].value == max(gap if instrument.kind is Kind.CALL else -gap, 0) and not any(table[instrument.id].deltas)


def test_the_recorded_night(path, recording, night):
    """The demo's market: every option, a future an expiry and the perpetual, each quarter of an hour from the snapshot and each minute of the last half
    hour; all epochs follow from one another, and what settles is the average of the minutes."""
    expiry = 1_590_134_400_000
    assert len(night) == 326 + 7 + 1 and path.end_ms > expiry and path.recording == recording
    (future_id,) = [future.id for future in night if future.kind is Kind.FUTURE and future.expiry_ms == expiry]
    moments = [*range(path.start_ms, expiry - 30 * MINUTE, 15 * MINUTE), *range(expiry - 30 * MINUTE, expiry + 2 * MINUTE, MINUTE)]
    previous = None
    for epoch, time_ms in enumerate(moments, start=1):
        inputs = path.inputs(epoch, time_ms, night, previous)
        if previous is not None:
            check_successor(previous, inputs, DEFAULT_PARAMETERS)
        table, previous = table_from_bytes(encode_inputs(inputs), night), inputs
        assert bool(inputs.windows) == (expiry - 30 * MINUTE <= time_ms < expiry)
        if inputs.windows:
            seen = [path.index_ticks(moment) for moment in range(expiry - 30 * MINUTE, time_ms, MINUTE)]
            assert inputs.windows == ((expiry, len(seen) * MINUTE, sum(seen) * MINUTE),)
            assert abs(table[future_id].value - (sum(seen) + (30 - len(seen)) * path.forward_ticks(expiry, time_ms)) / 30) <= 0.5
    price = path.settlement_ticks(expiry)
    assert inputs.settlements == ((expiry, price),) and table[future_id].value == price
    declared = {instrument.id: settlement_value(instrument, price) for instrument in night if instrument.expiry_ms == expiry}
    settled = build_table(inputs, night, DEFAULT_PARAMETERS, declared)
    assert {row.instrument: row.value for row in settled if row.settled} == declared and len(declared) == 59
    assert [row.value for row in settled] == [row.value for row in table]


def test_hours_before_the_snapshot_seed_realised_volatility(path, candles, recording, surface):
    first = path.inputs(1, path.start_ms, [])
    hour = path.start_ms // HOUR * HOUR
    opens = [candle.open_ticks for candle in candles.hours if hour - 24 * HOUR <= candle.open_ms <= hour]
    assert len(first.hours) == 25
    assert all(abs(found - recording.index_ticks * recorded / path._anchor_ticks) < 1 for found, recorded in zip(first.hours, opens, strict=True))
    lone = MarketPath(recording, surface, Candles(tuple(candle for candle in candles.hours if candle.open_ms >= hour), candles.report))
    assert len(lone.inputs(1, lone.start_ms, []).hours) == 1
    later = path.hours(path.start_ms + 5 * HOUR, 25)
    assert later[:20] == first.hours[5:] and later[-1] == path.index_ticks(hour + 5 * HOUR)


def test_vols_are_sticky_in_moneyness(path, recording, surface, instruments):
    option = instruments[150]
    forward = path.forward_ticks(option.expiry_ms, path.start_ms)
    vol = surface.vol_bps(option.expiry_ms, option.strike_ticks, forward)
    assert surface.vol_bps(option.expiry_ms, option.strike_ticks * 2, forward * 2) == vol
    assert dict(path.inputs(1, path.start_ms, instruments).vols)[option.id] == vol


def test_listing_terms(recording):
    listed = list_chain(recording, recording.options, first_id=5)
    assert list(listed) == list(range(5, 5 + 327)) and listed[5][1] is None and listed[5][0].kind is Kind.PERPETUAL
    for instrument, option in listed.values():
        assert instrument.position_cap_lots * max(recording.index_ticks, instrument.strike_ticks) * 32 < EXPOSURE_LIMIT
        assert option is None or (instrument.strike_ticks, instrument.expiry_ms, instrument.kind) == (option.strike_ticks, option.expiry_ms, option.kind)
    assert next(iter(list_chain(recording, recording.options[:1], perpetual=False).values()))[1] == recording.options[0]


def test_caps_shrink_with_the_price():
    assert position_cap_lots(908_519, 900_000) == 10_000_000 == perpetual_terms(1, 908_519).position_cap_lots
    high = position_cap_lots(2**29, 900_000)
    assert 0 < high < 10_000_000 and high * 64 * 2**29 < EXPOSURE_LIMIT


def test_another_recording_through_the_crash_of_march_2020(tmp_path, candles):
    """The record moved 71 days back, its strikes scaled: other expiries, other strikes, the index halves within a day; every epoch has a table."""
    days, day_ms = 71, 86_400_000
    with CHAIN.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for column in ("expiration_ms", "timestamp_ms"):
            row[column] = str(int(row[column]) - days * day_ms)
        kind = Kind.CALL if row["option_type"] == "call" else Kind.PUT
        strike = int(float(row["strike"]) * 7_900 / 9_085)
        row["strike"] = str(strike)
        row["instrument_name"] = format_name(kind, int(row["expiration_ms"]), strike * 100).replace("_USDC", "")
        for column in ("underlying_price", "index_price"):
            row[column] = str(float(row[column]) * 7_900 / 9_085)
    moved = tmp_path / "march.csv"
    with moved.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    recording = load_chain(moved)
    assert len(recording.options) > 320 and recording.report.refused_rows == []
    path = MarketPath(recording, fit_surface(recording), candles)
    instruments = [instrument for instrument, _ in list_chain(path.recording, path.recording.options[::3]).values()]
    indices, scales = [], []
    for epoch in range(1, 40):
        inputs = path.inputs(epoch, path.start_ms + epoch * HOUR, instruments)
        indices.append(inputs.index_ticks)
        scales.append(inputs.scale_ppm)
        assert len(build_table(inputs, instruments).rows) == len(instruments) == 110
    assert min(indices) < 0.65 * recording.index_ticks
    assert scales[0] == 1_000_000 and max(scales) == 2_500_000
