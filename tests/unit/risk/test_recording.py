from __future__ import annotations

import csv
from pathlib import Path

import pytest

from straddle.core.instruments import NEVER_MS, Kind
from straddle.risk.candles import load_candles
from straddle.risk.csv_rows import RecordingError
from straddle.risk.naming import format_name, parse_name
from straddle.risk.recording import Level, load_chain
from tests.unit.conftest import CHAIN

HEADER = (
    "instrument_name,option_type,strike,expiration_ms,timestamp_ms,underlying_price,index_price,mark_price_btc,mark_iv_pct,bid_iv_pct,ask_iv_pct,"
    "open_interest,bids,asks"
)
GOOD = "BTC-29MAY20-9000-C,call,9000.0,1590739200000,1590103229020,9089.21,9085.5,0.046,74.92,71.7,75.27,100.0,0.0455x11.4 0.045x11.0,0.0475x45.3"
PUT = "BTC-29MAY20-9000-P,put,9000.0,1590739200000,1590103229020,9083.54,9085.5,0.038,76.05,74.41,77.97,100.0,0.0375x15.0,0.0395x0.5"


def chain(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    file = tmp_path / "chain.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


def edited(**cells: str) -> str:
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    assert set(cells) <= set(values)
    return ",".join({**values, **cells}.values())


def test_the_recorded_chain(recording):
    assert len(recording.options) == 326 and recording.report.accepted_rows == 326
    assert recording.report.refused_rows == []
    assert len(recording.report.refused_quotes) == 247
    assert all("below intrinsic" in refusal.reason for refusal in recording.report.refused_quotes)
    first = recording.report.refused_quotes[0]
    assert (first.line, first.column, first.value) == (2, "bids", "0.2015x0.1")
    assert recording.index_ticks == 908_519 and recording.time_ms == 1_590_103_380_000
    assert list(recording.forwards().values()) == [908_544, 908_557, 908_728, 908_910, 909_446, 917_993, 926_195]


def test_books_stay_as_recorded(recording):
    """An independent reading of the file: sides are empty exactly where the record, less its quotes below intrinsic value, is empty."""
    by_name = {option.name.replace("_USDC", ""): option for option in recording.options}
    one_sided = 0
    with CHAIN.open() as file:
        for row in csv.DictReader(file):
            option, underlying, strike = by_name[row["instrument_name"]], float(row["underlying_price"]), float(row["strike"])
            intrinsic = max(underlying - strike if row["option_type"] == "call" else strike - underlying, 0)
            for column, levels in (("bids", option.bids), ("asks", option.asks)):
                expected = [level.split("x") for level in row[column].split()]
                kept = [(float(price) * underlying, float(size)) for price, size in expected if float(price) * underlying >= intrinsic - 0.005]
                assert [size for _, size in kept] == [level.size_lots / 1e4 for level in levels]
                assert all(abs(price - level.price_ticks / 100) < 0.00501 for (price, _), level in zip(kept, levels, strict=True))
            one_sided += bool(option.bids) != bool(option.asks)
    assert one_sided > 50


def test_prices_use_the_rows_own_underlying(tmp_path):
    options = load_chain(chain(tmp_path, GOOD, PUT)).options
    assert options[0].bids == (Level(round(0.0455 * 908_921), 114_000), Level(round(0.045 * 908_921), 110_000))
    assert options[1].asks == (Level(round(0.0395 * 908_354), 5_000),)
    assert (options[0].name, options[0].kind, options[0].strike_ticks) == ("BTC_USDC-29MAY20-9000-C", Kind.CALL, 900_000)
    assert (options[0].bid_vol_bps, options[0].ask_vol_bps, options[0].mark_vol_bps) == (7_170, 7_527, 7_492)


BAD_ROWS = [
    ({"instrument_name": "ETH-29MAY20-9000-C"}, "instrument_name", "expected BTC"),
    ({"instrument_name": "BTC-31JUN20-9000-C"}, "instrument_name", "no such date"),
    ({"instrument_name": "BTC_USDC-PERPETUAL"}, "instrument_name", "option"),
    ({"option_type": "put"}, "option_type", "call"),
    ({"option_type": ""}, "option_type", "call"),
    ({"strike": "9500"}, "strike", "name"),
    ({"strike": "nan"}, "strike", "finite"),
    ({"strike": "-9000"}, "strike", "number from"),
    ({"expiration_ms": "1590739200001"}, "expiration_ms", "08:00"),
    ({"expiration_ms": "1590739200000.5"}, "expiration_ms", "integer"),
    ({"timestamp_ms": "1590739200000"}, "expiration_ms", "after timestamp"),
    ({"timestamp_ms": ""}, "timestamp_ms", "finite"),
    ({"timestamp_ms": "1"}, "expiration_ms", "within"),
    ({"underlying_price": "NaN"}, "underlying_price", "finite"),
    ({"underlying_price": "inf"}, "underlying_price", "finite"),
    ({"underlying_price": "0"}, "underlying_price", "number"),
    ({"underlying_price": "-5"}, "underlying_price", "number"),
    ({"underlying_price": "1e999"}, "underlying_price", "number"),
    ({"underlying_price": "1e99999999"}, "underlying_price", "finite"),
    ({"underlying_price": "9_089"}, "underlying_price", "finite"),
    ({"underlying_price": "1.0"}, "strike", "times the underlying"),
    ({"index_price": "0"}, "index_price", "number"),
    ({"mark_iv_pct": "nan"}, "mark_iv_pct", "finite"),
    ({"bid_iv_pct": "-1"}, "bid_iv_pct", "number"),
    ({"ask_iv_pct": "501"}, "ask_iv_pct", "number"),
    ({"bid_iv_pct": "80"}, "bid_iv_pct", "at most ask_iv_pct"),
    ({"bids": "0.0475x1"}, "bids", "crossed"),
    ({"bids": "0.045x1 0.0455x1"}, "bids", "best first"),
    ({"asks": "0.05x1 0.0475x1"}, "asks", "best first"),
    ({"bids": "0.0455x1 0.0455x2"}, "bids", "each price once"),
    ({"bids": "0.045"}, "bids", "PRICExAMOUNT"),
    ({"bids": "0.045x"}, "bids", "finite"),
    ({"bids": "nanx1"}, "bids", "finite"),
    ({"bids": "0.045x-1"}, "bids", "number"),
    ({"bids": "0.045x0"}, "bids", "positive amount"),
    ({"bids": "0.045x0.00001"}, "bids", "steps of"),
    ({"bids": "0x1"}, "bids", "worth"),
    ({"asks": "999999x1"}, "asks", "number"),
]


@pytest.mark.parametrize(("cells", "column", "reason"), BAD_ROWS)
def test_a_bad_row_is_refused_and_the_rest_goes_on(tmp_path, cells, column, reason):
    recording = load_chain(chain(tmp_path, edited(**cells), PUT))
    assert [option.name for option in recording.options] == ["BTC_USDC-29MAY20-9000-P"]
    (refusal,) = recording.report.refusals
    assert (refusal.line, refusal.column, refusal.whole_row) == (2, column, True)
    assert reason in refusal.reason
    assert "line 2" in str(refusal) and column in str(refusal)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GOOD + ",extra", "15 fields"),
        ("BTC-29MAY20-9000-C,call", "2 fields"),
        (GOOD.replace("call", '"call'), "unexpected end"),
        ("\x00", "fields"),
        ("x" * 200_000 + ",", "field"),
    ],
)
def test_malformed_lines_are_refused_alone(tmp_path, line, reason):
    recording = load_chain(chain(tmp_path, line, PUT))
    assert len(recording.options) == 1
    assert reason in recording.report.refused_rows[0].reason and recording.report.refused_rows[0].line == 2
    assert len(str(recording.report.refused_rows[0])) < 300


