"""The constant tables of the integer Black-76 algorithm: built reproducibly with mpmath, kept beside the code as `pricing_tables.bin`.

`python -m straddle.risk.pricing_tables` builds them anew (about 2 s) and writes the file; a test rebuilds a sample and checks the digest.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

NORMAL_GRID_BITS = 10
"""The normal table has one row every 2^-10 standard deviations."""
NORMAL_LOW = 9
"""The normal table starts at -9 standard deviations; below, the price of the out-of-the-money option is 0."""
NORMAL_HIGH = 5
NORMAL_SCALE_BITS = 27
NORMAL_ROWS = (NORMAL_LOW + NORMAL_HIGH) * (1 << NORMAL_GRID_BITS) + 2
LOG_ROWS = 1024

TABLES_FILE = Path(__file__).with_name("pricing_tables.bin")
TABLES_SHA256 = "c0ed2329f0fc371372b39e5fe1b6e8329b585a16836429edca18eba40e4af5d6"


@dataclass(frozen=True, slots=True)
class PricingTables:
    """normal: N(y) in Q27, NORMAL_ROWS long. log_value, log_slope: ln and 1/x (scaled) at the middle of 1,024 cells of [1, 2). log_two: ln 2 in Q38."""

    normal: tuple[int, ...]
    log_value: tuple[int, ...]
    log_slope: tuple[int, ...]
    log_two: int


def normal_entry(row: int) -> int:
    """Row `row` of the normal table: N(y) - (h^2 / 16) N''(y) in Q27, which halves the error of linear interpolation between rows h apart."""
    from mpmath import mp, mpf, ncdf, npdf

    with mp.workprec(120):
        step = mpf(1) / (1 << NORMAL_GRID_BITS)
        y = row * step - NORMAL_LOW
        value = ncdf(y) + step * step / 16 * y * npdf(y)
        return int(mp.floor(value * (1 << NORMAL_SCALE_BITS) + mpf(1) / 2))


def log_entry(row: int) -> tuple[int, int]:
    """Row `row` of the logarithm table: (ln c in Q38, 2^66 / c) for the middle c = 2^38 + (row + 1/2) 2^28 of its cell."""
    from mpmath import mp, mpf

    with mp.workprec(160):
        middle = (1 << 38) + (row << 28) + (1 << 27)
        value = int(mp.floor(mp.log(mpf(middle) / (1 << 38)) * (1 << 38) + mpf(1) / 2))
    return value, ((1 << 66) + middle // 2) // middle


def log_two_entry() -> int:
    """ln 2 in Q38, rounded."""
    from mpmath import mp, mpf

    with mp.workprec(160):
        return int(mp.floor(mp.log(2) * (1 << 38) + mpf(1) / 2))


def build_tables() -> PricingTables:
    """All tables from mpmath."""
    logs = [log_entry(row) for row in range(LOG_ROWS)]
    return PricingTables(
        normal=tuple(normal_entry(row) for row in range(NORMAL_ROWS)),
        log_value=tuple(value for value, _ in logs),
        log_slope=tuple(slope for _, slope in logs),
        log_two=log_two_entry(),
    )


def encode_tables(tables: PricingTables) -> bytes:
    """Big-endian: the normal rows as 32 bits, then log_value, log_slope and log_two as 64 bits."""
    return struct.pack(f">{NORMAL_ROWS}I{2 * LOG_ROWS + 1}Q", *tables.normal, *tables.log_value, *tables.log_slope, tables.log_two)


@cache
def load_tables() -> PricingTables:
    """The tables from the file.

    Raises:
        RuntimeError: the file is not the one that this version of the algorithm is defined by.
    """
    data = TABLES_FILE.read_bytes()
    if hashlib.sha256(data).hexdigest() != TABLES_SHA256:
        raise RuntimeError(f"{TABLES_FILE.name}: sha256 differs from {TABLES_SHA256}; rebuild it with python -m straddle.risk.pricing_tables")
    values = struct.unpack(f">{NORMAL_ROWS}I{2 * LOG_ROWS + 1}Q", data)
    first, second = NORMAL_ROWS, NORMAL_ROWS + LOG_ROWS
    return PricingTables(values[:first], values[first:second], values[second:-1], values[-1])


if __name__ == "__main__":
    encoded = encode_tables(build_tables())
    TABLES_FILE.write_bytes(encoded)
    print(hashlib.sha256(encoded).hexdigest())
