"""An operator comes back and finds that a stranger has answered the queue, or that a batch is too late for layer 1: the node names the batch, changes nothing,
and goes on from layer 1 when it is told to."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthereumAccount
from support.node_process import PERPETUAL, PROOF_S, Running, join, order, up, wait_for
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.commitments.risk import risk_root
from straddle.committee.client import MemberBodies, MemberClient
from straddle.core.orders import Side
from straddle.l1.deployment import Deployment
from straddle.l1.history import History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.chain import DevChain
from straddle.node.recovery import final_state
from straddle.node.traders import Trader
from straddle.node.verify import verify
from straddle.node.version import terms_of
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs, decode_inputs, encode_inputs
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.scaling import next_scaling
from straddle.risk.table import build_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nano_keys")]

DAY_S = 86_400
POLICIES = {"zk": "", "validium": "[committee]\nown = 2\nthreshold = 2\npatience_seconds = 2.0\n"}
"""Policy -> what it needs besides, so that batches are final soon. An optimistic rollup takes the ZK rollup's way: its own batches are proved first."""
ASKED = 7_000_000
LATER_S = 1_590_120_000
"""Some hours into the recording: a chain that is started again begins where it is told."""


def successor(last: RiskInputs, time_ms: int) -> RiskInputs:
    """What the oracles publish then: prices stand still, and what has expired has its settlement price."""
    (funding, remainder), (hours, scale) = accrue(last, time_ms, DEFAULT_PARAMETERS), next_scaling(last, time_ms, last.index_ticks, DEFAULT_PARAMETERS)
    over = tuple((expiry, last.index_ticks) for expiry, _ in last.forwards if expiry <= time_ms)
    return replace(
        last,
        epoch=last.epoch + 1,
        time_ms=time_ms,
        cumulative_funding=funding,
        funding_remainder=remainder,
        hours=hours,
        scale_ppm=scale,
        forwards=tuple(item for item in last.forwards if item[0] > time_ms),
        settlements=tuple(sorted((*last.settlements, *over))),
        windows=(),
        vols=(),
        activity=(),
    )


def record_table(rpc: Rpc, deployment: Deployment, history: History, secrets: list[bytes], sender: Sender) -> None:
    """The oracles sign a table of layer 1's time over the final state's listings, and somebody records it."""
    preset, params = terms_of(deployment)
    listed = final_state(history, deployment, preset, params).listed
    inputs = successor(decode_inputs(history.epochs[max(history.epochs)].inputs), 1000 * rpc.time_s())
    alive = tuple((item.id, 8_000) for item in listed.tabled if not item.linear and item.expiry_ms > inputs.time_ms)
    inputs = replace(inputs, vols=alive)
    table, encoded = build_table(inputs, listed.tabled, DEFAULT_PARAMETERS, listed.settled), encode_inputs(inputs)
    root, it = risk_root(listed.root, table.rows), deployment
    message = EpochMessage(it.chain_id, it.rollup_number, inputs.epoch, inputs.time_ms, it.config.params_hash, root, encoded)
    signatures = tuple(item.to_bytes() for item in sign_epoch(message, secrets))
    RollupClient(rpc, deployment).submit_epoch(sender, inputs.epoch, inputs.time_ms, root, encoded, signatures)


def answered(rpc: Rpc, deployment: Deployment, folder: Path, trader: Trader) -> int:
    """The trader asks for money, waits a week, and answers himself; the number of his batch."""
    client, owner = RollupClient(rpc, deployment), Sender(rpc, bytes(trader.wallet.key))
    rpc.call("anvil_setBalance", [owner.address, hex(10**20)])
    client.force_withdraw(owner, trader.account, ASKED)
    rpc.call("evm_setNextBlockTimestamp", [rpc.time_s() + 7 * DAY_S + 60])
    rpc.call("evm_mine")
    keys = json.loads((folder / "keys.json").read_text())
    oracles = [bytes.fromhex(text.removeprefix("0x")) for name, text in keys.items() if name.startswith("oracle")]
    oracles.sort(key=lambda key: int(EthereumAccount.from_key(key).address, 16))
    record_table(rpc, deployment, read_history(rpc, deployment), oracles[: deployment.config.threshold], owner)
    key = folder.parent / "key"
    key.write_text(bytes(trader.wallet.key).hex())
    arguments = ["answer", "--l1", rpc.url, "--deployment", str(folder / "deployment.json"), "--key", str(key)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "1000"})
    assert result.exit_code == 0 and "is paid 7.000000 USDC" in result.output and "pulled 7.000000 USDC" in result.output, result.output
    assert client.token_balance(owner.address) == ASKED
    report = verify(rpc, deployment)
    assert report.ok and report.conservation_error_micros == 0, report.mismatches
    return client.final_batch()


