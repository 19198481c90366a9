"""The command line with options, files and answers that are damaged at random: a message and exit code 1 or 2, never a trace."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from straddle.cli import compare, demo
from straddle.cli.main import COMMANDS, app
from straddle.committee import running as committee
from straddle.committee.store import MemberStore
from straddle.l1 import rpc
from straddle.node import running
from straddle.primitives.errors import Actionable
from straddle.watcher.store import FILE, Store
from tests.property import test_files as files
from tests.support.damage import VALUES, damaged
from tests.unit.cli.test_up import status

ROUNDS = 10
WORDS = ("", "0", "-1", "7", "1e400", "nan", str(2**70), "x" * 300, "\x00", "[/]", "[red]", "http://127.0.0.1:9", "/", ".", "0x", "0x" + "ab" * 20, "é\ud800")
ACCOUNT = ("show", "deposit", "set-key", "force-close")
LAYER_1 = {"--l1": "URL", "--rollup": "ADDRESS", "--deployment": "deployment.json", "--from-block": "7"}
USER = {**LAYER_1, "--key": "key", "--data": "DATA"}
COMPUTING = {"--chain": "chain.csv", "--prices": "candles.csv", "--parameters": "parameters.json", "--preset": "nano", "--seed": "1", "--hours": "1"}
OPTIONS: dict[str, dict[str, str | None]] = {
    "demo": {**COMPUTING, "--rounds": "1", "--takers": "2", "--workers": "1", "--policy": "zk", "--data-in": "blob", "--json": "report", "--workdir": "work"},
    "up": {"--config": "up.toml", "--data": "node", "--preset": "nano", "--l1": "URL", "--port": "0", "--speed": "2", "--policy": "zk", "--data-in": "blob",
           "--resume-from-layer1": None, "--yes": None},
    "status": {"--url": "URL"},
    "market": {"--data": "node", "--url": "URL", "halted": None},
    "verify": {"--l1": "URL", "--deployment": "deployment.json", "--vk-id": "0x" + "00" * 32, "--data": "DATA"},
    "watch": {**USER, "--folder": "watch", "--peer": "URL", "--serve": "0", "--challenge": None, "--prove": None, "--keys": "keys", "--confirmations": "0"},
    **{f"account {name}": {**LAYER_1, "--key": "key", "--amount": "5", "--trading-key": "trading.key", "--limit-bps": "3", "--account": "3",
                           "--owner": "ADDRESS", "--mint": None, "--new": None} for name in ACCOUNT},
    "exit": {**USER, "--account": "3", "--saved": "saved.json", "--save": "saved.new", "--node": "URL", "--start": None, "--keys": "keys"},
    "answer": {**USER, "--keys": "keys", "--once": None, "--prove": None},
    "solvency": {**USER, "--account": "3", "--solvency": "ADDRESS", "--prove": None, "--single": None, "--every": "1", "--max-age": "3", "--keys": "keys"},
    "member": {"--config": "member.toml", "--deployment": "deployment.json", "--l1": "URL", "--folder": "member", "--host": "127.0.0.1", "--port": "0",
               "--peer": "URL"},
    "compare": {**COMPUTING, "--only": "zk", "--gas": "1", "--blob": "1", "--ether": "1", "--rate": "0.1", "--json": "report", "--charts": "charts",
                "--chart-format": "svg"},
}  # fmt: skip
"""Command -> option -> what fits it: a file of the folder, a word, or None for one without a value."""
ALWAYS = {"--l1": "URL", "--deployment": "deployment.json", "--key": "key", "--amount": "5", "--trading-key": "trading.key", "--limit-bps": "3"}
"""Left out, most of what else is asked for would never be looked at."""


class Reached(Actionable):
    """Every option was taken: what follows takes minutes."""


def reached(*_: object, **__: object) -> None:
    raise Reached("what was asked for begins")


def interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def answer(rng: Random, path: str, body: bytes) -> bytes:
    """What a node, a watcher or a layer 1 might say, now and then damaged."""
    zero, method = "0x" + "00" * 32, None
    with suppress(ValueError, AttributeError):
        method = json.loads(body or b"{}").get("method")
    if method is None:
        found: Any = status() if path.startswith("/status") else {"next": 0, "transactions": [], "batch_number": 1, "copy": "00", "header_hash": "00" * 32}
    else:
        block = {"number": "0x9", "hash": zero, "timestamp": "0x5", "baseFeePerGas": "0x1", "transactions": []}
        results = {
            "eth_chainId": "0x7a69", "eth_blockNumber": "0x9", "eth_getLogs": [], "eth_getBlockByNumber": block, "eth_getCode": "0x60",
            "web3_clientVersion": "anvil/v1", "eth_call": zero, "eth_getBalance": "0x1", "eth_gasPrice": "0x1", "eth_getTransactionCount": "0x0",
        }  # fmt: skip
        found = {"jsonrpc": "2.0", "id": 1, "result": results.get(method, rng.choice(VALUES[:-1]))}
    content = json.dumps(found).encode()
    return damaged(rng, content) if rng.random() < 0.3 else content


class Somebody:
    """One server for everything that is asked over HTTP."""

    def __init__(self) -> None:
        self.rng = Random(0)
        somebody = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                content = answer(somebody.rng, self.path, body)
                self.send_response(somebody.rng.choice((200, 200, 200, 200, 404, 500)))
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture(scope="module")
def somebody() -> Iterator[Somebody]:
    somebody = Somebody()
    yield somebody
    somebody.server.shutdown()
    somebody.server.server_close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that options name."""
    folder = tmp_path_factory.mktemp("good")
    for make in (files.chain_file, files.candles_file, files.trading_file, files.parameters_file, files.deployment_file, files.saved_file):
        make(folder)
    (folder / "key").write_text("0x" + "11" * 32)
    for name in ("node", "member", "watch", "keys"):
        (folder / name).mkdir()
    files.keys_file(folder / "node")
    files.journal_file(folder / "node")
    files.poster_file(folder / "node")
    shutil.copy(folder / "deployment.json", folder / "node")
    (folder / "node" / "market.state").write_text("open\n")
    (folder / "member" / "member.key").write_text("0x" + "22" * 32)
    rollup = "0x" + "00" * 20
    MemberStore(folder / "member" / "member.sqlite", 31337, rollup).close()
    Store(folder / "watch", 31337, rollup).close()
    (folder / "member.toml").write_text('deployment = "deployment.json"\nl1 = "http://127.0.0.1:9"\n')
    (folder / "up.toml").write_text('preset = "nano"\n[market]\nchain = "chain.csv"\nprices = "candles.csv"\nparameters = "parameters.json"\n')
    assert (folder / "watch" / FILE).is_file()
    return folder


