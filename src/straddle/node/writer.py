"""The one thread that reads and changes the exchange. Commands that wait are run as a group with one sync to disk; between groups others may look."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from straddle.core.commands import Command
from straddle.core.rejections import Rejection
from straddle.sequencer.sequencer import MAX_COMMANDS, Accepted, Sequencer

T = TypeVar("T")
Answers = list[Accepted | Rejection]

WAITING_MAX = 16 * MAX_COMMANDS
"""Commands that may wait."""
TICK_S = 0.05
"""`between` is called at least this often."""


class WriterBusy(RuntimeError):
    """Too much waits: try again. Nothing was submitted."""


class WriterStopped(RuntimeError):
    """The writer takes nothing more. What was submitted and not answered may or may not be in the log."""


class Writer:
    """Runs a sequencer in a thread. `submit` and `call` are for any thread, the sequencer itself only for this one."""

    def __init__(self, sequencer: Sequencer, *, between: Callable[[], None] = lambda: None, on_failure: Callable[[BaseException], None]) -> None:
        """`between` runs in the thread after each group and now and then; `on_failure` hears what ended the thread."""
        self._sequencer = sequencer
        self._between = between
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[tuple[Sequence[Command] | Callable[[], Any] | None, Future[Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._stopped = False
        self.groups = 0
        """Groups written so far."""
        self._thread = threading.Thread(target=self._run, name="writer")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, commands: Sequence[Command]) -> Future[Answers]:
        """Run commands in order, in one group; their answers once they are durable. WriterBusy, WriterStopped: see there."""
        if not 0 < len(commands) <= MAX_COMMANDS:
            raise ValueError(f"commands: {len(commands)} at once, expected 1 to {MAX_COMMANDS}")
        with self._lock:
            if self._waiting + len(commands) > WAITING_MAX:
                raise WriterBusy(f"{self._waiting} commands wait, at most {WAITING_MAX} may")
            self._waiting += len(commands)
        return self._put(tuple(commands))

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run a function between two groups. WriterStopped: see there."""
        return self._put(function)

    def stop(self) -> None:
        """Finish what waits, then end. Does not wait when called in the thread itself."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put((None, Future()))
        if threading.current_thread() is not self._thread and self._thread.ident is not None:
            self._thread.join()

    def _put(self, job: Sequence[Command] | Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._stopped:
                raise WriterStopped("the node stops")
            self._jobs.put((job, future))
        return future

    def _run(self) -> None:
        try:
            while self._work():
                self._between()
        except BaseException as error:
            with self._lock:
                self._stopped = True
            self._on_failure(error)
        finally:
            self._refuse_the_rest()

    def _work(self) -> bool:
        """One group, or one call; False at the end."""
        group: list[tuple[Sequence[Command], Future[Answers]]] = []
        size = 0
        timeout: float | None = TICK_S
        while True:
            try:
                job, future = self._jobs.get(timeout=timeout) if timeout else self._jobs.get_nowait()
            except queue.Empty:
                break
            if not future.set_running_or_notify_cancel():  # whoever asked has gone; what runs can no longer be cancelled
                self._forget(job)
                continue
            if job is None or callable(job):
                self._write(group)
                return job is not None and self._call(job, future)
            if size + len(job) > MAX_COMMANDS:
                self._write(group)
                group, size = [], 0
            group.append((job, future))
            size += len(job)
            timeout = None  # what has arrived by now joins the group; nobody waits for more
        self._write(group)
        return True

    def _write(self, group: Sequence[tuple[Sequence[Command], Future[Answers]]]) -> None:
        if not group:
            return
        try:
            answers = self._sequencer.submit_many([command for commands, _ in group for command in commands])
        except BaseException:
            for _, future in group:
                future.set_exception(WriterStopped("the node failed; after its restart the log says what was accepted"))
            raise
        self.groups += 1
        taken = 0
        with self._lock:
            self._waiting -= len(answers)
        for commands, future in group:
            future.set_result(answers[taken : taken + len(commands)])
            taken += len(commands)

    def _forget(self, job: Sequence[Command] | Callable[[], Any] | None) -> None:
        if job is not None and not callable(job):
            with self._lock:
                self._waiting -= len(job)

    def _call(self, function: Callable[[], Any], future: Future[Any]) -> bool:
        try:
            future.set_result(function())
        except Exception as error:
            future.set_exception(error)
        return True

    def _refuse_the_rest(self) -> None:
        while True:
            try:
                _, future = self._jobs.get_nowait()
            except queue.Empty:
                return
            future.set_exception(WriterStopped("the node stops"))
