"""Layer 1 block by block into the store, and from there into a History: a reorg takes back what it undid."""

from __future__ import annotations

from typing import Any

from straddle.l1.deployment import Deployment
from straddle.l1.history import BLOCKS_PER_QUERY, BlobSource, BodySource, History, HistoryError, HistoryReader
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.watcher.store import Store


class Follower:
    """Reads what is new at every `advance`. `history` is what layer 1 says up to then."""

    def __init__(
        self, rpc: Rpc, deployment: Deployment, store: Store, *, blobs: BlobSource | None = None, bodies: BodySource | None = None, confirmations: int = 0
    ) -> None:
        self._rpc, self._deployment, self._store, self._confirmations = rpc, deployment, store, confirmations
        self._blobs = _KeptBlobs(store, blobs)
        self._bodies = bodies
        self._read = deployment.start_block - 1
        """Newest block whose logs are in the history."""
        self._reader = self._new_reader()
        self.reload()

    @property
    def history(self) -> History:
        """Everything up to the newest block that was read."""
        return self._reader.history

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """From the store, or from layer 1, and then kept."""
        return self._store.transaction(transaction_hash) or self._own(transaction_hash)

    def confirm(self, transaction_hash: str) -> bool:
        """Whether a transaction that was read is layer 1's own word. If it came from a peer, layer 1 is asked now; False when it says something else, and the
        history was built anew: header hashes bind effects and body, but nothing binds a transcript."""
        if self._store.is_own(transaction_hash):
            return True
        before = self._store.transaction(transaction_hash)
        self._own(transaction_hash)
        if self._store.transaction(transaction_hash) == before:
            return True
        self.reload()
        return False

    def _own(self, transaction_hash: str) -> dict[str, Any]:
        found = self._rpc.transaction(transaction_hash)
        self._store.save_transactions([found], own=True)
        return found

    def advance(self) -> bool:
        """Read on to the newest block that has its confirmations; True when blocks were undone and the history was built anew.

        RpcError, ConnectionFailed: the node does not answer; call again. HistoryError: what it says contradicts itself.
        """
        undone = self._take_back()
        head = self._rpc.block_number() - self._confirmations
        while self._read < head:
            last = min(self._read + BLOCKS_PER_QUERY, head)
            block_hash = str(self._rpc.block(last)["hash"])
            logs = self._rpc.logs(self._deployment.log_addresses, self._read + 1, last)
            if str(self._rpc.block(last)["hash"]) != block_hash:
                return undone  # the chain moved between the two questions: begin again next time
            self._take(logs)
            self._store.extend(last, block_hash, logs)
            self._read = last
        self.history.to_block = self._read
        return undone

    def _take_back(self) -> bool:
        """Forget blocks that layer 1 no longer has."""
        undone = False
        while (checkpoint := self._store.checkpoint()) is not None and self._hash(checkpoint[0]) != checkpoint[1]:
            self._store.go_back(checkpoint[0] - 1)
            undone = True
        if undone:
            # Logs of blocks between the last good checkpoint and the bad ones may be of either chain.
            self._store.go_back(checkpoint[0] if checkpoint else self._deployment.start_block - 1)
            self.reload()
        return undone

    def _hash(self, number: int) -> str:
        try:
            return str(self._rpc.block(number)["hash"])
        except RpcError:  # the chain is shorter now
            return ""

    def _new_reader(self) -> HistoryReader:
        return HistoryReader(self, self._deployment, History(self._deployment.start_block - 1), blobs=self._blobs, bodies=self._bodies)

    def reload(self) -> None:
        """The history of what is stored, built anew: bodies that were missing are asked for again.

        Transactions that do not fit their logs came from a peer; layer 1 is asked for them then.
        """
        for last_try in (False, True):
            self._reader = self._new_reader()
            try:
                for raw in self._store.logs():
                    self._reader.take(raw)
                break
            except HistoryError:
                if last_try:
                    raise
                self._store.forget_transactions()
        checkpoint = self._store.checkpoint()
        self._read = checkpoint[0] if checkpoint else self._deployment.start_block - 1

    def _take(self, logs: list[dict[str, Any]]) -> None:
        try:
            for raw in logs:
                self._reader.take(raw)
        except HistoryError:
            # Perhaps a transaction that a peer made up: the store is as it was before these logs, so what layer 1 itself says is read anew.
            self._store.forget_transactions()
            self.reload()
            for raw in logs:
                self._reader.take(raw)
        except (RpcError, ConnectionFailed):
            self.reload()  # the reader may have taken some of the logs
            raise


class _KeptBlobs:
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
