"""Takes closed batches to layer 1: data first, so that the table's age never runs out behind a slow prover, then the proofs, several at a time.

Every step is recorded in SQLite before the next begins, and layer 1 is asked what it already has, so a restart at any point goes on
without posting or proving twice. Layer 1 may go back: what it forgot in a reorg is posted again, with the proof that was kept.

    closed -> proposed -> proved -> verified
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.batch_file import BatchFile, BatchRecord, PosterError, SignedEpoch, Status
from straddle.sequencer.sequencer import ClosedBatch

__all__ = ["BatchProver", "BatchRecord", "Facts", "Landed", "Layer1", "Poster", "PosterError", "SignedEpoch", "Status"]

KEPT_BATCHES = 32
"""Verified batches that stay in memory, in case that a reorg of layer 1 undoes them. A restart has them all."""
PROPOSALS_MAX = 255
"""Unproved proposals that layer 1 holds (Rollup.vy, BATCH_SLOTS)."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction that layer 1 executed."""

    transaction_hash: str
    gas: int


class Layer1(Protocol):
    """What the poster needs of layer 1. Each call returns when the transaction is mined, and raises when it reverts."""

    def has_epoch(self, epoch: int) -> bool:
        """Whether an epoch was submitted."""

    def submit_epoch(self, epoch: SignedEpoch) -> Landed:
        """Submit a signed epoch."""

    def proposed_batch(self) -> int:
        """Number of the newest proposal."""

    def proven_batch(self) -> int:
        """Number of the newest proven batch."""

    def header_hash(self, batch_number: int) -> bytes:
        """Header hash of the newest proven batch or of a proposal after it."""

    def propose(self, batch: PostedBatch) -> Landed:
        """Propose the batch."""

    def prove(self, batch: PostedBatch, proof: Proof) -> Landed:
        """Prove the oldest unproved proposal, which must be this batch."""


class BatchProver(Protocol):
    """What the poster needs of the prover."""

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What stays the same for all batches; `rollup` and `beneficiary` are addresses as integers."""

    params: Params
    preset: Preset
    domain: int
    chain_id: int
    rollup: int
    vk_id: bytes
    genesis_root: int
    beneficiary: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch that may have to go to layer 1 (again)."""

    posted: PostedBatch
    parent_epoch: int
    """Epoch of the batch before: all epochs up to it went to layer 1 with that one, in transactions of the same sender."""

    @property
    def number(self) -> int:
        return self.posted.effects.batch_number


Report = Callable[[BatchRecord], None]


