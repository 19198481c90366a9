"""Runs the subjects and collects what they found: `make bench`, or `python -m benchmarks.run --only margin pricing --json FILE`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks import (
    batches,
    circuits,
    continuing,
    engine,
    journal,
    layer1,
    margin,
    market_session,
    pricing,
    proving,
    report,
    risk_table,
    sequencer,
    signatures,
)
from benchmarks.measure import Results, cpu_seconds

MODULES = (engine, sequencer, signatures, margin, pricing, risk_table, journal, market_session, circuits, proving, layer1)
SUBJECTS = {module.SUBJECT.replace(" ", "-"): module.run for module in MODULES} | {
    batches.DEMO: batches.run_demo,
    batches.STANDARD: batches.run_standard,
    continuing.DEMO: continuing.run_demo,
    continuing.STANDARD: continuing.run_standard,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write everything to this file (docs/reference/benchmarks.md)")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=[], metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--cached-keys-only", action="store_true", help="leave out proofs whose keys would have to be made (standard: some 20 minutes, once)")
    arguments = parser.parse_args()
    results = Results(asked=frozenset(arguments.only), cached_keys_only=arguments.cached_keys_only)
    on, begun = report.machine(), time.monotonic()
    errors, failed = Console(stderr=True), False
    for name in arguments.only or SUBJECTS:
        errors.print(f"==> {name}", highlight=False)
        try:
            SUBJECTS[name](results)
        except Exception as error:  # the other subjects are still worth their minutes
            errors.print_exception()
            failed = True
            results.leave_out(name, "the rest of it", f"{type(error).__name__}: {error}")
    report.show(Console(width=None if sys.stdout.isatty() else 160), results, on)
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(results, on, time.monotonic() - begun, cpu_seconds()), indent=2) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
