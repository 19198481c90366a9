"""Batches reach layer 1 in order, once each, whatever moment the node dies at."""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from straddle.commitments.ledger import CommittedState
from straddle.commitments.preset import Preset
from straddle.l1.rpc import Reverted
from straddle.l1.sender import TransactionFailed
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.batch_file import BatchFile
from straddle.sequencer.foreign import ForeignBatch
from straddle.sequencer.poster import BatchRecord, Facts, Poster, PosterError, SignedEpoch, Status
from straddle.sequencer.round import TRANSACTIONS_MAX, Landed
from straddle.sequencer.sequencer import Accepted, ClosedBatch

from . import market

PRESET = Preset("tiny", market.PARAMS.account_depth, market.PARAMS.slot_depth, **{name: getattr(market.CAPACITY, name) for name in market.CAPACITY.__slots__})
FACTS = Facts(
    params=market.PARAMS,
    preset=PRESET,
    domain=market.DOMAIN,
    chain_id=market.IDENTITY.chain_id,
    rollup=market.IDENTITY.rollup,
    vk_id=b"v" * 32,
    genesis_root=CommittedState.genesis(market.PARAMS, market.OPERATOR).root,
    beneficiary=0xBE,
)


class Died(BaseException):
    """The node stops here."""


@dataclasses.dataclass(eq=False)
class FakeSent:
    """A transaction on its way; it is mined with all the others that wait."""

    chain: FakeChain
    call: tuple[str, int]
    run: Callable[[], None]
    result: Landed

    def landed(self) -> Landed:
        self.chain.step()
        self.chain.mine()
        self.chain.step()
        if self in self.chain.failed:
            raise TransactionFailed(f"{self.call} failed")
        return self.result


class FakeChain:
    """Keeps layer 1's rules about order; can die before or after any step. What is sent waits for a block, and builds on what waits before it."""

    def __init__(self, *, has_pending: bool = True) -> None:
        """Without `has_pending` the node does not know the state that what waits will leave."""
        self.epochs: list[int] = []
        self.tables: dict[int, SignedEpoch] = {}
        self.proposed: list[PostedBatch] = []
        self.proven: list[tuple[int, Proof]] = []
        self.pool: list[FakeSent] = []
        self.failed: list[FakeSent] = []
        self.fails: set[tuple[str, int]] = set()
        """These fail when they are mined."""
        self.blocks: list[list[tuple[str, int]]] = []
        self.has_pending = has_pending
        self.calls = self.asked = 0
        self.die_at = -1

    def step(self) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Died

    def mine(self) -> None:
        """A block with all that waits."""
        waiting = list(self.pool)
        self.pool.clear()
        if waiting:
            self.blocks.append([sent.call for sent in waiting])
        for sent in waiting:
            try:
                self.require(sent.call not in self.fails)
                sent.run()
            except Reverted:
                self.failed.append(sent)

    def forget(self, fate: int) -> None:
        """The sender is gone: what waits is mined, or lost, or waits on."""
        if fate % 3 == 0:
            self.mine()
        elif fate % 3 == 1:
            self.pool.clear()

    def require(self, holds: bool) -> None:
        """A rule of the contract."""
        if not holds:
            raise Reverted("eth_estimateGas", 3, "a rule")

    def head(self) -> str:
        """Of a chain that goes on all the time."""
        self.asked += 1
        return str(self.asked)

    def epoch_hash(self, epoch: int) -> bytes | None:
        return self.tables[epoch].hash if epoch in self.epochs else None

    def submit_epoch(self, epoch: SignedEpoch) -> FakeSent:
        def run() -> None:
            self.require(epoch.epoch not in self.epochs)
            self.epochs.append(epoch.epoch)
            self.tables[epoch.epoch] = epoch

        return self.send(("epoch", epoch.epoch), run, Landed("0xe", 1))

    def proposed_batch(self) -> int:
        return len(self.proposed)

    def final_batch(self) -> int:
        return len(self.proven)

    def header_hash(self, batch_number: int) -> bytes:
        return self.proposed[batch_number - 1].header_hash

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> FakeSent:
        def run() -> None:
            self.check_place(batch, certificates)
            self.require(batch.effects.batch_number == len(self.proposed) + 1)
            self.require(batch.effects.epoch in self.epochs)
            self.require(not self.proposed or batch.effects.old_state_root == self.proposed[-1].effects.new_state_root)
            self.proposed.append(batch)

        number = batch.effects.batch_number
        return self.send(("propose", number), run, Landed(f"0xp{number}", 100))

    def check_place(self, batch: PostedBatch, certificates: Sequence[bytes]) -> None:
        """What holds of where the body lies."""

    def prove(self, batch: PostedBatch, proof: Proof) -> FakeSent:
        def run() -> None:
            self.require(len(self.proven) < len(self.proposed) and batch.header_hash == self.proposed[len(self.proven)].header_hash)
            self.require(proof.public[1] == batch.witness.public.z)
            self.proven.append((number, proof))

        number = batch.effects.batch_number
        return self.send(("prove", number), run, Landed(f"0xv{number}", 200))

    def image(self) -> dict[str, object]:
        """What a transaction changes."""
        return {name: copy.copy(value) for name, value in vars(self).items() if isinstance(value, list | dict)}

    def run_waiting(self) -> None:
        """What the node thinks that its next block will do."""
        for waiting in self.pool if self.has_pending else ():
            waiting.run()

    def check_refusal(self, call: tuple[str, int]) -> None:
        """Nothing is offered that could not hold."""
        assert self.pool, f"{call}: nothing waits that it could build on"

    def send(self, call: tuple[str, int], run: Callable[[], None], result: Landed) -> FakeSent:
        """Taken when it holds on what layer 1 has, with what waits; the same call again is the same transaction."""
        self.step()
        for same in self.pool:
            if same.call == call:
                return same
        before = self.image()
        try:
            self.run_waiting()
            run()
        except Reverted:
            self.check_refusal(call)
            raise
        finally:
            vars(self).update(before)
        sent = FakeSent(self, call, run, result)
        self.pool.append(sent)
        self.step()
        return sent


