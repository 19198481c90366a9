"""Commands. Errors that a user can act on are one line on standard error and exit code 2; a run or check that ended badly is exit code 1."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from straddle import __version__
from straddle.cli.answer import answer_command
from straddle.cli.common import clear_errors, errors, finish, output
from straddle.cli.compare import compare
from straddle.cli.display import TerminalDisplay, demo_tables, status_table, verify_table
from straddle.cli.exit import exit_command
from straddle.cli.layer1 import DataOption, open_sources
from straddle.cli.member import member
from straddle.cli.remote import fetch_status
from straddle.cli.solvency import solvency_command
from straddle.cli.watch import watch
from straddle.l1.deployment import Deployment
from straddle.l1.rpc import Rpc
from straddle.node.choice import chosen_policy
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.demo import run_demo
from straddle.node.recovery import RecoveryError
from straddle.node.resuming import Loss, ResumeRefused
from straddle.node.running import Node
from straddle.node.served import listen, serve
from straddle.node.settings import Settings
from straddle.node.terms import PolicyTerms
from straddle.node.verify import verify as verify_rollup
from straddle.node.verifying_keys import check_keys, check_sizes, verifying_keys

app = typer.Typer(help="Straddle: an options exchange as its own Ethereum rollup.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        output.print(f"straddle {__version__}")
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
    rounds: Annotated[int, typer.Option(help="Epochs in which takers trade; each gives one batch or more.")] = DemoConfig.rounds,
    hours: Annotated[int, typer.Option(help="Hours of the recording at most; the first recorded expiry ends the run.")] = DemoConfig.hours,
    makers: Annotated[int, typer.Option(help="Market makers.")] = DemoConfig.makers,
    takers: Annotated[int, typer.Option(help="Takers, the last of them thinly funded.")] = DemoConfig.takers,
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
            terms=PolicyTerms(*chosen_policy(policy, data_in)),
        )
        with TerminalDisplay(output) as display:
            report = run_demo(config, display)
        output.print(*demo_tables(report), sep="\n")
        if json is not None:
            json.write_text(report.to_json())
            output.print(f"report written to {json}")
    finish(report.problems)


@app.command()
def up(
    config: Annotated[Path | None, typer.Option(help="Configuration, TOML (keys: docs/reference/config.md).", show_default="defaults")] = None,
    data: Annotated[Path, typer.Option(help="Folder of this exchange (keys, deployment, journal, snapshots); made when missing.")] = Path("straddle-data"),
    preset: Annotated[
        str | None, typer.Option(help="Sizes of the batch circuit; nano for a quick look (key preset).", show_default="the configuration's")
    ] = None,
    l1: Annotated[str | None, typer.Option("--l1", help="JSON-RPC address of an anvil (key layer1.url).", show_default="an anvil of its own")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the interface; 0 takes a free one (key api.port).", show_default="the configuration's")] = None,
    speed: Annotated[float | None, typer.Option(help="Seconds of the recording a second (key market.speed).", show_default="the configuration's")] = None,
    policy: Annotated[
        str | None, typer.Option(help="zk, optimistic or validium; fixed at deployment (key rollup.policy).", show_default="the configuration's")
    ] = None,
    data_in: Annotated[
        str | None, typer.Option(help="calldata, blob or committee; fixed at deployment (key rollup.data).", show_default="the policy's usual place")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume-from-layer1",
            help="Begin a new log after the newest final batch, when this folder's own cannot go on: somebody else's batch is final, or an own one came too "
            "late. Says first what is lost.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --resume-from-layer1: do not ask.")] = False,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the whole configuration with every key's meaning, and end.")] = False,
) -> None:
    """Run an exchange: layer 1, oracle, sequencer, prover and the HTTP and WebSocket interface, until SIGINT or SIGTERM."""
    with clear_errors(ResumeRefused, RecoveryError):
        if yes and not resume:
            raise ConfigError("--yes: expected with --resume-from-layer1 only")
        chosen = {"rollup.policy": policy, "rollup.data": data_in}
        settings = Settings.load(config, {"preset": preset, "layer1.url": l1, "api.port": port, "market.speed": speed, **chosen})
        if print_config:
            typer.echo(settings.to_toml(), nl=False)
            return
        # A signal during start-up ends it as an interrupt does; while the node serves, the server takes both.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with (
                listen(settings.api.host, settings.api.port) as listener,
                TerminalDisplay(output) as display,
                Node(settings, data, display, partial(_agreed, display, yes=yes) if resume else None) as node,
            ):
                host, bound = listener.getsockname()[:2]
                display.stage(
                    "ready", f"http://{host}:{bound} ({node.deployment.config.policy}; layer 1: {node.chain.rpc.url}, rollup {node.deployment.rollup})"
                )
                display.progress(f"straddle status --url http://{host}:{bound} shows how it stands; Ctrl-C ends it, the same command goes on")
                serve(node, listener)
                display.stage("stopping", "a last snapshot")
        except KeyboardInterrupt:
            output.print("stopped", highlight=False)
            return
        if node.failure is not None:
            errors.print(f"[red]straddle:[/red] the node ended by itself: {escape(str(node.failure))}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from node.failure


def _agreed(display: TerminalDisplay, loss: Loss, *, yes: bool) -> bool:
    """Whether to go on from layer 1, now that its price is said. ConfigError: nobody is there to ask."""
    output.print(escape(str(loss)), highlight=False, soft_wrap=True)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("--resume-from-layer1: nobody to ask; expected --yes, or a terminal")
    return display.ask("Begin a new log after that batch?")


@app.command()
def status(
    url: Annotated[str, typer.Option(help="Address of a node's interface.")] = "http://127.0.0.1:8645",
) -> None:
    """Show how a running node stands: log, market, batches, prover lag, money. Exit code 1 when something is wrong with it."""
    with clear_errors():
        found = fetch_status(url)
        output.print(status_table(found))
    finish([str(problem) for problem in found["problems"]])


@app.command()
def verify(
    l1: Annotated[str, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")],
    deployment: Annotated[Path, typer.Option(help="The deployment's record (JSON).")],
    vk_id: Annotated[str | None, typer.Option("--vk-id", help="Verifying key of batches that you expect, 32 bytes in hex: of a set-up that you trust.")] = None,
    exits_vk_id: Annotated[str | None, typer.Option("--exits-vk-id", help="The one of exits: whoever can forge it takes everything after a freeze.")] = None,
    solvency_vk_id: Annotated[str | None, typer.Option("--solvency-vk-id", help="The one of solvency.")] = None,
    data: DataOption = None,
) -> None:
    """Rebuild a rollup's state from layer-1 data (a validium: with one member's) and compare every root, every risk table and the vault.

    Exit code 1 when something differs.
    """
    with clear_errors():
        record = Deployment.from_json(deployment.read_text())
        trusted = check_keys(record, {"batch": vk_id, "exits": exits_vk_id, "solvency": solvency_vk_id})
        check_sizes(record)
        with Rpc(l1) as rpc, TerminalDisplay(output) as display:
            blobs, bodies = open_sources(rpc, record, data)
            report = verify_rollup(rpc, record, display.progress, blobs=blobs, bodies=bodies)
        output.print(verify_table(report, verifying_keys(record), trusted))
    finish(report.mismatches)


# Commands of their own files: one line each.
app.command("exit")(exit_command)
app.command("answer")(answer_command)
app.command()(member)
app.command("solvency")(solvency_command)
app.command()(compare)
app.command()(watch)


if __name__ == "__main__":
    app()
