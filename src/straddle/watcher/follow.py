"""Layer 1 block by block into the store, and from there into an outline of its history: a reorg, or an answer that left something out, is taken back.

The outline needs logs alone. Data are read when somebody asks for them (`batch`, `epochs`): the store keeps what was read once, memory does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from straddle.commitments.policy import Data
from straddle.l1.data import BlobSource, BodySource, DataReader, HistoryError, expect
from straddle.l1.deployment import Deployment
from straddle.l1.events import BatchHeader, BatchProposed, EpochRecorded, EpochSubmitted, Event, Happening
from straddle.l1.history import BLOCKS_PER_QUERY, HistoryReader, Outline, check_whole
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import NotFound, Rpc
from straddle.watcher.store import Store

STATE_BLOCKS = 64
"""Nodes keep the contract's state of the newest 128 blocks. With so many confirmations no answer lags behind any more, and none is held against the state."""
KEPT_IN_MEMORY = 16
"""Batches and epochs whose data were asked for last."""
TRIES = 3
"""Readings at least before a contradiction that is there from the first block on is said to last."""
_LOGS = b""


class ReadAgain(HistoryError):
    """Layer 1's answers contradict each other, or leave something out; the next `advance` begins again, each time further back."""


class Follower:
    """Reads what is new at every `advance`. `history` is what layer 1 says up to then."""

    def __init__(
        self, rpc: Rpc, deployment: Deployment, store: Store, *, blobs: BlobSource | None = None, bodies: BodySource | None = None, confirmations: int = 0
    ) -> None:
        self._rpc, self._deployment, self._store, self._confirmations = rpc, deployment, store, confirmations
        self._data = DataReader(self, deployment, blobs=KeptBlobs(store, blobs), bodies=KeptBodies(store, bodies))
        self._before = deployment.start_block - 1
        self._reader = HistoryReader(deployment, Outline(self._before))
        self._read: int | None = None
        """Newest block whose logs are in the history; None before the store was read."""
        self._handed = 0
        """Events that `news` gave."""
        self._tries: dict[bytes, int] = {}
        """Contradictions in a row: in logs, and by header hash in the data of a batch."""
        self._from_start = False
        """Whether the reading after a contradiction began at the first block."""
        self._recent: dict[Happening, BatchProposed | EpochSubmitted] = {}
        self.epochs: Mapping[int, EpochSubmitted] = _Epochs(self)
        """The history's epochs with their data. As `batch` raises."""

    @property
    def history(self) -> Outline:
        """Everything up to the newest block that was read."""
        return self._reader.history

    def news(self) -> list[Event]:
        """Events that were not given yet."""
        events = self.history.events
        found, self._handed = events[self._handed :], len(events)
        return found

    # ---- logs

    def advance(self) -> bool:
        """Read on to the newest block that has its confirmations; True when blocks were undone.

        RpcError, ConnectionFailed: the node does not answer; call again. ReadAgain: nor does it fit together; call again, too. HistoryError: what it says
        contradicts itself from the rollup's first block on.
        """
        try:
            if self._read is None:
                self._read = self._load()
            undone = self._take_back()
            head = self._rpc.block_number() - self._confirmations
            while self._read < head:
                self._read_to(min(self._read + BLOCKS_PER_QUERY, head), head)
            self._tries.pop(_LOGS, None)
            self._from_start &= bool(self._tries)
        except HistoryError as error:
            raise self._step_back(error) from error
        return undone

    def _load(self) -> int:
        """What the store has; the newest block of it."""
        for raw in self._store.logs():
            self._reader.take(raw)
        return self._checkpoint()

    def _read_to(self, last: int, head: int) -> None:
        """The logs up to a block into history and store: all of them or none."""
        assert self._read is not None
        block_hash = self._rpc.block(last)["hash"]
        logs = self._rpc.logs(self._deployment.log_addresses, self._read + 1, last)
        try:
            for raw in logs:
                self._reader.take(raw)
            self.history.to_block = last
            if last == head and self._confirmations <= STATE_BLOCKS:
                check_whole(self.history, RollupClient(self._rpc, self._deployment, last))
            if self._rpc.block(last)["hash"] != block_hash:
                raise HistoryError(f"block {last}: another one took its place while it was read")
            self._store.extend(last, block_hash, logs)
        except BaseException:
            self._reader.undo(self._read)
            raise
        self._read = last

    def _take_back(self) -> bool:
        """Forget blocks that layer 1 no longer has."""
        checkpoint, undone = self._store.checkpoint(), False
        while checkpoint is not None and self._hash(checkpoint[0]) != checkpoint[1]:
            self._store.go_back(checkpoint[0] - 1)
            checkpoint, undone = self._store.checkpoint(), True
        if undone:
            self._go_back(self._checkpoint())
        return undone

    def _step_back(self, error: HistoryError, about: bytes = _LOGS) -> HistoryError:
        """After a contradiction. In logs: the first time only what was just read is forgotten, since a node may lag; then more and more, at last all."""
        # Data of a batch contradict logs that were taken to be whole: reading on would change nothing.
        self._tries[about] = tries = self._tries.get(about, int(about != _LOGS)) + 1
        if self._from_start and tries > TRIES:
            self._go_back(self._before)
            return HistoryError(f"{error}. All of layer 1 was read again, which did not mend it")
        blocks = BLOCKS_PER_QUERY << tries - 2 if tries > 1 else 0
        self._go_back(self._before if self._read is None else max(self._before, self._read - blocks))
        self._from_start = self._read == self._before
        return ReadAgain(f"{error}. Reading from {'the first block' if self._from_start else f'block {self._checkpoint() + 1}'} again")

    def _go_back(self, block: int) -> None:
        """To the newest checkpoint that is not after a block: logs between two checkpoints may be of either chain."""
        self._store.go_back(block)
        self._read = self._checkpoint()
        self._store.go_back(self._read)
        self._handed = min(self._handed, self._reader.undo(self._read))

    def _checkpoint(self) -> int:
        checkpoint = self._store.checkpoint()
        return checkpoint[0] if checkpoint else self._before

    def _hash(self, number: int) -> str:
        try:
            return str(self._rpc.block(number)["hash"])
        except NotFound:  # the chain is shorter now
            return ""

    # ---- data

    def batch(self, header: BatchHeader, *, examined: bool = False) -> BatchProposed:
        """A proposal with its data; body or transcript are None when nobody has them now.

        What a peer gave is used as far as header hashes bind it. They do not bind transcripts: with `examined` the transaction is layer 1's own. RpcError,
        ConnectionFailed, HistoryError: ask again after the next `advance`.
        """
        if examined and not self._store.is_own(header.transaction_hash):
            self._own(header.transaction_hash)
            self._recent.pop(header, None)
        found = self._recent.get(header)
        if not isinstance(found, BatchProposed):
            found = self._believed(header, self._data.batch)
            try:
                self._expect_logs(found)
            except HistoryError as error:
                raise self._step_back(error, header.header_hash) from error
            self._tries.pop(header.header_hash, None)
            if found.place.data is Data.COMMITTEE and found.body is not None:
                self._store.save_body(header.header_hash, found.body)
            if found.body is not None and found.transcript is not None:
                self._keep(header, found)
        return found

    def _expect_logs(self, posted: BatchProposed) -> None:
        """The logs told of what the contract has asked of the batch."""
        number, known = posted.batch_number, len(self.history.queue)
        expect(posted.epoch in self.history.epochs, posted, f"batch {number} is of epoch {posted.epoch}, which no log recorded")
        expect(posted.queue_end <= known, posted, f"batch {number} answers the queue up to entry {posted.queue_end - 1}, the logs tell of {known} entries")

    def epoch(self, recorded: EpochRecorded) -> EpochSubmitted:
        """An epoch with its data. As `batch` raises."""
        found = self._recent.get(recorded)
        if not isinstance(found, EpochSubmitted):
            found = self._believed(recorded, self._data.epoch)
            self._keep(recorded, found)
        return found

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """From the store, or from layer 1, and then kept."""
        return self._store.transaction(transaction_hash) or self._own(transaction_hash)

    def _believed(self, said: Any, read: Any) -> Any:
        """The data of a log. A transaction that does not fit it, and that a peer gave, is asked of layer 1; layer 1's own is asked for anew next time."""
        try:
            return read(said)
        except HistoryError:
            if self._store.is_own(said.transaction_hash):
                self._store.forget_transaction(said.transaction_hash)
                raise
            self._own(said.transaction_hash)
            return self._believed(said, read)

    def _own(self, transaction_hash: str) -> dict[str, Any]:
        found = self._rpc.transaction(transaction_hash)
        self._store.save_transactions([found], own=True)
        return found

    def _keep(self, said: Happening, found: BatchProposed | EpochSubmitted) -> None:
        self._recent[said] = found
        if len(self._recent) > KEPT_IN_MEMORY:
            del self._recent[next(iter(self._recent))]