class FakeProver:
    """Counts proofs; a proof carries the witness's public inputs."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prove(self, witness: Witness) -> ProveResult:
        self.batches.append(witness.header.batch_number)
        p = witness.public
        return ProveResult(Proof((1, 2), (3, 4, 5, 6), (7, 8), (9, 10), (11, 12), (p.c, p.z, p.y_effects, p.y_body, p.beneficiary)), 2.0, 1.5)


def epoch(number: int) -> SignedEpoch:
    return SignedEpoch(number, 1_000_000 + number, number, b"inputs", (b"s" * 65, b"t" * 65))


def closed_batches(path: Path) -> list[ClosedBatch]:
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    sequencer.submit_many([*market.opening(), *market.trading(5)])
    sequencer.close_batch()
    sequencer.close()
    assert len(closed) >= 3
    return closed


def opened(folder: Path, report: Callable[[BatchRecord], None] = lambda record: None) -> BatchFile:
    return BatchFile(folder / "poster.sqlite", report)


def start(folder: Path, chain: FakeChain, prover: FakeProver, steps: list[BatchRecord] | None = None) -> Poster:
    poster = Poster(opened(folder, steps.append if steps is not None else lambda record: None), FACTS, chain, prover)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    return poster


def test_batches_are_proposed_proved_and_verified_in_order(path: Path, tmp_path: Path) -> None:
    chain, prover, steps = FakeChain(), FakeProver(), list[BatchRecord]()
    closed = closed_batches(path)
    poster = start(tmp_path, chain, prover, steps)
    for batch in closed:
        poster.add(batch)
    records = poster.post()
    numbers = [batch.batch.number for batch in closed]
    assert [number for number, _ in chain.proven] == numbers == prover.batches
    assert [record.number for record in records] == numbers
    assert {record.status for record in poster.records()} == {Status.VERIFIED}
    last = records[-1]
    assert last.state_root == f"{closed[-1].change.after.root:#066x}"
    assert (last.propose_gas, last.prove_gas, last.prove_wall_seconds, last.prove_cpu_seconds) == (100, 200, 1.5, 2.0)
    assert (last.propose_transaction, last.prove_transaction) == (f"0xp{last.number}", f"0xv{last.number}")
    assert last.data_bytes == 32 * (len(chain.proposed[-1].effects_words) + len(chain.proposed[-1].body_words))
    of_first = [record.status for record in steps if record.number == 1]
    assert of_first == [Status.CLOSED, Status.PROPOSED, Status.PROVED, Status.VERIFIED]
    assert poster.post() == []
    poster.close()


def test_wherever_the_node_dies_the_next_one_goes_on(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)
    whole = FakeChain()
    poster = start(tmp_path / "whole", whole, FakeProver())
    for batch in closed:
        poster.add(batch)
    poster.post()
    poster.close()
    assert whole.calls > 12
    for moment in range(1, whole.calls + 1):
        chain, prover, folder = FakeChain(), FakeProver(), tmp_path / f"dies-at-{moment}"
        chain.die_at = moment
        first = start(folder, chain, prover)
        for batch in closed:
            first.add(batch)
        with pytest.raises(Died):
            first.post()
        first.close()
        chain.forget(moment)
        second = start(folder, chain, prover)
        for batch in closed:
            second.add(batch)
        second.post()
        assert [number for number, _ in chain.proven] == [batch.batch.number for batch in closed]
        assert chain.proven == whole.proven
        assert prover.batches == [batch.batch.number for batch in closed]  # no proof is made twice
        assert {record.status for record in second.records()} == {Status.VERIFIED} and chain.failed == []
        second.close()


def test_what_can_go_by_now_shares_a_block(path: Path, tmp_path: Path) -> None:
    """A chain with slow blocks holds up nobody: tables, proposals that build on them and on each other, and the proofs of earlier ones go together."""
    closed, chain, prover = closed_batches(path), FakeChain(), FakeProver()
    poster = start(tmp_path, chain, prover)
    for batch in closed:
        poster.add(batch)
    poster.post()
    proposals = chain.blocks[0]
    assert [number for kind, number in proposals if kind == "propose"] == [batch.batch.number for batch in closed]
    assert proposals[0] == ("epoch", 1) and proposals.index(("epoch", 2)) < len(proposals) - 1 and len(chain.blocks) <= 2 + len(closed)
    del chain.proven[1:], chain.proposed[2:]  # every proof is made by now
    chain.blocks.clear()
    poster.post()
    first, second = chain.blocks
    assert first == [("prove", 2), *(("propose", batch.batch.number) for batch in closed[2:])]
    assert second == [("prove", batch.batch.number) for batch in closed[2:]]
    poster.close()


def test_a_node_that_does_not_know_what_waits_takes_one_thing_after_the_other(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), FakeChain(has_pending=False), FakeProver()
    poster = start(tmp_path, chain, prover)
    for batch in closed:
        poster.add(batch)
    poster.post()
    assert [number for number, _ in chain.proven] == [batch.batch.number for batch in closed]
    assert chain.failed == [] and all(len({kind for kind, _ in block}) == len(block) for block in chain.blocks)
    poster.close()


def test_what_fails_in_a_block_costs_the_others_nothing(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    for batch in closed:
        poster.add(batch)
    chain.fails = {("propose", 2)}
    with pytest.raises(TransactionFailed, match=r"\('propose', 2\) failed"):
        poster.advance()
    first, second = poster.records()[:2]
    assert (first.status, first.propose_transaction) == (Status.PROPOSED, "0xp1") and second.status is Status.CLOSED
    assert chain.epochs and len(chain.proposed) == 1
    chain.fails = set()
    assert len(poster.post()) == len(closed) and [record.propose_transaction for record in poster.records()] == [f"0xp{i + 1}" for i in range(len(closed))]
    poster.close()


def test_a_proof_that_layer_1_refuses_does_not_keep_data_from_it(path: Path, tmp_path: Path) -> None:
    class Refusing(FakeChain):
        def prove(self, batch: PostedBatch, proof: Proof) -> FakeSent:
            raise Reverted("eth_estimateGas", 3, "the vault is short")

    closed, chain = closed_batches(path), Refusing()
    poster = start(tmp_path, chain, FakeProver())
    poster.add(closed[0])
    with pytest.raises(Reverted, match="the vault is short"):
        poster.post()
    for batch in closed[1:]:
        poster.add(batch)
    with pytest.raises(Reverted, match="the vault is short"):
        poster.advance()
    assert len(chain.proposed) == len(closed) and not poster.is_idle
    assert {record.status for record in poster.records()[1:]} == {Status.PROPOSED}
    poster.close()


def test_a_proposal_whose_answer_was_lost_is_known_from_layer_1(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    poster.add(closed[0])
    chain.submit_epoch(epoch(1)).landed()
    chain.propose(poster.posted(1)).landed()
    poster.advance()
    assert [record.status for record in poster.records()] in ([Status.PROPOSED], [Status.PROVED], [Status.VERIFIED])
    assert chain.blocks[1] == [("propose", 1)]
    poster.close()


def test_a_round_is_no_longer_than_what_a_node_keeps_of_one_wallet(path: Path, tmp_path: Path) -> None:
    """Epochs of a quiet weekend, with layer 1 away."""
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    for number in range(5, 3 * TRANSACTIONS_MAX):
        poster.add_epoch(epoch(number))
    poster.advance()
    assert chain.epochs == list(range(1, 3 * TRANSACTIONS_MAX - 1)) and [len(block) for block in chain.blocks] == [16, 16, 14]
    poster.close()


def test_nothing_is_asked_of_a_layer_1_that_stands_when_nothing_is_new(path: Path, tmp_path: Path) -> None:
    class Standing(FakeChain):
        """Counts questions; a block is a block."""

        def head(self) -> str:
            return f"{len(self.blocks)}"

        def final_batch(self) -> int:
            self.asked += 1
            return super().final_batch()

    closed, chain, prover = closed_batches(path), Standing(), SlowProver()
    poster = start(tmp_path, chain, prover)
    poster.add(closed[0])
    poster.advance()
    poster.advance()
    asked = chain.asked
    for _ in range(5):
        assert poster.advance() == []
    assert chain.asked == asked and len(chain.proposed) == 1
    poster.add_epoch(epoch(5))
    poster.advance()
    assert 4 in chain.epochs
    poster.add(closed[1])
    poster.advance()
    assert len(chain.proposed) == 2
    prover.go.set()
    poster.wait(20)
    assert [record.number for record in [*poster.advance(), *poster.post()]] == [1, 2]
    poster.close()


def test_another_history_is_refused(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)
    poster = start(tmp_path, FakeChain(), FakeProver())
    poster.add(closed[0])
    poster.close()
    again = start(tmp_path, FakeChain(), FakeProver())
    with pytest.raises(PosterError, match=r"batch 1: header hash [0-9a-f]+, expected [0-9a-f]+ as posted before the restart"):
        again.add(dataclasses.replace(closed[0], log_root=closed[0].log_root + 1))
    again.close()


def test_a_foreign_header_on_layer_1_is_refused(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)
    chain = FakeChain()
    poster = start(tmp_path / "a", chain, FakeProver())
    poster.add(closed[0])
    chain.proposed.append(dataclasses.replace(poster.posted(1), header_hash=b"f" * 32))
    before = poster.records()
    with pytest.raises(ForeignBatch, match=r"batch 1: layer 1 has header 6666.*anyone may when the queue is unanswered for 7 days"):
        poster.post()
    assert poster.records() == before and chain.calls == 0
    poster.close()


def test_a_foreign_batch_after_the_own_ones_is_refused(path: Path, tmp_path: Path) -> None:
    """As a stranger posts it, proposed or final, while the node is away; also when all of the node's own are final."""
    closed, chain = closed_batches(path), FakeChain()
    poster = start(tmp_path / "a", chain, FakeProver())
    poster.add(closed[0])
    poster.post()
    last = poster.posted(1)
    chain.proposed.append(dataclasses.replace(last, header_hash=b"f" * 32))
    calls, before = chain.calls, poster.records()
    with pytest.raises(ForeignBatch, match=r"batch 2: proposed on layer 1 with header 6666.*, but this node's newest batch is 1"):
        poster.post()
    chain.proven.append(chain.proven[0])
    with pytest.raises(ForeignBatch, match="batch 2: final on layer 1 with header 6666"):
        poster.post()
    poster.add(closed[1])
    with pytest.raises(ForeignBatch, match=f"batch 2: layer 1 has header 6666.*, expected {poster.posted(2).header_hash.hex()}"):
        poster.post()
    assert chain.calls == calls and poster.records()[: len(before)] == before
    poster.close()


