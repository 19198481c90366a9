"""`straddle up`: run an exchange."""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from straddle.cli.common import clear_errors, errors, output
from straddle.cli.display import TerminalDisplay
from straddle.cli.layer1 import folder
from straddle.node.config import ConfigError
from straddle.node.resuming import Loss
from straddle.node.running import Node
from straddle.node.served import serve
from straddle.node.settings import Settings
from straddle.primitives.listening import listen


def up(
    config: Annotated[Path | None, typer.Option(help="Configuration, TOML (keys: docs/reference/config.md).", show_default="defaults")] = None,
    data: Annotated[Path, typer.Option(help="Folder of this exchange (keys, deployment, journal, snapshots); made when missing.", callback=folder)] = Path(
        "straddle-data"
    ),
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
    with clear_errors():
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
                listen(settings.api.host, settings.api.port, "api.host, api.port") as listener,
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
