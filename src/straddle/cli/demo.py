"""`straddle demo`: a recorded night, from its first quote to the last withdrawal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from straddle.cli.common import clear_errors, finish, output
from straddle.cli.display import TerminalDisplay, demo_tables
from straddle.node.choice import chosen_policy
from straddle.node.config import TAKERS, DemoConfig, read_parameters
from straddle.node.demo import run_demo
from straddle.node.terms import PolicyTerms


def demo(
    chain: Annotated[
        Path | None, typer.Option(help="Recorded option chain, CSV (columns: data/README.md).", show_default="the recorded Deribit market")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Recorded hourly candles, CSV.", show_default="the recorded BTC-USD candles")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file (keys: docs/reference/demo.md).")] = None,
    seed: Annotated[int, typer.Option(help="All choices follow from it.")] = DemoConfig.seed,
    parameters: Annotated[
        Path | None, typer.Option(help="The market's numbers, JSON (docs/reference/parameters.md): margin, fees, listing.", show_default="the defaults")
    ] = None,
    preset: Annotated[str, typer.Option(help="Sizes of the batch circuit: demo, or nano for a quick look.")] = DemoConfig.preset,
    rounds: Annotated[int, typer.Option(help="Epochs in which takers trade; each gives one batch or more.")] = DemoConfig.rounds,
    hours: Annotated[int, typer.Option(help="Hours of the recording at most; the first recorded expiry ends the run.")] = DemoConfig.hours,
    makers: Annotated[int, typer.Option(help="Market makers.")] = DemoConfig.makers,
    takers: Annotated[
        int, typer.Option(help="Takers, the last of them thinly funded.", show_default=f"as many as the preset has room for, at most {TAKERS}")
    ] = DemoConfig.takers,
    instruments: Annotated[int | None, typer.Option(help="Instruments to list at most.", show_default="as many as the preset has room for")] = None,
    paths: Annotated[int, typer.Option(help="Histories of the P&L study.")] = DemoConfig.paths,
    workers: Annotated[int, typer.Option(help="Proofs made at a time; each takes some gigabytes.")] = DemoConfig.workers,
    workdir: Annotated[Path | None, typer.Option(help="Keep journal and batch status here.", show_default="a temporary directory")] = None,
    policy: Annotated[str, typer.Option(help="zk, optimistic or validium.")] = "zk",
    data_in: Annotated[str, typer.Option(help="calldata, blob or committee.", show_default="the policy's usual place")] = "",
) -> None:
    """Trade a recorded night to its settlement, prove it, verify it on a local layer 1, withdraw, and rebuild the state from layer-1 data."""
    with clear_errors():
        config = DemoConfig.recorded(
            chain=chain,
            prices=prices,
            seed=seed,
            preset=preset,
            rounds=rounds,
            hours=hours,
            makers=makers,
            takers=takers,
            instruments=instruments,
            paths=paths,
            workers=workers,
            workdir=workdir,
            parameters=read_parameters("--parameters", parameters),
            terms=PolicyTerms(*chosen_policy(policy, data_in)),
        )
        with TerminalDisplay(output) as display:
            report = run_demo(config, display)
        output.print(*demo_tables(report), sep="\n")
        if json is not None:
            json.write_text(report.to_json())
            output.print(f"report written to {json}", markup=False)
    finish(report.problems)
