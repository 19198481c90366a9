"""`straddle up` on a layer 1 that goes back: what was proposed and proved there comes again as it was, and nothing is proved or credited twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.node_process import PROOF_S, Running, up, wait_for
from websockets.sync.client import connect

from straddle.core import messages
from straddle.l1.anvil import Anvil
from straddle.l1.deployment import Deployment
from straddle.l1.history import read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.chain import LEAD_S
from straddle.node.feed import RecordedMarket
from straddle.node.traders import Trader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("nano_keys"),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the prover's process in /proc"),
]
CONFIRMATIONS = 2
USDC = 10**6


def descendant(process: int, name: str) -> int | None:
    """Process id of one of this name below a process, if there is one."""
    below = [process]
    while below:
        number = below.pop()
        try:
            if number != process and Path(f"/proc/{number}/comm").read_text().strip() == name:
                return number
            for task in Path(f"/proc/{number}/task").iterdir():
                below += map(int, (task / "children").read_text().split())
        except FileNotFoundError:  # it has ended meanwhile
            continue
    return None


class World:
    """A chain that outlives the node, and what its users do there."""

    def __init__(self, folder: Path, anvil: Anvil) -> None:
        self.folder, self.rpc = folder, anvil.rpc

    @property
    def deployment(self) -> Deployment:
        return Deployment.from_json((self.folder / "deployment.json").read_text())

    @property
    def client(self) -> RollupClient:
        return RollupClient(self.rpc, self.deployment)

    def trader(self, name: str, dollars: int) -> Trader:
        """With the money to deposit."""
        trader = Trader.create(1, name, messages.domain(self.deployment.chain_id, self.deployment.rollup_number))
        self.rpc.call("anvil_setBalance", [trader.wallet.address, hex(10**20)])
        self.client.mint(Sender(self.rpc, json.loads((self.folder / "keys.json").read_text())["operator"]), trader.wallet.address, dollars * USDC)
        return trader

    def deposit(self, trader: Trader, dollars: int) -> int:
        """A new account; its number."""
        return self.client.deposit(Sender(self.rpc, bytes(trader.wallet.key)), dollars * USDC).account

    def confirm(self) -> None:
        self.rpc.call("anvil_mine", [hex(CONFIRMATIONS)])

    def final_batches(self) -> list[int]:
        """As layer 1's log has them."""
        return [final.batch_number for final in read_history(self.rpc, self.deployment).final]


def settled(node: Running) -> bool:
    """Everything that was closed is final, and nothing is left to close."""
    batches = node.get("/status")["batches"]
    return bool(batches["lag"] == 0 and batches["open_entries"] == 0)


def sound(node: Running, world: World) -> dict[str, Any]:
    """The status: no money made or lost, no trouble, and layer 1's root is the node's."""
    status: dict[str, Any] = node.get("/status")
    assert status["problems"] == [] and status["money"]["conservation_error"] == 0
    assert world.client.state_root() == int(node.get("/batches")[-1]["state_root"], 16)
    return status


def until(node: Running, look: Callable[[], Any]) -> Any:
    return wait_for(look, PROOF_S, node.log)


def test_what_a_reorg_undoes_comes_again_and_nothing_twice(tmp_path: Path, market: RecordedMarket) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    config.write_text(
        f'preset = "nano"\n[batches]\nseconds = 0.5\n[layer1]\npoll_seconds = 0.1\nconfirmations = {CONFIRMATIONS}\n[snapshots]\nbatches = 1\n'
        "[epochs]\nseconds = 900\nmove_bps = 0\n"
    )
    with Anvil(market.path.start_ms // 1000 - LEAD_S) as anvil:
        world, options = World(folder, anvil), ("--l1", anvil.url)

        with up(folder, config, *options) as node:  # stopped in the middle of its first proof
            prover = until(node, lambda: descendant(node.process.pid, "straddle-prover"))
            os.kill(prover, signal.SIGSTOP)  # this proof will never be made
            until(node, lambda: node.get("/status")["batches"]["proposed"] == 1)
            assert node.stop() == 0 and not Path(f"/proc/{prover}").exists()
        assert world.final_batches() == []

        with up(folder, config, *options) as node:
            until(node, lambda: settled(node))
            early, late = world.trader("early", 300), world.trader("late", 200)
            account = world.deposit(early, 300)
            point = world.rpc.call("evm_snapshot")
            world.confirm()
            until(node, lambda: node.http.get(f"/accounts/{account}").status_code == 200 and settled(node))
            before, records = sound(node, world), node.get("/batches")
            height = world.rpc.block_number()
            undone = world.deposit(late, 200)  # nothing on top of it yet
            assert undone == account + 1
            with connect(node.url.replace("http", "ws") + "/ws") as socket:
                socket.send(json.dumps({"subscribe": ["batches"]}))
                assert json.loads(socket.recv(timeout=60))["subscribed"] == "batches"
                world.rpc.call("evm_revert", [point])
                world.rpc.call("anvil_mine", [hex(height + 2 - world.rpc.block_number())])
                assert world.client.final_batch() < len(records)
                gone_back = json.loads(socket.recv(timeout=PROOF_S))["data"]
            assert gone_back["number"] == len(records) and gone_back["status"] == "proved"  # with the proof that was made
            assert node.stop(signal.SIGKILL) == -signal.SIGKILL

        with up(folder, config, *options) as node:
            until(node, lambda: settled(node))
            after = sound(node, world)
            again = node.get("/batches")
            same = ("number", "status", "header_hash", "state_root", "epoch", "prove_wall_seconds", "prove_cpu_seconds", "data_bytes")
            assert [[record[name] for name in same] for record in again] == [[record[name] for name in same] for record in records]
            assert after["money"]["cash"] == before["money"]["cash"] == 300 * USDC and after["sequence"] == before["sequence"]
            assert node.http.get(f"/accounts/{undone}").status_code == 404
            assert world.deposit(late, 200) == undone
            world.confirm()
            until(node, lambda: node.http.get(f"/accounts/{undone}").status_code == 200 and settled(node))
            assert sound(node, world)["money"]["cash"] == 500 * USDC
            assert node.stop() == 0
        assert world.final_batches() == list(range(1, len(again) + 2))
