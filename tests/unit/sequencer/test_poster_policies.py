"""The poster's strategies: proofs only for what is challenged, bodies with a committee whose quorum comes and goes. Whatever moment the node dies at."""

from __future__ import annotations

import dataclasses
import gc
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from straddle.commitments.challenge import challenge, genesis_header_hash
from straddle.commitments.policy import Data
from straddle.commitments.state_copy import load_state
from straddle.l1.rpc import Reverted
from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer import placing
from straddle.sequencer.batch_file import BatchFile, PosterError, Status, StoredBatch
from straddle.sequencer.kept import IN_MEMORY
from straddle.sequencer.placing import QuorumAway, WithCommittee
from straddle.sequencer.poster import Poster
from straddle.sequencer.round import Landed
from straddle.sequencer.sequencer import ClosedBatch
from straddle.sequencer.settling import ProveWhenChallenged

from . import market
from .test_poster import FACTS, PRESET, Died, FakeChain, FakeProver, FakeSent, closed_batches, epoch, opened

# ---------------------------------------------------------------- a proof when challenged


class OptimisticChain(FakeChain):
    """A proof makes a batch final only in its turn; else the window, which is over for batches up to `over`. It holds `slots` proposals."""

    def __init__(self, slots: int = ProveWhenChallenged.slots) -> None:
        super().__init__()
        self.slots = slots
        self.final: list[int] = []
        self.proofs: dict[int, Proof] = {}
        self.challenges: dict[int, int] = {}
        """Batch -> when its answer is due."""
        self.over = 0
        self.collected = 0

    def final_batch(self) -> int:
        return len(self.final)

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> FakeSent:
        if batch.effects.batch_number > len(self.final) + self.slots:  # as Rollup.vy, _append
            raise Reverted("eth_estimateGas", 3, "Rollup: too many proposals")
        return super().propose(batch, certificates)

    def prove(self, batch: PostedBatch, proof: Proof) -> FakeSent:
        number = batch.effects.batch_number

        def run() -> None:
            self.require(len(self.final) < number <= len(self.proposed) and number not in self.proofs)
            self.require(self.proposed[number - 1].header_hash == batch.header_hash and proof.public[1] == batch.witness.public.z)
            self.proofs[number] = proof
            self.challenges.pop(number, None)
            if number == len(self.final) + 1:
                self.final.append(number)

        return self.send(("prove", number), run, Landed(f"0xv{number}", 200))

    def challenged(self, numbers: Sequence[int]) -> list[int]:
        return sorted((number for number in numbers if number in self.challenges), key=lambda number: self.challenges[number])

    def may_finalise(self, number: int) -> bool:
        assert len(self.final) < number <= len(self.proposed)
        return number in self.proofs or (number <= self.over and number not in self.challenges)

    def finalise(self, batch: PostedBatch) -> FakeSent:
        number = batch.effects.batch_number

        def run() -> None:
            self.require(number == len(self.final) + 1 and self.may_finalise(number) and self.proposed[number - 1].header_hash == batch.header_hash)
            self.final.append(number)

        return self.send(("finalise", number), run, Landed(f"0xf{number}", 50))

    def may_collect(self) -> bool:
        return len(self.final) > self.collected

    def collect(self) -> FakeSent:
        def run() -> None:
            self.collected = len(self.final)

        return self.send(("collect", 0), run, Landed("0xc", 10))


def optimistic(folder: Path, chain: OptimisticChain, prover: FakeProver, closed: Sequence[ClosedBatch], *, early: bool = False) -> Poster:
    file = opened(folder)
    settling = ProveWhenChallenged(file, chain, early=early, slots=chain.slots)
    poster = Poster(file, FACTS, chain, prover, settling=settling)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed:
        poster.add(batch)
    return poster


