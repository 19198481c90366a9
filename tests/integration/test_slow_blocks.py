"""`straddle up` on a chain that takes its time with blocks: what can go together does, and everything gets there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.node_process import PROOF_S, Running, join, order, up, wait_for
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.core.orders import Side
from straddle.l1.anvil import Anvil
from straddle.node.feed import RecordedMarket
from straddle.node.traders import Trader

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nano_keys")]
AHEAD_S = 120
"""The chain's clock is so far ahead of the market's: the node never has to move it, which would make a block."""


def close_a_batch(node: Running, maker: Trader, taker: Trader) -> None:
    """With a trade in it."""
    closed = node.get("/status")["batches"]["closed"]
    for side, trader in ((Side.SELL, maker), (Side.BUY, taker)):
        answer = node.post(order(node, trader, side)).json()
    assert "trade" in {event["event"] for event in answer["events"]}, answer
    wait_for(lambda: node.get("/status")["batches"]["closed"] > closed, PROOF_S, node.log)


def test_batches_share_blocks_and_all_of_them_become_final(tmp_path: Path, market: RecordedMarket) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    config.write_text('preset = "nano"\n[batches]\nseconds = 0.3\n[layer1]\npoll_seconds = 0.1\n')
    with Anvil(market.path.start_ms // 1000 + AHEAD_S) as anvil, up(folder, config, "--l1", anvil.url) as node:
        maker, taker = join(node, folder, "maker", 100_000), join(node, folder, "taker", 100_000)
        wait_for(lambda: node.get("/status")["batches"]["lag"] == 0, PROOF_S, node.log)
        rpc, wallet = anvil.rpc, json.loads((folder / "deployment.json").read_text())["config"]["sequencer"]
        rpc.call("evm_setAutomine", [False])  # no block before this test makes one
        close_a_batch(node, maker, taker)
        wait_for(lambda: rpc.nonce(wallet, "pending") > rpc.nonce(wallet), PROOF_S, node.log)
        for _ in range(2):  # while the first waits for a block
            close_a_batch(node, maker, taker)
        rpc.call("evm_mine")
        wait_for(lambda: rpc.nonce(wallet, "pending") >= rpc.nonce(wallet) + 2, PROOF_S, node.log)
        rpc.call("evm_mine")
        assert len(rpc.block("latest")["transactions"]) >= 2
        rpc.call("evm_setIntervalMining", [1])
        close_a_batch(node, maker, taker)
        wait_for(lambda: node.get("/status")["batches"]["lag"] == 0, PROOF_S, node.log)
        status, records = node.get("/status"), node.get("/batches")
        assert status["problems"] == [] and status["market_state"] == "open" and status["money"]["conservation_error"] == 0
        assert {record["status"] for record in records} == {"verified"} and all(record["propose_gas"] and record["prove_gas"] for record in records)
        assert node.stop() == 0
        assert rpc.nonce(wallet, "pending") == rpc.nonce(wallet)  # nothing was left behind
        command = ["verify", "--l1", anvil.url, "--deployment", str(folder / "deployment.json"), "--vk-id", status["vk_id"]]
        verified = CliRunner().invoke(app, command)
        assert verified.exit_code == 0, verified.output
