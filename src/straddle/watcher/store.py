"""What a watcher keeps, in SQLite: layer 1's own words (logs, transactions, blobs), its verdicts, and a copy of a final state. All of it can be had again.

A row that its disk spoilt must not make a watcher challenge a batch that holds, so each has a checksum. A spoilt one counts as not kept, and is asked for
again; of a log nobody would miss it, so the store says so and is of no use any more.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from straddle.primitives.errors import Actionable
from straddle.primitives.sqlite import UNREADABLE, add_row_sum

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS logs (block INTEGER, place INTEGER, raw TEXT NOT NULL, sum BLOB NOT NULL, PRIMARY KEY (block, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, raw TEXT NOT NULL, own INTEGER NOT NULL, sum BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS blobs (hash TEXT PRIMARY KEY, data BLOB NOT NULL, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS bodies (header TEXT PRIMARY KEY, data BLOB NOT NULL, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS verdicts (header TEXT PRIMARY KEY, judged TEXT NOT NULL, sum BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS states (batch INTEGER PRIMARY KEY, header TEXT NOT NULL, copy BLOB NOT NULL, sum BLOB NOT NULL);
"""

FILE = "watcher.sqlite"
STATES_KEPT = 2
LOGS_PER_READ = 1_000
_CELL_BYTES = 32
_INTACT_TRANSACTION = "sum IS row_sum(hash, raw, own)"
CHECKPOINTS_KEPT = 1024
"""A reorg to before the oldest one is read from the rollup's first block again."""


class StoreError(Actionable):
    """The store cannot be used, or is another rollup's."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict that was reached. `header_hash` names the very batch: a number can be used again after a void or a reorg."""

    batch_number: int
    header_hash: bytes
    verdict: str
    reason: str
    notes: tuple[str, ...] = ()