def test_bytes_that_are_not_text_are_refused_alone(tmp_path):
    file = chain(tmp_path, GOOD, PUT)
    file.write_bytes(file.read_bytes().replace(b"BTC-29MAY20-9000-C", b"BTC-29MAY20-9000-\xff"))
    recording = load_chain(file)
    assert len(recording.options) == 1 and recording.report.refused_rows[0].reason == "not UTF-8 text"
    str(recording.report.refused_rows[0]).encode()


def test_duplicates_are_refused(tmp_path):
    recording = load_chain(chain(tmp_path, GOOD, PUT, GOOD))
    (refusal,) = recording.report.refusals
    assert refusal.line == 4 and "already on line 2" in refusal.reason and len(recording.options) == 2


def test_rows_of_another_snapshot_are_refused(tmp_path):
    late = GOOD.replace("9000", "9500").replace("1590103229020", "1590113229020")
    recording = load_chain(chain(tmp_path, late, PUT, GOOD))
    (refusal,) = recording.report.refusals
    assert (refusal.line, refusal.column) == (2, "timestamp_ms") and len(recording.options) == 2


def test_zero_and_ceiling_vols_mean_none_and_empty_sides_stay_empty(tmp_path):
    recording = load_chain(
        chain(tmp_path, edited(bid_iv_pct="0.0", ask_iv_pct="500.0", mark_iv_pct="0"), edited(instrument_name="BTC-29MAY20-9250-C", strike="9250", bids=""))
    )
    first, second = recording.options
    assert (first.bid_vol_bps, first.ask_vol_bps, first.mark_vol_bps) == (None, None, None) and first.bids and first.asks
    assert second.bids == () and second.bid_vol_bps is None and second.ask_vol_bps == 7_527


def test_quotes_below_intrinsic_are_refused_alone(tmp_path):
    recording = load_chain(chain(tmp_path, edited(bids="0.0455x11.4 0.001x1"), PUT))
    (refusal,) = recording.report.refusals
    assert not refusal.whole_row and (refusal.line, refusal.column, refusal.value) == (2, "bids", "0.001x1") and "below intrinsic" in refusal.reason
    assert len(recording.options[0].bids) == 1 and recording.report.accepted_rows == 2