class Poster:
    """One rollup's way to layer 1. Closed batches come in order; `post` takes them as far as they go, `advance` only as far as it goes without waiting.

    One thread at a time adds and posts; epochs, records and their reports may come from others.
    """

    def __init__(
        self,
        path: Path,
        facts: Facts,
        layer1: Layer1,
        prover: BatchProver,
        report: Report = lambda record: None,
        *,
        kept_batches: int = KEPT_BATCHES,
        workers: int = 1,
        after_batch: int = 0,
    ) -> None:
        """`path` is the SQLite file of the batches' status. `report` is told of every step. `workers` proofs are made at a time, each in a thread.

        Batches up to `after_batch`, which layer 1 has proven, will not be added (a restart from a snapshot). PosterError: the file cannot be used, or does not
        know that batch.
        """
        self._facts = facts
        self._layer1 = layer1
        self._prover = prover
        self._kept_batches = kept_batches
        self._workers = workers
        self._file = BatchFile(path, report)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="prover")
        self._proofs: dict[int, Future[None]] = {}
        """Batch -> its proof in the making."""
        self._kept: list[_Kept] = []
        self._parent = genesis_header_hash(facts.genesis_root)
        self._parent_epoch = 0
        self._newest = after_batch
        self._proven: int | None = None
        """Newest proven batch when layer 1 was last asked."""
        if after_batch:
            try:
                known = self._file.known(after_batch)
            except PosterError:
                self.close()
                raise
            self._parent, self._parent_epoch = bytes.fromhex(known.header_hash), known.epoch

    @property
    def kept(self) -> list[PostedBatch]:
        """The batches that layer 1 has not verified, and the last ones that it has: those that `post` can take to layer 1."""
        return [kept.posted for kept in self._kept]

    def add_epoch(self, epoch: SignedEpoch) -> None:
        """A signed epoch that batches will use. Kept, so that a restart can still submit it."""
        self._file.save_epoch(epoch)

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        """Signed epochs after one, up to another, in order."""
        return self._file.epochs(after, last)

    def add(self, closed: ClosedBatch) -> None:
        """The next closed batch (the replayed ones too, after a restart). PosterError when it is not the one that was posted before."""
        facts = self._facts
        posted = post_change(
            closed.change,
            closed.batch,
            facts.params,
            facts.preset,
            HeaderFacts(facts.domain, closed.log_root),
            ChainFacts(facts.chain_id, facts.rollup, facts.vk_id, self._parent, facts.beneficiary),
        )
        number, epoch = posted.effects.batch_number, posted.effects.epoch
        known = self.record(number)
        if known is not None and known.header_hash != posted.header_hash.hex():
            raise PosterError(f"batch {number}: header hash {posted.header_hash.hex()}, expected {known.header_hash} as posted before the restart")
        self._parent = posted.header_hash
        if known is None:
            data_bytes, root = 32 * (len(posted.effects_words) + len(posted.body_words)), f"{posted.effects.new_state_root:#066x}"
            self._file.save(BatchRecord(number, Status.CLOSED, posted.header_hash.hex(), root, data_bytes=data_bytes, epoch=epoch))
        self._kept.append(_Kept(posted, self._parent_epoch))
        self._newest, self._parent_epoch = number, epoch
        self._forget()

    def post(self) -> list[BatchRecord]:
        """Take every batch that layer 1 has not verified there, oldest first, those that it forgot in a reorg too; the records of those that became verified.

        What layer 1 or the prover raises comes through; call again to go on. PosterError: layer 1 holds other batches than this node's.
        """
        done = self.advance()
        while self._proofs:
            self.wait()
            done += self.advance()
        return done

    def advance(self) -> list[BatchRecord]:
        """As `post`, but proofs that are being made are left alone; the records of those batches that became verified."""
        done = []
        self._collect_proofs()
        while (proven := self._ask_proven()) < self._newest:
            done += self._note_verified(proven)
            pending = self._kept[proven + 1 - self._kept[0].number :][:PROPOSALS_MAX]
            for kept in pending:
                self._propose(kept)
            self._collect_proofs()
            self._start_proofs(pending)
            proof = None if pending[0].number in self._proofs else self._file.proof(pending[0].number)
            if proof is None:
                return done
            landed = self._layer1.prove(pending[0].posted, proof)
            done.append(self._file.update(pending[0].number, status=Status.VERIFIED, prove_transaction=landed.transaction_hash, prove_gas=landed.gas))
        return done + self._note_verified(self._newest)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until one of the proofs in the making is finished, or failed."""
        wait(self._proofs.values(), timeout_s, FIRST_COMPLETED)

    def record(self, number: int) -> BatchRecord | None:
        """What is known of a batch, or None."""
        return self._file.record(number)

    def records(self, first: int = 1, limit: int = -1) -> list[BatchRecord]:
        """Batches from `first` on, in order, at most `limit` (-1: all)."""
        return self._file.records(first, limit)

    def close(self) -> None:
        """Close the file, when no proof is in the making any more: end the prover's processes first."""
        self._executor.shutdown(cancel_futures=True)
        self._file.close()

    def _ask_proven(self) -> int:
        """Newest batch that layer 1 has proven, one of this node's or the one before the oldest that is kept."""
        proven = self._proven = self._layer1.proven_batch()
        if proven > self._newest:
            raise PosterError(
                f"batch {proven}: proven on layer 1, but this node's newest is {self._newest}: its journal lost its end, or another node posts. "
                "Stop, and restore the newest journal"
            )
        self._forget()
        oldest = self._kept[0].number if self._kept else self._newest + 1
        if proven + 1 < oldest:
            raise PosterError(
                f"batch {proven}: the newest that layer 1 still has, and the oldest kept here is {oldest}. Restart the node: it makes all of them again"
            )
        if oldest <= proven:
            self._check_header(self._kept[proven - oldest])
        return proven

    def _forget(self) -> None:
        """Drops verified batches that are so old that no reorg reaches them."""
        while self._proven is not None and len(self._kept) > self._kept_batches and self._kept[0].number + self._kept_batches <= self._proven:
            self._kept.pop(0)

    def _note_verified(self, proven: int) -> list[BatchRecord]:
        """Records of the kept batches that layer 1 turned out to have verified."""
        numbers = [kept.number for kept in self._kept if kept.number <= proven]
        return [self._file.update(number, status=Status.VERIFIED) for number in numbers if self._file.known(number).status is not Status.VERIFIED]

    def _propose(self, kept: _Kept) -> None:
        number = kept.number
        if self._file.known(number).status is Status.VERIFIED:
            self._file.update(number, status=Status.PROVED)  # layer 1 went back
        if self._layer1.proposed_batch() < number:
            self._submit_epochs(kept.parent_epoch, kept.posted.effects.epoch)
            landed = self._layer1.propose(kept.posted)
            self._file.update(number, status=Status.PROPOSED, propose_transaction=landed.transaction_hash, propose_gas=landed.gas)
        self._check_header(kept)

    def _check_header(self, kept: _Kept) -> None:
        found = self._layer1.header_hash(kept.number)
        if found != kept.posted.header_hash:
            raise PosterError(f"batch {kept.number}: layer 1 has header {found.hex()}, expected {kept.posted.header_hash.hex()}")

    def _submit_epochs(self, parent_epoch: int, epoch: int) -> None:
        """Every signed epoch after the parent's, up to the batch's: funding accrues over those without a batch too, so watchers need them all."""
        for signed in self._file.epochs(parent_epoch, epoch):
            if not self._layer1.has_epoch(signed.epoch):
                self._layer1.submit_epoch(signed)
        if not self._layer1.has_epoch(epoch):
            raise PosterError(f"epoch {epoch}: neither on layer 1 nor signed here, expected it before its first batch")

    def _start_proofs(self, pending: Sequence[_Kept]) -> None:
        """The oldest batches without a proof, as many as there are workers."""
        for kept in pending:
            if len(self._proofs) >= self._workers:
                return
            if kept.number not in self._proofs and self._file.proof(kept.number) is None:
                self._proofs[kept.number] = self._executor.submit(self._prove, kept)

    def _collect_proofs(self) -> None:
        """Those that are finished are kept already; what the prover raised comes through."""
        for batch in [batch for batch, future in self._proofs.items() if future.done()]:
            self._proofs.pop(batch).result()

    def _prove(self, kept: _Kept) -> None:
        """The proof, made once and kept (in a worker's thread)."""
        result = self._prover.prove(kept.posted.witness)
        self._file.save_proof(kept.number, result.proof)
        self._file.update(kept.number, status=Status.PROVED, prove_wall_seconds=result.wall_seconds, prove_cpu_seconds=result.cpu_seconds)
