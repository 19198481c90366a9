"""`straddle up` as its users meet it: a process, a folder, HTTP, a WebSocket and layer 1; stopped, killed and started again."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.node_process import PERPETUAL, PROOF_S, Running, join, order, up, wait_for
from support.reference import documented, status_keys
from typer.testing import CliRunner
from websockets.sync.client import ClientConnection, connect

from straddle.cli.main import app
from straddle.core.orders import Side
from straddle.l1.deployment import Deployment
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.traders import Trader
from straddle.sequencer.receipts import LogIdentity, LogPlace, Receipt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nano_keys")]


def challenge(node: Running, folder: Path, number: int) -> None:
    """Somebody challenges a batch with a bond."""
    deployment = Deployment.from_json((folder / "deployment.json").read_text())
    with Rpc(node.get("/status")["layer1_url"]) as rpc:
        sender = Sender(rpc, bytes(31) + b"\x77")
        rpc.call("anvil_setBalance", [sender.address, hex(10**20)])
        RollupClient(rpc, deployment).challenge(sender, number)


def receive(socket: ClientConnection, channel: str) -> Any:
    """The next message of a channel."""
    while True:
        message = json.loads(socket.recv(timeout=PROOF_S))
        if message.get("channel") == channel:
            return message


def check_receipt(raw: dict[str, Any], signer: str) -> None:
    """The sequencer signed that place in the log."""
    numbers = [bytes.fromhex(raw[name][2:]) for name in ("previous_hash", "command_hash", "signature")]
    place = LogPlace(LogIdentity(raw["chain_id"], int(raw["rollup"], 16)), raw["epoch"], raw["sequence"], numbers[0], numbers[1], raw["deadline_ms"])
    assert Receipt(place, numbers[2], tuple(bytes.fromhex(sibling[2:]) for sibling in raw["siblings"])).signer == signer
    assert "0x" + place.hash.hex() == raw["hash"]


def same_place(found: dict[str, Any], first: dict[str, Any], signer: str) -> None:
    """Signed anew, by itself this time: the same place in the log."""
    check_receipt(found, signer)
    alone = {"signature", "siblings"}
    assert {name: value for name, value in found.items() if name not in alone} == {name: value for name, value in first.items() if name not in alone}


def test_an_exchange_is_run_used_stopped_killed_and_started_again(tmp_path: Path) -> None:
    folder, config, parameters = tmp_path / "exchange", tmp_path / "config.toml", tmp_path / "parameters.json"
    parameters.write_text('{"margin": {"k_im_bps": 11000}, "fees": {"taker_bps": 6, "maker_bps": 0}, "risk": {"range_bps": 1700}, "listing": {"weeks": 2}}')
    market = f'[market]\nparameters = "{parameters}"\n'
    config.write_text(f'preset = "nano"\n{market}[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n[snapshots]\nbatches = 2\n')
    with up(folder, config) as node:
        maker, taker = join(node, folder, "maker", 100_000), join(node, folder, "taker", 50_000)
        sequencer = json.loads((folder / "deployment.json").read_text())["config"]["sequencer"]
        with connect(node.url.replace("http", "ws") + "/ws") as socket:
            channels = ["trades", f"book.{PERPETUAL}", f"account.{taker.account}", "batches"]
            socket.send(json.dumps({"subscribe": channels}))
            assert {json.loads(socket.recv(timeout=10))["subscribed"] for _ in channels} == set(channels)
            sold = node.post(order(node, maker, Side.SELL, 500)).json()
            check_receipt(sold["receipt"], sequencer)
            book = receive(socket, f"book.{PERPETUAL}")
            (level,) = book["data"]["asks"]
            assert level[1] == 1_000 and book["sequence"] == 1
            assert node.get(f"/books/{PERPETUAL}")["asks"] == [level]
            bought = node.post([order(node, taker, Side.BUY, 500), order(node, taker, Side.BUY, -500)]).json()
            trade = receive(socket, "trades")
            assert (trade["sequence"], trade["data"]["taker"], trade["data"]["maker"], trade["data"]["price_ticks"]) == (
                1,
                taker.account,
                maker.account,
                level[0],
            )
            assert trade["data"]["log_sequence"] == bought[0]["receipt"]["sequence"]
            assert trade["data"]["maker_fee"] == 0 and trade["data"]["taker_fee"] == -(-6 * node.get("/status")["index_ticks"] * 1_000 // 10_000)
            assert node.get("/parameters")["fees"] == {"taker_bps": 6, "maker_bps": 0, "option_cap_bps": 1250}
            assert receive(socket, f"account.{taker.account}")["data"] == trade["data"]
            number = node.get("/status")["batches"]["open"]
            verified = wait_for(
                lambda: (found := receive(socket, "batches")["data"])["number"] >= number - 1 and found["status"] == "verified", PROOF_S, config
            )
            assert verified
        account = node.get(f"/accounts/{taker.account}")
        assert account["positions"] == [{"instrument": PERPETUAL, "size_lots": 1_000}]
        assert len(account["open_orders"]) == 1 and account["margin"]["withdrawable"] < account["margin"]["equity"] < 50_000 * 10**6
        refused = node.post({**bought[0], "op": "l2_trade"})
        assert refused.status_code == 400 and refused.json()["error"]["field"] in ("body.order_set", "body")
        wait_for(lambda: node.get("/status")["batches"]["lag"] == 0, PROOF_S, config)
        status = node.get("/status")
        assert status["problems"] == [] and status["money"]["conservation_error"] == 0 and status["money"]["cash"] <= 150_000 * 10**6
        shown = CliRunner().invoke(app, ["status", "--url", node.url])
        assert shown.exit_code == 0 and "error 0 micro-dollars" in shown.output
        deployment = str(folder / "deployment.json")
        verify = ["verify", "--l1", status["layer1_url"], "--deployment", deployment, "--vk-id"]
        assert CliRunner().invoke(app, [*verify, status["vk_id"]]).exit_code == 0
        assert CliRunner().invoke(app, [*verify, "0x" + "11" * 32]).exit_code == 2
        other = tmp_path / "other.json"
        other.write_text((folder / "deployment.json").read_text().replace('"range_bps": 1700', '"range_bps": 1600'))
        for command in (["verify"], ["exit", "--account", "3"], ["answer"], ["watch", "--once", "--folder", str(tmp_path / "watch")]):
            refused_record = CliRunner().invoke(app, [*command, "--l1", status["layer1_url"], "--deployment", str(other)])
            assert refused_record.exit_code == 2 and "parameters: their params_hash is 0x" in refused_record.stderr
        by_address = CliRunner().invoke(app, ["exit", "--account", "3", "--l1", status["layer1_url"], "--rollup", json.loads(other.read_text())["rollup"]])
        assert by_address.exit_code == 2 and "expected --deployment" in by_address.stderr
        before = node.get("/status")
        assert node.stop() == 0
    parameters.write_text('{"fees": {"taker_bps": 6, "maker_bps": 1}}')
    changed = CliRunner().invoke(app, ["up", "--config", str(config), "--data", str(folder), "--port", "0"])
    assert changed.exit_code == 2 and "fees.maker_bps = 0, not 1" in changed.stderr.replace("\n", " ")
    config.write_text(config.read_text().replace(market, ""))  # the folder knows its parameters
    with up(folder, config) as node:
        again = node.get("/status")
        assert again["started_from"].startswith("snapshot") and again["sequence"] >= before["sequence"]
        closed = before["batches"]["closed"]
        assert node.get(f"/batches?first={closed}&limit=1")[0]["state_root"] == before["state_root"]
        assert again["batches"]["closed"] > closed or again["state_root"] == before["state_root"]
        same_place(node.get(f"/receipts/{bought[0]['receipt']['sequence']}"), bought[0]["receipt"], sequencer)
        assert [open_["nonce"] for open_ in node.get(f"/accounts/{taker.account}")["open_orders"]] == [2]
        taker.next_nonce = 3
        last = node.post(order(node, maker, Side.SELL, -500)).json()["receipt"]
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL
    with up(folder, config) as node:
        same_place(node.get(f"/receipts/{last['sequence']}"), last, sequencer)
        assert node.get(f"/accounts/{taker.account}")["positions"] == [{"instrument": PERPETUAL, "size_lots": 2_000}]
        wait_for(lambda: node.get("/status")["batches"]["lag"] == 0 and node.get("/status")["batches"]["verified"], PROOF_S, config)
        status = node.get("/status")
        assert status["problems"] == [] and status["money"]["conservation_error"] == 0
        with Rpc(status["layer1_url"]) as rpc:
            assert RollupClient(rpc, Deployment.from_json(Path(deployment).read_text())).state_root() == int(node.get("/batches")[-1]["state_root"], 16)
        assert node.stop(signal.SIGINT) == 0


def anvil_of(node: Running) -> int:
    """Process id of the node's own chain."""
    below = [node.process.pid]
    while below:
        number = below.pop()
        if "anvil" in Path(f"/proc/{number}/comm").read_text():
            return number
        for task in Path(f"/proc/{number}/task").iterdir():
            below += map(int, (task / "children").read_text().split())
    raise AssertionError("the node has no anvil")


