"""The watcher as a command, its own copy served to others, and peers that lie."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.proving.prover import find_binary
from straddle.watcher.examine import Verdict
from straddle.watcher.peer import Peer, PeerError
from straddle.watcher.serve import Served, watcher_app
from straddle.watcher.store import Store, StoreError
from tests.support.stage import CHALLENGER_BOND, START_S, WINDOW_S, Stage
from tests.support.watch import Watch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Two final batches, two that stand."""
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))
    with Anvil(START_S, binary=binary) as anvil:
        stage = Stage(anvil)
        alice, bob = stage.join(100_000, 100_000)
        stage.answer()
        stage.post()
        stage.trade(alice, bob, 1, 20)
        stage.post()
        stage.pass_time(WINDOW_S + 1)
        for posted in stage.posted:
            public = posted.batch.witness.public
            stage.client.finalise(stage.people["anyone"], posted.batch, (public.c, public.z, public.y_effects, public.y_body, 0))
        stage.open_epoch(905_000)
        for _ in range(2):
            stage.trade(bob, alice, 2, 10)
            stage.post()
        yield stage


@pytest.fixture
def served(stage: Stage, tmp_path: Path) -> Iterator[str]:
    """Address of a watcher with its own copy."""
    watch = Watch(stage, tmp_path, "server")
    watch.step()
    watch.watcher.keep_copy()
    listener = socket.create_server(("127.0.0.1", 0))
    server = Served(watch.watcher, listener)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.stop()
    watch.close()


def arguments(stage: Stage, folder: Path, *more: str) -> list[str]:
    return ["watch", "--l1", stage.anvil.url, "--rollup", stage.deployment.rollup, "--folder", str(folder), *more]