def test_nothing_is_proved_that_nobody_challenges(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), OptimisticChain(), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed)
    assert poster.post() == [] and len(chain.proposed) == len(closed) and chain.final == []
    assert {record.status for record in poster.records()} == {Status.PROPOSED}
    chain.over = 2
    assert [record.number for record in poster.post()] == [1, 2]
    chain.over = len(closed)
    done = poster.post()
    assert [record.number for record in done] == list(range(3, len(closed) + 1)) and prover.batches == [] and chain.collected == len(closed)
    assert all((record.status, record.finalise_transaction, record.finalise_gas) == (Status.VERIFIED, f"0xf{record.number}", 50) for record in done)
    poster.close()


def test_challenged_batches_are_proved_the_most_urgent_first_and_hold_up_what_follows(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), OptimisticChain(), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed)
    poster.post()
    chain.challenges, chain.over = {2: 900, 3: 500}, len(closed)
    done = poster.post()
    assert prover.batches == [3, 2]  # by the date of the answer
    assert sorted(chain.proofs) == [2, 3] and [record.number for record in done] == list(range(1, len(closed) + 1))
    record = poster.record(2)
    assert record is not None and (record.prove_transaction, record.prove_gas) == ("0xv2", 200)
    poster.close()


def test_challenges_are_answered_while_nothing_can_be_proposed(path: Path, tmp_path: Path) -> None:
    """Frozen, without ether for another bond, or with too old a table: the bonds that stand must not be lost for it."""

    class Refusing(OptimisticChain):
        refuses = True

        def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> FakeSent:
            if self.refuses and batch.effects.batch_number == 3:
                raise Reverted("eth_estimateGas", 3, "Rollup: frozen")
            return super().propose(batch)

    closed, chain, prover = closed_batches(path), Refusing(), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed)
    with pytest.raises(Reverted, match="frozen"):
        poster.advance()
    chain.challenges, chain.over = {2: 900}, 2
    for _ in range(2):
        with pytest.raises(Reverted, match="frozen"):
            poster.advance()
        poster.wait(20)
    with pytest.raises(Reverted, match="frozen"):
        poster.advance()
    assert prover.batches == [2] and chain.final == [1, 2] and len(chain.proposed) == 2
    chain.refuses, chain.over = False, len(closed)
    assert [record.number for record in poster.post()] == list(range(3, len(closed) + 1))
    poster.close()


def test_early_proofs_end_the_wait(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), OptimisticChain(), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed, early=True)
    chain.challenges = {3: 900}  # goes first
    poster.post()
    assert prover.batches == [3, *(number for number in range(1, len(closed) + 1) if number != 3)]
    assert chain.final == list(range(1, len(closed) + 1))
    poster.close()


def test_a_window_with_more_batches_than_slots_goes_on_with_proofs_of_the_oldest(path: Path, tmp_path: Path) -> None:
    """Layer 1 holds 4,095 proposals, of which none is final before its window is over; here 8. Who waited for that would be too late with the ninth."""
    chain, prover = OptimisticChain(slots=8), FakeProver()
    poster = optimistic(tmp_path, chain, prover, [])
    for number in range(1, 36):
        poster.add_epoch(epoch(number))
    most = 0

    def add(closed: ClosedBatch) -> None:
        nonlocal most
        poster.add(closed)
        poster.post()
        assert len(chain.proposed) == closed.batch.number  # at once, whatever layer 1 held
        most = max(most, len(chain.proposed) - len(chain.final))

    sequencer = market.open_sequencer(path, add)
    for commands in (market.opening(), *(market.trading_round(number) for number in range(1, 21))):
        sequencer.submit_many(commands)
        sequencer.close_batch()
    sequencer.close()
    count = len(chain.proposed)
    assert count > 3 * chain.slots and most == 7 and chain.over == 0
    assert prover.batches == list(range(1, count - 6)) == chain.final  # the seven newest wait for their window
    chain.over = count
    poster.post()
    assert len(prover.batches) == count - 7 and len(chain.final) == count
    poster.close()


