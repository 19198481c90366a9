"""What is known of each batch's way to layer 1, in SQLite: records, witnesses, proofs, signed epochs, and the data of batches that lie with a committee."""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from straddle.commitments.challenge import Place
from straddle.commitments.policy import Data
from straddle.primitives.errors import Actionable
from straddle.primitives.hashing import keccak256
from straddle.primitives.nesting import decode_json
from straddle.primitives.sqlite import UNREADABLE
from straddle.proving.keys import Proof
from straddle.proving.witness import Witness

T = TypeVar("T")


class PosterError(Actionable):
    """Layer 1 and this node disagree; the message says on what. Nothing was posted."""


class Status(StrEnum):
    """How far a batch is."""

    CLOSED = "closed"
    PROPOSED = "proposed"
    PROVED = "proved"
    """Its proof is made."""
    VERIFIED = "verified"
    """Final: layer 1 has verified its proof, or its challenge window is over."""

    @property
    def place(self) -> int:
        """0 for the first, then 1, ..."""
        return list(Status).index(self)


@dataclass(frozen=True, slots=True)
class SignedEpoch:
    """A risk epoch as layer 1 takes it."""

    epoch: int
    time_ms: int
    risk_root: int
    inputs: bytes
    signatures: tuple[bytes, ...]
    """65 bytes each (r, s, v), ascending by signer."""

    @property
    def hash(self) -> bytes:
        """What layer 1 keeps of it (epochs.vy, _hash): 32 bytes."""
        return keccak256(self.time_ms.to_bytes(32, "big") + self.risk_root.to_bytes(32, "big"))


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
    """Effects, and body unless it lies with a committee; without an optimistic batch's transcript."""
    epoch: int = 0
    """Risk epoch of the batch's table."""
    data: str = "calldata"
    """Where its body lies: calldata, blob or committee."""
    finalise_transaction: str = ""
    """Where a proof is required only when challenged."""
    finalise_gas: int = 0
    blob_gas: int = 0


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch's data, kept where a committee may ask for it."""

    number: int
    parent_header_hash: bytes
    header_hash: bytes
    place: Place
    effects: tuple[int, ...]
    body: tuple[int, ...]
    """As posted."""
    c: int
    epoch: int