def test_a_batch_without_its_epoch_is_not_proposed(path: Path, tmp_path: Path) -> None:
    chain = FakeChain()
    poster = Poster(opened(tmp_path), FACTS, chain, FakeProver())
    poster.add(closed_batches(path)[0])
    with pytest.raises(PosterError, match="epoch 1: neither on layer 1 nor signed here"):
        poster.post()
    assert chain.proposed == []
    poster.close()


def test_another_table_of_the_same_number_on_layer_1_is_told(path: Path, tmp_path: Path) -> None:
    """Whoever has two signed tables of a number may have either recorded: no batch on the other is ever taken."""
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    poster.add(closed_batches(path)[0])
    chain.submit_epoch(dataclasses.replace(epoch(1), risk_root=9)).landed()
    with pytest.raises(PosterError, match=r"epoch 1: layer 1 has another table on record, hash [0-9a-f]{64}, expected [0-9a-f]{64} of time 1000001 ms"):
        poster.post()
    assert chain.proposed == []
    poster.close()


def test_epochs_go_without_a_batch_but_for_the_newest(path: Path, tmp_path: Path) -> None:
    """After hours without a trade a batch's table would be too old behind all of them, a block each. The newest may still be replaced after a crash."""
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    assert poster.advance() == [] and chain.epochs == [1, 2, 3]
    calls = chain.calls
    poster.advance()
    poster.add_epoch(dataclasses.replace(epoch(4), risk_root=9))
    poster.advance()
    assert chain.calls == calls
    poster.add_epoch(epoch(5))
    poster.advance()
    assert chain.epochs == [1, 2, 3, 4] and chain.tables[4].risk_root == 9
    poster.add(closed_batches(path)[0])
    poster.post()
    assert len(chain.proven) == 1
    poster.close()