def test_what_layer_1_does_not_hold_is_not_offered(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), OptimisticChain(slots=2), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed[:2])
    prover.prove = lambda witness: (_ for _ in ()).throw(RuntimeError("no prover"))  # type: ignore[method-assign]
    for count in (2, 3):
        with pytest.raises(RuntimeError, match="no prover"):
            poster.post()
        assert len(chain.proposed) == 2
        if count == 2:
            poster.add(closed[2])
    del prover.prove  # type: ignore[method-assign]
    poster.post()
    assert len(chain.proposed) == 3 and chain.final == [1, 2] == prover.batches
    poster.close()


def test_wherever_the_node_dies_a_challenge_is_answered_once(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)

    def run(folder: Path, chain: OptimisticChain, prover: FakeProver) -> None:
        poster = optimistic(folder, chain, prover, closed)
        try:
            poster.post()
            if 2 not in chain.proofs:
                chain.challenges = {2: 900}
            chain.over = len(closed)
            poster.post()
        finally:
            poster.close()

    whole, prover = OptimisticChain(), FakeProver()
    run(tmp_path / "whole", whole, prover)
    assert prover.batches == [2] and len(whole.final) == len(closed)
    for moment in range(1, whole.calls + 1):
        chain, prover, folder = OptimisticChain(), FakeProver(), tmp_path / f"dies-at-{moment}"
        chain.die_at = moment
        with pytest.raises(Died):
            run(folder, chain, prover)
        chain.forget(moment)
        run(folder, chain, prover)
        assert chain.final == whole.final and list(chain.proofs) == prover.batches == [2]


def test_a_reorg_that_undoes_finality_is_made_good(path: Path, tmp_path: Path) -> None:
    closed, chain, prover = closed_batches(path), OptimisticChain(), FakeProver()
    poster = optimistic(tmp_path, chain, prover, closed)
    chain.over = len(closed)
    poster.post()
    del chain.final[1:], chain.proposed[2:]
    again = poster.post()
    assert [record.number for record in again] == list(range(2, len(closed) + 1)) and len(chain.final) == len(closed) and prover.batches == []
    poster.close()


class Layer1WithoutWitnesses(OptimisticChain):
    """Keeps of a proposal what layer 1 does."""

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> FakeSent:
        return super().propose(dataclasses.replace(batch, witness=None), certificates)  # type: ignore[arg-type]


def witnesses_in_memory() -> int:
    gc.collect()
    return sum(type(item) is Witness for item in gc.get_objects())


def window_of(path: Path, chain: OptimisticChain, prover: FakeProver, folder: Path, rounds: int) -> tuple[Poster, int]:
    """A poster with as many batches in their window as the rounds make, and the most witnesses that were in memory meanwhile."""
    poster, most = optimistic(folder, chain, prover, []), 0
    for number in range(1, rounds):
        poster.add_epoch(epoch(number))
    before = witnesses_in_memory()
    sequencer = market.open_sequencer(path, poster.add)
    for commands in (market.opening(), *(market.trading_round(number) for number in range(1, rounds + 1))):
        sequencer.submit_many(commands)
        poster.advance()
        most = max(most, witnesses_in_memory() - before)
    sequencer.close()
    return poster, most


def test_a_window_of_many_batches_is_on_disk_and_not_in_memory(path: Path, tmp_path: Path) -> None:
    chain, prover = Layer1WithoutWitnesses(), FakeProver()
    poster, most = window_of(path, chain, prover, tmp_path, rounds=36)
    count = len(chain.proposed)
    assert count > 4 * IN_MEMORY and most == IN_MEMORY and list(poster.kept) == list(range(1, count + 1)) == poster._file.witnessed()
    chain.challenges, chain.over = {1: 900, count - 1: 500}, count
    assert [record.number for record in poster.post()] == list(poster.kept) == list(range(1, count + 1)) == chain.final
    assert prover.batches == [count - 1, 1]
    poster.close()