def kept_log(folder: Path) -> dict[str, bytes]:
    """The first log's files; SQLite's own lie beside them."""
    names = ("journal.sqlite", "journal.sqlite.head", "poster.sqlite", "keys.json", "deployment.json")
    return {name: (folder / name).read_bytes() for name in names}


def refused(folder: Path, config: Path, *options: str) -> str:
    """What `straddle up` says when it does not start."""
    result = CliRunner().invoke(app, ["up", "--config", str(config), "--data", str(folder), "--port", "0", *options])
    said = " ".join((result.output + result.stderr).split())
    assert result.exit_code == 2, said
    return said


def settled(node: Running, config: Path) -> dict[str, Any]:
    """The status once something was closed and all of it is final."""
    wait_for(lambda: 0 < (found := node.get("/status")["batches"])["closed"] == found["verified"], PROOF_S, config)
    status: dict[str, Any] = node.get("/status")
    assert status["problems"] == [] and status["money"]["conservation_error"] == 0
    return status


def traded(node: Running, maker: Trader, taker: Trader) -> None:
    """A tenth of a bitcoin's perpetual, at the mark."""
    for trader, side in ((maker, Side.SELL), (taker, Side.BUY)):
        assert node.post(order(node, trader, side)).status_code == 200
    assert node.get(f"/accounts/{taker.account}")["positions"] == [{"instrument": PERPETUAL, "size_lots": 1_000}]


def check_rollup(node: Running, folder: Path) -> None:
    """Verifier and watcher accept every batch, and no micro-dollar is missing."""
    l1, record = node.get("/status")["layer1_url"], Deployment.from_json((folder / "deployment.json").read_text())
    url = folder / "members" / "member-1" / "member.url"
    members = MemberBodies([MemberClient(url.read_text().strip())]) if url.exists() else None
    with Rpc(l1) as rpc:
        report = verify(rpc, record, bodies=members)
    assert report.ok and report.conservation_error_micros == 0 and report.batches == node.get("/status")["batches"]["verified"], report.mismatches
    if members is None:
        watched = CliRunner().invoke(app, ["watch", "--l1", l1, "--rollup", record.rollup, "--folder", str(folder.parent / "watch"), "--once"])
        assert watched.exit_code == 0, watched.output


def goes_on(folder: Path, config: Path, batch: int, log: str) -> None:
    """The resumed exchange trades, proves, is killed, and comes back from its new log; both traders are new."""
    with up(folder, config, "--resume-from-layer1", "--yes") as node:
        status = node.get("/status")
        assert status["resumed_from"]["batch"] == batch and status["resumed_from"]["log"] == log and status["started_from"] == f"batch {batch} of layer 1"
        shown = CliRunner().invoke(app, ["status", "--url", node.url], env={"COLUMNS": "300"}).output
        assert f"resumed after entry {status['resumed_from']['sequence']:,}, at batch {batch} of layer 1 (folder {log})" in shown, shown
        maker, taker = join(node, folder, "late maker", 50_000), join(node, folder, "late taker", 50_000)
        wait_for(lambda: node.get("/status")["batches"]["verified"] > batch, PROOF_S, config)
        traded(node, maker, taker)
        settled(node, config)
        check_rollup(node, folder)
        receipt = node.get(f"/receipts/{status['resumed_from']['sequence'] + 1}")
        assert receipt["sequence"] == status["resumed_from"]["sequence"] + 1
        before = node.get("/status")
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL
    with up(folder, config) as node:
        again = node.get("/status")
        assert again["resumed_from"] == status["resumed_from"] and again["sequence"] >= before["sequence"]
        assert node.get(f"/accounts/{taker.account}")["positions"] == [{"instrument": PERPETUAL, "size_lots": 1_000}]
        assert node.get(f"/receipts/{receipt['sequence']}")["hash"] == receipt["hash"]
        settled(node, config)
        check_rollup(node, folder)
        assert node.stop() == 0
    said = refused(folder, config, "--resume-from-layer1", "--yes")
    assert "without --resume-from-layer1" in said, said


