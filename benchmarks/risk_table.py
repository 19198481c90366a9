"""The risk table of the whole recorded chain, and what comes before it."""

from __future__ import annotations

from benchmarks.measure import Results
from benchmarks.recorded import load_recorded
from straddle.risk.inputs import encode_inputs
from straddle.risk.surface import fit_surface
from straddle.risk.table import build_table, table_from_bytes

SUBJECT = "risk table"


def run(results: Results) -> None:
    """Fit the surface; build the table; rebuild it from published bytes as a watcher does."""
    market = load_recorded()
    data, count = encode_inputs(market.inputs), len(market.instruments)
    assert table_from_bytes(data, market.instruments) == market.table
    results.fact(SUBJECT, "instruments", count, "rows")
    results.fact(SUBJECT, "published inputs", len(data), "bytes")
    results.time(SUBJECT, "fit the surface", 1, lambda: fit_surface(market.recording), note=f"{len(market.inputs.forwards)} expiries")
    results.time(SUBJECT, "build the table", 20, lambda: [build_table(market.inputs, market.instruments) for _ in range(20)], note=f"{count} rows")
    results.time(SUBJECT, "build it from bytes", 20, lambda: [table_from_bytes(data, market.instruments) for _ in range(20)], note=f"{count} rows")
