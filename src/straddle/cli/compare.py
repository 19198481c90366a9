"""`straddle compare`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from straddle.cli.common import clear_errors, errors, output
from straddle.cli.display import TerminalDisplay
from straddle.node.config import CHAIN_FILE, PRICES_FILE, ConfigError, DemoConfig, data_directory, read_parameters
from straddle.proving.presets import load_preset
from straddle.research import architectures, capital, charts, hedging
from straddle.research.compare import compare as run_compare
from straddle.research.comparison import Comparison
from straddle.research.config import BASELINE, CompareConfig
from straddle.research.prices import CORE_HOUR, REFERENCE, Prices
from straddle.research.report import as_json, markdown, show

NAMES = [choice.name for choice in architectures.CHOICES]


def compare(
    preset: Annotated[str, typer.Option(help="Sizes of the batch circuit: nano, demo or standard.")] = "demo",
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; again for more. All by default; {BASELINE} always.")] = None,
    seed: Annotated[int, typer.Option(help="All choices of traders follow from it.")] = 1,
    hours: Annotated[int, typer.Option(help="Hours of the recorded night.")] = 1,
    rounds: Annotated[int, typer.Option(help="Epochs in which takers trade.")] = 2,
    epoch_minutes: Annotated[int, typer.Option(help="From one risk table to the next.")] = 10,
    makers: Annotated[int, typer.Option(help="Market makers.")] = 3,
    takers: Annotated[int, typer.Option(help="Takers; 0: as many as one batch can let in.")] = 0,
    instruments: Annotated[int, typer.Option(help="Instruments to list; 0: as many as one batch can.")] = 0,
    histories: Annotated[int, typer.Option(help="Histories of the hedging study.")] = 200,
    gas: Annotated[float, typer.Option(help="Price of gas, gwei.")] = REFERENCE.gas_gwei,
    blob: Annotated[float, typer.Option(help="Price of blob gas, gwei.")] = REFERENCE.blob_gwei,
    ether: Annotated[float, typer.Option(help="Price of ether, dollars.")] = REFERENCE.ether_usd,
    rate: Annotated[float, typer.Option(help="Price of capital, a share a year: 0.1 is 10 %.")] = capital.RATE_A_YEAR,
    core_hour: Annotated[float, typer.Option(help="Price of an hour of one core of the prover's machine, dollars.")] = CORE_HOUR.value,
    aversion: Annotated[float, typer.Option(help="Dollars that a maker wants for a dollar of standard deviation.")] = hedging.AVERSION,
    chain: Annotated[Path | None, typer.Option(help="Recorded option chain.")] = None,
    prices: Annotated[Path | None, typer.Option(help="Recorded hourly candles.")] = None,
    parameters: Annotated[Path | None, typer.Option(help="The market's numbers, JSON (docs/reference/parameters.md).", show_default="the defaults")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything to this file (docs/reference/compare.md).")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write a page to this file.")] = None,
    charts_directory: Annotated[Path | None, typer.Option("--charts", help="Write charts to this directory.")] = None,
    chart_format: Annotated[str, typer.Option(help="svg or png.")] = "svg",
) -> None:
    """Settle one recorded trade flow through every architecture and on layer 1 itself, and compare what it costs."""
    with clear_errors():
        _check_outputs(json_file, markdown_file, charts_directory, chart_format)
        folder = None if chain and prices else data_directory()
        night = DemoConfig(
            chain or (folder or Path()) / CHAIN_FILE,
            prices or (folder or Path()) / PRICES_FILE,
            preset=preset,
            seed=seed,
            rounds=rounds,
            epoch_minutes=epoch_minutes,
            hours=hours,
            makers=makers,
            takers=takers or _takers(preset, makers),
            instruments=instruments or _instruments(preset),
            parameters=read_parameters("--parameters", parameters),
        )
        config = CompareConfig(
            night,
            tuple(only or NAMES),
            histories,
            Prices(gas, blob, ether),
            aversion,
            rate,
            core_hour_usd=core_hour,
            command=" ".join(["straddle", *sys.argv[1:]]),
        )
        with TerminalDisplay(errors) as display:
            found = run_compare(config, display)
        show(_wide(output), found)
        _write(found, json_file, markdown_file, charts_directory, chart_format)


def _check_outputs(json_file: Path | None, markdown_file: Path | None, charts_directory: Path | None, chart_format: str) -> None:
    """Before hours of work: ConfigError names the option whose file could not be written."""
    if f".{chart_format}" not in charts.ENDINGS:
        raise ConfigError(f"chart-format: {chart_format}, expected svg or png")
    for option, path in (("json", json_file), ("markdown", markdown_file)):
        if path is not None and not (path.parent.is_dir() and not path.is_dir() and os.access(path if path.exists() else path.parent, os.W_OK)):
            raise ConfigError(f"{option}: {path}, expected a file that can be written, in a directory that exists")
    if charts_directory is not None:
        try:
            charts_directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"charts: {charts_directory}: {error.strerror}, expected a directory, or one that can be made") from error
        if not os.access(charts_directory, os.W_OK):
            raise ConfigError(f"charts: {charts_directory}, expected a directory that can be written")


def _takers(preset: str, makers: int) -> int:
    """So many that one batch holds all deposits and keys: the insurance fund's deposit, and two entries a trader, a sub-account among them. At least 2.

    A batch without trades costs a proof in every architecture that proves.
    """
    return max(2, (load_preset(preset).queue - 3) // 2 - makers)


def _instruments(preset: str) -> int:
    """So many that one batch lists them, if the table has room."""
    sizes = load_preset(preset)
    return min(sizes.listings, sizes.instruments)


def _wide(console: Console) -> Console:
    """A table of six architectures needs room also where there is no terminal."""
    return console if console.is_terminal else Console(width=200)


def _write(found: Comparison, json_file: Path | None, markdown_file: Path | None, directory: Path | None, ending: str) -> None:
    if json_file:
        json_file.write_text(json.dumps(as_json(found), indent=2) + "\n")
        errors.print(f"report written to {json_file}", highlight=False, markup=False)
    if markdown_file:
        markdown_file.write_text(markdown(found) + "\n")
        errors.print(f"page written to {markdown_file}", highlight=False, markup=False)
    if directory:
        _draw(found, directory, ending)
        errors.print(f"charts written to {directory}", highlight=False, markup=False)


def _draw(found: Comparison, directory: Path, ending: str) -> None:
    line = [i for i, each in enumerate(found.grid_prices) if (each.blob_gwei, each.ether_usd) == (REFERENCE.blob_gwei, REFERENCE.ether_usd)]
    dollars = {name: [values[i] for i in line] for name, values in found.grid.items()}
    charts.cost_per_trade(directory / f"cost-per-trade.{ending}", dollars, [found.grid_prices[i] for i in line], found.made)
    seconds = {row.name: {"data": row.data.median, "finality": row.final.median, "money": row.withdrawable.median} for row in found.architectures}
    charts.waits(directory / f"waits.{ending}", seconds, found.made)
    charts.hedging(directory / f"hedging.{ending}", found.intervals, found.hedges, found.made)
    total = found.margins_total
    charts.margins(
        directory / f"margins.{ending}",
        {"static a position": total.static / 1e12, "isolated a position": total.isolated / 1e12, "portfolio": total.portfolio / 1e12},
        found.made,
    )
