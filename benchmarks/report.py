"""Results as JSON (docs/reference/benchmarks.md) and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import LICENCES, SEED, Measurement, Results, peer_version
from straddle.research.machine import describe, git

SCHEMA = 1


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    return {**describe().facts, "commit": git("rev-parse", "HEAD") or None, "modified": bool(git("status", "--porcelain"))}


def as_json(results: Results, on: Mapping[str, Any], wall_seconds: float, cpu_seconds: float) -> dict[str, Any]:
    """The documented object."""
    return {
        "schema": SCHEMA,
        "machine": dict(on),
        "seed": SEED,
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "peers": {package: {"version": peer_version(package), "licence": licence} for package, licence in LICENCES.items()},
        "measurements": [asdict(item) | {"per_second": item.per_second, "met": item.met} for item in results.measurements],
        "facts": [asdict(item) | {"met": item.met} for item in results.facts],
        "ratios": [asdict(item) | {"decided": item.decided} for item in results.ratios],
        "left_out": [{"subject": subject, "what": what, "why": why} for subject, what, why in results.left_out],
    }


def show(console: Console, results: Results, on: Mapping[str, Any]) -> None:
    """Everything a reader needs, top to bottom."""
    console.print(f"{on['cpu']}, {on['cores']} cores, Python {on['python']}, load {on['load_average'][0]}; CPU seconds, median of the runs", highlight=False)
    speeds = Table("subject", "what", "operations", "CPU s", "spread", "each", "a second", "bar", title="Measured")
    for item in results.measurements:
        spread = f"{100 * (max(item.runs) - min(item.runs)) / item.cpu_seconds:.0f} %" if len(item.runs) > 1 else ""
        each = item.cpu_seconds / item.operations
        speeds.add_row(
            item.subject, item.name, f"{item.operations:,}", f"{item.cpu_seconds:.3f}", spread, _duration(each), f"{item.per_second:,.1f}", _at_least(item)
        )
    console.print(speeds)
    if results.ratios:
        ratios = Table("ours / theirs, orders or prices or portfolios a CPU second", "ratio", "lowest to highest round", title="Ratios, contenders in turn")
        for ratio in results.ratios:
            ratios.add_row(ratio.name, f"{ratio.ratio:.3g} x", f"{ratio.low:.3g} to {ratio.high:.3g}" + ("" if ratio.decided else "  UNDECIDED"))
        console.print(ratios)
    facts = Table("subject", "what", "value", "unit", "bar", title="Numbers")
    for fact in results.facts:
        bar = "" if fact.bar is None else f"<= {fact.bar:,.6g}: {'met' if fact.met else 'MISSED'}"
        facts.add_row(fact.subject, fact.name, f"{fact.value:,.6g}" if fact.value < 1 else f"{fact.value:,.3f}".rstrip("0").rstrip("."), fact.unit, bar)
    console.print(facts)
    for subject, what, why in results.left_out:
        console.print(f"left out: {subject}, {what}: {why}", style="yellow", highlight=False)


def _at_least(item: Measurement) -> str:
    return "" if item.bar_per_second is None else f">= {item.bar_per_second:,.0f}: {'met' if item.met else 'MISSED'}"


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
