"""A comparison as a terminal table, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from straddle.commitments.blob import MAX_CELLS
from straddle.research.baseline import BaselineGas, SwapGas
from straddle.research.capital import Transit
from straddle.research.hedging import HedgeChoice, Interval
from straddle.research.margins import Capital
from straddle.research.model import Architecture, Dispute, Run
from straddle.research.prices import Prices
from straddle.research.replay import Replayed
from straddle.research.rows import Row, dollars, duration, rows

SCHEMA = 2
MICROS = 10**6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a run found."""

    command: str
    commit: str
    machine: Mapping[str, Any]
    flow: Mapping[str, Any]
    """Trades, hedges, batches, epochs, cadence, preset, seed, recording."""
    prices: Prices
    architectures: tuple[Architecture, ...]
    """The baseline last."""
    runs: Mapping[str, Run]
    disputes: tuple[Dispute, ...]
    baselines: tuple[BaselineGas, ...]
    swap: SwapGas
    replays: tuple[Replayed, ...]
    """The flow on layer 1, with tables in code and in storage; the first is the baseline's column."""
    grid: Mapping[str, Sequence[float]]
    """Architecture -> dollars a trade at `grid_prices`."""
    grid_prices: tuple[Prices, ...]
    blob_crossover: Sequence[Mapping[str, float]]
    transits: Mapping[str, Transit]
    intervals: tuple[Interval, ...]
    hedges: Mapping[str, HedgeChoice]
    hedges_by_aversion: Mapping[float, Mapping[str, HedgeChoice]]
    """At other prices of risk."""
    margins: tuple[Capital, ...]
    margins_total: Capital
    notional_usd: float
    """Traded in the run: turnover is this over capital."""
    worst_queue: Mapping[str, float]
    context: Sequence[str]
    """Published figures of peers, with their sources."""
    seconds: Mapping[str, float]

    def rows(self) -> tuple[Row, ...]:
        """The table."""
        return rows(self.architectures, self.transits, self.hedges, self.replays)


def show(console: Console, found: Comparison) -> None:
    """The terminal's tables, each row explained."""
    table = Table(title=f"{found.flow['trades']} trades of the recorded night through every architecture", title_justify="left")
    table.add_column("measure")
    for architecture in found.architectures:
        table.add_column(architecture.name, justify="right")
    for row in found.rows():
        table.add_row(row.name, *(cell or "-" for cell in row.cells))
    console.print(table)
    for row in found.rows():
        console.print(f"  [bold]{row.name}[/bold]: {row.means}")
    for title, columns, lines in _more(found):
        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    console.print(_made(found))


def markdown(found: Comparison) -> str:
    """A page."""
    names = [architecture.name for architecture in found.architectures]
    out = ["# Architectures compared", "", _made(found), ""]
    out += _table(("measure", *names, "what it means"), [(row.name, *(cell or "-" for cell in row.cells), row.means) for row in found.rows()])
    for title, columns, lines in _more(found):
        out += ["", f"## {title}", "", *_table(columns, lines)]
    out += ["", "## Context", "", *(f"- {line}" for line in found.context), ""]
    return "\n".join(out)


def as_json(found: Comparison) -> dict[str, Any]:
    """docs/reference/compare.md; figures unrounded."""
    runs = {}
    for name, run in found.runs.items():
        runs[name] = asdict(run) | {"gas_per_trade": run.gas_per_trade, "epoch_gas_per_trade": run.epoch_gas_per_trade, "bytes_per_trade": run.bytes_per_trade}
    transits = {
        name: asdict(transit) | {"locked": transit.locked, "yearly_cost": transit.yearly_cost, "turnover_a_year": transit.turnover_a_year}
        for name, transit in found.transits.items()
    }
    whole = {name: getattr(found, name) for name in ("command", "commit", "machine", "flow", "grid", "blob_crossover", "worst_queue", "context", "seconds")}
    lists = {
        name: [asdict(each) for each in getattr(found, name)] for name in ("architectures", "disputes", "baselines", "grid_prices", "intervals", "margins")
    }
    ones = {name: asdict(getattr(found, name)) for name in ("prices", "swap", "margins_total")}
    rest = {
        "runs": runs,
        "transits": transits,
        "hedges": {name: asdict(choice) for name, choice in found.hedges.items()},
        "hedges_by_aversion": [
            {"aversion": aversion, "choices": {name: asdict(choice) for name, choice in choices.items()}}
            for aversion, choices in found.hedges_by_aversion.items()
        ],
        "notional_usd": found.notional_usd,
        "replays": [_replay(each) for each in found.replays],
    }
    names = [architecture.name for architecture in found.architectures]
    explained = [{"name": row.name, "means": row.means, "cells": dict(zip(names, row.cells, strict=True))} for row in found.rows()]
    return {"schema": SCHEMA, **whole, **lists, **ones, **rest, "rows": explained}


