"""Reading recorded CSV files: a bad row is refused with its line, column, value and reason, and the rest goes on."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

MAX_ROWS = 1_000_000
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_SHOWN = 60


class RecordingError(ValueError):
    """A file that nothing can be made of: missing, empty, another header, no usable row."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused row, or one refused quote of an accepted row (`whole_row` False)."""

    line: int
    column: str
    value: str
    reason: str
    whole_row: bool = True

    def __str__(self) -> str:
        what = "row" if self.whole_row else "quote"
        return f"line {self.line}: {what} refused: {self.column} = {self.value[:_SHOWN]!r}: {self.reason}"


@dataclass(slots=True)
class Report:
    """What became of a file's rows."""

    file: str
    accepted_rows: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def refused_rows(self) -> list[Refusal]:
        """Refusals of whole rows."""
        return [refusal for refusal in self.refusals if refusal.whole_row]

    @property
    def refused_quotes(self) -> list[Refusal]:
        """Refusals of single quotes whose row stayed."""
        return [refusal for refusal in self.refusals if not refusal.whole_row]


class RowError(ValueError):
    """Why a row is refused: (column, value, reason)."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(f"{column} = {value!r}: {reason}")
        self.column, self.value, self.reason = column, value, reason


def read_rows(path: Path, columns: Sequence[str], report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, column -> text) of each row that has all its fields; others are refused in the report. Columns may stand in any order, more may follow.

    Raises:
        RecordingError: no such file, empty, or a header without the columns.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            header = _parse_line(next(file, ""))
            _check_header(path, header, columns)
            assert isinstance(header, list)
            for line_number, line in enumerate(file, start=2):
                if line_number > MAX_ROWS:
                    raise RecordingError(f"{path.name}: more than {MAX_ROWS} lines")
                cells = _parse_line(line)
                if isinstance(cells, str):
                    report.refusals.append(Refusal(line_number, "row", _printable(line), cells))
                elif len(cells) not in (0, len(header)):
                    report.refusals.append(Refusal(line_number, "row", _printable(line), f"{len(cells)} fields, expected {len(header)}"))
                elif cells:
                    yield line_number, dict(zip(header, cells, strict=True))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None


def _parse_line(line: str) -> list[str] | str:
    """The line's cells, or why it has none. Each line is parsed alone, so a stray quotation mark cannot swallow the lines after it."""
    if any("\udc80" <= character <= "\udcff" for character in line):
        return "not UTF-8 text"
    try:
        return [cell.strip() for cell in next(csv.reader([line], strict=True), [])]
    except csv.Error as error:
        return str(error)


def _printable(line: str) -> str:
    return line.rstrip("\r\n").encode("utf-8", "backslashreplace").decode()


def _check_header(path: Path, header: list[str] | str, columns: Sequence[str]) -> None:
    if not header:
        raise RecordingError(f"{path.name}: empty file or first line, expected the header {','.join(columns)}")
    if isinstance(header, str):
        raise RecordingError(f"{path.name}: header: {header}; expected {','.join(columns)}")
    missing = [name for name in columns if name not in header]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if missing or repeated:
        raise RecordingError(f"{path.name}: header: missing columns {missing}, repeated columns {repeated}; expected {','.join(columns)}")


def number(row: dict[str, str], column: str, low: Decimal | int, high: Decimal | int) -> Decimal:
    """The finite decimal number in [low, high] that a cell holds; RowError otherwise."""
    return parse_number(column, row[column], low, high)


def parse_number(column: str, text: str, low: Decimal | int, high: Decimal | int) -> Decimal:
    """The finite decimal number in [low, high] that `text` holds; RowError otherwise."""
    if not _NUMBER.fullmatch(text):
        raise RowError(column, text, "expected a finite decimal number")
    value = Decimal(text)
    if not low <= value <= high:
        raise RowError(column, text, f"expected a number from {low} to {high}")
    return value


def integer(row: dict[str, str], column: str, low: int, high: int) -> int:
    """The integer in [low, high] that a cell holds; RowError otherwise."""
    value = number(row, column, low, high)
    if value != value.to_integral_value():
        raise RowError(column, row[column], "expected an integer")
    return int(value)
