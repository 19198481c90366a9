"""The risk table of the whole recorded chain, and what comes before it."""

from __future__ import annotations

from benchmarks.measure import Results
from benchmarks.recorded import load_recorded
from straddle.risk.inputs import encode_inputs
from straddle.risk.surface import fit_surface
from straddle.risk.table import build_table, table_from_bytes
from straddle.risk.worst_loss import study_floor

SUBJECT = "risk table"
MINUTES_A_DAY = 24 * 60


def run(results: Results) -> None:
    """Fit the surface; build the table; rebuild it from published bytes as a watcher does; the search that the short-option floor is set from."""
    market = load_recorded()
    data, count = encode_inputs(market.inputs), len(market.instruments)
    assert table_from_bytes(data, market.instruments) == market.table
    results.fact(SUBJECT, "instruments", count, "rows")
    results.fact(SUBJECT, "published inputs", len(data), "bytes")
    results.time(SUBJECT, "fit the surface", 1, lambda: fit_surface(market.recording), note=f"{len(market.inputs.forwards)} expiries")
    results.time(SUBJECT, "build the table", 20, lambda: [build_table(market.inputs, market.instruments) for _ in range(20)], note=f"{count} rows")
    results.time(SUBJECT, "build it from bytes", 20, lambda: [table_from_bytes(data, market.instruments) for _ in range(20)], note=f"{count} rows")
    for study in study_floor(market.inputs, market.instruments):
        days, names = f"{study.minutes / MINUTES_A_DAY:.1f} days", ", ".join(study.worst.names)
        note = f"{study.worst.kind}: {names}; {study.ratio_bare:.1f} without the short-option floor of {study.floor_bps / 100:.2f} %"
        results.fact(SUBJECT, f"worst loss at expiry over IM, {days}", study.worst.ratio, "times", note=note)
        results.fact(SUBJECT, f"floor that would make it 1, {days}", study.needed_bps / 100, "% of the index")