def test_epochs_go_no_further_than_the_batches_that_were_added(path: Path, tmp_path: Path) -> None:
    """One that moves layer 1's clock would come too early for a batch that is closed and not added."""
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    known = poster.newest_epoch
    poster.add_epoch(epoch(5))
    poster.add_epoch(epoch(6))
    poster.advance(newest_epoch=known)
    assert (known, chain.epochs) == (4, [1, 2, 3])
    poster.advance()
    assert chain.epochs == [1, 2, 3, 4, 5]
    poster.close()
    again = Poster(opened(tmp_path), FACTS, chain, FakeProver())
    assert again.newest_epoch == 6
    again.close()


def test_a_restart_does_not_ask_for_every_epoch_there_ever_was(path: Path, tmp_path: Path) -> None:
    """An exchange of a year has half a million, and layer 1 is asked for each by itself."""
    chain, asked = FakeChain(), list[int]()
    poster = start(tmp_path, chain, FakeProver())
    closed = closed_batches(path)
    for batch in closed:
        poster.add(batch)
    poster.post()
    poster.add_epoch(epoch(5))
    poster.close()
    known = chain.epoch_hash

    def epoch_hash(number: int) -> bytes | None:
        asked.append(number)
        return known(number)

    chain.epoch_hash = epoch_hash  # type: ignore[method-assign]
    again = Poster(opened(tmp_path), FACTS, chain, FakeProver(), after_batch=len(closed))
    again.advance()
    last = again.records()[-1].epoch
    assert last > 1 and set(asked) == set(range(last + 1, 5)) and chain.epochs == [1, 2, 3, 4]
    asked.clear()
    again.advance()
    assert asked == []
    again.close()