def test_an_operator_goes_on_behind_a_strangers_batch(tmp_path: Path) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    config.write_text('preset = "nano"\n[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n')
    with up(folder, config) as node:
        trader = join(node, folder, "trader", 1_000)
        wait_for(lambda: node.get("/status")["batches"]["verified"] and node.get("/status")["batches"]["lag"] == 0, PROOF_S, config)
        assert node.stop() == 0
    deployment = Deployment.from_json((folder / "deployment.json").read_text())
    with DevChain("", folder / "layer1.state", LATER_S) as chain:
        number = answered(chain.rpc, deployment, folder, trader)
        client, late = RollupClient(chain.rpc, deployment), Sender(chain.rpc, bytes(trader.wallet.key))
        header = client.header_hash(number).hex()
        client.force_withdraw(late, trader.account, ASKED)  # nobody has answered this one
    kept = kept_log(folder)
    said = refused(folder, config)
    assert f"batch {number}: " in said and header in said and "When others have answered the queue" in said, said
    said = refused(folder, config, "--resume-from-layer1")
    assert f"batch {number} is final on layer 1 with header {header}" in said and "log entries" in said and "expected --yes" in said, said
    assert kept_log(folder) == kept and not list(folder.glob("resumed-*"))
    goes_on(folder, config, number, "resumed-1")
    assert kept_log(folder) == kept
    with DevChain("", folder / "layer1.state", LATER_S) as chain:
        client = RollupClient(chain.rpc, deployment)
        assert client.queue_answered() == client.queue_length() and client.claimable(trader.wallet.address) == ASKED


@pytest.mark.parametrize("policy", POLICIES)
def test_an_operator_goes_on_when_a_batch_was_not_proposed_in_time(policy: str, tmp_path: Path) -> None:
    """Killed with trades in the open batch, and away while layer 1's clock went on by 20 minutes.

    In the validium the members have certified the batch that came too late, and certify no other of its number: the one in its place lies on layer 1.
    """
    folder, config, slow = tmp_path / "exchange", tmp_path / "config.toml", tmp_path / "slow.toml"
    common = f'preset = "nano"\n[layer1]\npoll_seconds = 0.2\n[rollup]\npolicy = "{policy}"\n{POLICIES[policy]}'
    config.write_text(f"{common}[batches]\nseconds = 1.0\n")
    slow.write_text(f"{common}[batches]\nseconds = 3600.0\n[epochs]\nseconds = 800\n")
    with up(folder, config) as node:
        maker, taker = join(node, folder, "maker", 20_000), join(node, folder, "taker", 20_000)
        settled(node, config)
        assert node.stop() == 0
    with up(folder, slow) as node:
        traded(node, maker, taker)
        assert node.post(order(node, maker, Side.SELL, 5_000)).status_code == 200
        before = node.get("/status")
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL
    said = refused(folder, slow, "--resume-from-layer1", "--yes")
    assert "nothing is in its way" in said, said
    with DevChain("", folder / "layer1.state", before["market_time_ms"] // 1000) as chain:
        chain.rpc.call("evm_setNextBlockTimestamp", [chain.rpc.time_s() + 1_200])
        chain.rpc.call("evm_mine")
    with up(folder, slow) as node:
        wait_for(lambda: any("risk table is too old" in problem for problem in node.get("/status")["problems"]), 60, slow)
        status = node.get("/status")
        assert status["batches"]["closed"] > status["batches"]["verified"] == status["batches"]["proposed"] == before["batches"]["verified"]
        assert node.stop() == 0
    kept = kept_log(folder)
    said = refused(folder, config, "--resume-from-layer1")
    assert f"batch {before['batches']['verified'] + 1} was not proposed in time" in said and "and 1 open orders" in said, said
    lost = int(said.split("Lost are ")[1].split()[0])
    assert lost >= 3, said
    goes_on(folder, config, before["batches"]["verified"], "resumed-1")
    assert kept_log(folder) == kept