def test_another_watcher_starts_from_the_copy_and_verifies_it(stage: Stage, served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is taken over, not computed: only proposals that are not final are examined, and their transactions are asked of layer 1 again."""
    store = Store(tmp_path / "new", stage.deployment.chain_id, stage.deployment.rollup)
    peer = Peer(served)
    peer.check(stage.deployment)
    assert peer.fill(store) == 6  # two epochs, four batches
    store.close()
    watch = Watch(stage, tmp_path, "new")
    asked: list[str] = []
    transaction = stage.anvil.rpc.transaction
    monkeypatch.setattr(stage.anvil.rpc, "transaction", lambda name: asked.append(name) or transaction(name))
    watch.step()
    assert watch.watcher.final_state.root == stage.client.state_root()
    assert watch.verdicts() == [Verdict.HOLDS, Verdict.HOLDS]
    assert len(asked) == 2, "those of the two proposals that stand"
    assert not [line for line in watch.said if line.startswith(("batch 1", "batch 2"))]
    watch.close()
    peer.close()


def lying(served: str, change: Callable[[str, dict], dict]) -> Peer:
    """A peer whose answers somebody changes on the way."""
    real = httpx.Client(base_url=served, trust_env=False)

    def answer(request: httpx.Request) -> httpx.Response:
        found = real.get(request.url.raw_path.decode())
        return httpx.Response(found.status_code, json=change(request.url.path, found.json()))

    return Peer("http://peer", transport=httpx.MockTransport(answer))


def without_transcripts(path: str, answer: dict) -> dict:
    """The suffix after the call is cut off: honest batches would look unfounded, and a challenge of one would be lost."""
    if path == "/transactions":
        for item in answer["transactions"]:
            item["input"] = item["input"][:-200] if len(item["input"]) > 5_000 else item["input"]
    return answer


def with_another_state(path: str, answer: dict) -> dict:
    if path == "/snapshot":
        answer["copy"] = answer["copy"][:-2] + "00"
    return answer


def with_a_forged_state(path: str, answer: dict) -> dict:
    """A copy that is well formed, in which account 3 is richer."""
    if path == "/snapshot":
        content = json.loads(zlib.decompress(bytes.fromhex(answer["copy"])))
        next(account for account in content["accounts"] if account[0] == 3)[5] += 1
        answer["copy"] = zlib.compress(json.dumps(content).encode()).hex()
    return answer


def with_another_body(path: str, answer: dict) -> dict:
    if path == "/transactions":
        for item in answer["transactions"]:
            at = 2 + 2 * (4 + 32 * 12)
            item["input"] = item["input"][:at] + f"{int(item['input'][at], 16) ^ 1:x}" + item["input"][at + 1 :]
    return answer


@pytest.mark.parametrize("change", [without_transcripts, with_another_state, with_a_forged_state, with_another_body])
def test_a_peer_that_lies_changes_nothing(change: Callable[[str, dict], dict], stage: Stage, served: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "misled", stage.deployment.chain_id, stage.deployment.rollup)
    lying(served, change).fill(store)
    store.close()
    watch = Watch(stage, tmp_path, "misled")
    watch.step()
    assert watch.verdicts() == [Verdict.HOLDS, Verdict.HOLDS]
    assert watch.watcher.final_state.root == stage.client.state_root()
    assert stage.client.open_challenges() == 0
    watch.close()


def test_peers_that_are_none_are_told_apart(stage: Stage, served: str, tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="no watcher answers"):
        Peer("http://127.0.0.1:1").check(stage.deployment)
    with pytest.raises(PeerError, match="expected a watcher of rollup"):
        Peer(served).check(replace(stage.deployment, rollup=stage.deployment.vault))
    store = Store(tmp_path / "odd", stage.deployment.chain_id, stage.deployment.rollup)
    for broken in ({"transactions": [{"hash": "0x00", "to": "0x", "input": 5}], "next": 1}, {"next": 1}, {"transactions": 3, "next": 0}):
        with pytest.raises(PeerError, match="expected a page of transactions"):
            lying(served, lambda path, answer, broken=broken: broken if path == "/transactions" else answer).fill(store)
    deep = httpx.MockTransport(lambda request: httpx.Response(200, content=b"[" * 200_000 + b"]" * 200_000))
    with pytest.raises(PeerError, match="no JSON"):
        Peer("http://peer", transport=deep).check(stage.deployment)
    store.close()


def test_the_interface_answers_and_refuses(stage: Stage, tmp_path: Path) -> None:
    watch = Watch(stage, tmp_path, "interface")
    watch.step()
    client = TestClient(watcher_app(watch.watcher))
    assert client.get("/status").json()["final_batch"] == 2
    assert [item["verdict"] for item in client.get("/verdicts").json()] == ["holds", "holds"]
    assert client.get("/snapshot").status_code == 404
    header = stage.posted[2].batch.header_hash.hex()
    assert [int(cell, 16) for cell in client.get(f"/bodies/{header}").json()["body"]] == list(stage.posted[2].batch.body_words)
    for path, status in (
        ("/bodies/00", 400),
        (f"/bodies/{'00' * 32}", 404),
        ("/blobs/xyz", 400),
        (f"/blobs/{'00' * 32}", 404),
        ("/transactions?after=-1", 400),
        ("/", 404),
    ):
        found = client.get(path)
        assert (found.status_code == status and "expected" in found.text) or "not kept here" in found.text, path
    watch.close()


def test_a_store_belongs_to_one_rollup(stage: Stage, tmp_path: Path) -> None:
    Store(tmp_path, 1, "0xAA").close()
    with pytest.raises(StoreError, match="holds chain_id 1, expected 2"):
        Store(tmp_path, 2, "0xAA")
    with pytest.raises(StoreError, match="holds rollup 0xaa, expected 0xbb"):
        Store(tmp_path, 1, "0xBB")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "file", 1, "0xAA")


def test_the_command_looks_once(stage: Stage, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, arguments(stage, tmp_path / "once", "--once"))
    assert result.exit_code == 0, result.output
    assert "optimistic rollup" in result.output and "batch 4 holds" in result.output
    key = tmp_path / "key"
    key.write_text("0x" + "11" * 32)
    for more, message in (
        (["--challenge"], "--key: missing"),
        (["--key", str(key)], "expected --challenge or --prove"),
        (["--serve", "1", "--host", "203.0.113.1"], "cannot be listened on"),
        (["--peer", "http://127.0.0.1:1"], "no watcher answers"),
    ):
        result = CliRunner().invoke(app, arguments(stage, tmp_path / "bad", "--once", *more))
        assert result.exit_code == 2 and message in result.output, (more, result.output)


def test_the_command_mends_a_store_that_a_short_answer_spoilt(stage: Stage, tmp_path: Path) -> None:
    """A lagging node once answered without any logs, and an older version kept that as all there is up to the newest block."""
    store, rpc = Store(tmp_path / "spoilt", stage.deployment.chain_id, stage.deployment.rollup), stage.anvil.rpc
    store.extend(rpc.block_number(), rpc.block("latest")["hash"], [])
    store.close()
    rpc.call("evm_mine")
    result = CliRunner().invoke(app, arguments(stage, tmp_path / "spoilt", "--once", "--interval", "0.1"))
    assert result.exit_code == 0 and "batch 4 holds" in result.output, result.output
    assert "logs are left out. Reading from the first block again" in result.output


@pytest.mark.skipif(find_binary() is None, reason="needs `make setup`: the prover is not built")
def test_proving_keys_of_another_set_up_are_refused(stage: Stage, tmp_path: Path) -> None:
    """Found before a proof is made that layer 1 would refuse."""
    key = tmp_path / "key"
    key.write_text("0x" + "11" * 32)
    result = CliRunner().invoke(app, arguments(stage, tmp_path / "keys", "--once", "--prove", "--key", str(key)))
    assert result.exit_code == 2 and "that was published with the exchange" in result.output, result.output


def test_the_command_challenges_serves_and_ends_in_order(stage: Stage, tmp_path: Path) -> None:
    """As a process: a wrong batch is challenged within a few looks; a signal ends it; last, since the stage is spoilt then."""
    wallet = stage.people["process"]
    key = tmp_path / "key"
    key.write_text("0x" + bytes(wallet._account.key).hex())
    command = [
        sys.executable,
        "-m",
        "straddle.cli.main",
        *arguments(stage, tmp_path / "process", "--challenge", "--key", str(key), "--interval", "0.2", "--serve", "0"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    try:
        wait_for(lambda: any("batch 4 holds" in line for line in lines), lines)
        url = next(line.split("serving ")[1].strip() for line in lines if "serving" in line)
        assert httpx.get(url + "/status", trust_env=False).json()["proposed_batch"] == 4
        assert stage.client.open_challenges() == 0
        stage.account(3).cash -= 10**6
        stage.account(4).cash += 10**6
        stage.post()
        wait_for(lambda: stage.client.open_challenges() == 1, lines)
        assert stage.client.stake(5).challenger == wallet.address
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, lines
    finally:
        process.kill()
        process.wait()
    reader.join(5)
    assert any("batch 5 unfounded: accounts.4" in line for line in lines) and any("stopped" in line for line in lines)
    assert stage.client.reserved_wei() >= CHALLENGER_BOND
    result = CliRunner().invoke(app, arguments(stage, tmp_path / "process", "--once"))
    assert result.exit_code == 1 and "batch 5 is unfounded" in result.output


def wait_for(condition: Callable[[], bool], lines: list[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, lines
        time.sleep(0.1)