def test_a_restart_in_the_middle_of_a_window_finalises_and_answers_from_the_file(path: Path, tmp_path: Path) -> None:
    chain, prover = Layer1WithoutWitnesses(), FakeProver()
    poster, _ = window_of(path, chain, prover, tmp_path, rounds=12)
    count, whole = len(chain.proposed), [poster.posted(number) for number in poster.kept]
    chain.over = 2
    poster.post()
    poster.close()
    file = opened(tmp_path)
    assert file.reach(final=2) == count
    del chain.proposed[count - 2 :]  # and layer 1 goes back meanwhile
    again = Poster(file, FACTS, chain, prover, settling=ProveWhenChallenged(file, chain), after_batch=count)
    assert [again.posted(number) for number in again.kept] == whole  # nothing was added
    assert again.answered(0) == [entry for batch in whole for entry in batch.effects.queue] and len(again.answered(0)) == 4
    chain.challenges, chain.over = {4: 900}, count
    assert [record.number for record in again.post()] == list(range(3, count + 1)) and len(chain.proposed) == count and prover.batches == [4]
    again.close()


def test_a_file_without_a_witness_says_so_and_a_restart_begins_before_it(path: Path, tmp_path: Path) -> None:
    chain, prover = Layer1WithoutWitnesses(), FakeProver()
    poster, _ = window_of(path, chain, prover, tmp_path, rounds=6)
    poster.close()
    file = opened(tmp_path)
    file._db.execute("DELETE FROM witnesses WHERE number = 3")
    assert (file.reach(0), file.reach(1), file.reach(3)) == (2, 2, len(chain.proposed))
    with pytest.raises(PosterError, match=r"batch 3: its witness is not in the poster's file\. Restart the node from its journal without snapshots"):
        file.witness(3)
    torn = file._db.execute("SELECT witness FROM witnesses WHERE number = 4").fetchone()[0]
    for content in (torn[:-9], b"", zlib.compress(b"[]"), zlib.compress(b"{"), zlib.compress(b"\xff")):
        file._db.execute("UPDATE witnesses SET witness = ? WHERE number = 4", (content,))
        with pytest.raises(PosterError, match=r"batch 4: its witness cannot be read: .* Restart the node from its journal without snapshots"):
            file.witness(4)
    file._db.execute("UPDATE witnesses SET witness = ? WHERE number = 4", (torn,))
    file._db.execute("UPDATE witnesses SET witness = (SELECT witness FROM witnesses WHERE number = 1) WHERE number = 2")
    again = Poster(file, FACTS, chain, prover, settling=ProveWhenChallenged(file, chain), after_batch=2)
    with pytest.raises(PosterError, match=r"batch 2: header hash [0-9a-f]{64} of its kept witness, expected [0-9a-f]{64} as posted"):
        again.posted(2)
    again.close()


# ---------------------------------------------------------------- data with a committee


@dataclass
class Members:
    """Certifies with as many as are there; remembers what it was asked."""

    there: int = 7
    asked: list[tuple[int, Data]] = field(default_factory=list)

    def certify(self, number: int, data_of: Callable[[int], tuple[StoredBatch, bytes]]) -> tuple[bytes, ...]:
        batch, inputs = data_of(number)
        assert (batch.number, inputs) == (number, b"inputs")
        assert batch.parent_header_hash == (data_of(number - 1)[0].header_hash if number > 1 else genesis_header_hash(FACTS.genesis_root))
        self.asked.append((number, batch.place.data))
        return tuple(bytes([i]) * 65 for i in range(self.there))


