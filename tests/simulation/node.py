"""One node: sequencer, journal and poster on a folder, and the ways in which it goes down."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import fields
from pathlib import Path

from eth_account import Account as EthereumAccount
from support.market import OPERATOR

from straddle.commitments.ledger import CommittedState
from straddle.commitments.preset import Preset
from straddle.core.capacity import Capacity
from straddle.core.params import Limits, Params
from straddle.core.state import Exchange
from straddle.sequencer.batch_file import BatchFile
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import BatchRecord, Facts, Poster, Status
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.round import TRANSACTIONS_MAX
from straddle.sequencer.sequencer import ClosedBatch, Sequencer
from straddle.sequencer.snapshots import SnapshotStore

from .layer1 import FINALITY_BLOCKS, CheckingProver, ReorgingLayer1
from .traffic import DOMAIN

IDENTITY = LogIdentity(31337, 0x1234)
SIGNER = EthereumAccount.from_key(bytes(31) + b"\x07")
PARAMS = Params(8, 4, 10_000, 8_000, 7)
LIMITS = Limits(positions=6, open_orders=8)
"""Within the reach of random orders."""
BATCHES_MAX = 10**9
KEPT_BATCHES = (FINALITY_BLOCKS - 1) * TRANSACTIONS_MAX
"""Those that a reorg can undo."""
CAPACITY = Capacity(
    accounts=8, positions=24, instruments=8, signatures=12, orders=16, legs=20, fills=12,
    queue=6, withdrawals=2, transfers=2, takeovers=2, deleverages=2, listings=8,
)  # fmt: skip
"""Small: batches fill up soon, and often in the middle of a set."""
ROOMY = Capacity(
    accounts=16, positions=96, instruments=8, signatures=80, orders=128, legs=160, fills=96,
    queue=16, withdrawals=8, transfers=6, takeovers=6, deleverages=16, listings=8,
)  # fmt: skip


def preset_of(capacity: Capacity) -> Preset:
    """The preset of these row counts."""
    return Preset("simulation", PARAMS.account_depth, PARAMS.slot_depth, **{item.name: getattr(capacity, item.name) for item in fields(Capacity)})


PRESET = preset_of(CAPACITY)
JOURNAL, POSTER, SNAPSHOTS = "journal.sqlite", "poster.sqlite", "snapshots"
SECTOR_BYTES = 512


def genesis(capacity: Capacity) -> tuple[Exchange, CommittedState]:
    """The exchange and its committed state at batch 0."""
    exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=PARAMS, capacity=capacity, limits=LIMITS)
    return exchange, CommittedState.genesis(PARAMS, OPERATOR)


class Node:
    """Opens on a folder and replays what is there."""

    def __init__(
        self,
        folder: Path,
        layer1: ReorgingLayer1,
        prover: CheckingProver,
        inclusion_ms: int = 60_000,
        *,
        capacity: Capacity = CAPACITY,
        snapshots: bool = False,
        batches_max: int = BATCHES_MAX,
    ) -> None:
        """With `snapshots` it starts from the newest usable one of at most `batches_max` batches; `passed_over` says why others were not used."""
        self.folder = folder
        self.closed: list[ClosedBatch] = []
        self.posted: Counter[int] = Counter()
        """Times that each batch was proposed."""
        exchange, committed = genesis(capacity)
        facts = Facts(PARAMS, preset_of(capacity), DOMAIN, IDENTITY.chain_id, IDENTITY.rollup, b"v" * 32, committed.root, 0xBE)
        self.journal = Journal(folder / JOURNAL, IDENTITY)
        self.passed_over: list[str] = []
        self.start = self.journal.beginning
        self.snapshots = SnapshotStore(folder / SNAPSHOTS, IDENTITY)
        if snapshots:
            restored = self.snapshots.restore(self.journal, batches_max, self.passed_over.append)
            if restored is not None:
                exchange, committed, self.start = restored.exchange, restored.committed, restored.position
        self.poster = Poster(BatchFile(folder / POSTER, self._reported), facts, layer1, prover, kept_batches=KEPT_BATCHES, after_batch=self.start.batches)
        try:
            self.sequencer = Sequencer(
                exchange,
                committed,
                self.journal,
                SIGNER,
                clock_ms=lambda: exchange.time_ms,
                inclusion_ms=inclusion_ms,
                on_batch=self._batch_closed,
                start=self.start,
            )
        except BaseException:
            self.journal.close()
            self.poster.close()
            raise

    def _batch_closed(self, closed: ClosedBatch) -> None:
        self.closed.append(closed)
        self.poster.add(closed)

    def _reported(self, record: BatchRecord) -> None:
        self.posted[record.number] += record.status is Status.PROPOSED

    def snapshot(self, batches_final: int = BATCHES_MAX) -> None:
        """Written as the node would, with those that may go removed: layer 1 keeps the first `batches_final` batches for good."""
        sequencer = self.sequencer
        self.snapshots.write(sequencer.exchange, sequencer.committed, sequencer.position)
        self.snapshots.prune(min(sequencer.committed.batch_number, batches_final))

    def close(self) -> None:
        """In order."""
        self.sequencer.close()
        self.poster.close()

    def fill_disk(self) -> None:
        """From now on the journal's file cannot grow."""
        (pages,) = self.journal._db.execute("PRAGMA page_count").fetchone()
        self.journal._db.execute(f"PRAGMA max_page_count = {pages}")


class DiskImage:
    """The files of a folder at one moment: what a killed process leaves."""

    def __init__(self, folder: Path) -> None:
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def write(self, folder: Path) -> None:
        """As a folder of its own."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)

    def torn(self, later: DiskImage, share: float) -> DiskImage:
        """This image while the journal's log file was being written towards the later one: its first part is new. Everything else is old."""
        log = JOURNAL + "-wal"
        image = DiskImage.__new__(DiskImage)
        image.files = dict(self.files)
        if self.files[JOURNAL] == later.files[JOURNAL] and log in later.files:
            old, new = self.files.get(log, b""), later.files[log]
            changed = [i for i in range(0, len(new), SECTOR_BYTES) if old[i : i + SECTOR_BYTES] != new[i : i + SECTOR_BYTES]]
            if changed:  # between them, and not in the zeros behind: the log has its full length from the start
                cut = changed[0] + int((changed[-1] + SECTOR_BYTES - changed[0]) * share)
                image.files[log] = new[:cut] + old[cut:]
        return image