def _replay(found: Replayed) -> dict[str, Any]:
    """Its fills by the positions held, instead of one by one."""
    counts = ("tables_in_code", "trades", "fill_bytes", "instruments", "posts", "rows_posted", "table_gas", "opening_gas", "delivery_gas")
    figures = ("gas_per_trade", "gas_per_fill", "gas_per_hedge", "table_gas_per_trade", "bytes_per_trade", "positions_a_side")
    return {name: getattr(found, name) for name in (*counts, *figures)} | {"fills": len(found.fills), "sizes": [asdict(each) for each in found.sizes]}


def _made(found: Comparison) -> str:
    prices = found.prices
    return (
        f"Made by `{found.command}` at commit {found.commit} on {found.machine['cpu']}, {found.machine['cores']} cores. "
        f"Reference prices: gas {prices.gas_gwei} gwei, blob gas {prices.blob_gwei} gwei, ether ${prices.ether_usd:,.0f}. Every figure is of this run."
    )


Lines = Sequence[tuple[str, ...]]


def _more(found: Comparison) -> list[tuple[str, tuple[str, ...], Lines]]:
    """Further tables: title, columns, lines."""
    capital = found.margins_total
    lines = [
        (name, dollars(need / MICROS), f"{need / capital.portfolio:.2f} x", f"{found.notional_usd * MICROS / need:.2f} x")
        for name, need in (("static a position", capital.static), ("isolated a position", capital.isolated), ("portfolio, cross-margined", capital.portfolio))
    ]
    replays = [
        (
            "code" if each.tables_in_code else "storage",
            *(f"{number:,.0f}" for number in (len(each.fills), each.gas_per_fill, each.gas_per_trade, each.gas_per_hedge, each.table_gas_per_trade)),
            f"{each.positions_a_side:.1f}",
        )
        for each in found.replays
    ]
    layer1 = [
        (f"{each.scenarios} in {'code' if each.tables_in_code else 'storage'}", str(trade.positions), f"{trade.option:,}", f"{trade.hedge:,}")
        for each in found.baselines
        for trade in each.trades
    ]
    layer1.append(("token swap", "-", f"{found.swap.swap:,}", "-"))
    names = [architecture.name for architecture in found.architectures]
    hedged = [(f"{each.minutes} min", f"{each.hedges:.1f}", dollars(each.error), dollars(each.trading_costs)) for each in found.intervals]
    affordable = [
        (f"${aversion:g}", *(f"{choices[name].minutes} min, {choices[name].spread_bps:.2f} bp" for name in names))
        for aversion, choices in found.hedges_by_aversion.items()
    ]
    disputes = [
        (each.name, f"{each.gas:,}", duration(each.seconds) or "", *(f"{wei / 1e18:+.4f}" for wei in (each.proposer_wei, each.challenger_wei, each.prover_wei)))
        for each in found.disputes
    ]
    return [
        ("Trust", ("architecture", "what must be trusted", "when the operator disappears"), [(a.name, a.trust, a.operator_gone) for a in found.architectures]),
        ("Disputes on the optimistic rollup", ("case", "gas after the proposal", "time", "proposer, ether", "challenger", "prover"), disputes),
        ("Margin for the same books", ("rule", "capital", "over portfolio", "turnover in the run"), lines),
        ("Hedging the maker's book", ("every", "hedges", "error left", "half spreads and fees of the hedge"), hedged),
        ("Best interval and break-even spread by what a dollar of standard deviation costs", ("a dollar costs", *names), affordable),
        ("The same flow on layer 1", ("tables in", "fills", "gas a fill", "gas a trade", "gas a hedge", "tables, gas a trade", "positions a side"), replays),
        ("A trade on layer 1 by positions held", ("scenarios", "positions a side", "option trade, gas", "hedge"), layer1),
        ("Blob against calldata", ("gas, gwei", "blob gas, gwei", "cells from which a blob is cheaper"), [_crossover(each) for each in found.blob_crossover]),
        ("The worst queue", ("what", "figure"), [(name, f"{value:,.4g}") for name, value in found.worst_queue.items()]),
    ]


def _crossover(each: Mapping[str, float]) -> tuple[str, ...]:
    cells = each["cells"]
    return f"{each['gas_gwei']:g}", f"{each['blob_gwei']:g}", "never (more than a blob holds)" if cells > MAX_CELLS else f"{cells:,.0f}"


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *("| " + " | ".join(line) + " |" for line in lines)]