def test_epochs_that_went_early_and_were_undone_go_again_with_their_batch(path: Path, tmp_path: Path) -> None:
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    poster.advance()
    chain.epochs.clear()
    poster.add(closed_batches(path)[0])
    poster.post()
    assert chain.epochs[0] == 1 and len(chain.proven) == 1
    poster.close()


def test_epochs_wait_for_a_batch_that_layer_1_does_not_take(path: Path, tmp_path: Path) -> None:
    """What is on layer 1 behind a batch that is never proposed binds whoever goes on from there."""
    chain = FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    poster.add(closed_batches(path)[0])

    def refused(batch: PostedBatch, certificates: Sequence[bytes] = ()) -> FakeSent:
        raise TransactionFailed("no room")

    chain.propose = refused  # type: ignore[method-assign]
    with pytest.raises(TransactionFailed):
        poster.advance()
    assert chain.epochs == [1]
    poster.close()


def test_epochs_survive_a_restart_as_signed(path: Path, tmp_path: Path) -> None:
    poster = start(tmp_path, FakeChain(), FakeProver())
    poster.close()
    seen: list[SignedEpoch] = []

    class Keeps(FakeChain):
        def submit_epoch(self, epoch: SignedEpoch) -> FakeSent:
            seen.append(epoch)
            return super().submit_epoch(epoch)

    again = Poster(opened(tmp_path), FACTS, Keeps(), FakeProver())
    again.add(closed_batches(path)[0])
    again.post()
    assert seen == [epoch(1), epoch(2), epoch(3)]
    again.close()


