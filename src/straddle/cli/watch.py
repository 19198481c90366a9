"""`straddle watch`: follow a rollup, check every batch, and challenge, prove and finalise if asked to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from straddle.cli.common import clear_errors, finish, output
from straddle.cli.layer1 import (
    DataOption,
    DeploymentOption,
    FromBlockOption,
    KeyOption,
    L1Option,
    RollupOption,
    find_rollup,
    folder,
    open_sender,
    open_sources,
)
from straddle.l1.data import HistoryError
from straddle.l1.deployment import Deployment
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.l1.sender import Sender
from straddle.node.config import ConfigError
from straddle.node.proving_keys import held_key
from straddle.node.version import terms_of
from straddle.primitives.listening import listen
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer
from straddle.proving.vector import circuit_name
from straddle.watcher.agent import Agent, Duties
from straddle.watcher.examine import Verdict
from straddle.watcher.follow import Follower, ReadAgain
from straddle.watcher.peer import Peer
from straddle.watcher.serve import Served
from straddle.watcher.store import FILE, Store
from straddle.watcher.watcher import Watcher

COPY_SECONDS = 300.0


def watch(
    l1: L1Option,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    from_block: FromBlockOption = 0,
    data: DataOption = None,
    own: Annotated[Path, typer.Option("--folder", help="The watcher's own store; made when missing.", callback=folder)] = Path("straddle-watch"),
    peer: Annotated[str | None, typer.Option(help="Another watcher to start from; what it gives is checked against layer 1.", show_default="nobody")] = None,
    serve: Annotated[int | None, typer.Option(help="Give the own copy to others on this port; 0 takes a free one.", show_default="do not serve")] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    challenge: Annotated[bool, typer.Option("--challenge", help="Challenge wrong batches with the wallet's own bond (needs --key).")] = False,
    prove: Annotated[bool, typer.Option("--prove", help="Prove challenged batches that hold; finalise what has waited long enough (needs --key).")] = False,
    key: KeyOption = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of proving keys, for --prove.", show_default="the cache")] = None,
    confirmations: Annotated[int, typer.Option(help="Blocks that must follow one before it is read.", min=0)] = 0,
    interval: Annotated[float, typer.Option(help="Seconds between two looks at layer 1.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end; exit code 1 when a batch that stands is wrong.")] = False,
) -> None:
    """Follow a rollup on layer 1, rebuild its state from the data, check every batch against the statement, and act on what is wrong."""
    with clear_errors(), ExitStack() as stack:
        rpc = stack.enter_context(Rpc(l1))
        found = find_rollup(rpc, rollup, deployment, from_block)
        duties = Duties(challenge, prove)
        sender = _sender(rpc, found, key, duties)
        watcher = _watcher(stack, rpc, found, own, data, peer, confirmations)
        agent = _agent(stack, rpc, found, watcher, sender, duties, keys) if sender is not None else None
        _say(f"watching {found.config.policy}, rollup {found.rollup}, from block {found.start_block}")
        if serve is not None:
            listener = stack.enter_context(listen(host, serve, "--host, --serve"))
            stack.callback(Served(watcher, listener).stop)
            _say(f"serving http://{host}:{listener.getsockname()[1]}")
        with _until_signal():
            _run(watcher, agent, interval, once)
        watcher.keep_copy()
    if once:
        bad = [judged for _, judged in watcher.standing() if judged.verdict not in (Verdict.HOLDS, Verdict.REBUILT)]
        behind = len(watcher.history.final) - watcher.final_state.batch_number
        lacking = [f"{behind} final batches are not rebuilt for want of their bodies: --data names who has them"] if behind else []
        finish([*lacking, *(f"batch {judged.batch_number} is {judged.verdict}: {judged.reason}" for judged in bad)])


def _watcher(stack: ExitStack, rpc: Rpc, found: Deployment, own: Path, data: str | None, peer: str | None, confirmations: int) -> Watcher:
    if data is not None and (Path(data) / FILE).exists():
        raise ConfigError(f"--data: {data} is a watcher's own folder, expected who has data that are not on layer 1; --folder {data} goes on with it")
    preset, params = terms_of(found)
    store = Store(own, found.chain_id, found.rollup)
    stack.callback(store.close)
    if peer is not None:
        other = Peer(peer)
        stack.callback(other.close)
        other.check(found)
        _say(f"{other.fill(store)} transactions from {peer}: each is checked against layer 1 as it is read")
    blobs, bodies = open_sources(rpc, found, data or peer)
    follower = Follower(rpc, found, store, blobs=blobs, bodies=bodies, confirmations=confirmations)
    return Watcher(follower, found, preset, params, store, report=_say)


def _sender(rpc: Rpc, found: Deployment, key: Path | None, duties: Duties) -> Sender | None:
    """The wallet, if there is anything to do with it. ConfigError: options that do not go together."""
    if not duties.challenge and not duties.prove:
        if key is not None:
            raise ConfigError(f"--key: {key}, expected --challenge or --prove with it")
        return None
    if key is None:
        raise ConfigError("--key: missing, expected the file of the Ethereum key that pays bonds and gas")
    if not found.config.optimistic:
        raise ConfigError(f"--challenge, --prove: rollup {found.rollup} is a {found.config.policy}: every batch is proved, there is nothing to challenge")
    return open_sender(rpc, key)


def _agent(stack: ExitStack, rpc: Rpc, found: Deployment, watcher: Watcher, sender: Sender | None, duties: Duties, keys: Path | None) -> Agent:
    assert sender is not None
    prover: ProvingServer | None = None
    if duties.prove:
        tool = Prover(cache=keys)
        circuit = circuit_name(watcher.preset.name, found.config.data)
        held_key(tool, circuit, found.vk_id)
        prover = ProvingServer(tool, circuit)
    agent = Agent(watcher, RollupClient(rpc, found), sender, duties, prover=prover, report=_say)
    stack.callback(agent.close)
    if prover is not None:
        stack.callback(prover.end)  # first: a proof in the making is given up, nobody waits for it
    return agent


def _run(watcher: Watcher, agent: Agent | None, interval: float, once: bool) -> None:
    """Step after step. A layer-1 node that does not answer, or contradicts itself, is asked again."""
    copied = time.monotonic()
    silent = ""
    while True:
        try:
            watcher.step()
            if agent is not None:
                agent.act()
            silent = ""
            if once:
                return
        except (ConnectionFailed, RpcError, HistoryError) as error:
            if once and not isinstance(error, ReadAgain):
                raise
            if str(error) != silent:
                _say(f"layer 1 does not answer as it should, asking again every {interval:g} s: {error}")
            silent = str(error)
        if time.monotonic() - copied > COPY_SECONDS:
            watcher.keep_copy()
            copied = time.monotonic()
        time.sleep(interval)


@contextmanager
def _until_signal() -> Iterator[None]:
    """SIGINT and SIGTERM end the watch in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _say("stopped; the same command goes on")
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    output.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False, soft_wrap=True)
