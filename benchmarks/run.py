"""Runs the subjects and collects what they found: `make bench`, or `python -m benchmarks.run --only margin pricing --json FILE`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks import engine, journal, layer1, margin, market_session, pricing, proving, report, risk_table, signatures
from benchmarks.measure import Results, cpu_seconds

SUBJECTS = {module.SUBJECT.replace(" ", "-"): module for module in (engine, signatures, margin, pricing, risk_table, journal, market_session, proving, layer1)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write everything to this file (docs/reference/benchmarks.md)")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="SUBJECT", help=", ".join(SUBJECTS))
    arguments = parser.parse_args()
    results, on, begun = Results(), report.machine(), time.monotonic()
    errors, failed = Console(stderr=True), False
    for name in arguments.only:
        errors.print(f"==> {name}", highlight=False)
        try:
            SUBJECTS[name].run(results)
        except Exception as error:  # the other subjects are still worth their minutes
            errors.print_exception()
            failed = True
            results.leave_out(SUBJECTS[name].SUBJECT, "the rest of it", f"{type(error).__name__}: {error}")
    report.show(Console(width=None if sys.stdout.isatty() else 160), results, on)
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(results, on, time.monotonic() - begun, cpu_seconds()), indent=2) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
