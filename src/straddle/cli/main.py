"""Commands. Errors that a user can act on are one line on standard error and exit code 2; a run or check that ended badly is exit code 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from straddle import __version__
from straddle.cli.display import TerminalDisplay, demo_tables, verify_table
from straddle.l1.anvil import AnvilError
from straddle.l1.contracts import ContractError
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.l1.history import HistoryError
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.demo import run_demo
from straddle.node.session import SessionError
from straddle.node.verify import verify as verify_rollup
from straddle.proving.keys import ProverOutputError
from straddle.proving.prover import ProverError
from straddle.sequencer.journal import JournalError

EXPECTED_ERRORS = (
    *(ConfigError, SessionError, ProverError, ProverOutputError, JournalError),
    *(AnvilError, ContractError, DeploymentError, HistoryError, ConnectionFailed, RpcError, OSError),
)

app = typer.Typer(help="Straddle: an options exchange as its own Ethereum rollup.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_output = Console()
_errors = Console(stderr=True)


def _version(wanted: bool) -> None:
    if wanted:
        _output.print(f"straddle {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Straddle: an options exchange as its own Ethereum rollup."""


@app.command()
def demo(
    chain: Annotated[
        Path | None, typer.Option(help="Recorded option chain, CSV (columns: data/README.md).", show_default="the recorded Deribit market")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Recorded hourly candles, CSV.", show_default="the recorded BTC-USD candles")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file (keys: docs/reference/demo.md).")] = None,
    seed: Annotated[int, typer.Option(help="All choices follow from it.")] = DemoConfig.seed,
    preset: Annotated[str, typer.Option(help="Sizes of the batch circuit: demo, or nano for a quick look.")] = DemoConfig.preset,
    trades: Annotated[int, typer.Option(help="Trades at least.")] = DemoConfig.trades,
    epochs: Annotated[int, typer.Option(help="Trading epochs; each gives one batch or more.")] = DemoConfig.epochs,
    makers: Annotated[int, typer.Option(help="Market makers.")] = DemoConfig.makers,
    takers: Annotated[int, typer.Option(help="Takers.")] = DemoConfig.takers,
    instruments: Annotated[int | None, typer.Option(help="Instruments to list, the perpetual among them.", show_default="what suits the preset")] = None,
    workdir: Annotated[Path | None, typer.Option(help="Keep journal and batch status here.", show_default="a temporary directory")] = None,
) -> None:
    """Trade a recorded market, prove it, verify it on a local layer 1, withdraw, and rebuild the state from layer-1 data."""
    with _clear_errors():
        config = DemoConfig.recorded(
            chain=chain,
            prices=prices,
            seed=seed,
            preset=preset,
            trades=trades,
            epochs=epochs,
            makers=makers,
            takers=takers,
            instruments=instruments,
            workdir=workdir,
        )
        with TerminalDisplay(_output) as display:
            report = run_demo(config, display)
        _output.print(*demo_tables(report), sep="\n")
        if json is not None:
            json.write_text(report.to_json())
            _output.print(f"report written to {json}")
    _finish(report.problems)


@app.command()
def verify(
    l1: Annotated[str, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")],
    deployment: Annotated[Path, typer.Option(help="The deployment's record (JSON).")],
) -> None:
    """Rebuild a rollup's state from layer-1 data alone and compare every root, every risk table and the vault. Exit code 1 when something differs."""
    with _clear_errors():
        record = Deployment.from_json(deployment.read_text())
        with Rpc(l1) as rpc, TerminalDisplay(_output) as display:
            report = verify_rollup(rpc, record, display.progress)
        _output.print(verify_table(report))
    _finish(report.mismatches)


def _finish(problems: list[str]) -> None:
    for problem in problems:
        _errors.print(f"[red]does not hold:[/red] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Errors that a user can act on become one message; anything else is a bug and shows its trace."""
    try:
        yield
    except EXPECTED_ERRORS as error:
        _errors.print(f"[red]straddle:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