def check_market_by_hand(node: Running, folder: Path, trader: Trader) -> None:
    """The folder's owner halts and opens the market while it runs; whoever has only the interface cannot."""
    stranger = node.post({"operation": "internal_market", "time_ms": 0, "state": "halted"})
    assert stranger.status_code == 400 and node.get("/status")["market_state"] == "open"
    command = ["market", "halted", "--data", str(folder), "--url", node.url]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0 and "the market is halted" in result.output, result.output
    assert node.get("/status")["market"]["by_hand"] == "halted" and "market_halted" in node.post(order(node, trader, Side.BUY)).text
    command[1] = "open"
    assert CliRunner().invoke(app, command).exit_code == 0
    assert "receipt" in node.post(order(node, trader, Side.BUY)).json()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the chain's process in /proc")
def test_a_lost_chain_shuts_the_market_and_one_that_goes_back_ends_the_node(tmp_path: Path) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    config.write_text('preset = "nano"\n[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n')
    with up(folder, config) as node:
        assert len(node.get("/instruments")) == 7
        trader = join(node, folder, "trader", 1_000)
        check_market_by_hand(node, folder, trader)
        os.kill(anvil_of(node), signal.SIGKILL)
        wait_for(lambda: node.get("/status")["market_state"] == "cancel_only", 60, config)
        wait_for(lambda: any("the node's own anvil has ended" in problem for problem in node.get("/status")["problems"]), 60, config)
        refused = node.post(order(node, trader, Side.BUY)).json()
        assert [event["event"] for event in refused["events"]] == ["order_rejected"] and "cancel_only" in json.dumps(refused)
        assert node.stop() == 0
    with up(folder, config) as node:
        log = node.log
        wait_for(lambda: node.get("/status")["market_state"] == "open", 60, config)
        assert node.get("/status")["problems"] == []
        with Rpc(node.get("/status")["layer1_url"]) as rpc:
            point = rpc.call("evm_snapshot")
            other = join(node, folder, "other", 500)
            rpc.call("evm_revert", [point])
            rpc.call("anvil_mine", ["0x20"])
        assert node.process.wait(120) == 1
    assert other.account == trader.account + 1
    assert "Layer 1 went back further than layer1.confirmations = 0" in " ".join(log.read_text().split())


