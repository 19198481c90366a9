"""The operator is gone; a deposit, a key, forced withdrawals and a forced close wait for 7 days, and a stranger answers them with one command. The proofs of
batches, of the nano circuit, are real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from eth_account.signers.local import LocalAccount
from support.deserted import DAY_S, DOLLARS, Deserted, HashProof, begun, deserted, served
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.commitments.policy import Data, Proofs
from straddle.committee.client import MemberBodies, MemberClient
from straddle.committee.service import member_app
from straddle.l1.anvil import Anvil
from straddle.l1.blobs import AnvilBlobs
from straddle.l1.deploying import StatementKey
from straddle.l1.history import read_history
from straddle.node.answering import Answering, Stage
from straddle.node.feed import RecordedMarket
from straddle.node.layer1 import PosterChain
from straddle.node.verify import verify
from straddle.proving.keys import Proof, VerifyingKey
from straddle.proving.prover import Prover, ProveResult
from straddle.proving.server import ProvingServer
from straddle.proving.vector import circuit_name
from straddle.proving.witness import Witness
from tests.support import stage as told

pytestmark = pytest.mark.slow

Keys = tuple[StatementKey, StatementKey]
ASKED, MORE = 100 * DOLLARS, 11 * DOLLARS
EVERYTHING = 10**12


@pytest.fixture(scope="module")
def circuits(statement_prover: Prover) -> Iterator[dict[str, tuple[VerifyingKey, ProvingServer]]]:
    """Key and prover of the batch circuits."""
    names = [circuit_name("nano", data) for data in (Data.CALLDATA, Data.BLOB)]
    keys = [statement_prover.setup(name) for name in names]
    with ProvingServer(statement_prover, names[0]) as first, ProvingServer(statement_prover, names[1]) as second:
        yield dict(zip(names, zip(keys, (first, second), strict=True), strict=True))


class Queue:
    """What waits on layer 1 once the operator is gone, and who waits."""

    def __init__(self, rollup: Deserted) -> None:
        self.rollup, client = rollup, rollup.client
        rollup.desert()
        self.rich, self.thin = rollup.traders[0], rollup.traders[-1]
        self.first = client.queue_length()
        client.force_withdraw(rollup.sender_of(self.rich), self.rich.account, ASKED)
        self.late = rollup.join(500)
        client.mint(rollup.stranger(), self.rich.wallet.address, MORE)
        client.deposit(rollup.sender_of(self.rich), MORE, self.rich.account)  # no batch pays an account by force and into it: two are needed
        client.force_close(rollup.sender_of(self.thin), self.thin.account, 250)
        client.force_withdraw(rollup.sender_of(self.thin), self.thin.account, EVERYTHING)
        self.length, self.row, self.final = client.queue_length(), client.row(), client.final_batch()

    def command(self, tmp_path: Path, *options: object, wallet: LocalAccount | None = None) -> tuple[int, str]:
        """`straddle answer`, with somebody's key, or a stranger's."""
        path, wallet = tmp_path / "key", wallet or self.rollup.stranger()._account
        self.rollup.anvil.fund(wallet.address, 10**24)
        path.write_text(bytes(wallet.key).hex())
        return run("--l1", self.rollup.anvil.rpc.url, "--rollup", self.rollup.deployment.rollup, "--key", path, *options)

    def assert_answered(self, said: str) -> None:
        """Everything is answered, what was asked for is in the vault, and nothing was made or lost."""
        client = self.rollup.client
        assert client.queue_answered() == client.queue_length() == self.length
        paid = {trader.account: client.claimable(trader.wallet.address) for trader in (self.rich, self.thin)}
        assert paid[self.rich.account] == ASKED and paid[self.thin.account] < 600 * DOLLARS
        assert client.row() == self.row - sum(paid.values())
        for amount in filter(None, paid.values()):
            assert f"is paid {amount // DOLLARS}.{amount % DOLLARS:06d} USDC" in said, said
        assert f"11.000000 USDC deposited into account {self.rich.account}" in said and client.final_batch() == self.final + 2, said
        assert f"500.000000 USDC deposited into account {self.late.account}" in said and f"the trading key of account {self.late.account} set" in said, said
        assert f"account {self.thin.account}'s portfolio put up for sale, at a discount of at most 250 bps" in said, said


def run(*arguments: object) -> tuple[int, str]:
    """`straddle answer` with these arguments: its exit code and what it says, on one line."""
    result = CliRunner().invoke(app, ["answer", *map(str, arguments)], env={"COLUMNS": "1000"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, " ".join((result.output + (result.stderr if result.stderr_bytes else "")).split())


def wait_a_week(queue: Queue, tmp_path: Path, *options: object) -> None:
    """Too early, then without a table, then with one."""
    rollup = queue.rollup
    code, said = queue.command(tmp_path, *options)
    assert code == 0 and "unless the sequencer does before" in said and "not before" in said, said
    rollup.pass_days(7.01)
    code, said = queue.command(tmp_path, *options)
    assert code == 0 and "not possible, no risk table of the last 15 minutes is recorded" in said and "anyone may freeze the rollup then" in said, said
    assert rollup.client.final_batch() >= queue.final and rollup.client.queue_answered() == queue.first
    rollup.submit(rollup.sign_successor())


@pytest.mark.parametrize("data", [Data.CALLDATA, Data.BLOB])
def test_a_stranger_answers_the_queue_of_a_zk_rollup(
    data: Data, market: RecordedMarket, tmp_path: Path, keys: Keys, circuits: dict[str, tuple[VerifyingKey, ProvingServer]]
) -> None:
    """Also past a proposal that the operator never proved."""
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS, data=data, batches=circuits[circuit_name("nano", data)]) as rollup:
        begun(rollup, 3, few_batches=True)
        rollup.prove = False
        rollup.trade(rollup.traders[0], rollup.traders[1], rollup.options[0], 1)
        queue = Queue(rollup)
        assert rollup.client.proposed_batch() == queue.final + 1
        wait_a_week(queue, tmp_path)
        code, said = run("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup)
        assert code == 0 and "possible now" in said and rollup.client.final_batch() == queue.final, said
        code, said = queue.command(tmp_path)
        assert code == 0 and f"batch {queue.final + 1} final" in said and "every queue entry is answered" in said, said
        queue.assert_answered(said)
        assert rollup.client.proposed_batch() == rollup.client.final_batch()
        report = verify(rollup.anvil.rpc, rollup.deployment, blobs=AnvilBlobs(rollup.anvil.rpc) if data is Data.BLOB else None)
        assert report.ok and report.conservation_error_micros == 0, report.mismatches
        code, said = queue.command(tmp_path, wallet=queue.rich.wallet)
        assert code == 0 and "pulled 100.000000 USDC" in said and rollup.client.token_balance(queue.rich.wallet.address) == ASKED, said


def test_a_stranger_answers_the_queue_of_a_validium(
    market: RecordedMarket, tmp_path: Path, keys: Keys, circuits: dict[str, tuple[VerifyingKey, ProvingServer]]
) -> None:
    """In calldata, behind a copy of the state, made of one honest member's data. From then on nobody's data are needed."""
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS, data=Data.COMMITTEE, batches=circuits["nano"]) as rollup:
        begun(rollup, 3, few_batches=True)
        rollup.prove = False
        rollup.trade(rollup.traders[0], rollup.traders[1], rollup.options[0], 1)
        queue = Queue(rollup)
        with served(member_app(rollup.member)) as url:
            wait_a_week(queue, tmp_path, "--data", url)
            code, said = queue.command(tmp_path)
            assert code == 2 and "its data are not on layer 1, or no longer. Ask one honest member of the committee" in said, said
            code, said = queue.command(tmp_path, "--data", url)
            assert code == 0 and f"batch {queue.final + 1} final" in said, said
            queue.assert_answered(said)
            report = verify(rollup.anvil.rpc, rollup.deployment, bodies=MemberBodies([MemberClient(url)]))
            assert report.ok and report.conservation_error_micros == 0, report.mismatches
        rollup.client.force_withdraw(rollup.sender_of(queue.late), queue.late.account, EVERYTHING)
        rollup.pass_days(7.01)
        rollup.submit(rollup.sign_successor())
        code, said = queue.command(tmp_path)
        assert code == 0 and "is paid 500.000000 USDC" in said, said
        rollup.client.force_close(rollup.sender_of(queue.late), queue.late.account, 1)
        assert "unless the sequencer does before" in queue.command(tmp_path)[1]
        code, said = queue.command(tmp_path, wallet=rollup.poster)
        assert code == 0 and "every queue entry is answered" in said, "the sequencer's own key need not wait"
        history = read_history(rollup.anvil.rpc, rollup.deployment)
        assert len(history.final) == queue.final + 4
        assert [batch.place.data for batch in history.batches[queue.final :]] == [Data.CALLDATA] * len(history.batches[queue.final :])
        assert list(history.snapshots) == [history.final[queue.final - 1].state_root], "one copy, of the state before the first of them"


@pytest.mark.parametrize("data", [Data.CALLDATA, Data.BLOB])
def test_a_stranger_answers_the_queue_of_an_optimistic_rollup(
    data: Data, market: RecordedMarket, tmp_path: Path, keys: Keys, circuits: dict[str, tuple[VerifyingKey, ProvingServer]]
) -> None:
    """Behind a bond, after the operator's last proposals were made final; with --prove the wait ends early."""
    with deserted(market, tmp_path / "operator", keys, data=data, batches=circuits[circuit_name("nano", data)]) as rollup:
        begun(rollup, 3)
        queue, client = Queue(rollup), rollup.client
        assert queue.final == 0 < rollup.posted == client.proposed_batch()
        wait_a_week(queue, tmp_path)
        assert client.final_batch() == rollup.posted, "what had stood for its window"
        code, said = queue.command(tmp_path)
        assert code == 0 and "proposed behind a bond" in said and "once the batch is final" in said, said
        first, last = rollup.posted + 1, client.proposed_batch()
        assert f"finalise batch {first}" in said and "not before" in said and client.final_batch() == rollup.posted
        assert client.queue_proposed() == queue.length and client.row() == queue.row
        watched = CliRunner().invoke(
            app, ["watch", "--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup, "--folder", str(tmp_path / "watch"), "--once"]
        )
        assert watched.exit_code == 0 and f"batch {last}" in watched.output, watched.output
        doubter = rollup.stranger("doubter")
        client.challenge(doubter, last)
        code, said = queue.command(tmp_path)
        assert code == 0 and f"batch {last} proven" in said and client.stake(last).proven, said
        assert client.final_batch() == rollup.posted and not client.stake(first).proven, "what nobody doubts waits for its window"
        code, said = queue.command(tmp_path, "--prove")
        assert (
            code == 0
            and f"batch {first} proven" in said
            and f"batch {last} final" in said
            and "every queue entry is answered" in said
            and "wei of bonds" in said
        ), said
        assert client.final_batch() == last and client.reserved_wei() == client.wei_owed(rollup.poster.address) + client.wei_owed(doubter.address)
        assert client.claimable(queue.rich.wallet.address) == ASKED and client.row() == queue.row - ASKED - client.claimable(queue.thin.wallet.address)
        report = verify(rollup.anvil.rpc, rollup.deployment, blobs=AnvilBlobs(rollup.anvil.rpc) if data is Data.BLOB else None)
        assert report.ok and report.conservation_error_micros == 0, report.mismatches


def test_what_the_command_refuses(market: RecordedMarket, tmp_path: Path, keys: Keys) -> None:
    """The rollup's batch verifier is another set-up's here, as if its keys were not on this machine."""
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        begun(rollup, 3)
        queue = Queue(rollup)
        code, said = queue.command(tmp_path, "--key", Path(__file__))
        assert code == 2 and "is no private key, expected 32 bytes in hex" in said, said
        code, said = queue.command(tmp_path, "--prove")
        assert code == 2 and "--prove: rollup" in said and "expected an optimistic rollup" in said, said
        other = tmp_path / "other.json"
        other.write_text(replace(rollup.deployment, chain_id=1).to_json())
        code, said = run("--l1", rollup.anvil.rpc.url, "--deployment", other)
        assert code == 2 and "chain" in said and "31337" in said, said
        code, said = run("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup[:-1])
        assert code == 2 and "expected an address" in said, said
        rollup.pass_days(7.01)
        rollup.submit(rollup.sign_successor())
        code, said = queue.command(tmp_path)
        expected = f"expected the one with vk_id 0x{rollup.deployment.vk_id.hex()} that was published with the exchange"
        assert code == 2 and "proving key of nano: this machine's has vk_id 0x" in said and expected in said, said
        code, said = run("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup)
        assert code == 0 and "possible now" in said and "not at hand. proving key of nano: this machine's has vk_id 0x" in said and expected in said, said
        code, said = run("--l1", rollup.anvil.rpc.url, "--rollup", rollup.deployment.rollup, "--keys", tmp_path / "none")
        assert code == 0 and "not at hand. proving key of nano: this machine has none, expected the one" in said, said
        assert not list((tmp_path / "none").glob("*/proving.key")), "a look makes no keys"
        assert rollup.client.queue_answered() == queue.first
        rollup.pass_days(3.01)
        code, said = queue.command(tmp_path)
        assert code == 0 and "anyone may freeze the rollup now (straddle exit)" in said, said
        rollup.client.freeze(rollup.stranger())
        code, said = queue.command(tmp_path)
        assert code == 2 and "the rollup is frozen" in said and "`straddle exit` is the way out" in said, said


def test_nobody_builds_on_a_false_proposal(tmp_path: Path) -> None:
    """The command names it and puts no bond behind it; once its challenge is unanswered it voids it, and then answers."""
    with Anvil(told.START_S) as anvil:
        stage = told.Stage(anvil)
        alice, bob = stage.join(100_000, 100_000)
        stage.answer()
        stage.post()
        stage.client.force_withdraw(stage.accounts[alice], alice, ASKED)
        stage.pass_time(7 * DAY_S - 600)
        stage.open_epoch()
        stage.trade(alice, bob, 1, 20)
        honest = stage.state.copy()
        stage.post(transcript=b"")
        stage.pass_time(1_200)
        stage.state = honest
        stage.open_epoch()
        key, stranger = tmp_path / "key", stage.people["stranger"]
        key.write_text(bytes(stranger._account.key).hex())
        arguments = ("--l1", anvil.rpc.url, "--rollup", stage.deployment.rollup, "--key", key)
        code, said = run(*arguments)
        assert code == 2 and "batch 2 stands and is unfounded" in said and "`straddle watch --challenge` challenges it" in said, said
        assert stage.client.final_batch() == 1 and stage.client.proposed_batch() == 2
        stage.client.challenge(stage.people["watchman"], 2)
        code, said = run(*arguments)
        assert code == 2 and "batch 2 stands and is unfounded" in said, said
        stage.pass_time(told.ANSWER_S + told.ALLOWANCE_S + 1)
        stage.open_epoch()
        code, said = run(*arguments)
        assert code == 0 and "proposals from 2 on voided" in said and "batch 2 proposed behind a bond" in said, said
        assert f"account {alice} asked for 100.000000 USDC and is paid 100.000000 USDC" in said, said
        assert stage.client.stake(2).proposer == stranger.address and stage.client.queue_proposed() == stage.client.queue_length()


@dataclass
class Hashing:
    """A prover for the verifier that takes a hash. `meanwhile` happens while the first proof is made."""

    meanwhile: Callable[[], object] = lambda: None

    def prove(self, witness: Witness) -> ProveResult:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        public = witness.public
        proof = HashProof.of((public.c, public.z, public.y_effects, public.y_body, public.beneficiary))
        return ProveResult(cast(Proof, proof), 0.0, 0.0)


def test_of_two_strangers_the_slower_one_looks_again(market: RecordedMarket, tmp_path: Path, keys: Keys) -> None:
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        begun(rollup, 3)
        queue, client = Queue(rollup), rollup.client
        rollup.pass_days(7.01)
        rollup.submit(rollup.sign_successor())

        def answering(prover: Hashing, *, once: bool = False) -> Answering:
            terms = (rollup.preset, rollup.params)
            return Answering(
                client, *terms, lambda: read_history(rollup.anvil.rpc, rollup.deployment), lambda: prover, lambda sender: PosterChain(client, sender), once=once
            )

        rival = answering(Hashing(), once=True)
        standing = answering(Hashing(lambda: rival.advance(rollup.stranger("rival")))).advance(rollup.stranger())
        assert f"batch {queue.final + 1} came too late: " in standing.done[0], standing
        assert f"batch {queue.final + 2} final" in standing.done[1] and standing.next.stage is Stage.ANSWERED, standing
        assert client.queue_answered() == queue.length and client.claimable(queue.rich.wallet.address) == ASKED
        by = [log.beneficiary for log in read_history(rollup.anvil.rpc, rollup.deployment).final[queue.final :]]
        assert by == [rollup.stranger("rival").address, rollup.stranger().address]
