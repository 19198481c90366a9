"""The way to layer 1 of a running node: several prover processes, and a thread that adds closed batches to the poster and takes them as far as they go."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from straddle.node.chain import LAYER1_ERRORS
from straddle.proving.keys import ProverOutputError
from straddle.proving.prover import Prover, ProverError, ProveResult
from straddle.proving.server import ProvingServer
from straddle.proving.witness import Witness
from straddle.sequencer.placing import QuorumAway
from straddle.sequencer.poster import BatchRecord, Poster, Status
from straddle.sequencer.sequencer import ClosedBatch

PASSING_ERRORS = (*LAYER1_ERRORS, ProverError, ProverOutputError, QuorumAway)
"""What a later try may overcome."""
LOOK_S = 0.25
RETRY_MAX_S = 30.0
RECORDS_AT_ONCE = 1000


class ProverPool:
    """`prove` for as many callers at a time as there are processes."""

    def __init__(self, prover: Prover, circuit: str, workers: int) -> None:
        self._servers = [ProvingServer(prover, circuit) for _ in range(workers)]
        self._free: queue.SimpleQueue[ProvingServer] = queue.SimpleQueue()
        for server in self._servers:
            self._free.put(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes at once: proofs in the making, and those that wait for a process, raise ProverError."""
        for server in self._servers:
            server.end()
        idle = [self._free.get() for _ in self._servers]
        for server in idle:
            server.close()
            self._free.put(server)  # whoever closes again, or asks for a proof, does not wait for ever

    def prove(self, witness: Witness) -> ProveResult:
        """Prove in the next free process. ProverError: it refuses, or the pool is closed."""
        server = self._free.get()
        try:
            return server.prove(witness)
        finally:
            self._free.put(server)


class Posting:
    """The poster's thread. Batches come from the writer; everything else of the poster happens here."""

    def __init__(self, on_failure: Callable[[BaseException], None], on_record: Callable[[BatchRecord], None], keep_chain: Callable[[], None]) -> None:
        """`on_failure` hears what ended the thread, `on_record` of every step of every batch; `keep_chain` is called when layer 1 has taken something."""
        self._on_failure = on_failure
        self._on_record = on_record
        self._keep_chain = keep_chain
        self._closed: queue.SimpleQueue[ClosedBatch] = queue.SimpleQueue()
        self.stopping = threading.Event()
        """Set: nothing is sent to layer 1 or waited for there any more. What was sent may still be mined; the next start finds it."""
        self._open: dict[int, Status] = {}
        """Of the batches that are not final: the others are as many as the exchange is old."""
        self._newest = self._count = 0
        """Number of the newest batch, and how many there are."""
        self._moved = False
        self._poster: Poster | None = None
        self._thread: threading.Thread | None = None
        self.problem = ""
        """Why nothing moves at the moment; empty when all is well."""

    def report(self, record: BatchRecord) -> None:
        """The poster's report."""
        self._note(record)
        self._moved = self._moved or record.status in (Status.PROPOSED, Status.VERIFIED)
        self._on_record(record)

    def open(self, poster: Poster) -> None:
        """The poster, with the batches of earlier runs."""
        self._poster, self._newest, self._count = poster, 0, 0
        self._open.clear()
        while records := poster.records(self._newest + 1, RECORDS_AT_ONCE):
            for record in records:
                self._note(record)

    def add(self, closed: ClosedBatch) -> None:
        """The next closed batch, from the writer's thread. Before `start` it goes to the poster at once: a replay may bring more than memory holds."""
        if self._thread is None and self._poster is not None:
            self._poster.add(closed)
        else:
            self._closed.put(closed)

    def count(self, *statuses: Status) -> int:
        """Batches that are so far."""
        open_ = list(self._open.values())
        return sum(status in statuses for status in open_) + (self._count - len(open_) if Status.VERIFIED in statuses else 0)

    @property
    def verified(self) -> int:
        """Newest batch up to which all are final."""
        return self.reached(Status.VERIFIED)

    def reached(self, status: Status) -> int:
        """Newest batch up to which all are so far or further."""
        open_ = [number for number, found in list(self._open.items()) if found.place < status.place]
        return min(open_) - 1 if open_ else self._newest

    def _note(self, record: BatchRecord) -> None:
        if record.status is Status.VERIFIED:
            self._open.pop(record.number, None)
        else:
            self._open[record.number] = record.status
        if record.number > self._newest:
            self._newest, self._count = record.number, self._count + 1

    def start(self) -> None:
        """Begin, after `open`."""
        self._thread = threading.Thread(target=self._run, args=(self._poster,), name="poster")
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way; proofs in the making are given up."""
        self.stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self, poster: Poster) -> None:
        pause = LOOK_S
        try:
            while not self.stopping.wait(pause):
                newest_epoch = poster.newest_epoch  # asked first: then every batch on an earlier table is among the closed ones
                while not self._closed.empty():
                    poster.add(self._closed.get())
                try:
                    poster.advance(rounds=1, newest_epoch=newest_epoch)  # what was closed while its block was waited for goes with the next
                    if self._moved:
                        self._moved = False
                        self._keep_chain()
                    self.problem, pause = "", LOOK_S if poster.is_idle else 0.0
                except PASSING_ERRORS as error:
                    self.problem, pause = str(error), min(max(2 * pause, LOOK_S), RETRY_MAX_S)
        except BaseException as error:
            self._on_failure(error)
