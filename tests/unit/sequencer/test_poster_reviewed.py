"""What an independent review tried on the poster's rounds: backlogs, reorgs and deaths in the middle of one, others' proofs, places that change meanwhile."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from straddle.commitments.policy import Data
from straddle.l1.rpc import Reverted
from straddle.l1.sender import TransactionFailed
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.batch_file import Status, StoredBatch
from straddle.sequencer.poster import Poster
from straddle.sequencer.sequencer import ClosedBatch, Sequencer
from straddle.sequencer.settling import ProveWhenChallenged

from . import market
from .test_poster import FACTS, Died, FakeChain, FakeProver, FakeSent, closed_batches, epoch, opened
from .test_poster_policies import OptimisticChain, Validium, ValidiumChain, optimistic

ROUNDS = 40


def trading(path: Path, poster: Poster) -> Sequencer:
    """Posts a batch a round; the sequencer, for one more."""
    for number in range(1, 60):
        poster.add_epoch(epoch(number))
    sequencer = market.open_sequencer(path, poster.add)
    for commands in (market.opening(), *(market.trading_round(number) for number in range(1, ROUNDS + 1))):
        sequencer.submit_many(commands)
        sequencer.close_batch()
        poster.post()
    return sequencer


def check_data_first(poster: Poster, sequencer: Sequencer, chain: FakeChain) -> None:
    """A batch that is closed now is in the next block."""
    sequencer.submit_many(market.trading_round(ROUNDS + 1))
    sequencer.close_batch()
    sequencer.close()
    chain.blocks.clear()
    poster.post()
    poster.close()
    assert len(chain.blocks) > 1 and "propose" in {kind for kind, _ in chain.blocks[0]}


def test_a_backlog_of_windows_that_are_over_does_not_hold_up_data(path: Path, tmp_path: Path) -> None:
    chain = OptimisticChain()
    poster = optimistic(tmp_path, chain, FakeProver(), [])
    sequencer = trading(path, poster)
    chain.over = len(chain.proposed)
    check_data_first(poster, sequencer, chain)
    assert chain.final_batch() >= chain.over


def test_a_backlog_of_kept_proofs_does_not_hold_up_data(path: Path, tmp_path: Path) -> None:
    chain = FakeChain()
    poster = Poster(opened(tmp_path), FACTS, chain, FakeProver(), workers=8)
    sequencer = trading(path, poster)
    del chain.proven[3:]
    check_data_first(poster, sequencer, chain)
    assert chain.final_batch() == len(chain.proposed)


def test_a_proof_in_the_making_of_a_batch_that_moves_is_not_kept(path: Path, tmp_path: Path) -> None:
    class Held(FakeProver):
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()

        def prove(self, witness: Witness) -> ProveResult:
            assert self.go.wait(60)
            return super().prove(witness)

    closed, validium, prover = closed_batches(path), Validium(tmp_path, ValidiumChain()), Held()
    chain, validium.prover = validium.chain, prover
    poster = validium.open(closed[:3], patience_s=0.0)
    poster.advance()
    assert len(chain.proposed) == 3
    del chain.proposed[1:]
    validium.members.there = 0
    poster.advance()
    assert chain.places == [Data.COMMITTEE, Data.CALLDATA, Data.CALLDATA]
    prover.go.set()
    poster.post()
    poster.close()
    assert [number for number, _ in chain.proven] == [1, 2, 3]


def test_a_proposal_that_was_given_up_and_is_mined_after_all_stands_where_it_lies(path: Path, tmp_path: Path) -> None:
    class Late(ValidiumChain):
        """Blocks stop coming for a time."""

        stopped = False

        def mine(self) -> None:
            if self.stopped:
                raise TransactionFailed("was not mined in time and may still be")
            super().mine()

    for first, then in ((0, 7), (7, 0)):  # members there
        folder, chain = tmp_path / str(first), Late()
        closed, validium = closed_batches(folder / "journal.sqlite"), Validium(folder, chain)
        poster = validium.open(closed[:1], patience_s=0.0)
        poster.post()
        validium.members.there = first
        for batch in closed[1:3]:
            poster.add(batch)
        chain.stopped = True
        with pytest.raises(TransactionFailed):
            poster.advance()
        chain.stopped, validium.members.there = False, then
        certify = validium.members.certify

        def mined_meanwhile(number: int, data_of: Callable[[int], tuple[StoredBatch, bytes]], chain: Late = chain, certify=certify) -> tuple[bytes, ...]:  # type: ignore[no-untyped-def]
            certificates: tuple[bytes, ...] = certify(number, data_of)
            if number == 2:
                chain.mine()
            return certificates

        validium.members.certify = mined_meanwhile  # type: ignore[method-assign]
        with pytest.raises(AssertionError, match="nothing waits that it could build on"):
            poster.post()  # the chain has number 2 already
        poster.post()
        poster.close()
        place = Data.COMMITTEE if first else Data.CALLDATA
        assert chain.places[1:] == [place, place] and [number for number, _ in chain.proven] == [1, 2, 3]
        assert [record.data for record in Validium(folder, chain).open(closed[:3]).records()][1:] == [place.name.lower()] * 2


@pytest.mark.parametrize("fate", range(3))
def test_early_proofs_go_once_wherever_the_node_dies(path: Path, tmp_path: Path, fate: int) -> None:
    closed = closed_batches(path)

    def run(folder: Path, chain: OptimisticChain) -> None:
        poster = optimistic(folder, chain, FakeProver(), closed, early=True)
        chain.challenges = {3: 900} if 3 not in chain.proofs else {}
        try:
            poster.post()
        finally:
            poster.close()

    whole = OptimisticChain()
    run(tmp_path / "whole", whole)
    for moment in range(1, whole.calls + 1, 3):
        chain, folder = OptimisticChain(), tmp_path / str(moment)
        chain.die_at = moment
        with pytest.raises(Died):
            run(folder, chain)
        chain.forget(fate)
        run(folder, chain)
        assert chain.final == whole.final


def test_early_proofs_that_a_reorg_drops_go_again(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), OptimisticChain()
    poster = optimistic(tmp_path, chain, FakeProver(), closed, early=True)
    poster.post()
    assert len(chain.final) == len(closed)
    del chain.final[1:]
    for number in range(2, len(closed) + 1):
        chain.proofs.pop(number, None)
    poster.post()
    poster.close()
    assert len(chain.final) == len(closed)


def test_a_batch_that_another_has_proved_is_left_to_its_finality(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), OptimisticChain()
    poster = optimistic(tmp_path, chain, FakeProver(), closed, early=True)
    poster.advance(rounds=1)
    assert len(chain.proposed) == len(closed)
    chain.proofs[2] = chain.proposed[1].header_hash
    poster.post()
    poster.close()
    assert list(chain.final) == list(range(1, len(closed) + 1))


def test_batches_that_others_made_final_beyond_those_kept_are_noted(path: Path, tmp_path: Path) -> None:
    closed, chain = closed_batches(path), OptimisticChain()
    file = opened(tmp_path)
    poster = Poster(file, FACTS, chain, FakeProver(), settling=ProveWhenChallenged(file, chain), kept_batches=1)
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed:
        poster.add(batch)
    poster.post()
    chain.final = list(range(1, len(closed) + 1))
    poster.post()
    assert {record.status for record in poster.records()} == {Status.VERIFIED}
    poster.close()


def test_a_reorg_in_the_middle_of_a_round_is_no_disagreement(path: Path, tmp_path: Path) -> None:
    """A batch has its parent's table, and a reorg drops both while the parent is proved."""

    class Reorging(FakeChain):
        armed = False

        def prove(self, batch: PostedBatch, proof: Proof) -> FakeSent:
            if self.armed:
                self.armed = False
                self.proposed.clear()
                self.epochs.clear()
                self.tables.clear()
                raise Reverted("eth_estimateGas", 3, "Rollup: no such proposal")
            return super().prove(batch, proof)

    closed, chain = closed_batches(path), Reorging()
    epochs = [batch.batch.table.epoch for batch in closed]
    place = next(i for i in range(1, len(closed)) if epochs[i] == epochs[i - 1])
    poster = Poster(opened(tmp_path), FACTS, chain, FakeProver())
    for number in range(1, 5):
        poster.add_epoch(epoch(number))
    for batch in closed[:place]:
        poster.add(batch)
    poster.post()
    del chain.proven[place - 1 :]
    poster.add(closed[place])
    chain.armed = True
    with pytest.raises(Reverted, match="no such proposal"):
        poster.advance(rounds=1)
    poster.post()
    poster.close()
    assert not chain.armed and len(chain.proven) == place + 1


