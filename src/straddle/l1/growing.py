"""A rollup's past for whoever looks again and again: each time only what is new is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from straddle.l1.data import BlobSource, BodySource, DataReader, HistoryError
from straddle.l1.deployment import Deployment
from straddle.l1.history import BLOCKS_PER_QUERY, History, HistoryReader
from straddle.l1.rpc import Rpc, RpcError


class GrowingHistory:
    """In memory; the watcher's, which is on disk, is `straddle.watcher.follow`."""

    def __init__(self, rpc: Rpc, deployment: Deployment, *, blobs: BlobSource | None = None, bodies: BodySource | None = None) -> None:
        self._rpc, self._deployment, self._blobs, self._bodies = rpc, deployment, blobs, bodies
        self.forget()

    def forget(self) -> None:
        """The next `read` begins anew; bodies that were missing are asked for again."""
        empty = History(self._deployment.start_block - 1)
        data = DataReader(self._rpc, self._deployment, blobs=self._blobs, bodies=self._bodies)
        self._reader: HistoryReader[History] = HistoryReader(self._deployment, empty, data)
        self._untaken: list[dict[str, Any]] = []
        """Logs up to the anchor that are not in the history yet."""
        self._anchor: tuple[int, str] | None = None
        """(number, hash) of the newest block that was read."""

    def read(self) -> History:
        """Everything up to now; from the beginning when layer 1 went back. It grows with the next `read`.

        RpcError, ConnectionFailed: the node does not answer; the next `read` goes on. HistoryError: its answers contradict each other; the next begins anew.
        """
        if self._anchor is not None and self._hash(self._anchor[0]) != self._anchor[1]:
            self.forget()
        self._take()
        head = self._rpc.block_number()
        while (first := self._next) <= head:
            last = min(first + BLOCKS_PER_QUERY - 1, head)
            anchor = (last, self._hash(last))
            logs = self._rpc.logs(self._deployment.log_addresses, first, last)
            if self._hash(last) != anchor[1]:
                raise HistoryError("layer 1 went back while it was read. Read it again")
            self._untaken, self._anchor = logs, anchor
            self._take()
        history: History = self._reader.history
        history.to_block = self._next - 1
        return history

    def drop_bodies(self, last: int) -> None:
        """Batches up to `last` are needed no more: their bodies and transcripts are most of what a history weighs."""
        history = self._reader.history
        history.events.clear()
        for i, batch in enumerate(history.batches[:last]):
            if batch.body or batch.transcript:
                history.batches[i] = replace(batch, body=(), transcript=b"")

    @property
    def _next(self) -> int:
        return self._deployment.start_block if self._anchor is None else self._anchor[0] + 1

    def _take(self) -> None:
        try:
            while self._untaken:
                self._reader.take(self._untaken[0])
                del self._untaken[0]
        except HistoryError:
            self.forget()
            raise

    def _hash(self, number: int) -> str:
        try:
            return str(self._rpc.block(number)["hash"])
        except RpcError:  # the chain is shorter now
            return ""
