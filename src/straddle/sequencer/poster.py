"""Takes closed batches to layer 1: data first, so that the table's age never runs out behind a slow prover, then the proof.

Every step is recorded in SQLite before the next begins, and layer 1 is asked what it already has, so a restart at any point goes on
without posting or proving twice. Layer 1 may go back: what it forgot in a reorg is posted again, with the proof that was kept.

    closed -> proposed -> proved -> verified
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.sequencer import ClosedBatch

KEPT_BATCHES = 32
"""Verified batches that stay in memory, in case that a reorg of layer 1 undoes them. A restart has them all."""


class PosterError(RuntimeError):
    """Layer 1 and this node disagree; the message says on what. Nothing was posted."""


class Status(StrEnum):
    """How far a batch is."""

    CLOSED = "closed"
    PROPOSED = "proposed"
    PROVED = "proved"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class SignedEpoch:
    """A risk epoch as layer 1 takes it."""

    epoch: int
    time_ms: int
    risk_root: int
    inputs: bytes
    signatures: tuple[bytes, ...]
    """65 bytes each (r, s, v), ascending by signer."""


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
class BatchRecord:
    """What is known of a batch's way to layer 1."""

    number: int
    status: Status
    header_hash: str
    state_root: str
    propose_transaction: str = ""
    propose_gas: int = 0
    prove_transaction: str = ""
    prove_gas: int = 0
    prove_wall_seconds: float = 0.0
    prove_cpu_seconds: float = 0.0
    data_bytes: int = 0
    """Effects and body as posted."""


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

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, header_hash TEXT NOT NULL, record TEXT NOT NULL, proof TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, signed TEXT NOT NULL);
"""


class Poster:
    """One rollup's way to layer 1. Closed batches come in order; `post` takes them as far as they go."""

    def __init__(
        self, path: Path, facts: Facts, layer1: Layer1, prover: BatchProver, report: Report = lambda record: None, *, kept_batches: int = KEPT_BATCHES
    ) -> None:
        """`path` is the SQLite file of the batches' status. `report` is told of every step. PosterError: the file cannot be used."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._facts = facts
        self._layer1 = layer1
        self._prover = prover
        self._report = report
        self._kept_batches = kept_batches
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise PosterError(
                f"poster {path}: cannot be used: {error}. Close the process that has it open, or restore the file; the journal is not affected"
            ) from error
        self._kept: list[_Kept] = []
        self._parent = genesis_header_hash(facts.genesis_root)
        self._parent_epoch = 0
        self._newest = 0
        self._proven: int | None = None
        """Newest proven batch when layer 1 was last asked."""

    @property
    def kept(self) -> list[PostedBatch]:
        """The batches that layer 1 has not verified, and the last ones that it has: those that `post` can take to layer 1."""
        return [kept.posted for kept in self._kept]

    def add_epoch(self, epoch: SignedEpoch) -> None:
        """A signed epoch that batches will use. Kept, so that a restart can still submit it."""
        signed = {**asdict(epoch), "inputs": epoch.inputs.hex(), "signatures": [signature.hex() for signature in epoch.signatures]}
        self._db.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?)", (epoch.epoch, json.dumps(signed)))

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
        known = self.record(posted.effects.batch_number)
        if known is not None and known.header_hash != posted.header_hash.hex():
            raise PosterError(f"batch {known.number}: header hash {posted.header_hash.hex()}, expected {known.header_hash} as posted before the restart")
        self._parent = posted.header_hash
        if known is None:
            data_bytes = 32 * (len(posted.effects_words) + len(posted.body_words))
            known = BatchRecord(
                posted.effects.batch_number,
                Status.CLOSED,
                posted.header_hash.hex(),
                f"{posted.effects.new_state_root:#066x}",
                data_bytes=data_bytes,
            )
            self._save(known)
        self._kept.append(_Kept(posted, self._parent_epoch))
        self._newest, self._parent_epoch = known.number, posted.effects.epoch
        self._forget()

    def post(self) -> list[BatchRecord]:
        """Take every batch that layer 1 has not verified there, oldest first, those that it forgot in a reorg too; the records of those that became verified.

        What layer 1 or the prover raises comes through; call again to go on. PosterError: layer 1 holds other batches than this node's.
        """
        done = []
        while (proven := self._ask_proven()) < self._newest:
            done += self._note_verified(proven)
            done.append(self._post_one(self._kept[proven + 1 - self._kept[0].number]))
        return done + self._note_verified(self._newest)

    def record(self, number: int) -> BatchRecord | None:
        """What is known of a batch, or None."""
        row = self._db.execute("SELECT record FROM batches WHERE number = ?", (number,)).fetchone()
        return None if row is None else _record(json.loads(row[0]))

    def records(self) -> list[BatchRecord]:
        """Every batch, in order."""
        return [_record(json.loads(row[0])) for row in self._db.execute("SELECT record FROM batches ORDER BY number")]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _ask_proven(self) -> int:
        """Newest batch that layer 1 has proven, one of this node's or the one before the oldest that is kept."""
        proven = self._proven = self._layer1.proven_batch()
        if proven > self._newest:
            raise PosterError(
                f"batch {proven}: proven on layer 1, but this node's newest is {self._newest}: its journal lost its end, or another node posts. "
                "Stop, and restore the newest journal"
            )
        self._forget()
        if not self._kept:
            return proven
        oldest = self._kept[0].number
        if proven + 1 < oldest:
            raise PosterError(
                f"batch {proven}: the newest that layer 1 still has, and the oldest kept here is {oldest}. Restart the node: it makes all of them again"
            )
        if proven >= oldest:
            self._check_header(self._kept[proven - oldest])
        return proven

    def _forget(self) -> None:
        """Drops verified batches that are so old that no reorg reaches them."""
        while self._proven is not None and len(self._kept) > self._kept_batches and self._kept[0].number + self._kept_batches <= self._proven:
            self._kept.pop(0)

    def _note_verified(self, proven: int) -> list[BatchRecord]:
        """Records of the kept batches that layer 1 turned out to have verified."""
        numbers = [kept.number for kept in self._kept if kept.number <= proven]
        return [self._update(number, status=Status.VERIFIED) for number in numbers if self._known(number).status is not Status.VERIFIED]

    def _post_one(self, kept: _Kept) -> BatchRecord:
        number = kept.number
        if self._known(number).status is Status.VERIFIED:
            self._update(number, status=Status.PROVED)  # layer 1 went back
        self._propose(kept)
        landed = self._layer1.prove(kept.posted, self._prove(number, kept.posted))
        return self._update(number, status=Status.VERIFIED, prove_transaction=landed.transaction_hash, prove_gas=landed.gas)

    def _propose(self, kept: _Kept) -> None:
        number = kept.number
        if self._layer1.proposed_batch() < number:
            self._submit_epochs(kept.parent_epoch, kept.posted.effects.epoch)
            landed = self._layer1.propose(kept.posted)
            self._update(number, status=Status.PROPOSED, propose_transaction=landed.transaction_hash, propose_gas=landed.gas)
        self._check_header(kept)

    def _check_header(self, kept: _Kept) -> None:
        found = self._layer1.header_hash(kept.number)
        if found != kept.posted.header_hash:
            raise PosterError(f"batch {kept.number}: layer 1 has header {found.hex()}, expected {kept.posted.header_hash.hex()}")

    def _submit_epochs(self, parent_epoch: int, epoch: int) -> None:
        """Every signed epoch after the parent's, up to the batch's: funding accrues over those without a batch too, so watchers need them all."""
        statement = "SELECT epoch, signed FROM epochs WHERE epoch > ? AND epoch <= ? ORDER BY epoch"
        for number, signed in self._db.execute(statement, (parent_epoch, epoch)).fetchall():
            if not self._layer1.has_epoch(number):
                self._layer1.submit_epoch(_epoch(json.loads(signed)))
        if not self._layer1.has_epoch(epoch):
            raise PosterError(f"epoch {epoch}: neither on layer 1 nor signed here, expected it before its first batch")

    def _prove(self, number: int, batch: PostedBatch) -> Proof:
        """The proof, made once and kept."""
        kept = self._db.execute("SELECT proof FROM batches WHERE number = ?", (number,)).fetchone()[0]
        if kept:
            return Proof(**{name: tuple(int(word, 16) for word in words) for name, words in json.loads(kept).items()})
        result = self._prover.prove(batch.witness)
        words = {name: [hex(word) for word in values] for name, values in asdict(result.proof).items()}
        self._db.execute("UPDATE batches SET proof = ? WHERE number = ?", (json.dumps(words), number))
        self._update(number, status=Status.PROVED, prove_wall_seconds=result.wall_seconds, prove_cpu_seconds=result.cpu_seconds)
        return result.proof

    def _update(self, number: int, **changes: Any) -> BatchRecord:
        record = _record(asdict(self._known(number)) | changes)
        self._save(record)
        return record

    def _known(self, number: int) -> BatchRecord:
        known = self.record(number)
        if known is None:
            raise PosterError(f"batch {number}: not known")
        return known

    def _save(self, record: BatchRecord) -> None:
        statement = "INSERT INTO batches (number, header_hash, record) VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET record = excluded.record"
        self._db.execute(statement, (record.number, record.header_hash, json.dumps(asdict(record))))
        self._report(record)


def _record(raw: dict[str, Any]) -> BatchRecord:
    return BatchRecord(**{**raw, "status": Status(raw["status"])})


def _epoch(raw: dict[str, Any]) -> SignedEpoch:
    signatures: Sequence[str] = raw["signatures"]
    return SignedEpoch(raw["epoch"], raw["time_ms"], raw["risk_root"], bytes.fromhex(raw["inputs"]), tuple(bytes.fromhex(item) for item in signatures))