def test_an_optimistic_exchange_goes_on_in_the_middle_of_its_window_and_makes_batches_final_by_time(tmp_path: Path) -> None:
    """After a kill, from a snapshot that is not final: what was proposed before is proved when it is challenged, and final when its window is over."""
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    policy = '[rollup]\npolicy = "optimistic"\nchallenge_seconds = 7200\n[epochs]\nseconds = 600\n'
    config.write_text(f'preset = "nano"\n{policy}[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n[snapshots]\nbatches = 1\n')
    with up(folder, config) as node:
        for i, name in enumerate(("trader", "other"), start=1):
            join(node, folder, name, 1_000)
            wait_for(lambda i=i: node.get("/status")["batches"]["proposed"] >= i, PROOF_S, config)  # type: ignore[misc]
        assert node.get("/status")["batches"]["verified"] == 0 and node.stop(signal.SIGKILL) == -signal.SIGKILL
    with up(folder, config, "--speed", "360") as node:  # the window ends after 20 seconds, the time for a proof after four minutes
        assert re.search(r"replayed from snapshot at entry [1-9]", node.log.read_text())
        challenge(node, folder, 1)
        wait_for(lambda: node.get("/batches?first=1&limit=1")[0]["prove_transaction"], PROOF_S, config)
        wait_for(lambda: node.get("/batches?first=2&limit=1")[0]["status"] == "verified", PROOF_S, config)
        status, settlement = node.get("/status"), node.get("/status")["settlement"]
        assert status["problems"] == [] and status["money"]["conservation_error"] == 0
        assert (settlement["policy"], settlement["challenge_window_s"]) == ("optimistic rollup, data in calldata", 7_200)
        assert settlement["now"]["owed_wei"] >= settlement["proposer_bond_wei"] and settlement["now"]["open_challenges"] == 0
        first, second = node.get("/batches?first=1&limit=2")
        assert first["status"] == "verified" and not first["finalise_gas"]  # by its proof
        assert second["finalise_gas"] and not second["prove_transaction"]  # by time
        deployment = str(folder / "deployment.json")
        assert CliRunner().invoke(app, ["verify", "--l1", status["layer1_url"], "--deployment", deployment]).exit_code == 0
        changed = tmp_path / "changed.toml"
        changed.write_text(config.read_text().replace("7200", "9000"))
        assert node.stop() == 0
    result = CliRunner().invoke(app, ["up", "--config", str(changed), "--data", str(folder), "--port", "0"])
    assert result.exit_code == 2 and "challenge_window_s 7200, but the settings and keys give 9000" in " ".join(result.stderr.split())


