"""`straddle up` as a process of its own, and what its traders do: deposits on layer 1, orders over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from straddle.core import messages
from straddle.core.orders import Side, outright
from straddle.l1.deployment import Deployment
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.traders import Trader
from straddle.primitives.plain import to_plain

SOURCES = Path(__file__).resolve().parents[2] / "src"
START_S = 300.0
PROOF_S = 400.0
"""A machine that does much else takes a minute a proof."""
PERPETUAL = 1


class Running:
    """A node's process and its address."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        found = wait_for(lambda: re.search(r"ready\s+(http://\S+)", log.read_text()) or process.poll() is not None, START_S, log)
        assert isinstance(found, re.Match), log.read_text()
        self.url = found[1]
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def get(self, path: str) -> Any:
        response = self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, commands: Any) -> httpx.Response:
        return self.http.post("/commands", json=commands)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(120)


def wait_for(look: Callable[[], Any], seconds: float, log: Path) -> Any:
    """The first true value."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing within {seconds} s; the node wrote:\n{log.read_text()}"
        time.sleep(0.05)
    return found


@contextmanager
def up(folder: Path, config: Path, *options: str) -> Iterator[Running]:
    log = folder.parent / f"{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", "straddle.cli.main", "up", "--config", str(config), "--data", str(folder), "--port", "0", *options]
    with log.open("w") as output:
        environment = {**os.environ, "PYTHONPATH": str(SOURCES), "COLUMNS": "200"}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def join(node: Running, folder: Path, name: str, dollars: int) -> Trader:
    """A trader deposits and sets a key on layer 1, and waits until the node says so."""
    deployment = Deployment.from_json((folder / "deployment.json").read_text())
    keys = json.loads((folder / "keys.json").read_text())
    trader = Trader.create(1, name, messages.domain(deployment.chain_id, deployment.rollup_number))
    with Rpc(node.get("/status")["layer1_url"]) as rpc:
        client = RollupClient(rpc, deployment)
        rpc.call("anvil_setBalance", [trader.wallet.address, hex(10**20)])
        client.mint(Sender(rpc, keys["operator"]), trader.wallet.address, dollars * 10**6)
        sender = Sender(rpc, bytes(trader.wallet.key))
        trader.account = client.deposit(sender, dollars * 10**6).account
        client.set_key(sender, trader.account, trader.key.public, trader.key.base)
    deadline = time.monotonic() + 60
    while node.http.get(f"/accounts/{trader.account}").json().get("has_key") is not True:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return trader


def order(node: Running, trader: Trader, side: Side, offset_ticks: int = 0) -> dict[str, Any]:
    """A signed order of 0.1 BTC on the perpetual, as JSON."""
    table = node.get("/table")
    limit = table["rows"][0]["value"] // 50 * 50 + offset_ticks
    command = trader.sign_orders([outright(trader.next_nonce, 0, table["time_ms"] + 3_600_000, 1_000, limit, PERPETUAL, side, 10_000)])
    return {"op": "l2_trade", **to_plain(command)}
