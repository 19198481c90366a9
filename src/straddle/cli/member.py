"""`straddle member`: one member of a validium's data committee."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from straddle.cli.common import clear_errors, errors, output
from straddle.committee.client import MemberClient
from straddle.committee.config import DEFAULT_FOLDER, MemberConfig
from straddle.committee.layer1 import HeadersOnLayer1
from straddle.committee.member import Member
from straddle.committee.running import STORE_FILE, URL_FILE, CatchUp, await_deployment, open_key, serve_member
from straddle.committee.store import MemberStore
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.l1.rpc import Rpc
from straddle.node.version import terms_of
from straddle.primitives.files import write_atomically
from straddle.primitives.listening import listen


def member(
    config: Annotated[Path | None, typer.Option(help="Configuration, TOML (keys: docs/reference/committee.md).", show_default="options alone")] = None,
    deployment: Annotated[Path | None, typer.Option(help="The rollup's record (deployment.json); the member waits for it.")] = None,
    l1: Annotated[str | None, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The member's key and batches; made when missing.", show_default="straddle-member")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="9645")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="URL of another member to catch up from; may be given several times.")] = None,
    address: Annotated[bool, typer.Option("--address", help="Make the key if there is none, print the member's address, and end.")] = False,
) -> None:
    """Run a member of a data committee: it keeps the batches of a validium, certifies those that it has recomputed, and gives them to anybody."""
    with clear_errors():
        if address:
            typer.echo(open_key(folder or Path(DEFAULT_FOLDER)).address)
            return
        named = {"deployment": deployment, "folder": folder}
        paths = {name: None if value is None else str(value) for name, value in named.items()}
        settings = MemberConfig.load(config, {**paths, "l1": l1, "host": host, "port": port, "peers": peer})
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _run(settings)
        except KeyboardInterrupt:
            output.print("stopped", highlight=False)


def _run(settings: MemberConfig) -> None:
    place = Path(settings.folder)
    account = open_key(place)
    waiting = f"{account.address} waits for {settings.deployment}"
    record = await_deployment(Path(settings.deployment), lambda: output.print(waiting, highlight=False, markup=False))
    if account.address not in record.config.members:
        raise DeploymentError(
            f"members: {account.address} (the key in {place}) is none of the deployment's, {', '.join(record.config.members) or 'it has none'}"
        )
    with Rpc(settings.l1) as rpc, listen(settings.host, settings.port, "host, port") as listener:
        record.check(rpc)
        store = MemberStore(place / STORE_FILE, record.chain_id, record.rollup)
        try:
            _serve(settings, record, Member(record, *terms_of(record), store, account, _layer1(rpc, record, settings)), listener)
        finally:
            store.close()


def _serve(settings: MemberConfig, record: Deployment, one: Member, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    write_atomically(Path(settings.folder) / URL_FILE, url.encode() + b"\n")
    output.print(f"member {one.account.address} of rollup {record.rollup}: {url}, {one.tip} batches", highlight=False)
    catch_up = CatchUp(one, [MemberClient(peer) for peer in settings.peers], settings.catch_up_seconds, _report)
    catch_up.start()
    try:
        serve_member(one, listener)
    finally:
        catch_up.stop()


def _report(problem: str) -> None:
    """What keeps the member from catching up, or an empty text when that is over."""
    errors.print(f"[red]catching up:[/red] {escape(problem)}" if problem else "catching up: goes on", highlight=False, soft_wrap=True)


def _layer1(rpc: Rpc, record: Deployment, settings: MemberConfig) -> HeadersOnLayer1:
    return HeadersOnLayer1(rpc, record, settings.confirmations)
