"""A comparison on the terminal, as a page and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from straddle.research.comparison import Comparison
from straddle.research.model import Architecture
from straddle.research.replay import Replayed
from straddle.research.tables import Line, Table, tables

SCHEMA = 3
NAMED_LINES = 3
"""A sentence that more lines have is the table's."""


def show(console: Console, found: Comparison) -> None:
    """The terminal's tables, each row explained."""
    names = [architecture.name for architecture in found.architectures]
    lines = [Line((row.name, *(cell or "-" for cell in row.cells)), row.means) for row in found.rows()]
    first = Table(f"{found.flow['trades']} trades of the recorded night through every architecture", ("measure", *names), lines)
    for table in (first, *tables(found)):
        _show(console, table, right=table is first)
    console.print("[bold]Published by others, not measured here[/bold]")
    for line in found.context:
        console.print(f"  {escape(line)}")
    console.print(escape(_made(found)))


def _show(console: Console, table: Table, right: bool) -> None:
    shown = Shown(title=table.title, title_justify="left")
    for place, column in enumerate(table.columns):
        shown.add_column(column, justify="right" if right and place else "left")
    for line in table.lines:
        shown.add_row(*(escape(cell) for cell in line.cells))
    console.print(shown)
    by_sentence: dict[str, list[str]] = {}
    for line in table.lines:
        by_sentence.setdefault(line.means, []).append(line.cells[0])
    for means, named in by_sentence.items():
        console.print(f"  {escape(means)}" if len(named) > NAMED_LINES else f"  [bold]{escape('; '.join(named))}[/bold]: {escape(means)}")


def markdown(found: Comparison) -> str:
    """A page."""
    names = [architecture.name for architecture in found.architectures]
    out = ["# Architectures compared", "", _made(found), ""]
    rows = [(row.name, *(cell or "-" for cell in row.cells), row.means) for row in found.rows()]
    out += _table(("measure", *names, "what it means"), rows)
    for table in tables(found):
        out += ["", f"## {table.title}", ""]
        if table.shared:
            out += [table.shared, "", *_table(table.columns, [line.cells for line in table.lines])]
        else:
            out += _table((*table.columns, "what it means"), [(*line.cells, line.means) for line in table.lines])
    out += ["", "## Published by others, not measured here", "", *(f"- {line}" for line in found.context), ""]
    return "\n".join(out)


def as_json(found: Comparison) -> dict[str, Any]:
    """docs/reference/compare.md; figures unrounded."""
    plain = ("command", "commit", "version", "made_at", "machine", "flow", "grid", "notional_usd", "context", "seconds")
    lists = ("disputes", "baselines", "grid_prices", "blob_crossover", "intervals", "margins")
    single = ("prices", "clocks", "swap", "blob_saving", "margins_total", "worst_queue")
    names = [architecture.name for architecture in found.architectures]
    return {
        "schema": SCHEMA,
        **{name: getattr(found, name) for name in plain},
        "architectures": [_architecture(each) for each in found.architectures],
        "parameters": {each.name: each.value for each in found.parameters},
        **{name: [asdict(each) for each in getattr(found, name)] for name in lists},
        **{name: None if getattr(found, name) is None else asdict(getattr(found, name)) for name in single},
        "runs": {name: asdict(run) for name, run in found.runs.items()},
        "replays": [_replay(each) for each in found.replays],
        "transits": {
            name: asdict(transit) | {"locked": transit.locked, "yearly_cost": transit.yearly_cost, "turnover_a_year": transit.turnover_a_year}
            for name, transit in found.transits.items()
        },
        "hedges": {name: asdict(choice) for name, choice in found.hedges.items()},
        "hedges_by_aversion": [
            {"aversion": aversion, "choices": {name: asdict(choice) for name, choice in choices.items()}}
            for aversion, choices in found.hedges_by_aversion.items()
        ],
        "rows": [{"name": row.name, "means": row.means, "cells": dict(zip(names, row.cells, strict=True))} for row in found.rows()],
        "tables": [
            {"title": table.title, "columns": table.columns, "lines": [{"cells": line.cells, "means": line.means} for line in table.lines]}
            for table in tables(found)
        ],
    }


def _architecture(found: Architecture) -> dict[str, Any]:
    """With what follows from its bonds."""
    bonds, figures = found.bonds, ("standing", "locked_usd", "yearly_cost_usd", "cost_a_trade_usd", "most_usd")
    return asdict(found) | {"bonds": None if bonds is None else asdict(bonds) | {name: getattr(bonds, name) for name in figures}}


def _replay(found: Replayed) -> dict[str, Any]:
    """Its fills by the positions held, instead of one by one."""
    counts = ("tables_in_code", "trades", "fill_bytes", "instruments", "posts", "rows_posted", "table_gas", "opening_gas", "delivery_gas")
    figures = ("gas_per_trade", "gas_per_fill", "gas_per_hedge", "fills_per_hedge", "table_gas_per_trade", "bytes_per_trade", "positions_a_side")
    return {name: getattr(found, name) for name in (*counts, *figures)} | {"fills": len(found.fills), "sizes": [asdict(each) for each in found.sizes]}


def _made(found: Comparison) -> str:
    prices = found.prices
    return (
        f"{found.made} On {found.machine['cpu']}, {found.machine['cores']} cores. Reference prices: gas {prices.gas_gwei:g} gwei, "
        f"blob gas {prices.blob_gwei:g} gwei, ether ${prices.ether_usd:,.0f}; a core-hour ${found.core_hour_usd:g}. "
        "Every figure is of this run, but for what is listed as assumption or price."
    )


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *("| " + " | ".join(line) + " |" for line in lines)]