def spoil(rng: Random, folder: Path) -> None:
    """One or two files of the folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in rng.sample(paths, rng.randint(0, 2)):
        path.write_bytes(damaged(rng, path.read_bytes() or b"\n"))


def arguments(rng: Random, command: str, url: str) -> list[str]:
    """Some of the command's options, most with what fits them."""
    places = {"URL": url, "ADDRESS": "0x" + "00" * 20, "DATA": rng.choice((url, "watch", "keys"))}
    given = command.split()
    for option, fitting in OPTIONS[command].items():
        if rng.random() > (0.95 if option in ALWAYS else 0.35):
            continue
        given.append(option)
        if fitting is not None:
            given.append(rng.choice(WORDS) if rng.random() < 0.12 else places.get(fitting, fitting))
    return [*given, "--once"] if command == "watch" else given


def test_every_command_is_here() -> None:
    assert {name.split()[0] for name in OPTIONS} == set(COMMANDS)


@pytest.mark.parametrize("command", OPTIONS)
def test_a_command_with_anything_wrong_says_so(command: str, good: Path, somebody: Somebody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "RETRY_DELAYS_S", ())
    monkeypatch.setattr(demo, "run_demo", reached)
    monkeypatch.setattr(compare, "run_compare", reached)
    monkeypatch.setattr(running, "circuit_keys", reached)
    monkeypatch.setattr(running.RecordedMarket, "load", reached)
    monkeypatch.setattr(committee, "time", SimpleNamespace(sleep=interrupt))  # a member waits for its rollup until somebody ends it
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own
    told = 0
    for i in range(ROUNDS):
        rng = Random(f"{command}/{i}")
        somebody.rng = Random(f"{command}/{i}/answers")
        folder = tmp_path / "here"
        shutil.copytree(good, folder)
        spoil(rng, folder)
        monkeypatch.chdir(folder)
        given = arguments(rng, command, somebody.url)
        result = CliRunner().invoke(app, given, input="")
        trace = f"damage {i}: straddle {' '.join(given)}: {result.exception!r}"
        assert result.exit_code in (0, 1, 2) and (result.exception is None or isinstance(result.exception, SystemExit)), trace
        assert result.exit_code == 0 or result.stderr.strip(), trace
        told += result.exit_code == 2
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)
    assert told > ROUNDS // 5
