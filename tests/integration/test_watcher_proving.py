"""A malicious challenge of an honest batch is answered by a watcher with a proof of its own, from nothing but layer-1 data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.commitments.policy import Data, Proofs
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.sender import Sender
from straddle.node.terms import PolicyTerms
from straddle.proving.prover import Prover, ProverError
from straddle.proving.vector import circuit_name
from straddle.watcher.agent import Duties
from straddle.watcher.examine import Verdict
from tests.support.loop import open_loop
from tests.support.stage import ALLOWANCE_S, ANSWER_S, CHALLENGER_BOND, PROPOSER_BOND, START_S, WINDOW_S, Stage
from tests.support.watch import Watch

pytestmark = pytest.mark.slow

PATIENCE_S = 300.0


@pytest.fixture
def prover() -> Prover:
    try:
        return Prover()
    except ProverError as error:
        pytest.skip(f"needs `make setup`: {error}")


@contextmanager
def stage_of(prover: Prover, data: Data) -> Iterator[Stage]:
    """Three honest batches, whose circuit is real."""
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))
    with Anvil(START_S, binary=binary) as anvil:
        stage = Stage(anvil, key=prover.setup(circuit_name("nano", data)), data=data)
        alice, bob = stage.join(100_000, 100_000)
        stage.answer()
        stage.post()
        stage.trade(alice, bob, 1, 20)
        stage.withdraw(bob, 1_000_000)
        stage.post()
        stage.trade(bob, alice, 2, 10)
        stage.post()
        yield stage


PROOF_WORK_WEI, GENEROUS_GAS_WEI = 5 * 10**14, 5 * 10**15


@pytest.fixture
def stage(prover: Prover) -> Iterator[Stage]:
    with stage_of(prover, Data.CALLDATA) as stage:
        yield stage


@contextmanager
def proving_command(stage: Stage, folder: Path) -> Iterator[tuple[Sender, Path]]:
    """`straddle watch --prove` as its users run it: the wallet, and what the process writes."""
    wallet, key, record, log = stage.people["helper"], folder / "wallet.key", folder / "deployment.json", folder / "watch.log"
    key.write_text(keccak(b"helper").hex())
    key.chmod(0o600)
    record.write_text(stage.deployment.to_json())
    options = ["--l1", stage.anvil.url, "--deployment", str(record), "--folder", str(folder / "watch"), "--prove", "--key", str(key), "--interval", "0.2"]
    with log.open("w") as output:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "straddle.cli.main", "watch", *options]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        yield wallet, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_for(look: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def finish_proof(helper: Watch) -> None:
    """Wait for the proof in the making."""
    assert helper.agent._proof is not None
    helper.agent._proof[1].result(timeout=300)


def check_paid(stage: Stage, griefer: Sender, prover: Sender, gained: int) -> None:
    """The challenger's bond has paid what a proof costs, which the prover has collected and spent on gas; the rest is the challenger's."""
    paid = CHALLENGER_BOND - stage.client.wei_owed(griefer.address)
    assert PROOF_WORK_WEI < paid < PROOF_WORK_WEI + GENEROUS_GAS_WEI
    assert stage.client.wei_owed(prover.address) == 0 and paid - GENEROUS_GAS_WEI < gained < paid


def test_a_challenged_honest_batch_is_proved_for_others(stage: Stage, prover: Prover, tmp_path: Path) -> None:
    """Batch 2 is challenged; its proof comes from the watcher's own witness, pays the watcher, and does not wait for its parent."""
    griefer = stage.people["griefer"]
    stage.client.challenge(griefer, 2)
    helper = Watch(stage, tmp_path, "helper", Duties(prove=True), prover)
    helper.step()
    assert helper.verdicts() == [Verdict.HOLDS] * 3
    finish_proof(helper)
    before = helper.wei
    helper.step()
    assert stage.client.stake(2).proven and stage.client.open_challenges() == 0 and stage.client.final_batch() == 0
    helper.step()
    assert stage.client.wei_owed(helper.wallet.address) == 0, "paid at finality, not before"
    assert CHALLENGER_BOND - PROOF_WORK_WEI - GENEROUS_GAS_WEI < stage.client.wei_owed(griefer.address) < CHALLENGER_BOND - PROOF_WORK_WEI
    assert stage.client.reserved_wei() == 3 * PROPOSER_BOND + CHALLENGER_BOND
    stage.pass_time(ANSWER_S + ALLOWANCE_S + 2)
    helper.step()
    assert stage.client.proposed_batch() == 3, "nothing to void"
    stage.pass_time(WINDOW_S)
    helper.step()
    assert stage.client.final_batch() == 3 and stage.client.state_root() == stage.state.root
    assert stage.client.claimable(stage.accounts[4].address) == 1_000_000
    helper.step()
    check_paid(stage, griefer, helper.wallet, helper.wei - before)
    helper.close()


def test_the_command_proves_and_finalises_for_others_from_blobs(prover: Prover, tmp_path: Path) -> None:
    """Bodies and transcripts lie in blobs. Batch 2 of a proposer who has gone is challenged: the command alone proves it, and makes all final in their time."""
    with stage_of(prover, Data.BLOB) as stage:
        griefer = stage.people["griefer"]
        stage.client.challenge(griefer, 2)
        with proving_command(stage, tmp_path) as (wallet, log):
            before = stage.anvil.rpc.balance_wei(wallet.address)
            wait_for(lambda: stage.client.stake(2).proven, log)
            assert (stage.client.open_challenges(), stage.client.final_batch()) == (0, 0), "it did not wait for its parent"
            stage.pass_time(WINDOW_S + 1)
            wait_for(lambda: stage.client.final_batch() == 3 and stage.client.wei_owed(wallet.address) == 0, log)
        assert stage.client.state_root() == stage.state.root and stage.client.claimable(stage.accounts[4].address) == 1_000_000
        check_paid(stage, griefer, wallet, stage.anvil.rpc.balance_wei(wallet.address) - before)
        assert stage.client.wei_owed(stage.people["sequencer"].address) == 3 * PROPOSER_BOND
        assert stage.client.reserved_wei() == 3 * PROPOSER_BOND + stage.client.wei_owed(griefer.address)
        said = log.read_text()
        assert "batch 2 holds and is challenged: proving it" in said and "done: prove batch 2" in said and "done: finalise batch 3" in said


def test_what_a_node_posts_holds(prover: Prover, tmp_path: Path) -> None:
    """Real engine, oracle and poster: the command, given the deployment's record, finds every batch proper."""
    terms = PolicyTerms(Proofs.WHEN_CHALLENGED, Data.CALLDATA, challenge_window_s=WINDOW_S)
    with open_loop(prover, tmp_path / "node", terms) as loop:
        loop.trade()
        loop.next_epoch()
        loop.trade()
        loop.poster.advance()
        record = tmp_path / "deployment.json"
        record.write_text(loop.network.deployment.to_json())
        result = CliRunner().invoke(app, ["watch", "--l1", loop.anvil.url, "--deployment", str(record), "--folder", str(tmp_path / "watch"), "--once"])
        assert result.exit_code == 0, result.output
        count = len(loop.exchange.closed)
        assert count >= 3 and [f"batch {number} holds" in result.output for number in range(1, count + 1)] == [True] * count
        assert "note" not in result.output
