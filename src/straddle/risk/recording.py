"""The recorded option chain: one snapshot of every book, read from CSV (`data/README.md` names the columns)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from statistics import median_low

from straddle.core.instruments import Kind
from straddle.risk.csv_rows import RecordingError, Refusal, Report, RowError, integer, number, parse_number, read_rows
from straddle.risk.naming import TICKS_PER_DOLLAR, format_name, parse_name
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_MINUTES, MAX_STRIKE_OVER_FORWARD, MAX_VOL_BPS

COLUMNS = (
    "instrument_name",
    "option_type",
    "strike",
    "expiration_ms",
    "timestamp_ms",
    "underlying_price",
    "index_price",
    "mark_iv_pct",
    "bid_iv_pct",
    "ask_iv_pct",
    "bids",
    "asks",
)
LOTS_PER_COIN = 10_000
MAX_DOLLARS = MAX_FEED_PRICE_TICKS // TICKS_PER_DOLLAR
MAX_SIZE_LOTS = 2**40 - 1
MAX_LEVELS = 1_000
SNAPSHOT_SPAN_MS = 30 * 60_000
"""Rows more than this from the median time of the file are of another snapshot."""


@dataclass(frozen=True, slots=True)
class Level:
    """One recorded level, in ticks of dollars and lots."""

    price_ticks: int
    size_lots: int


@dataclass(frozen=True, slots=True)
class RecordedOption:
    """One row: an option's book with the underlying and the index of that moment. Either side may be empty."""

    name: str
    """As listed here, `BTC_USDC-...`."""
    kind: Kind
    expiry_ms: int
    strike_ticks: int
    time_ms: int
    underlying_ticks: int
    index_ticks: int
    mark_vol_bps: int | None
    bid_vol_bps: int | None
    """None where the record has none (0) or its ceiling (500 %), or no bid was accepted."""
    ask_vol_bps: int | None
    bids: tuple[Level, ...]
    """Best first."""
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """A snapshot: its options by (expiry, strike, kind), and what was refused."""

    options: tuple[RecordedOption, ...]
    report: Report

    @property
    def time_ms(self) -> int:
        """The latest row's time, rounded up to a minute: the moment at which the whole snapshot is known."""
        return -(-max(option.time_ms for option in self.options) // 60_000) * 60_000

    @property
    def index_ticks(self) -> int:
        """Median of the rows' index."""
        return median_low(option.index_ticks for option in self.options)

    def forwards(self) -> Mapping[int, int]:
        """expiry_ms -> forward_ticks, the median of its rows' underlying, ascending."""
        by_expiry: dict[int, list[int]] = defaultdict(list)
        for option in self.options:
            by_expiry[option.expiry_ms].append(option.underlying_ticks)
        return {expiry: median_low(by_expiry[expiry]) for expiry in sorted(by_expiry)}


def load_chain(path: Path) -> Recording:
    """Read a chain; bad rows and quotes below intrinsic value are refused one by one in the report.

    Raises:
        RecordingError: no such file, another header, or no usable row.
    """
    report = Report(path.name)
    rows: list[tuple[int, RecordedOption]] = []
    seen: dict[str, int] = {}
    for line, row in read_rows(path, COLUMNS, report):
        try:
            option, refused = _parse_row(row)
            if option.name in seen:
                raise RowError("instrument_name", row["instrument_name"], f"already on line {seen[option.name]}")
        except RowError as error:
            report.refusals.append(Refusal(line, error.column, error.value, error.reason))
            continue
        seen[option.name] = line
        report.refusals += [replace(refusal, line=line) for refusal in refused]
        rows.append((line, option))
    options = _of_one_snapshot(rows, report)
    report.accepted_rows = len(options)
    if not options:
        shown = "; ".join(str(refusal) for refusal in report.refusals[:3])
        raise RecordingError(f"{path.name}: no usable row. {shown}")
    return Recording(tuple(sorted(options, key=lambda option: (option.expiry_ms, option.strike_ticks, option.kind))), report)


def _of_one_snapshot(rows: list[tuple[int, RecordedOption]], report: Report) -> list[RecordedOption]:
    if not rows:
        return []
    middle = median_low(option.time_ms for _, option in rows)
    kept = []
    for line, option in rows:
        if abs(option.time_ms - middle) > SNAPSHOT_SPAN_MS:
            reason = f"more than {SNAPSHOT_SPAN_MS // 60_000} minutes from the snapshot's {middle}"
            report.refusals.append(Refusal(line, "timestamp_ms", str(option.time_ms), reason))
        else:
            kept.append(option)
    return kept


def _parse_row(row: dict[str, str]) -> tuple[RecordedOption, list[Refusal]]:
    kind, expiry_ms, strike_ticks = _parse_terms(row)
    time_ms = integer(row, "timestamp_ms", 1, 2**48 - 1)
    if not time_ms < expiry_ms <= time_ms + MAX_MINUTES * 60_000:
        raise RowError("expiration_ms", row["expiration_ms"], f"expected after timestamp_ms {time_ms} and within {MAX_MINUTES} minutes of it")
    underlying = number(row, "underlying_price", Decimal("0.01"), MAX_DOLLARS)
    index = number(row, "index_price", Decimal("0.01"), MAX_DOLLARS)
    if strike_ticks > MAX_STRIKE_OVER_FORWARD * _ticks(underlying):
        raise RowError("strike", row["strike"], f"expected at most {MAX_STRIKE_OVER_FORWARD} times the underlying {underlying}")
    intrinsic = max(_ticks(underlying) - strike_ticks if kind is Kind.CALL else strike_ticks - _ticks(underlying), 0)
    refused: list[Refusal] = []
    bids = _parse_side(row, "bids", underlying, intrinsic, refused)
    asks = _parse_side(row, "asks", underlying, intrinsic, refused)
    if bids and asks and bids[0].price_ticks >= asks[0].price_ticks:
        raise RowError("bids", row["bids"], f"crossed book: expected the best bid below the best ask {row['asks'].split()[0]}")
    bid_vol, ask_vol = _parse_vol(row, "bid_iv_pct"), _parse_vol(row, "ask_iv_pct")
    if bid_vol is not None and ask_vol is not None and bid_vol > ask_vol:
        raise RowError("bid_iv_pct", row["bid_iv_pct"], f"expected at most ask_iv_pct {row['ask_iv_pct']}")
    return RecordedOption(
        format_name(kind, expiry_ms, strike_ticks),
        kind,
        expiry_ms,
        strike_ticks,
        time_ms,
        _ticks(underlying),
        _ticks(index),
        _parse_vol(row, "mark_iv_pct"),
        bid_vol if bids else None,
        ask_vol if asks else None,
        bids,
        asks,
    ), refused


def _parse_terms(row: dict[str, str]) -> tuple[Kind, int, int]:
    try:
        name = parse_name(row["instrument_name"])
    except ValueError as error:
        raise RowError("instrument_name", row["instrument_name"], str(error).partition(": ")[2]) from None
    if name.kind not in (Kind.CALL, Kind.PUT):
        raise RowError("instrument_name", row["instrument_name"], "expected an option")
    expected = "call" if name.kind is Kind.CALL else "put"
    if row["option_type"] != expected:
        raise RowError("option_type", row["option_type"], f"expected {expected!r} as the name says")
    strike = number(row, "strike", Decimal("0.01"), MAX_DOLLARS)
    if strike * TICKS_PER_DOLLAR != name.strike_ticks:
        raise RowError("strike", row["strike"], "expected the strike of the name")
    if integer(row, "expiration_ms", 1, 2**48 - 1) != name.expiry_ms:
        raise RowError("expiration_ms", row["expiration_ms"], f"expected {name.expiry_ms}, 08:00 UTC of the name's day")
    return name.kind, name.expiry_ms, name.strike_ticks


def _parse_vol(row: dict[str, str], column: str) -> int | None:
    vol_bps = int((number(row, column, 0, MAX_VOL_BPS // 100) * 100).to_integral_value(ROUND_HALF_EVEN))
    return vol_bps if 0 < vol_bps < MAX_VOL_BPS else None


def _parse_side(row: dict[str, str], column: str, underlying: Decimal, intrinsic: int, refused: list[Refusal]) -> tuple[Level, ...]:
    levels: list[Level] = []
    texts = row[column].split()
    if len(texts) > MAX_LEVELS:
        raise RowError(column, row[column], f"{len(texts)} levels, expected at most {MAX_LEVELS}")
    before: Decimal | None = None
    for text in texts:
        price, level = _parse_level(column, text, underlying)
        if before is not None and (price >= before if column == "bids" else price <= before):
            raise RowError(column, text, "expected levels best first, each price once")
        before = price
        if level.price_ticks < intrinsic:
            reason = f"{level.price_ticks} ticks is below intrinsic value {intrinsic} at underlying {underlying}"
            refused.append(Refusal(0, column, text, reason, whole_row=False))
        else:
            levels.append(level)
    return tuple(levels)


def _parse_level(column: str, text: str, underlying: Decimal) -> tuple[Decimal, Level]:
    price_text, cross, size_text = text.partition("x")
    if not cross:
        raise RowError(column, text, "expected PRICExAMOUNT")
    price = parse_number(column, price_text, 0, 1_000)
    size = parse_number(column, size_text, 0, MAX_SIZE_LOTS // LOTS_PER_COIN) * LOTS_PER_COIN
    if size != size.to_integral_value() or size == 0:
        raise RowError(column, text, f"expected a positive amount in steps of {Decimal(1) / LOTS_PER_COIN}")
    price_ticks = _ticks(price * underlying)
    if price_ticks <= 0 or price_ticks > MAX_FEED_PRICE_TICKS:
        raise RowError(column, text, f"expected a price worth 1 to {MAX_FEED_PRICE_TICKS} ticks")
    return price, Level(price_ticks, int(size))


def _ticks(dollars: Decimal) -> int:
    return int((dollars * TICKS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN))