def test_records_are_plain_json(path: Path, tmp_path: Path) -> None:
    poster = start(tmp_path, FakeChain(), FakeProver())
    poster.add(closed_batches(path)[0])
    assert json.loads(json.dumps(dataclasses.asdict(poster.records()[0])))["status"] == "closed"
    assert poster.record(9) is None
    poster.close()


def test_what_a_reorg_undid_is_posted_again_with_the_proofs_that_were_made(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)
    for proven_left, proposed_left, epochs_left in ((2, 3, 9), (2, 2, 9), (0, 0, 0), (len(closed) - 1, len(closed), 9)):
        chain, prover, folder, steps = FakeChain(), FakeProver(), tmp_path / f"{proven_left}-{proposed_left}", list[BatchRecord]()
        poster = start(folder, chain, prover, steps)
        for batch in closed:
            poster.add(batch)
        poster.post()
        whole = list(chain.proven)
        del chain.proven[proven_left:], chain.proposed[proposed_left:], chain.epochs[epochs_left:]
        steps.clear()
        again = poster.post()
        assert chain.proven == whole and len(chain.proposed) == len(closed)
        assert [record.number for record in again] == list(range(proven_left + 1, len(closed) + 1))
        assert prover.batches == [batch.batch.number for batch in closed]
        assert steps[0].status is Status.PROVED  # it says that layer 1 went back
        assert {record.status for record in poster.records()} == {Status.VERIFIED}
        poster.close()


def test_a_restart_after_a_reorg_posts_again(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)
    chain, prover = FakeChain(), FakeProver()
    first = start(tmp_path, chain, prover)
    for batch in closed:
        first.add(batch)
    first.post()
    first.close()
    del chain.proven[1:], chain.proposed[1:], chain.epochs[1:]
    second = start(tmp_path, chain, prover)
    for batch in closed:
        second.add(batch)
    second.post()
    assert len(chain.proven) == len(closed) == len(prover.batches)
    second.close()


def test_only_the_last_verified_batches_are_kept(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), FakeChain()
    poster = Poster(opened(tmp_path), FACTS, chain, FakeProver(), kept_batches=1)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed:
        poster.add(batch)
    assert len(poster.kept) == len(closed)
    poster.post()
    assert poster.post() == []
    assert list(poster.kept) == [len(closed)] and poster.posted(len(closed)).effects.new_state_root == closed[-1].change.after.root
    assert poster._file.witnessed() == [len(closed)]
    del chain.proven[0:], chain.proposed[0:]
    with pytest.raises(PosterError, match=f"batch 0: the newest that layer 1 still has, and the oldest kept here is {len(closed)}. Restart the node"):
        poster.post()
    poster.close()


def test_a_journal_behind_layer_1_is_refused(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), FakeChain()
    poster = start(tmp_path / "a", chain, FakeProver())
    for batch in closed:
        poster.add(batch)
    poster.post()
    poster.close()
    behind = start(tmp_path / "b", chain, FakeProver())
    behind.add(closed[0])
    with pytest.raises(
        ForeignBatch, match=f"batch {len(closed)}: final on layer 1 with header [0-9a-f]+, but this node's newest batch is 1.*end of its journal"
    ):
        behind.post()
    behind.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "poster.sqlite").write_bytes(b"not a database" * 400)
    with pytest.raises(PosterError, match=r"poster.sqlite: cannot be used: .*the journal is not affected"):
        Poster(opened(tmp_path), FACTS, FakeChain(), FakeProver())