class ValidiumChain(FakeChain):
    """Checks that the challenge binds the place and the parent, and the order: certified, or in calldata behind a copy of the state before the first."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[int, bytes] = {}
        self.seconds = 0.0
        """What posting a copy takes."""

    def check_place(self, batch: PostedBatch, certificates: Sequence[bytes]) -> None:
        parent = self.proposed[-1].header_hash if self.proposed else genesis_header_hash(FACTS.genesis_root)
        number, words, body = batch.effects.batch_number, batch.effects_words, batch.body_words
        z = challenge(FACTS.chain_id, FACTS.rollup, FACTS.vk_id, number, parent, words, body, batch.witness.public.c, batch.place)
        self.require(z == batch.witness.public.z)
        self.require(len(certificates) == (6 if batch.place.data is Data.COMMITTEE else 0))
        before_in_calldata = bool(self.proposed) and self.proposed[-1].place.data is Data.CALLDATA
        self.require(batch.place.data is Data.COMMITTEE or before_in_calldata or batch.effects.old_state_root in self.copies)

    def has_snapshot(self, state_root: int) -> bool:
        return state_root in self.copies

    def snapshot_s(self, data: bytes) -> float:
        return self.seconds

    def post_snapshot(self, state_root: int, data: bytes) -> None:
        self.step()
        assert state_root not in self.copies
        self.copies[state_root] = data
        self.step()

    @property
    def places(self) -> list[Data]:
        return [batch.place.data for batch in self.proposed]


@dataclass
class Validium:
    """A poster with a committee, and a clock."""

    folder: Path
    chain: ValidiumChain
    members: Members = field(default_factory=Members)
    prover: FakeProver = field(default_factory=FakeProver)
    now_s: float = 0.0

    def open(self, closed: Sequence[ClosedBatch], patience_s: float = 60.0) -> Poster:
        file: BatchFile = opened(self.folder)
        clock = lambda: self.now_s  # noqa: E731
        placing = WithCommittee(file, self.chain, self.members, PRESET, market.PARAMS, market.OPERATOR, 6, patience_s=patience_s, now_s=clock)
        poster = Poster(file, FACTS, self.chain, self.prover, placing=placing)
        for number in range(1, 5):
            poster.add_epoch(epoch(number))
        for batch in closed:
            poster.add(batch)
        return poster


def test_certified_batches_carry_as_many_certificates_as_are_needed(path: Path, tmp_path: Path) -> None:
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    poster = validium.open(closed)
    assert len(poster.post()) == len(closed)
    assert set(validium.chain.places) == {Data.COMMITTEE} and {record.data for record in poster.records()} == {"committee"}
    assert validium.members.asked == [(batch.batch.number, Data.COMMITTEE) for batch in closed] and validium.chain.copies == {}
    poster.close()


def test_without_a_quorum_batches_wait_then_go_to_layer_1_behind_a_copy_and_come_back(path: Path, tmp_path: Path) -> None:
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    chain, members = validium.chain, validium.members
    poster = validium.open(closed[:1])
    poster.post()
    members.there = 5
    for batch in closed[1:3]:
        poster.add(batch)
    for now in (0.0, 59.0):
        validium.now_s = now
        with pytest.raises(QuorumAway, match=r"batch 2: 5 members certify it, expected 6; after 60 s batches go to layer 1"):
            poster.advance()
    assert chain.places == [Data.COMMITTEE]
    validium.now_s = 60.0
    poster.post()
    assert chain.places == [Data.COMMITTEE, Data.CALLDATA, Data.CALLDATA]  # batch 3 is not waited for
    assert members.asked[-1] == (3, Data.COMMITTEE)  # but the members were asked
    ((root, copy),) = chain.copies.items()
    assert root == closed[0].change.after.root == load_state(copy, market.PARAMS).root
    assert [record.data for record in poster.records()] == ["committee", "calldata", "calldata"]
    bodies = [0, *(len(batch.body_words) for batch in chain.proposed[1:])]  # what lies with a committee is not on layer 1
    assert [record.data_bytes for record in poster.records()] == [32 * (PRESET.effects_words + body) for body in bodies]
    assert [number for number, _ in chain.proven] == [1, 2, 3]
    members.there = 6
    for batch in closed[3:]:
        poster.add(batch)
    poster.post()
    assert set(chain.places[3:]) <= {Data.COMMITTEE} and len(chain.proven) == len(closed)
    poster.close()
    again = validium.open(closed)  # headers of all places are found again
    assert again.post() == []
    again.close()


def test_wherever_the_node_dies_the_quorum_away_it_goes_on(path: Path, tmp_path: Path) -> None:
    closed = closed_batches(path)

    def run(validium: Validium) -> None:
        validium.members.there = 7 if not validium.chain.proposed else 3
        poster = validium.open(closed, patience_s=0.0)
        try:
            poster.post()
        finally:
            poster.close()

    whole = Validium(tmp_path / "whole", ValidiumChain())
    whole.members.there = 3
    run(whole)
    for moment in range(1, whole.chain.calls + 1):
        validium = Validium(tmp_path / f"dies-at-{moment}", ValidiumChain())
        validium.chain.die_at = moment
        with pytest.raises(Died):
            run(validium)
        validium.chain.forget(moment)
        run(validium)
        assert [number for number, _ in validium.chain.proven] == [batch.batch.number for batch in closed]


def test_a_batch_that_moves_after_a_reorg_is_proved_anew(path: Path, tmp_path: Path) -> None:
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    chain, prover = validium.chain, validium.prover
    poster = validium.open(closed, patience_s=0.0)
    poster.post()
    del chain.proven[1:], chain.proposed[1:]
    validium.members.there = 0
    poster.post()
    assert chain.places == [Data.COMMITTEE, *[Data.CALLDATA] * (len(closed) - 1)] and len(chain.proven) == len(closed)
    assert prover.batches.count(1) == 1 and all(prover.batches.count(number) == 2 for number in range(2, len(closed) + 1))
    poster.close()


def test_a_copy_needs_all_earlier_data(path: Path, tmp_path: Path) -> None:
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    poster = validium.open(closed[:2])
    poster.post()
    poster._file._db.execute("DELETE FROM stored WHERE number = 1")
    poster.add(closed[2])
    validium.members.there, validium.now_s = 0, 0.0
    with pytest.raises(QuorumAway):
        poster.advance()
    validium.now_s = 61.0
    with pytest.raises(PosterError, match="batch 1: its data are not in the poster's file"):
        poster.advance()
    poster.close()


def test_a_copy_that_takes_long_is_posted_before_the_patience_is_over(path: Path, tmp_path: Path) -> None:
    """A batch is too old for layer 1 a quarter of an hour after its table: of that nothing may be lost by waiting with a copy in hand."""
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    poster = validium.open(closed[:1])
    poster.post()
    validium.members.there, validium.chain.seconds = 0, 25.0
    poster.add(closed[1])
    for now, copies in ((0.0, 0), (34.0, 0), (35.0, 1), (59.0, 1)):
        validium.now_s = now
        with pytest.raises(QuorumAway, match=r"batch 2: 0 members certify it, expected 6; after 60 s batches go to layer 1"):
            poster.advance()
        assert len(validium.chain.copies) == copies
    validium.now_s = 60.0
    poster.post()
    assert validium.chain.places == [Data.COMMITTEE, Data.CALLDATA]
    poster.close()


def test_a_copy_that_is_on_layer_1_is_not_made_again(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart: the state of a long history takes its time."""
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    poster = validium.open(closed[:2])
    validium.members.there = 0
    validium.chain.copies[FACTS.genesis_root] = b"posted before"
    monkeypatch.setattr(WithCommittee, "state", lambda *_: pytest.fail("needed"))
    with pytest.raises(QuorumAway):
        poster.advance()
    validium.now_s = 60.0
    poster.post()
    assert validium.chain.places == [Data.CALLDATA] * 2
    poster.close()


def test_the_state_begins_with_the_newest_kept_copy(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "COPY_EVERY", 2)
    closed, validium = closed_batches(path), Validium(tmp_path, ValidiumChain())
    assert len(closed) >= 4
    poster = validium.open(closed[:4])
    poster.post()
    file = poster._file
    assert [load_state(file.copy(last) or b"", market.PARAMS).batch_number for last in (4, 3, 2, 1)] == [3, 3, 1, 1] and file.copy(0) is None
    file._db.execute("DELETE FROM stored WHERE number <= 3")
    placed = poster._placing
    assert isinstance(placed, WithCommittee)
    assert placed.state(4).root == closed[3].change.after.root and placed.state(3).root == closed[2].change.after.root
    with pytest.raises(PosterError, match="batch 2: its data are not in the poster's file"):
        placed.state(2)
    poster.close()
