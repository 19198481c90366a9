"""What a member has on disk, in SQLite: batches, the chain that it follows, what it has signed, and copies of the state for quick starts.

Every call is durable when it returns (write-ahead log, synchronous FULL). Nothing is ever deleted: a batch that layer 1 voided may be asked for, too.
Who only reads has a connection of his own and sees the file as it was when he began, so that nobody who asks keeps the one who writes waiting.
Each row has a checksum, so that one that the disk spoilt is neither given to anybody nor taken for the memory of what was signed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from straddle.committee.offer import Offer
from straddle.primitives.errors import Actionable
from straddle.primitives.sqlite import UNREADABLE, add_row_sum

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identity (chain_id TEXT NOT NULL, rollup TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (header_hash BLOB PRIMARY KEY, number INTEGER NOT NULL, offer TEXT NOT NULL, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS chain (number INTEGER PRIMARY KEY, header_hash BLOB NOT NULL, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS signed (number INTEGER, header_hash BLOB, sum BLOB NOT NULL, PRIMARY KEY (number, header_hash)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copies (header_hash BLOB PRIMARY KEY, number INTEGER NOT NULL, copy BLOB NOT NULL, sum BLOB NOT NULL);
"""
_INTACT = "c.sum IS row_sum(c.number, c.header_hash) AND b.sum IS row_sum(b.header_hash, b.number, b.offer)"


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
        """The offer, read anew: its checksum held, so it is what was written."""
        return Offer.from_plain(json.loads(self.text))


class StoreReader:
    """What can be read of the file over one connection, by one thread at a time. StoreError: the file is damaged."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        add_row_sum(db)

    @property
    def tip(self) -> int:
        """Number of the chain's newest batch, 0 when there is none."""
        return int(self._rows("SELECT COALESCE(MAX(number), 0) FROM chain")[0][0])

    def header(self, number: int) -> bytes | None:
        """Header hash of a batch of the chain."""
        rows = self._rows("SELECT header_hash, sum IS row_sum(number, header_hash), number FROM chain WHERE number = ?", number)
        return bytes(self._intact(rows[0])[0]) if rows else None

    def held(self, first: int, last: int) -> list[Held]:
        """Batches first..last of the chain, those that are there, in order."""
        select = (
            f"SELECT b.header_hash, {_INTACT}, c.number, b.offer FROM chain c JOIN batches b USING (header_hash) WHERE c.number BETWEEN ? AND ? "
            "ORDER BY c.number"
        )
        return [Held(bytes(row[0]), str(row[3])) for row in map(self._intact, self._rows(select, first, last))]

    def batch(self, header_hash: bytes) -> Held | None:
        """Any batch ever taken, by its header."""
        rows = self._rows("SELECT header_hash, sum IS row_sum(header_hash, number, offer), number, offer FROM batches WHERE header_hash = ?", header_hash)
        return Held(header_hash, str(self._intact(rows[0])[3])) if rows else None

    def signed(self, number: int) -> list[bytes]:
        """Headers that were certified as this batch."""
        rows = self._rows("SELECT header_hash, sum IS row_sum(number, header_hash), number FROM signed WHERE number = ?", number)
        return [bytes(self._intact(row)[0]) for row in rows]

    def copies(self, last: int) -> Iterator[tuple[int, bytes]]:
        """Copies of states of the chain, at most after batch `last`, the newest first: (batch, copy). Those that are damaged are left out."""
        numbers = "SELECT p.number FROM copies p JOIN chain c USING (header_hash) WHERE c.number <= ? AND p.number = c.number ORDER BY c.number DESC"
        select = "SELECT p.copy FROM copies p JOIN chain c USING (header_hash) WHERE p.number = ? AND p.sum IS row_sum(p.header_hash, p.number, p.copy)"
        for (number,) in self._rows(numbers, last):
            for (copy,) in self._rows(select, number):
                yield number, bytes(copy)

    def _rows(self, select: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(select, values).fetchall()
        except UNREADABLE as error:
            raise self._unusable(error) from error

    def _intact(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The row, whose second value says whether its checksum holds, and the third which batch it is of."""
        if not row[1]:
            raise self._unusable(f"what it holds of batch {row[2]} is not as it was written")
        return row

    def _unusable(self, why: object) -> StoreError:
        return StoreError(f"{self._path}: cannot be used: {why}. Close the process that has it open, or restore the file; other members have the batches")


class MemberStore(StoreReader):
    """The file. One thread at a time; `reading` is for any other. StoreError: the disk refuses; nothing of that call was kept."""

    def __init__(self, path: Path, chain_id: int, rollup: str) -> None:
        """StoreError: not a member's file, or another rollup's, or what it has signed cannot be told from it any more."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            super().__init__(path, sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: cannot be opened: {error}. Expected a file in a folder that this user may write") from error
        try:
            self._open(str(chain_id), rollup)
        except BaseException as error:
            self._db.close()
            if isinstance(error, UNREADABLE):
                raise self._unusable(error) from error
            raise

    def _open(self, chain_id: str, rollup: str) -> None:
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _SCHEMA)
        found = self._db.execute("SELECT chain_id, rollup FROM identity").fetchone()
        if found is None:
            self._db.execute("INSERT INTO identity VALUES (?, ?)", (chain_id, rollup))
        elif found != (chain_id, rollup):
            raise StoreError(f"{self._path}: holds batches of rollup {found[1]} on chain {found[0]}, expected {rollup} on {chain_id}. Use another folder")
        # A number that the disk changed would not be found when its batch is offered again: all of them are looked at.
        for row in self._rows("SELECT header_hash, 0, number FROM signed WHERE sum IS NOT row_sum(number, header_hash) LIMIT 1"):
            self._intact(row)

    @contextmanager
    def reading(self) -> Iterator[StoreReader]:
        """The file as it is now, whatever is written meanwhile; for any thread."""
        try:
            db = sqlite3.connect(self._path, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        with closing(db):
            reader = StoreReader(self._path, db)
            reader._rows("PRAGMA query_only = TRUE")
            reader._rows("BEGIN")
            yield reader

    def extend(self, header_hash: bytes, offer: Offer, copy: bytes | None = None) -> None:
        """The chain's next batch, in place of what stood from its number on; with a copy of the state after it, now and then."""
        with self._writing():
            text = json.dumps(offer.plain)
            self._db.execute("INSERT OR REPLACE INTO batches VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))", (header_hash, offer.number, text))
            self._db.execute("DELETE FROM chain WHERE number >= ?", (offer.number,))
            self._db.execute("INSERT INTO chain VALUES (?1, ?2, row_sum(?1, ?2))", (offer.number, header_hash))
            if copy is not None:
                self._db.execute("INSERT OR REPLACE INTO copies VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))", (header_hash, offer.number, copy))

    def sign(self, number: int, header_hash: bytes) -> None:
        """Note, before a signature leaves, that it will."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO signed VALUES (?1, ?2, row_sum(?1, ?2))", (number, header_hash))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, all or nothing."""
        try:
            with self._db:
                self._db.execute("BEGIN")
                yield
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self._path}: cannot be written: {error}. Make room on the disk and see that it works; nothing of this step was kept") from error
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
