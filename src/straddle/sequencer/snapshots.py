"""Snapshots: the exchange and the committed state at a place in the log, so that a restart replays only what follows.

A snapshot is a shortcut to a state that the journal gives too, never the only copy of anything. Therefore one that is damaged, of another engine or not of this
journal is passed over, with the reason, for an older one or for the whole journal. It is one file:

    header (a line of JSON) || pickle of (exchange, committed state, accounts with risk) || sha256 of all before

The pickle is read by a reader that makes objects of Straddle's own state classes and of nothing else. `engine` is a hash of the sources that make up the state
and its rules: after any change of them the journal is replayed through the new ones.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from straddle.commitments.ledger import CommittedState
from straddle.core.exposure import build_exposure
from straddle.core.kernel import SOURCE_DIGEST
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.primitives.files import write_atomically
from straddle.sequencer.journal import Journal, JournalError, LogPosition
from straddle.sequencer.receipts import LogIdentity

FORMAT = "straddle.snapshot.1"
SUFFIX = ".snapshot"
KEPT = 2
"""Usable snapshots that stay: a damaged newest one leaves another."""

_HASH_BYTES = 32
_SOURCES = Path(__file__).resolve().parents[1]
_STATE_ROOMS = ("primitives", "core", "operations", "commitments", "transition.py")
_STATE_PACKAGES = ("straddle.core.", "straddle.commitments.", "straddle.primitives.")


class SnapshotError(RuntimeError):
    """A snapshot that cannot be used. The message says which and why."""


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """What a snapshot says of itself."""

    format: str
    engine: str
    chain_id: int
    rollup: str
    sequence: int
    head: str
    """Hash of the log's entry `sequence`."""
    batches: int
    state_root: str
    """State root after the last of these batches."""

    @property
    def position(self) -> LogPosition:
        """Its place in the log."""
        return LogPosition(self.sequence, bytes.fromhex(self.head), self.batches)


@dataclass(frozen=True, slots=True)
class Restored:
    """The state of a snapshot."""

    exchange: Exchange
    committed: CommittedState
    position: LogPosition


class SnapshotStore:
    """The snapshots of one log in one folder, named by their sequence."""

    def __init__(self, folder: Path, identity: LogIdentity) -> None:
        self.folder = folder
        self._identity = identity
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob("*.part"):  # of a node that was killed while it wrote
            leftover.unlink()

    def write(self, exchange: Exchange, committed: CommittedState, position: LogPosition) -> Path:
        """Write the state at `position`, durable when this returns. OSError when the disk refuses, SnapshotError when the state does; older ones then stay."""
        identity = self._identity
        header = SnapshotHeader(
            format=FORMAT,
            engine=engine_digest(),
            chain_id=identity.chain_id,
            rollup=hex(identity.rollup),
            sequence=position.sequence,
            head=position.head.hex(),
            batches=position.batches,
            state_root=hex(committed.root),
        )
        content = json.dumps(asdict(header)).encode() + b"\n" + _dump(exchange, committed)
        path = self.folder / f"{position.sequence:016d}{SUFFIX}"
        write_atomically(path, content + hashlib.sha256(content).digest())
        return path

    def restore(self, journal: Journal, batches_max: int, say: Callable[[str], None]) -> Restored | None:
        """The newest usable state with at most `batches_max` batches, or None: replay from the beginning. `say` hears of each snapshot that is passed over."""
        for path in reversed(self.paths()):
            try:
                header, payload = read_snapshot(path)
                if header.batches > batches_max:
                    continue
                self._check(path, header, journal)
                exchange, committed = _load(path, payload)
                if hex(committed.root) != header.state_root or exchange.next_sequence != header.sequence + 1 or committed.batch_number != header.batches:
                    raise SnapshotError(f"snapshot {path.name}: its state is not the one of its header")
            except (SnapshotError, JournalError) as error:
                say(f"{error}; an older one, or the whole journal, is used instead")
                continue
            return Restored(exchange, committed, header.position)
        return None

    def prune(self, batches_final: int) -> None:
        """Drop all but the newest KEPT snapshots with at most `batches_final` batches; those with more stay until they are that old."""
        usable = []
        for path in self.paths():
            try:
                if read_snapshot(path)[0].batches <= batches_final:
                    usable.append(path)
            except SnapshotError:  # said at the next restart, when it would have been used
                continue
        for path in usable[:-KEPT]:
            path.unlink()

    def paths(self) -> list[Path]:
        """All of them, the oldest first."""
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def _check(self, path: Path, header: SnapshotHeader, journal: Journal) -> None:
        """The snapshot belongs to this engine and lies on this journal."""
        expected = {"format": FORMAT, "engine": engine_digest(), "chain_id": self._identity.chain_id, "rollup": hex(self._identity.rollup)}
        for name, wanted in expected.items():
            if getattr(header, name) != wanted:
                raise SnapshotError(f"snapshot {path.name}: {name} {getattr(header, name)}, expected {wanted}")
        try:
            beginning = journal.beginning
            on_log = (journal.entry(header.sequence).hash if header.sequence != beginning.sequence else beginning.head).hex() == header.head
            same_root = hex(journal.batch_root(header.batches)) == header.state_root if header.batches else True
        except KeyError as error:
            raise SnapshotError(f"snapshot {path.name}: {error.args[0]}") from error
        if not on_log or not same_root:
            raise SnapshotError(f"snapshot {path.name}: not of this journal, which has another entry {header.sequence} or root of batch {header.batches}")