# ---------------------------------------------------------------- everything at once

KEPT = ("epochs", "tables", "proposed", "proven", "final", "proofs")


class Wild(FakeChain):
    """Goes back, mines, loses answers and kills at any call."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng, self.quiet, self.version = rng, False, 0
        self.history: list[tuple[dict[str, object], list[FakeSent]]] = []

    def image(self) -> dict[str, object]:
        return {name: copy.copy(getattr(self, name)) for name in KEPT if hasattr(self, name)}

    def head(self) -> str:
        return str(self.version)

    def header_hash(self, batch_number: int) -> bytes:
        return super().header_hash(batch_number) if 0 < batch_number <= len(self.proposed) else b""

    def mine(self) -> None:
        if self.pool:
            self.history.append((self.image(), list(self.pool)))
            self.version += 1
        super().mine()

    def reorg(self) -> None:
        dropped: list[FakeSent] = []
        for _ in range(min(self.rng.randint(1, 3), len(self.history))):
            image, sent = self.history.pop()
            vars(self).update(image)
            dropped = sent + dropped
        self.version += 1
        if self.rng.random() < 0.5:
            self.pool[:0] = dropped

    def step(self) -> None:
        super().step()
        event = 1.0 if self.quiet else self.rng.random()
        self.quiet, before = True, self.quiet
        if event < 0.04:
            self.reorg()
        elif event < 0.10:
            self.mine()
        self.quiet = before
        if 0.10 <= event < 0.13:
            raise Died
        if 0.13 <= event < 0.17:
            raise TransactionFailed("the answer was lost")

    def run_waiting(self) -> None:
        for waiting in self.pool:
            try:
                waiting.run()
            except Reverted:
                continue

    def check_refusal(self, call: tuple[str, int]) -> None:
        """After a reorg anything may be refused."""


class WildOptimistic(Wild, OptimisticChain):
    def may_finalise(self, number: int) -> bool:
        return len(self.final) < number <= len(self.proposed) and super().may_finalise(number)


def live(chain: Wild, closed: Sequence[ClosedBatch], folder: Path, early: bool) -> None:
    rng, prover, count = chain.rng, FakeProver(), 1

    def begin() -> Poster:
        file = opened(folder)
        settling = ProveWhenChallenged(file, chain, early=early) if isinstance(chain, WildOptimistic) else None
        poster = Poster(file, FACTS, chain, prover, settling=settling, workers=rng.randint(1, 3))
        for number in range(1, 13):
            poster.add_epoch(epoch(number))
        for batch in closed[:count]:
            poster.add(batch)
        return poster

    poster = begin()
    for _ in range(60):
        if rng.random() < 0.3 and count < len(closed):
            poster.add(closed[count])
            count += 1
        if isinstance(chain, WildOptimistic) and chain.proposed:
            number = rng.randint(1, len(chain.proposed))
            if rng.random() < 0.1 and not early and number > len(chain.final) and number not in chain.proofs:
                chain.challenges[number] = rng.randint(1, 99)
            if rng.random() < 0.2:
                chain.over, chain.version = max(chain.over, rng.randint(0, len(chain.proposed))), chain.version + 1
        if rng.random() < 0.05:
            chain.reorg()
        try:
            poster.advance(rounds=1)
        except Died:
            poster.close()
            chain.forget(rng.randint(0, 2))
            chain.version += 1
            poster = begin()
        except (Reverted, TransactionFailed):
            continue
    chain.quiet = True
    for batch in closed[count:]:
        poster.add(batch)
    if isinstance(chain, WildOptimistic):
        chain.over, chain.version = len(closed), chain.version + 1
    for _ in range(80):
        try:
            poster.advance(rounds=1)
        except (Reverted, TransactionFailed):
            continue
        finally:
            poster.wait(60)
        if poster.is_idle and chain.final_batch() == len(closed):
            break
    assert poster.is_idle and chain.final_batch() == len(closed)
    poster.advance()
    assert {record.status for record in poster.records()} == {Status.VERIFIED}
    poster.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["calldata", "optimistic", "early"])
def test_whatever_happens_to_rounds_everything_becomes_final(path: Path, tmp_path: Path, kind: str, seed: int) -> None:
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    for commands in (market.opening(), *(market.trading_round(number) for number in range(1, 9))):
        sequencer.submit_many(commands)
        sequencer.close_batch()
    sequencer.close()
    rng = random.Random(seed)
    live(Wild(rng) if kind == "calldata" else WildOptimistic(rng), closed, tmp_path, kind == "early")