class Store:
    """The file. Calls may come from any thread; each is durable when it returns. StoreError: the disk refuses, or the file is damaged."""

    def __init__(self, folder: Path, chain_id: int, rollup: str) -> None:
        """Opens the store in `folder`, or begins one. StoreError: it cannot be used, or belongs to another rollup."""
        self._path = folder / FILE
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"--folder {folder}: the store cannot be used: {error}") from error
        try:
            self._open(chain_id, rollup)
        except BaseException:
            self.close()
            raise

    def _open(self, chain_id: int, rollup: str) -> None:
        try:
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _SCHEMA)
            add_row_sum(self._db)
        except UNREADABLE as error:
            raise self._damaged(error) from error
        for key, value in (("chain_id", str(chain_id)), ("rollup", rollup.lower())):
            self._run("INSERT OR IGNORE INTO meta VALUES (?, ?)", key, value)
            found = self._rows("SELECT value FROM meta WHERE key = ?", key)[0][0]
            if found != value:
                raise StoreError(f"--folder {self._path.parent}: holds {key} {found}, expected {value}: give each rollup a folder of its own")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # ---- layer 1

    def checkpoint(self) -> tuple[int, str] | None:
        """(number, hash) of the block up to which everything was read, or None."""
        rows = self._rows("SELECT block, hash FROM checkpoints ORDER BY block DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def extend(self, block: int, block_hash: str, logs: Sequence[dict[str, Any]]) -> None:
        """Everything up to a block: its logs after the checkpoint, which it replaces as the newest. All or nothing."""
        with self._writing():
            rows = [(int(log["blockNumber"], 16), int(log["logIndex"], 16), json.dumps(log)) for log in logs]
            self._db.executemany("INSERT INTO logs VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))", rows)
            self._db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (block, block_hash))
            self._db.execute(f"DELETE FROM checkpoints WHERE block NOT IN (SELECT block FROM checkpoints ORDER BY block DESC LIMIT {CHECKPOINTS_KEPT})")

    def go_back(self, block: int) -> None:
        """Forget the blocks after `block`: they are no longer layer 1's."""
        with self._writing():
            self._db.execute("DELETE FROM logs WHERE block > ?", (block,))
            self._db.execute("DELETE FROM checkpoints WHERE block > ?", (block,))

    def logs(self) -> Iterator[dict[str, Any]]:
        """All logs, in the order of the chain."""
        after = (-1, -1)
        select = "SELECT block, place, raw, sum IS row_sum(block, place, raw) FROM logs WHERE (block, place) > (?, ?) ORDER BY block, place LIMIT ?"
        while rows := self._rows(select, *after, LOGS_PER_READ):
            for block, place, raw, intact in rows:
                if not intact:
                    raise self._damaged(f"log {place} of block {block} is not as it was written")
                yield json.loads(raw)
            after = rows[-1][:2]

    def transaction(self, transaction_hash: str) -> dict[str, Any] | None:
        """A kept transaction."""
        rows = self._rows(f"SELECT raw FROM transactions WHERE hash = ? AND {_INTACT_TRANSACTION}", transaction_hash)
        return json.loads(rows[0][0]) if rows else None

    def save_transactions(self, transactions: Iterable[dict[str, Any]], *, own: bool) -> None:
        """Keep what readers use of them; `own`: layer 1 itself gave them to this watcher, which is believed before what a peer gave."""
        kept = [(item["hash"], json.dumps(_used(item)), int(own)) for item in transactions]
        update = "ON CONFLICT (hash) DO UPDATE SET raw = excluded.raw, own = 1, sum = excluded.sum WHERE excluded.own = 1"
        with self._writing():
            self._db.executemany(f"INSERT INTO transactions (hash, raw, own, sum) VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3)) {update}", kept)

    def is_own(self, transaction_hash: str) -> bool:
        """Whether layer 1 itself gave a kept transaction."""
        return bool(self._rows(f"SELECT own FROM transactions WHERE hash = ? AND own = 1 AND {_INTACT_TRANSACTION}", transaction_hash))

    def transactions(self, after: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """The next kept transactions after a number, and the number to go on after."""
        rows = self._rows(f"SELECT number, raw FROM transactions WHERE number > ? AND {_INTACT_TRANSACTION} ORDER BY number LIMIT ?", after, limit)
        return (rows[-1][0] if rows else after), [json.loads(row[1]) for row in rows]

    def forget_transaction(self, transaction_hash: str) -> None:
        """Drop one that turned out not to be what layer 1 executed."""
        self._run("DELETE FROM transactions WHERE hash = ?", transaction_hash)

    def blob(self, versioned_hash: bytes) -> bytes | None:
        """A kept blob."""
        return self._data("SELECT data FROM blobs WHERE hash = ?1 AND sum IS row_sum(hash, data)", versioned_hash)

    def save_blob(self, versioned_hash: bytes, data: bytes) -> None:
        """Keep a blob, which was checked."""
        self._run("INSERT OR REPLACE INTO blobs VALUES (?1, ?2, row_sum(?1, ?2))", versioned_hash.hex(), data)

    def body(self, header_hash: bytes) -> tuple[int, ...] | None:
        """A kept body of a committee's batch."""
        data = self._data("SELECT data FROM bodies WHERE header = ?1 AND sum IS row_sum(header, data)", header_hash)
        return None if data is None else tuple(int.from_bytes(data[i : i + _CELL_BYTES], "big") for i in range(0, len(data), _CELL_BYTES))

    def save_body(self, header_hash: bytes, body: Sequence[int]) -> None:
        """Keep a body, which was checked."""
        cells = b"".join(cell.to_bytes(_CELL_BYTES, "big") for cell in body)
        self._run("INSERT OR REPLACE INTO bodies VALUES (?1, ?2, row_sum(?1, ?2))", header_hash.hex(), cells)

    # ---- verdicts and states

    def judged(self, header_hash: bytes) -> Judged | None:
        """The verdict on a batch, if one was reached."""
        rows = self._rows("SELECT judged FROM verdicts WHERE header = ? AND sum IS row_sum(header, judged)", header_hash.hex())
        if not rows:
            return None
        number, verdict, reason, notes = json.loads(rows[0][0])
        return Judged(number, header_hash, verdict, reason, tuple(notes))

    def save_judged(self, judged: Judged) -> None:
        """Keep a verdict."""
        text = json.dumps((judged.batch_number, judged.verdict, judged.reason, judged.notes))
        self._run("INSERT OR REPLACE INTO verdicts VALUES (?1, ?2, row_sum(?1, ?2))", judged.header_hash.hex(), text)

    def states(self) -> list[tuple[int, bytes, bytes]]:
        """(batch, its header hash, copy of the state after it), the newest first."""
        rows = self._rows("SELECT batch, header, copy FROM states WHERE sum IS row_sum(batch, header, copy) ORDER BY batch DESC")
        return [(row[0], bytes.fromhex(row[1]), bytes(row[2])) for row in rows]

    def save_state(self, batch_number: int, header_hash: bytes, copy: bytes) -> None:
        """Keep the state after a final batch, and drop all but the newest ones."""
        self._run("INSERT OR REPLACE INTO states VALUES (?1, ?2, ?3, row_sum(?1, ?2, ?3))", batch_number, header_hash.hex(), copy)
        self._run("DELETE FROM states WHERE batch NOT IN (SELECT batch FROM states ORDER BY batch DESC LIMIT ?)", STATES_KEPT)

    # ---- parts

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except UNREADABLE as error:
                raise self._damaged(error) from error

    def _data(self, statement: str, key: bytes) -> bytes | None:
        rows = self._rows(statement, key.hex())
        return bytes(rows[0][0]) if rows else None

    def _damaged(self, why: object) -> StoreError:
        return StoreError(
            f"--folder {self._path.parent}: the store cannot be read: {why}. Close the process that has it open, or move {FILE} and what begins with its name "
            "elsewhere: all of it can be had again"
        )

    def _run(self, statement: str, *values: Any) -> None:
        with self._writing():
            self._db.execute(statement, values)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, all or nothing. StoreError: the disk refuses."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute("BEGIN")
                    yield
            except sqlite3.OperationalError as error:
                where = f"--folder {self._path.parent}: the store cannot be written"
                raise StoreError(f"{where}: {error}. Nothing of the last step was kept; make room and start again") from error
            except sqlite3.Error as error:
                raise self._damaged(error) from error


def _used(transaction: dict[str, Any]) -> dict[str, Any]:
    """What readers use of a transaction, in one form whoever gave it."""
    texts = {name: str(transaction.get(name) or "").lower() for name in ("hash", "to", "input")}
    return {**texts, "blobVersionedHashes": [str(text).lower() for text in transaction.get("blobVersionedHashes") or []]}