def read_snapshot(path: Path) -> tuple[SnapshotHeader, bytes]:
    """Header and pickle of a file whose checksum holds."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"snapshot {path.name}: cannot be read: {error}") from error
    body, checksum = content[:-_HASH_BYTES], content[-_HASH_BYTES:]
    if hashlib.sha256(body).digest() != checksum:
        raise SnapshotError(f"snapshot {path.name}: damaged, its checksum does not hold")
    head, _, payload = body.partition(b"\n")
    try:
        return SnapshotHeader(**json.loads(head)), payload  # the checksum held: a header as some version of this program wrote it
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"snapshot {path.name}: header of another version: {error}") from error


@cache
def engine_digest() -> str:
    """Hash over the sources that define the state and its rules, the kernel's included."""
    digest = hashlib.sha256(SOURCE_DIGEST.encode())
    for room in _STATE_ROOMS:
        place = _SOURCES / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(_SOURCES)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _dump(exchange: Exchange, committed: CommittedState) -> bytes:
    """Without what is derived from the rest: caches, and the risk of each account, which lives in the margin kernel."""
    caches: dict[str, Any] = {item.name: item.default for item in fields(exchange) if not item.compare}
    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5)
    pickler.dispatch_table = {RiskTable: _reduce_table}
    try:
        pickler.dump((replace(exchange, exposures={}, **caches), committed, tuple(exchange.exposures)))
    except (pickle.PicklingError, TypeError, RecursionError) as error:
        raise SnapshotError(f"snapshot: the state cannot be written: {error}") from error
    return file.getvalue()


def _reduce_table(table: RiskTable) -> tuple[type[RiskTable], tuple[Any, ...]]:
    """A table is made again from what it was made from."""
    return RiskTable, tuple(getattr(table, item.name) for item in fields(table) if item.init)


def _derive_exposures(exchange: Exchange, accounts: Iterable[int]) -> None:
    """The risk of the accounts that had any, on the table in force."""
    for number in accounts:
        orders = exchange.open_orders.get(number, {}).values()
        exchange.exposures[number] = build_exposure(exchange.context, exchange.accounts[number].positions, orders)


class _StateReader(pickle.Unpickler):
    """Makes Straddle's state classes only: a foreign pickle cannot run anything."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith(_STATE_PACKAGES) and "." not in name else None
        if isinstance(found, type) and found.__module__ == module:
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no class of the state")


def _load(path: Path, payload: bytes) -> tuple[Exchange, CommittedState]:
    try:
        exchange, committed, exposed = _StateReader(io.BytesIO(payload)).load()
        if isinstance(exchange, Exchange) and isinstance(committed, CommittedState):
            _derive_exposures(exchange, exposed)
            return exchange, committed
    except Exception as error:  # a pickle can fail in any way
        raise SnapshotError(f"snapshot {path.name}: cannot be read: {error}") from error
    raise SnapshotError(f"snapshot {path.name}: holds {type(exchange).__name__} and {type(committed).__name__}, expected an exchange and its commitments")