class SlowProver(FakeProver):
    """Proofs finish when they are told to; how many are in the making at a time is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.running: set[int] = set()
        self.most = 0
        self.go = threading.Event()
        self.fails = 0

    def prove(self, witness: Witness) -> ProveResult:
        number = witness.header.batch_number
        self.running.add(number)
        self.most = max(self.most, len(self.running))
        assert self.go.wait(20)
        self.running.discard(number)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the prover died")
        return super().prove(witness)


def test_all_batches_are_proposed_before_the_first_proof_and_proved_several_at_a_time(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), FakeChain(), SlowProver()
    poster = Poster(opened(tmp_path), FACTS, chain, prover, workers=2)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed:
        poster.add(batch)
    assert poster.advance() == []
    assert len(chain.proposed) == len(closed) and chain.proven == []
    assert {record.status for record in poster.records()} == {Status.PROPOSED}
    assert poster.advance() == []  # nothing new: it did not wait
    prover.go.set()
    assert [record.number for record in poster.post()] == [batch.batch.number for batch in closed]
    assert [number for number, _ in chain.proven] == sorted(prover.batches) == [batch.batch.number for batch in closed]
    assert prover.most == 2
    poster.close()


def test_a_proof_that_failed_is_made_again_and_the_others_are_kept(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), FakeChain(), SlowProver()
    poster = Poster(opened(tmp_path), FACTS, chain, prover, workers=2)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed:
        poster.add(batch)
    prover.fails = 1
    prover.go.set()
    with pytest.raises(RuntimeError, match="the prover died"):
        poster.post()
    poster.post()
    assert sorted(prover.batches) == [batch.batch.number for batch in closed] == [number for number, _ in chain.proven]
    poster.close()


def test_a_restart_from_a_snapshot_goes_on_after_the_batches_that_are_not_added_again(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), FakeChain(), FakeProver()
    first = start(tmp_path, chain, prover)
    for batch in closed[:2]:
        first.add(batch)
    first.post()
    first.close()
    second = Poster(opened(tmp_path), FACTS, chain, prover, after_batch=2)
    assert second.post() == []
    for batch in closed[2:]:
        second.add(batch)
    assert [record.number for record in second.post()] == [batch.batch.number for batch in closed[2:]]
    assert [number for number, _ in chain.proven] == [batch.batch.number for batch in closed] == prover.batches
    second.close()
    with pytest.raises(PosterError, match="batch 3: not known"):
        Poster(opened(tmp_path / "other"), FACTS, chain, prover, after_batch=3)


def test_a_new_file_begins_after_final_batches_of_layer_1(path: Path, tmp_path: Path) -> None:
    """With their headers alone: what follows is bound to them as it was with the whole past."""
    closed, chain, prover = closed_batches(path), FakeChain(), FakeProver()
    first = start(tmp_path, chain, prover)
    for batch in closed[:2]:
        first.add(batch)
    first.post()
    records = first.records()
    first.close()
    file = opened(tmp_path / "resumed")
    file.fill(records, [epoch(number) for number in range(1, 5)], [])
    second = Poster(file, FACTS, chain, prover, after_batch=2)
    assert list(second.kept) == [] and second.post() == []
    for batch in closed[2:]:
        second.add(batch)
    assert [record.number for record in second.post()] == [batch.batch.number for batch in closed[2:]]
    assert [record.number for record in second.records()] == [batch.batch.number for batch in closed]
    second.close()


def test_what_batches_take_out_is_known_after_a_restart(path: Path, tmp_path: Path) -> None:
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    sequencer.submit_many([*market.opening(), *market.trading(1)])
    sequencer.close_batch()
    assert isinstance(sequencer.submit(market.withdraw(3, 1, 5_000_000)), Accepted)
    sequencer.close_batch()
    sequencer.close()
    first = start(tmp_path, FakeChain(), FakeProver())
    for batch in closed:
        first.add(batch)
    first.close()
    count = len(closed)
    second = Poster(opened(tmp_path), FACTS, FakeChain(), FakeProver(), after_batch=count)
    assert second.leaving(0) == {**dict.fromkeys(range(1, count), 0), count: 5_000_000} and second.leaving(count) == {}
    second.close()