def test_a_validium_runs_its_own_committee_which_ends_with_it_and_publishes_that_it_is_solvent(tmp_path: Path) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    policy = '[rollup]\npolicy = "validium"\n[solvency]\nevery_hours = 24.0\n'
    config.write_text(f'preset = "nano"\n{policy}[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n')
    with up(folder, config) as node:
        join(node, folder, "trader", 1_000)
        wait_for(lambda: node.get("/status")["batches"]["lag"] == 0 and node.get("/status")["batches"]["verified"], PROOF_S, config)
        status = node.get("/status")
        assert status["problems"] == [] and list(status["settlement"]["members"].values()) == [""] * 7
        assert {batch["data"] for batch in node.get("/batches")} == {"committee"}
        url = (folder / "members" / "member-3" / "member.url").read_text().strip()
        verify = ["verify", "--l1", status["layer1_url"], "--deployment", str(folder / "deployment.json")]
        assert CliRunner().invoke(app, [*verify, "--data", url]).exit_code == 0
        assert CliRunner().invoke(app, verify).exit_code == 1
        wait_for(lambda: node.get("/status")["solvency"]["batch"], PROOF_S, config)
        assert status_keys(node.get("/status")) == set(documented("api.md", "### Status"))
        assert node.get("/status")["problems"] == []
        solvency = ["solvency", "--l1", status["layer1_url"], "--deployment", str(folder / "deployment.json"), "--data", url]
        assert CliRunner().invoke(app, solvency).exit_code == 0
        assert node.stop(signal.SIGKILL) == -signal.SIGKILL

    def silent() -> bool:
        try:
            return not httpx.get(url + "/status", timeout=5, trust_env=False)
        except httpx.TransportError:
            return True

    wait_for(silent, 60, config)