_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, header_hash TEXT NOT NULL, record TEXT NOT NULL, proof TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS batches_by_status ON batches (json_extract(record, '$.status'), number);
CREATE TABLE IF NOT EXISTS epochs (epoch INTEGER PRIMARY KEY, signed TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS witnesses (number INTEGER PRIMARY KEY, effects BLOB NOT NULL, witness BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS stored (number INTEGER PRIMARY KEY, batch TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS copies (number INTEGER PRIMARY KEY, state BLOB NOT NULL);
"""
_WORD_BYTES = 32
_COPIES_KEPT = 2
_FROM_JOURNAL = "Restart the node from its journal without snapshots"


class BatchFile:
    """The file. Every call is durable when it returns, happens whole or not at all, and may come from any thread: one lock takes them one by one."""

    def __init__(self, path: Path, report: Callable[[BatchRecord], None]) -> None:
        """`report` is told of every record that is saved. PosterError: the file cannot be used."""
        self._path = path
        self._report = report
        self._lock = threading.RLock()
        """Held for every statement: the connection is one for all threads, and so is a transaction that is open on it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.DatabaseError) as error:
            raise self._unusable(error) from error
        try:
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        except UNREADABLE as error:
            self._db.close()
            raise self._unusable(error) from error

    def record(self, number: int) -> BatchRecord | None:
        """What is known of a batch, or None."""
        found = self._decoded(_record, "SELECT record FROM batches WHERE number = ?", number)
        return found[0] if found else None

    def records(self, first: int = 1, limit: int = -1) -> list[BatchRecord]:
        """Batches from `first` on, in order, at most `limit` (-1: all)."""
        select = "SELECT record FROM batches WHERE number >= ? ORDER BY number LIMIT ?"
        return self._decoded(_record, select, first, limit)

    def numbers(self, status: Status, first: int = 1) -> list[int]:
        """The batches from `first` on that are so far, in order."""
        select = "SELECT number FROM batches WHERE number >= ? AND json_extract(record, '$.status') = ? ORDER BY number"
        return [row[0] for row in self._rows(select, first, status.value)]

    def save(self, record: BatchRecord) -> None:
        """Insert or replace."""
        with self._writing():
            self._write(record)
        self._report(record)

    def rebound(self, changes: Sequence[tuple[BatchRecord, StoredBatch]]) -> None:
        """Batches that have other headers now, since the first of them lies elsewhere: all or none. Proofs of their old headers are forgotten."""
        with self._writing():
            for record, stored in changes:
                self._write(record)
                self._db.execute("UPDATE batches SET proof = '' WHERE number = ?", (record.number,))
                self.store(stored)
        for record, _ in changes:
            self._report(record)

    def store(self, batch: StoredBatch) -> None:
        """Keep a batch's data; insert or replace."""
        plain = {
            **{name: [hex(word) for word in getattr(batch, name)] for name in ("effects", "body")},
            **{name: getattr(batch, name).hex() for name in ("parent_header_hash", "header_hash")},
            "number": batch.number,
            "c": hex(batch.c),
            "epoch": batch.epoch,
            "data": int(batch.place.data),
        }
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO stored VALUES (?, ?)", (batch.number, json.dumps(plain)))

    def stored(self, number: int) -> StoredBatch:
        """The data of a batch. PosterError when they were not kept."""
        found = self._decoded(_stored, "SELECT batch FROM stored WHERE number = ?", number)
        if not found:
            raise PosterError(f"batch {number}: its data are not in the poster's file. {_FROM_JOURNAL}")
        return found[0]

    def save_copy(self, number: int, state: bytes) -> None:
        """Keep the copy of the state after a batch (straddle.commitments.state_copy), and one from before."""
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO copies VALUES (?, ?)", (number, state))
            self._db.execute(f"DELETE FROM copies WHERE number NOT IN (SELECT number FROM copies ORDER BY number DESC LIMIT {_COPIES_KEPT})")

    def copy(self, last: int) -> bytes | None:
        """The newest kept copy of a state after a batch up to `last`; None when there is none."""
        rows = self._rows("SELECT state FROM copies WHERE number <= ? ORDER BY number DESC LIMIT 1", last)
        return bytes(rows[0][0]) if rows else None

    def _write(self, record: BatchRecord) -> None:
        columns = "record = excluded.record, header_hash = excluded.header_hash"
        statement = f"INSERT INTO batches (number, header_hash, record) VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE SET {columns}"
        self._db.execute(statement, (record.number, record.header_hash, json.dumps(asdict(record))))

    def update(self, number: int, **changes: Any) -> BatchRecord:
        """Change fields of a known batch's record."""
        with self._lock:  # nobody changes the record in between, and reports come in the order of the changes
            record = _record(asdict(self.known(number)) | changes)
            self.save(record)
        return record

    def known(self, number: int) -> BatchRecord:
        """The record of a batch that must be there."""
        record = self.record(number)
        if record is None:
            raise PosterError(f"batch {number}: not known")
        return record

    def proof(self, number: int) -> Proof | None:
        """The batch's proof, once it was made."""
        found = self._decoded(_proof, "SELECT proof FROM batches WHERE number = ? AND proof <> ''", number)
        return found[0] if found else None

    def save_proof(self, number: int, header_hash: bytes, proof: Proof) -> bool:
        """Keep the proof of a known batch; False: it has another header by now."""
        words = {name: [hex(word) for word in values] for name, values in asdict(proof).items()}
        with self._writing():
            changed = self._db.execute("UPDATE batches SET proof = ? WHERE number = ? AND header_hash = ?", (json.dumps(words), number, header_hash.hex()))
        return changed.rowcount > 0

    def save_witness(self, number: int, effects: Sequence[int], witness: Witness) -> None:
        """Keep what a batch is posted and proved from; insert or replace. `effects` are its words."""
        words = b"".join(word.to_bytes(_WORD_BYTES, "big") for word in effects)
        text = zlib.compress(witness.to_json(indent=None).encode(), level=1)
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO witnesses VALUES (?, ?, ?)", (number, words, text))

    def witness(self, number: int) -> Witness:
        """What a batch is posted and proved from. PosterError when it is not kept, or torn."""
        kept = self._witnesses("witness", number)
        try:
            return Witness.from_json(zlib.decompress(kept).decode())
        except (zlib.error, ValueError) as error:
            raise PosterError(f"batch {number}: its witness cannot be read: {error}. {_FROM_JOURNAL}") from error

    def effects(self, number: int) -> list[int]:
        """The words of a batch's effects. PosterError when its witness is not kept."""
        words = self._witnesses("effects", number)
        return [int.from_bytes(words[at : at + _WORD_BYTES], "big") for at in range(0, len(words), _WORD_BYTES)]

    def witnessed(self, after: int = 0) -> list[int]:
        """The known batches after one whose witnesses are kept, in order."""
        return [row[0] for row in self._rows("SELECT number FROM witnesses JOIN batches USING (number) WHERE number > ? ORDER BY number", after)]

    def reach(self, final: int) -> int:
        """The newest batch up to which every witness after batch `final` is kept: a restart need not replay what comes before."""
        for number in self.witnessed(final):
            if number > final + 1:
                break
            final = number
        return final

    def drop_witnesses(self, before: int) -> None:
        """Those of the batches before one are not needed any more."""
        with self._writing():
            self._db.execute("DELETE FROM witnesses WHERE number < ?", (before,))

    def _witnesses(self, column: str, number: int) -> bytes:
        rows = self._rows(f"SELECT {column} FROM witnesses WHERE number = ?", number)
        if not rows:
            raise PosterError(f"batch {number}: its witness is not in the poster's file. {_FROM_JOURNAL}")
        return bytes(rows[0][0])

    def save_epoch(self, epoch: SignedEpoch) -> None:
        """Insert or replace: an epoch that was signed and not entered before a crash is signed anew."""
        signed = {**asdict(epoch), "inputs": epoch.inputs.hex(), "signatures": [signature.hex() for signature in epoch.signatures]}
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO epochs VALUES (?, ?)", (epoch.epoch, json.dumps(signed)))

    def epochs(self, after: int, last: int = 2**63 - 1) -> list[SignedEpoch]:
        """Signed epochs after one, up to another (or all), in order."""
        select = "SELECT signed FROM epochs WHERE epoch > ? AND epoch <= ? ORDER BY epoch"
        return self._decoded(_epoch, select, after, last)

    def fill(self, records: Sequence[BatchRecord], epochs: Sequence[SignedEpoch], stored: Sequence[StoredBatch]) -> None:
        """What a new file begins with: all or nothing, and nobody is told."""
        with self._writing():
            for record in records:
                self._write(record)
            for epoch in epochs:
                self.save_epoch(epoch)
            for batch in stored:
                self.store(batch)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _rows(self, select: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(select, values).fetchall()
            except UNREADABLE as error:
                raise self._unusable(error) from error

    def _decoded(self, decode: Callable[[dict[str, Any]], T], select: str, *values: Any) -> list[T]:
        """What rows of JSON hold."""
        rows = self._rows(select, *values)
        try:
            return [decode(decode_json(row[0])) for row in rows]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> PosterError:
        return PosterError(
            f"poster {self._path}: cannot be used: {error}. Close the process that has it open, or restore the file; the journal is not affected"
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, all or nothing; within another of this thread, a part of it. PosterError: the disk refuses, or the file is damaged."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            try:
                with self._db:  # commits, or rolls back
                    self._db.execute("BEGIN IMMEDIATE")
                    yield
            except sqlite3.OperationalError as error:
                remedy = "Make room on the disk, see that it works, and restart; the journal is not affected"
                raise PosterError(f"poster {self._path}: cannot be written: {error}. {remedy}") from error
            except sqlite3.Error as error:
                raise self._unusable(error) from error


def _stored(raw: dict[str, Any]) -> StoredBatch:
    effects, body = (tuple(int(word, 16) for word in raw[name]) for name in ("effects", "body"))
    parent, header = (bytes.fromhex(raw[name]) for name in ("parent_header_hash", "header_hash"))
    return StoredBatch(raw["number"], parent, header, Place(Data(raw["data"])), effects, body, int(raw["c"], 16), raw["epoch"])


def _proof(raw: dict[str, Any]) -> Proof:
    return Proof(**{name: tuple(int(word, 16) for word in words) for name, words in raw.items()})


def _record(raw: dict[str, Any]) -> BatchRecord:
    return BatchRecord(**{**raw, "status": Status(raw["status"])})


def _epoch(raw: dict[str, Any]) -> SignedEpoch:
    signatures = tuple(bytes.fromhex(item) for item in raw["signatures"])
    return SignedEpoch(raw["epoch"], raw["time_ms"], raw["risk_root"], bytes.fromhex(raw["inputs"]), signatures)
