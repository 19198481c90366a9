"""The journal: an append-only log of accepted commands in SQLite, each chained to all before it, with a mark where each batch ends.

An append returns only when its entries are on disk (write-ahead log, synchronous FULL), many entries for one sync. What is read back is checked
against the chain, so that a missing, torn or altered entry stops the node with its number instead of giving another history. An end that is missing
altogether leaves a chain that holds; therefore a second file of one line, `<journal>.head`, says after each append how far it went.

A log begins at genesis, or after a batch of layer 1 (`origin`), whose state it then holds: entries and batches are numbered on from there.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from straddle.primitives.errors import Actionable
from straddle.primitives.hashing import keccak256, keccak256_many
from straddle.primitives.sqlite import UNREADABLE
from straddle.sequencer.origin import LogOrigin
from straddle.sequencer.receipts import LogIdentity, LogPlace

SCHEMA_VERSION = 1
MAX_GROUP = 4096
"""Entries of one append at most."""

_SCHEMA = """
CREATE TABLE identity (version INTEGER NOT NULL, chain_id TEXT NOT NULL, rollup TEXT NOT NULL);
CREATE TABLE log (
    sequence INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    command BLOB NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE marks (
    batch_number INTEGER PRIMARY KEY,
    last_sequence INTEGER NOT NULL,
    state_root BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE head (only INTEGER PRIMARY KEY CHECK (only = 1), sequence INTEGER NOT NULL, hash BLOB NOT NULL, batches INTEGER NOT NULL);
CREATE TRIGGER log_keeps_values BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_keeps_entries BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER marks_keep_values BEFORE UPDATE ON marks BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER marks_keep_entries BEFORE DELETE ON marks BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
"""

_ORIGIN_SCHEMA = """
CREATE TABLE origin (
    batch_number INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    header_hash BLOB NOT NULL,
    ended_head BLOB NOT NULL,
    state_root BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    state BLOB NOT NULL,
    hash BLOB NOT NULL
);
"""
"""Only in the journal of a log that does not begin at genesis."""

_RESTORE = (
    "Put back the whole folder from a copy; without one move journal.sqlite and journal.sqlite.head elsewhere, leave the other files, and start with "
    "--resume-from-layer1: what no batch on layer 1 holds is lost. Nothing here was changed"
)
_MARK_TAG = b"straddle.mark".ljust(32, b"\0")
_HEAD = struct.Struct(">QQ32s")
_WAL_HEADER_BYTES, _WAL_FRAME_HEADER_BYTES = 32, 24
"""Of SQLite's write-ahead log; a frame is a page behind its header."""
_ENTRY_COLUMNS = "sequence, epoch, deadline_ms, command, previous_hash, hash"


class JournalError(Actionable):
    """The journal cannot be used as it is. The message says where and why; nothing was changed."""


class Pending(NamedTuple):
    """An entry to append."""

    epoch: int
    deadline_ms: int
    command: bytes


@dataclass(frozen=True, slots=True)
class BatchMark:
    """The end of a batch: a replay cuts at the same place and must reach the same root. It takes no place in the log."""

    batch_number: int
    last_sequence: int
    """The batch ends after this entry."""
    state_root: int
    """State root after the batch."""

    def hash(self, head: bytes) -> bytes:
        """Binds the mark to the log up to it; `head` is the hash of entry `last_sequence`."""
        return keccak256(_MARK_TAG + b"".join(value.to_bytes(32, "big") for value in (self.batch_number, self.last_sequence, self.state_root)) + head)


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place between two entries."""

    sequence: int
    """Number of the last entry before it, 0 at the beginning."""
    head: bytes
    """Hash of that entry; of none, the log's genesis hash."""
    batches: int
    """Batches that ended before it."""


class JournalEntry(NamedTuple):
    """A command on disk."""

    place: LogPlace
    hash: bytes
    command: bytes


class Journal:
    """The log of one rollup in one file. One process at a time may have it open."""

    def __init__(self, path: Path, identity: LogIdentity, origin: LogOrigin | None = None) -> None:
        """Open or create; `origin` is for a new one, where it does not begin at genesis.

        JournalError: another process has it, another rollup's, not a journal, or its last entry is not what was written.
        """
        self.path = path
        self.identity = identity
        self.origin = origin
        """Where the log begins; None: at genesis."""
        self.sequence, self.head, self.batches = self.beginning.sequence, self.beginning.head, self.beginning.batches
        """Number and hash of the last entry, number of the last batch that ended: those of the beginning when there is none."""
        self._head_path = path.with_name(path.name + ".head")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Opened and replayed by one thread, then written by another; never by two at a time.
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
        except (OSError, sqlite3.DatabaseError) as error:
            raise JournalError(f"journal {path}: cannot be opened: {error}. Expected a file in a folder that this user may write") from error
        try:
            self._prepare()
            self._head_file = self._open_head_file()
        except (OSError, *UNREADABLE) as error:
            self._db.close()
            raise JournalError(_explain(path, error)) from error
        except BaseException:
            self._db.close()
            raise

    def append(self, items: Sequence[Pending | BatchMark]) -> list[JournalEntry]:
        """Append in order and return the new entries once all is durable; all or none. A mark stands after the entry that it names."""
        if len(items) > MAX_GROUP:
            raise JournalError(f"journal {self.path}: {len(items)} entries in one append, expected at most {MAX_GROUP}")
        entries: list[JournalEntry] = []
        marks: list[tuple[int, int, bytes, bytes]] = []
        sequence, head, batches = self.sequence, self.head, self.batches
        command_hashes = iter(keccak256_many([item.command for item in items if isinstance(item, Pending)]))
        for item in items:
            if isinstance(item, BatchMark):
                batches += 1
                if (item.batch_number, item.last_sequence) != (batches, sequence):
                    raise JournalError(
                        f"journal {self.path}: batch {item.batch_number} ends after entry {item.last_sequence}, expected batch {batches}, entry {sequence}"
                    )
                marks.append((item.batch_number, sequence, item.state_root.to_bytes(32, "big"), item.hash(head)))
                continue
            sequence += 1
            place = LogPlace(self.identity, item.epoch, sequence, head, next(command_hashes), item.deadline_ms)
            head = place.hash
            entries.append(JournalEntry(place, head, item.command))
        if items:
            self._write(entries, marks, (sequence, head, batches))
            self.sequence, self.head, self.batches = sequence, head, batches
            self._write_head_file()
        return entries

    @property
    def beginning(self) -> LogPosition:
        """Before the first entry."""
        if self.origin is None:
            return LogPosition(0, self.identity.genesis_hash, 0)
        return LogPosition(self.origin.last_sequence, self.origin.head(self.identity), self.origin.batch_number)

    @property
    def end(self) -> LogPosition:
        """Where the next entry goes."""
        return LogPosition(self.sequence, self.head, self.batches)

    def items(self, start: LogPosition | None = None) -> Iterator[JournalEntry | BatchMark]:
        """Every entry and mark after `start` (the beginning) in order, each checked against the chain, and the end against the head."""
        start = start or self.beginning
        sequence, head, batches = start.sequence, start.head, start.batches
        try:
            select = "SELECT batch_number, last_sequence, state_root, hash FROM marks WHERE batch_number > ? ORDER BY batch_number DESC"
            marks = list(self._db.execute(select, (batches,)))
            if marks and marks[-1][1] == sequence:  # the batch ended after the place was taken, with nothing in between
                batches += 1
                yield self._checked_mark(marks.pop(), batches, head)
            for row in self._db.execute(f"SELECT {_ENTRY_COLUMNS} FROM log WHERE sequence > ? ORDER BY sequence", (sequence,)):
                entry = self._checked(row, sequence + 1, head)
                sequence, head = entry.place.sequence, entry.hash
                yield entry
                if marks and marks[-1][1] == sequence:
                    batches += 1
                    yield self._checked_mark(marks.pop(), batches, head)
        except UNREADABLE as error:
            raise JournalError(_explain(self.path, error)) from error
        if (sequence, head) != (self.sequence, self.head):
            raise JournalError(f"journal {self.path}: ends at entry {sequence}, expected entry {self.sequence}: its tail is missing. {_RESTORE}")
        if marks or batches != self.batches:
            raise JournalError(f"journal {self.path}: {batches} batches end within the log, expected {self.batches}. {_RESTORE}")

    def batch_root(self, batch_number: int) -> int:
        """State root after a batch, as its mark has it. KeyError when the batch has not ended, or before the log began."""
        return self.mark(batch_number).state_root

    def mark(self, batch_number: int) -> BatchMark:
        """The end of a batch; that after which the log begins among them. KeyError when the batch has not ended, or before the log began."""
        origin = self.origin
        if origin is not None and batch_number == origin.batch_number:
            return BatchMark(batch_number, origin.last_sequence, origin.state_root)
        row = self._row("SELECT batch_number, last_sequence, state_root, hash FROM marks WHERE batch_number = ?", batch_number)
        if row is None:
            raise KeyError(f"batch {batch_number}: the log begins after batch {self.beginning.batches}, and the last one that ended is {self.batches}")
        return self._checked_mark(row, batch_number, self.entry(row[1]).hash)

    def entry(self, sequence: int) -> JournalEntry:
        """One entry, checked by itself. KeyError when there is none."""
        row = self._row(f"SELECT {_ENTRY_COLUMNS} FROM log WHERE sequence = ?", sequence)
        if row is None:
            raise KeyError(f"journal entry {sequence}: the log begins after {self.beginning.sequence}, and ends at {self.sequence}")
        return self._checked(row, sequence, row[4])

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        self._head_file.close()

    def _prepare(self) -> None:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            self._create()
        else:
            self._db.execute("BEGIN IMMEDIATE")  # takes the lock now: a second process fails here and not at its first append
            self._db.execute("COMMIT")
        self._check_identity()
        self.origin = self._read_origin()
        self.sequence, self.head, self.batches = self._db.execute("SELECT sequence, hash, batches FROM head").fetchone()
        last = self._db.execute("SELECT max(sequence) FROM log").fetchone()[0] or self.beginning.sequence
        if last != self.sequence:
            raise JournalError(f"journal {self.path}: ends at entry {last}, expected entry {self.sequence}: its tail is missing or was added to. {_RESTORE}")
        self._lengthen_log()

    def _lengthen_log(self) -> None:
        """Gives SQLite's write-ahead log the length that it comes to have: a sync of a file that does not grow writes no metadata, in a third of the time.

        Zeros behind the last frame are no frames: SQLite takes them for what an earlier round of the log left there. Where there is no room for
        them the log grows as it is written.
        """
        frames, page_bytes = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("wal_autocheckpoint", "page_size"))
        with Path(f"{self.path.resolve()}-wal").open("ab", buffering=0) as file:  # SQLite follows links, too
            length = file.tell()
            zeros = bytes(max(0, _WAL_HEADER_BYTES + frames * (_WAL_FRAME_HEADER_BYTES + page_bytes) - length))
            try:
                lengthened = file.write(zeros) == len(zeros)
            except OSError:
                lengthened = False
            if lengthened:
                os.fsync(file.fileno())
            else:  # the room that there is belongs to entries
                file.truncate(length)

    def _create(self) -> None:
        """All or nothing: a journal without its identity could not be opened again."""
        identity = f"INSERT INTO identity VALUES ({SCHEMA_VERSION}, '{self.identity.chain_id}', '{hex(self.identity.rollup)}');"
        head = f"INSERT INTO head VALUES (1, {self.sequence}, x'{self.head.hex()}', {self.batches});"
        origin = self.origin
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {identity} {head} {_ORIGIN_SCHEMA if origin else ''}")
        if origin is not None:
            root = origin.state_root.to_bytes(32, "big")
            hashes = (origin.header_hash, origin.ended_head, root)
            row = (origin.batch_number, origin.last_sequence, *hashes, origin.epoch, origin.time_ms, origin.state, origin.hash)
            self._db.execute("INSERT INTO origin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._db.execute("COMMIT")

    def _read_origin(self) -> LogOrigin | None:
        if not self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'origin'").fetchone()[0]:
            return None
        row = self._db.execute("SELECT batch_number, last_sequence, header_hash, ended_head, state_root, epoch, time_ms, state, hash FROM origin").fetchone()
        if row is not None and tuple(map(type, row)) == (int, int, bytes, bytes, bytes, int, int, bytes, bytes) and min(row[0], row[1], row[5], row[6]) >= 0:
            number, last, header, ended, root, epoch, time_ms, state, written = row
            origin = LogOrigin(number, last, header, ended, int.from_bytes(root, "big"), epoch, time_ms, state)
            if origin.hash == written:
                return origin
        raise JournalError(f"journal {self.path}: the state that it begins with is not as written: torn or altered. {_RESTORE}")

    def _check_identity(self) -> None:
        row = self._db.execute("SELECT version, chain_id, rollup FROM identity").fetchone()
        expected = (SCHEMA_VERSION, str(self.identity.chain_id), hex(self.identity.rollup))
        for name, found, wanted in zip(("version", "chain_id", "rollup"), row or ("none",) * 3, expected, strict=True):
            if found != wanted:
                raise JournalError(f"journal {self.path}: {name} {found}, expected {wanted}. Give this exchange a folder of its own")

    def _open_head_file(self) -> BinaryIO:
        """The second file, after a look at what it says. A torn or missing one says nothing: it only ever follows the journal."""
        known = self._head_path.read_bytes() if self._head_path.exists() else b""
        if len(known) == _HEAD.size:
            sequence, batches, head = _HEAD.unpack(known)
            if sequence > self.sequence or batches > self.batches:
                raise JournalError(
                    f"journal {self.path}: ends at entry {self.sequence} and batch {self.batches}, expected entry {sequence} and batch {batches}, which were "
                    f"acknowledged: its tail is missing. {_RESTORE}. To go on without what is lost, remove {self._head_path.name}"
                )
            if (self.entry(sequence).hash if sequence > self.beginning.sequence else self.beginning.head) != head:
                raise JournalError(f"journal {self.path}: entry {sequence} is another one than was acknowledged. {_RESTORE}")
        file = self._head_path.open("r+b" if self._head_path.exists() else "w+b", buffering=0)
        file.write(_HEAD.pack(self.sequence, self.batches, self.head))
        return file

    def _write_head_file(self) -> None:
        """After the entries are durable; without a sync of its own, since it may lag but must not lead."""
        try:
            self._head_file.seek(0)
            self._head_file.write(_HEAD.pack(self.sequence, self.batches, self.head))
        except OSError as error:
            raise JournalError(
                f"journal {self._head_path}: entry {self.sequence} was not noted: {error}. Repair the disk and restart; nothing is lost"
            ) from error

    def _write(self, entries: Sequence[JournalEntry], marks: Sequence[tuple[int, int, bytes, bytes]], head: tuple[int, bytes, int]) -> None:
        rows = [(place.sequence, place.epoch, place.deadline_ms, command, place.previous_hash, hash_) for place, hash_, command in entries]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._db.executemany("INSERT INTO marks VALUES (?, ?, ?, ?)", marks)
                self._db.execute("UPDATE head SET sequence = ?, hash = ?, batches = ?", head)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.DatabaseError, OverflowError) as error:
            raise JournalError(f"journal {self.path}: what follows entry {self.sequence} was not written: {error}. {_remedy(error)}") from error

    def _row(self, select: str, number: int) -> Any:
        """The row of that number, or None."""
        try:
            return self._db.execute(select, (number,)).fetchone()
        except UNREADABLE as error:
            raise JournalError(_explain(self.path, error)) from error

    def _checked_mark(self, row: tuple[int, int, bytes, bytes], batch_number: int, head: bytes) -> BatchMark:
        number, last_sequence, root, written = row
        if tuple(map(type, row)) == (int, int, bytes, bytes) and number == batch_number and last_sequence >= 0:
            mark = BatchMark(number, last_sequence, int.from_bytes(root, "big"))
            if mark.hash(head) == written:
                return mark
        raise JournalError(f"journal {self.path}: the end of batch {batch_number} is not as written: altered. {_RESTORE}")

    def _checked(self, row: tuple[int, int, int, bytes, bytes, bytes], sequence: int, previous: bytes) -> JournalEntry:
        found, epoch, deadline_ms, command, previous_hash, stored = row
        if found != sequence:
            raise JournalError(f"journal {self.path}: entry {found} follows entry {sequence - 1}, expected entry {sequence}: a gap. {_RESTORE}")
        if tuple(map(type, row)) == (int, int, int, bytes, bytes, bytes) and epoch >= 0 and deadline_ms >= 0:
            place = LogPlace(self.identity, epoch, sequence, previous, keccak256(command), deadline_ms)
            if previous_hash == previous and stored == place.hash:
                return JournalEntry(place, stored, command)
        raise JournalError(f"journal {self.path}: entry {sequence} does not follow from its content and the entries before it: torn or altered. {_RESTORE}")


def _explain(path: Path, error: Exception) -> str:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"journal {path}: another process has it open. Stop that one first"
    if isinstance(error, sqlite3.OperationalError | OSError):
        return f"journal {path}: cannot be used: {error}. {_remedy(error)}"
    return f"journal {path}: cannot be read: {error}. {_RESTORE}"


def _remedy(error: Exception) -> str:
    if isinstance(error, OverflowError):
        return "Expected integers of at most 63 bits"
    return "Make room on the disk, see that it works and that this user may write there, and restart; nothing that was acknowledged is lost"