class _Epochs(Mapping[int, EpochSubmitted]):
    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def __getitem__(self, number: int) -> EpochSubmitted:
        return self._follower.epoch(self._follower.history.epochs[number])

    def __contains__(self, number: object) -> bool:
        return number in self._follower.history.epochs

    def __iter__(self) -> Iterator[int]:
        return iter(self._follower.history.epochs)

    def __len__(self) -> int:
        return len(self._follower.history.epochs)


class KeptBlobs:
    """Blobs outlive the beacon chain's memory in the store."""

    def __init__(self, store: Store, source: BlobSource | None) -> None:
        self._store, self._source = store, source

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """From the store, or from the source, and then kept."""
        from straddle.l1.blobs import BlobMissing  # with the ceremony's points: nobody else needs them

        found = self._store.blob(versioned_hash)
        if found is not None:
            return found
        if self._source is None:
            raise BlobMissing(f"blob 0x{versioned_hash.hex()}: no source of blobs")
        found = self._source.blob(versioned_hash, block_number)
        self._store.save_blob(versioned_hash, found)
        return found


class KeptBodies:
    """Bodies of a committee's batches outlive its members in the store."""

    def __init__(self, store: Store, source: BodySource | None) -> None:
        self._store, self._source = store, source

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """From the source; what was kept of it, when it was found to be the batch's, needs no source."""
        found = self._store.body(header_hash)
        return self._source.body(batch_number, header_hash) if found is None and self._source else found
