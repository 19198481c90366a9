"""The one thread that reads and changes the exchange.

All commands that wait are run as one group with one sync to disk; then the calls that wait have their turn. So a read parts no group, and what it sees is on
disk: everything that was submitted before it, and perhaps what came after.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from straddle.core.commands import Command
from straddle.core.rejections import Rejection
from straddle.sequencer.sequencer import MAX_COMMANDS, Accepted, Sequencer

T = TypeVar("T")
Answers = list[Accepted | Rejection]
Job = tuple[Sequence[Command] | Callable[[], Any], "Future[Any]"]
Submitted = tuple[Sequence[Command], "Future[Any]"]
Called = tuple[Callable[[], Any], "Future[Any]"]

WAITING_MAX = 16 * MAX_COMMANDS
"""Commands that may wait."""
GROUP_MAX = MAX_COMMANDS - 1
"""Commands of one group: there is one more when the time goes first."""
CALLS_MAX = 64
"""Calls from one group to the next, when more wait: commands do not wait for all of them."""
TICK_S = 0.05
"""`between` is called at least this often."""


class WriterBusy(RuntimeError):
    """Too much waits: try again. Nothing was submitted."""


class WriterStopped(RuntimeError):
    """The writer takes nothing more. What was submitted and not answered may or may not be in the log."""


class Writer:
    """Runs a sequencer in a thread. `submit` and `call` are for any thread, the sequencer itself only for this one."""

    def __init__(
        self,
        sequencer: Sequencer,
        *,
        first: Callable[[Sequence[Command]], Command | None] = lambda commands: None,
        between: Callable[[], None] = lambda: None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`first` gives what has to go before the commands of a group, in the thread and with the same sync to disk; `between` runs in the thread after each
        group and now and then; `on_failure` hears what ended the thread."""
        self._sequencer = sequencer
        self._first = first
        self._between = between
        self._on_failure = on_failure
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        """None: the end."""
        self._next: Submitted | None = None
        """Taken from the jobs, and too long for the group before."""
        self._calls: deque[Called] = deque()
        """Taken from the jobs; what was submitted before them is written."""
        self._ending = False
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
        if not 0 < len(commands) <= GROUP_MAX:
            raise ValueError(f"commands: {len(commands)} at once, expected 1 to {GROUP_MAX}")
        with self._lock:
            if self._waiting + len(commands) > WAITING_MAX:
                raise WriterBusy(f"{self._waiting} commands wait, at most {WAITING_MAX} may")
            self._waiting += len(commands)
        return self._put(tuple(commands))

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run a function between two groups, with all that was submitted before on disk. WriterStopped: see there."""
        return self._put(function)

    def stop(self) -> None:
        """Finish what waits, then end. Does not wait when called in the thread itself."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put(None)
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
            while not (self._ending and not self._calls):
                self._write(self._take())
                self._answer()
                self._between()
        except BaseException as error:
            with self._lock:
                self._stopped = True
            self._on_failure(error)
        finally:
            self._refuse_the_rest()

    def _take(self) -> list[Submitted]:
        """The commands that wait, as many as a group holds; calls before them are put aside for after the group. Waits a little when there is nothing."""
        group: list[Submitted] = []
        size = 0
        while not self._ending:
            job, self._next = self._next or self._wait(patient=not group and not self._calls), None
            if job is None:
                break
            work, future = job
            if callable(work):
                self._calls.append((work, future))
            elif size + len(work) > GROUP_MAX:
                self._next = (work, future)
                break
            elif future.set_running_or_notify_cancel():  # from here on it can no longer be cancelled
                group.append((work, future))
                size += len(work)
            else:  # whoever asked has gone
                self._forget(len(work))
        return group

    def _wait(self, *, patient: bool) -> Job | None:
        """The next job; None: there is none, or no more."""
        try:
            job = self._jobs.get(timeout=TICK_S) if patient else self._jobs.get_nowait()
        except queue.Empty:
            return None
        self._ending = job is None
        return job

    def _write(self, group: Sequence[Submitted]) -> None:
        if not group:
            return
        try:
            wanted = [command for commands, _ in group for command in commands]
            first = self._first(wanted)
            answers = self._sequencer.submit_many(wanted if first is None else [first, *wanted])[-len(wanted) :]
        except BaseException:
            for _, future in group:
                future.set_exception(WriterStopped("the node failed; after its restart the log says what was accepted"))
            raise
        self.groups += 1
        taken = 0
        self._forget(len(answers))
        for commands, future in group:
            future.set_result(answers[taken : taken + len(commands)])
            taken += len(commands)

    def _forget(self, commands: int) -> None:
        """So many wait no longer."""
        with self._lock:
            self._waiting -= commands

    def _answer(self) -> None:
        """The calls that were put aside, or the first ones of many."""
        for _ in range(min(len(self._calls), CALLS_MAX)):
            function, future = self._calls.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
                if not isinstance(error, Exception):
                    raise

    def _refuse_the_rest(self) -> None:
        """Nobody waits for ever. Nothing is put any more: `_stopped` is set."""
        rest: list[Job | None] = [self._next, *self._calls]
        while not self._jobs.empty():
            rest.append(self._jobs.get())
        for job in rest:
            if job is not None and job[1].set_running_or_notify_cancel():
                job[1].set_exception(WriterStopped("the node stops"))
