"""What a member has on disk, in SQLite: batches, the chain that it follows, what it has signed, and copies of the state for quick starts.

Every call is durable when it returns (write-ahead log, synchronous FULL). Nothing is ever deleted: a batch that layer 1 voided may be asked for, too.
Who only reads has a connection of his own and sees the file as it was when he began, so that nobody who asks keeps the one who writes waiting.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from straddle.committee.offer import Offer
from straddle.primitives.errors import Actionable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (chain_id TEXT NOT NULL, rollup TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (header_hash BLOB PRIMARY KEY, number INTEGER NOT NULL, offer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chain (number INTEGER PRIMARY KEY, header_hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS signed (number INTEGER NOT NULL, header_hash BLOB NOT NULL, PRIMARY KEY (number, header_hash));
CREATE TABLE IF NOT EXISTS copies (header_hash BLOB PRIMARY KEY, number INTEGER NOT NULL, copy BLOB NOT NULL);
"""


class StoreError(Actionable):
    """The file cannot be used. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """A batch of the chain."""

    header_hash: bytes
    text: str
    """The offer as JSON."""

    @property
    def offer(self) -> Offer:
        """The offer, read anew."""
        return Offer.from_plain(json.loads(self.text))


class StoreReader:
    """What can be read of the file over one connection, by one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def tip(self) -> int:
        """Number of the chain's newest batch, 0 when there is none."""
        return int(self._db.execute("SELECT COALESCE(MAX(number), 0) FROM chain").fetchone()[0])

    def header(self, number: int) -> bytes | None:
        """Header hash of a batch of the chain."""
        row = self._db.execute("SELECT header_hash FROM chain WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def held(self, first: int, last: int) -> list[Held]:
        """Batches first..last of the chain, those that are there, in order."""
        select = "SELECT b.header_hash, b.offer FROM chain c JOIN batches b USING (header_hash) WHERE c.number BETWEEN ? AND ? ORDER BY c.number"
        return [Held(bytes(row[0]), str(row[1])) for row in self._db.execute(select, (first, last)).fetchall()]

    def batch(self, header_hash: bytes) -> Held | None:
        """Any batch ever taken, by its header."""
        row = self._db.execute("SELECT offer FROM batches WHERE header_hash = ?", (header_hash,)).fetchone()
        return None if row is None else Held(header_hash, str(row[0]))

    def signed(self, number: int) -> list[bytes]:
        """Headers that were certified as this batch."""
        return [bytes(row[0]) for row in self._db.execute("SELECT header_hash FROM signed WHERE number = ?", (number,))]

    def copy(self, last: int) -> tuple[int, bytes] | None:
        """The newest copy of a state of the chain, at most after batch `last`: (batch, copy)."""
        select = "SELECT p.number, p.copy FROM copies p JOIN chain c USING (header_hash) WHERE c.number <= ? ORDER BY c.number DESC LIMIT 1"
        row = self._db.execute(select, (last,)).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))


class MemberStore(StoreReader):
    """The file. One thread at a time; `reading` is for any other."""

    def __init__(self, path: Path, chain_id: int, rollup: str) -> None:
        """StoreError: not a member's file, or another rollup's."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        super().__init__(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        try:
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
            found = self._db.execute("SELECT chain_id, rollup FROM identity").fetchone()
            if found is None:
                self._db.execute("INSERT INTO identity VALUES (?, ?)", (str(chain_id), rollup))
            elif found != (str(chain_id), rollup):
                raise StoreError(f"{path}: holds batches of rollup {found[1]} on chain {found[0]}, expected {rollup} on {chain_id}. Use another folder")
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._db.close()
            raise StoreError(f"{path}: cannot be used: {error}. Close the process that has it open, or restore the file") from error
        except StoreError:
            self._db.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[StoreReader]:
        """The file as it is now, whatever is written meanwhile; for any thread."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("PRAGMA query_only = TRUE")
            db.execute("BEGIN")
            yield StoreReader(db)

    def extend(self, header_hash: bytes, offer: Offer, copy: bytes | None = None) -> None:
        """The chain's next batch, in place of what stood from its number on; with a copy of the state after it, now and then."""
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", (header_hash, offer.number, json.dumps(offer.plain)))
            self._db.execute("DELETE FROM chain WHERE number >= ?", (offer.number,))
            self._db.execute("INSERT INTO chain VALUES (?, ?)", (offer.number, header_hash))
            if copy is not None:
                self._db.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?)", (header_hash, offer.number, copy))

    def sign(self, number: int, header_hash: bytes) -> None:
        """Note, before a signature leaves, that it will."""
        self._db.execute("INSERT OR IGNORE INTO signed VALUES (?, ?)", (number, header_hash))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
