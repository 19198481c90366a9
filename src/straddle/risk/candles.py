"""Hourly candles of the underlying, read from CSV (`data/README.md` names the columns)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from straddle.risk.csv_rows import RecordingError, Refusal, Report, RowError, integer, number, read_rows
from straddle.risk.naming import TICKS_PER_DOLLAR
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS

COLUMNS = ("open_time_s", "open", "high", "low", "close")
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Candle:
    """One hour, prices in ticks."""

    open_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int


@dataclass(frozen=True, slots=True)
class Candles:
    """Hours in ascending order (gaps are possible), and what was refused."""

    hours: tuple[Candle, ...]
    report: Report


def load_candles(path: Path) -> Candles:
    """Read candles; a bad row, one out of order or an hour's second one is refused in the report.

    Raises:
        RecordingError: no such file, another header, or no usable row.
    """
    report = Report(path.name)
    hours: list[Candle] = []
    for line, row in read_rows(path, COLUMNS, report):
        try:
            candle = _parse_candle(row)
            if hours and candle.open_ms <= hours[-1].open_ms:
                raise RowError("open_time_s", row["open_time_s"], f"out of order: expected after {hours[-1].open_ms // 1000}")
        except RowError as error:
            report.refusals.append(Refusal(line, error.column, error.value, error.reason))
            continue
        hours.append(candle)
        report.accepted_rows += 1
    if not hours:
        raise RecordingError(f"{path.name}: no usable row. {'; '.join(str(refusal) for refusal in report.refusals[:3])}")
    return Candles(tuple(hours), report)


def _parse_candle(row: dict[str, str]) -> Candle:
    open_s = integer(row, "open_time_s", 0, (2**48 - 1) // 1000)
    if open_s * 1000 % HOUR_MS:
        raise RowError("open_time_s", row["open_time_s"], "expected a full hour")
    ticks = {}
    for column in COLUMNS[1:]:
        dollars = number(row, column, Decimal("0.01"), MAX_FEED_PRICE_TICKS // TICKS_PER_DOLLAR)
        ticks[column] = int((dollars * TICKS_PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN))
    for column in ("open", "close"):
        if not ticks["low"] <= ticks[column] <= ticks["high"]:
            raise RowError(column, row[column], f"expected from low {row['low']} to high {row['high']}")
    if ticks["low"] > ticks["high"]:
        raise RowError("low", row["low"], f"expected at most high {row['high']}")
    return Candle(open_s * 1000, ticks["open"], ticks["high"], ticks["low"], ticks["close"])