def test_another_day_other_strikes_other_expiries(tmp_path):
    rows = [
        "BTC-3JAN25-123500-C,call,123500.0,1735891200000,1735500000000,95000.5,94990.1,0.001,60.5,55,66,1,0.0005x3,0.0015x2",
        "BTC-27JUN25-40000-P,put,40000,1751011200000,1735500000000,98000,94990.1,0.001,80,78,82,1,,0.0015x2",
    ]
    recording = load_chain(chain(tmp_path, *rows))
    assert [option.name for option in recording.options] == ["BTC_USDC-3JAN25-123500-C", "BTC_USDC-27JUN25-40000-P"]
    assert recording.report.refusals == []


def test_columns_in_any_order_with_more_of_them_and_a_byte_order_mark(tmp_path):
    names, values = HEADER.split(","), GOOD.split(",")
    file = chain(tmp_path, ",".join([*values[::-1], "7"]), header="\ufeff" + ",".join([*names[::-1], "more"]))
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert load_chain(file).options[0].name == "BTC_USDC-29MAY20-9000-C"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "empty"),
        ("\n", "empty"),
        ("a,b\n1,2\n", "missing columns"),
        (HEADER + "\n", "no usable row"),
        (HEADER + ",bids\n", "repeated columns"),
        (HEADER + "\nrubbish\n", "no usable row.*line 2"),
        ('"' + HEADER + "\n", "header"),
    ],
)
def test_files_nothing_can_be_made_of(tmp_path, content, match):
    file = tmp_path / "chain.csv"
    file.write_text(content)
    with pytest.raises(RecordingError, match=match):
        load_chain(file)


def test_missing_file(tmp_path):
    with pytest.raises(RecordingError, match="cannot be read"):
        load_chain(tmp_path / "none.csv")
    with pytest.raises(RecordingError, match="cannot be read"):
        load_candles(tmp_path)


CANDLES = "open_time_s,open,high,low,close,volume_btc"


def test_the_recorded_candles(candles):
    assert len(candles.hours) == 10_064 and candles.report.refusals == []
    assert candles.hours[0].open_ticks == 960_086
    assert all(b.open_ms - a.open_ms == 3_600_000 for a, b in zip(candles.hours, candles.hours[1:], strict=False))


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("1567296000,1,3,1,2,5", "open_time_s"),
        ("1567292400,1,3,1,2,5", "open_time_s"),
        ("1567299601,1,3,1,2,5", "open_time_s"),
        ("1567299600,nan,3,1,2,5", "open"),
        ("1567299600,1,inf,1,2,5", "high"),
        ("1567299600,1,3,0,2,5", "low"),
        ("1567299600,1,3,2,2,5", "open"),
        ("1567299600,2,3,1,4,5", "close"),
        ("1567299600,2,3,1", "row"),
        ("x,2,3,1,4,5", "open_time_s"),
    ],
)
def test_bad_candles_are_refused_and_the_rest_goes_on(tmp_path, row, column):
    file = tmp_path / "prices.csv"
    file.write_text("\n".join([CANDLES, "1567296000,1,3,1,2,5", row, "1567303200,2,3,1,2,5"]))
    candles = load_candles(file)
    assert [hour.open_ms for hour in candles.hours] == [1_567_296_000_000, 1_567_303_200_000]
    (refusal,) = candles.report.refusals
    assert (refusal.line, refusal.column) == (3, column)


@pytest.mark.parametrize(
    "name",
    ["BTC_USDC-22MAY20-9000-C", "BTC_USDC-3JAN25-123500-P", "BTC_USDC-26JUN20-7250d5-C", "BTC_USDC-22MAY20-0d01-P", "BTC_USDC-22MAY20", "BTC_USDC-PERPETUAL"],
)
def test_names_round_trip(name):
    parsed = parse_name(name)
    assert format_name(parsed.kind, parsed.expiry_ms, parsed.strike_ticks) == name and not parsed.recorded


def test_names():
    parsed = parse_name("BTC-22MAY20-9000-C")
    assert (parsed.kind, parsed.expiry_ms, parsed.strike_ticks, parsed.recorded) == (Kind.CALL, 1_590_134_400_000, 900_000, True)
    assert parse_name("BTC_USDC-PERPETUAL").expiry_ms == NEVER_MS
    future = parse_name("BTC_USDC-22MAY20")
    assert (future.kind, future.expiry_ms, future.strike_ticks) == (Kind.FUTURE, 1_590_134_400_000, 0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "BTC_USDC-22MAY20-0-C",
        "BTC_USDC-22MAY20-09000-C",
        "BTC_USDC-022MAY20-9000-C",
        "BTC_USDC-22XXX20-9000-C",
        "BTC_USDC-30FEB20-9000-C",
        "BTC_USDC-22MAY20-9000-X",
        "BTC_USDC-22MAY20-9000-C\n",
        "BTC_USDC-22MAY20-9e3-C",
        "BTC_USDC-٢٢MAY20-9000-C",
    ],
)
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="instrument name"):
        parse_name(name)


def test_unnameable_expiries_are_refused():
    with pytest.raises(ValueError, match="08:00 UTC"):
        format_name(Kind.CALL, 1_590_134_400_001, 900_000)
