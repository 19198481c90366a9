"""When a proof of solvency is made, and what keeps one from being made: the loop of the command and the thread of a node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.market import table
from support.session import Run as Night

from straddle.l1.history import HistoryError
from straddle.l1.rpc import ConnectionFailed
from straddle.l1.solvency import Run
from straddle.node import publishing as module
from straddle.node import solvency_thread as thread_module
from straddle.node.publishing import NotSolvent, Publisher, publish_for_ever
from straddle.node.recovery import RecoveryError
from straddle.node.solvency_thread import HOUR_MS, SolvencyThread
from straddle.proving.witness import WitnessError

from .test_counting import STATE, few_rows
from .test_verify import deployment_of, history_of

RUN = Run(7, 3, 1_000, 1, 2, *[0] * 12)


class Enough(Exception):
    """Layer 1 has no more to say in this test."""


@dataclass
class Layer1:
    """Final batches as they are looked at, one after another."""

    finals: list[int]
    raises: dict[int, Exception] = field(default_factory=dict)
    """At which look the node does not answer."""
    looks: int = 0

    def final_batch(self) -> int:
        self.looks += 1
        if self.looks in self.raises:
            raise self.raises[self.looks]
        if not self.finals:
            raise Enough
        self.now = self.finals.pop(0)
        return self.now


class Publishing:
    """Publishes the batch that is final now, unless it is told to fail."""

    def __init__(self, layer1: Layer1, fails: dict[int, Exception]) -> None:
        self.layer1, self.fails, self.published = layer1, fails, list[int]()

    def publish(self) -> Run:
        error = self.fails.pop(self.layer1.now, None)
        if error is not None:
            raise error
        self.published.append(self.layer1.now)
        return replace(RUN, batch_number=self.layer1.now)


def published(finals: list[int], every: int, fails: dict[int, Exception], silent: dict[int, Exception]) -> tuple[list[int], list[str]]:
    said: list[str] = []
    layer1 = Layer1(finals, silent)
    publishing = Publishing(layer1, fails)
    with suppress(Enough):
        publish_for_ever(cast(Any, publishing), cast(Any, layer1), every, said.append, lambda: None)
    return publishing.published, said


def test_a_proof_is_made_after_so_many_final_batches() -> None:
    assert published([0, 0, 2, 3, 4, 5, 6, 9, 11], 3, {}, {}) == ([2, 5, 9], [])


def test_what_passes_is_tried_again_and_nothing_is_made_too_early() -> None:
    lost = ConnectionFailed("no answer")
    found, said = published([1, 2, 3, 4, 5, 8, 8], 3, {4: lost}, {3: lost})
    assert found == [1, 5, 8] and said == ["tried again soon: no answer"] * 2
    found, said = published([1, 2, 4, 4, 5, 7], 3, {4: NotSolvent(["accounts owe 3", "positions differ"])}, {})
    assert found == [1, 7] and said == ["not solvent, nothing published: accounts owe 3; positions differ"]


def test_what_others_must_mend_ends_the_loop() -> None:
    with pytest.raises(WitnessError):
        published([1, 2], 1, {2: WitnessError("chunk 0: too many positions")}, {})


# ---- the publisher, before anything is sent: whatever it sent here would fail


def publisher_of(night: Night, monkeypatch: pytest.MonkeyPatch, state: Any, row: int) -> Publisher:
    """A rollup that stands at a state, with so much in the vault."""
    history = history_of(night)
    reading = SimpleNamespace(read=lambda: history, forget=lambda: None, drop_bodies=lambda last: None)
    rollup = SimpleNamespace(
        deployment=deployment_of(night), batch=lambda number: SimpleNamespace(epoch=1), next_account=lambda: max(state.accounts) + 1, domain=lambda: 5
    )
    monkeypatch.setattr(module, "terms_of", lambda deployment: (None, None))
    monkeypatch.setattr(module, "final_state", lambda *facts: state)
    monkeypatch.setattr(module, "recorded_table", lambda epoch, listed, parameters: table())
    monkeypatch.setattr(module, "row_at", lambda *facts: row)
    client = SimpleNamespace(run_of=lambda publisher: None, rpc=None, begin=lambda *run: pytest.fail("a run was begun"))
    prover = SimpleNamespace(preset=few_rows(3))
    return Publisher(cast(Any, client), cast(Any, rollup), cast(Any, reading), cast(Any, prover), cast(Any, SimpleNamespace(address="0x1")))


def test_nothing_is_sent_when_the_sums_do_not_hold_or_a_chunk_does_not_fit(run: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotSolvent, match="are not the vault's row, 5"):
        publisher_of(run, monkeypatch, STATE, 5).publish()
    publisher = publisher_of(run, monkeypatch, STATE, 17_000_005)
    publisher._prover = cast(Any, SimpleNamespace(preset=few_rows(0)))
    with pytest.raises(WitnessError, match=r"chunk 0 \(accounts 0 to 3\): 1 positions, expected at most 0"):
        publisher.publish()


def test_without_a_final_batch_there_is_nothing_to_count(run: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = publisher_of(run, monkeypatch, STATE, 5)
    empty = replace(history_of(run), final=[])
    publisher._history = cast(Any, SimpleNamespace(read=lambda: empty, forget=lambda: None))
    with pytest.raises(RecoveryError, match="no batch is final yet"):
        publisher.publish()


# ---- the thread of a node


class Clockwork:
    """A node's thread with a market clock that the test moves, and a publisher that does as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, newest: tuple[int, int] | None = None) -> None:
        monkeypatch.setattr(thread_module, "LOOK_S", 0.002)
        monkeypatch.setattr(thread_module, "RETRY_MAX_S", 0.002)
        self.now_ms, self.final, self.said, self.failures = 0, 1, list[str](), list[BaseException]()
        self.runs: list[int] = []
        self.fails: Exception | None = None
        self.tried = threading.Semaphore(0)
        self.kept = 0
        server = SimpleNamespace(end=lambda: None, close=lambda: None)
        client = SimpleNamespace(newest=lambda publisher: newest)
        rollup = SimpleNamespace(final_batch=lambda: self.final)
        self.thread = SolvencyThread(cast(Any, client), cast(Any, rollup), cast(Any, server), lambda: cast(Any, self), "0x1", threading.Event())

    def publish(self) -> Run:
        self.tried.release()
        if self.fails is not None:
            raise self.fails
        self.runs.append(self.final)
        return replace(RUN, batch_number=self.final, time_ms=self.now_ms)

    def keep(self) -> None:
        self.kept += 1

    def start(self, hours: float = 2.0) -> None:
        self.thread.start(int(hours * HOUR_MS), lambda: self.now_ms, self.keep, self.said.append, self.failures.append)

    def tries(self, count: int) -> None:
        for _ in range(count):
            assert self.tried.acquire(timeout=10)

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(5_000):
            if condition():
                return
            threading.Event().wait(0.002)
        raise AssertionError("it did not come about")


@pytest.fixture
def clockwork(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clockwork]:
    made = Clockwork(monkeypatch)
    yield made
    made.thread.stop()


def test_a_node_publishes_when_the_market_has_gone_on_for_long_enough_and_something_is_new(clockwork: Clockwork) -> None:
    clockwork.start()
    clockwork.tries(1)
    clockwork.until(lambda: clockwork.thread.published == (1, 0))
    clockwork.now_ms = 2 * HOUR_MS  # due, but no batch has become final
    assert not clockwork.tried.acquire(timeout=0.05)
    clockwork.final = 4
    clockwork.tries(1)
    clockwork.until(lambda: clockwork.thread.published == (4, 2 * HOUR_MS))
    clockwork.final, clockwork.now_ms = 5, 4 * HOUR_MS - 1
    assert not clockwork.tried.acquire(timeout=0.05)
    assert clockwork.runs == [1, 4] and clockwork.kept == 2 and clockwork.failures == []
    assert clockwork.said == ["solvency of batch 1 proved and published", "solvency of batch 4 proved and published"]


def test_a_restart_does_not_publish_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    clockwork = Clockwork(monkeypatch, newest=(3, HOUR_MS))
    clockwork.now_ms, clockwork.final = 3 * HOUR_MS - 1, 9
    clockwork.start()
    assert not clockwork.tried.acquire(timeout=0.05)
    clockwork.now_ms = 3 * HOUR_MS
    clockwork.tries(1)
    clockwork.thread.stop()
    assert clockwork.runs == [9]


def test_a_lost_layer_1_is_told_once_and_tried_again(clockwork: Clockwork) -> None:
    clockwork.fails = HistoryError("layer 1 went back")
    clockwork.start()
    clockwork.tries(3)
    assert clockwork.thread.problem == "layer 1 went back" and clockwork.said == ["solvency: layer 1 went back"]
    clockwork.fails = None
    clockwork.until(lambda: clockwork.thread.published is not None)
    clockwork.until(lambda: clockwork.thread.problem == "")
    assert clockwork.failures == []


def test_books_that_do_not_hold_are_a_problem_until_they_are_looked_at_again(clockwork: Clockwork) -> None:
    clockwork.fails = NotSolvent(["accounts owe 3 micro-dollars"])
    clockwork.start()
    clockwork.tries(1)
    assert not clockwork.tried.acquire(timeout=0.05)
    assert clockwork.thread.problem == "accounts owe 3 micro-dollars"
    clockwork.fails, clockwork.now_ms = None, 2 * HOUR_MS
    clockwork.tries(1)
    clockwork.until(lambda: clockwork.thread.problem == "")


def test_a_node_that_ends_does_not_wait_for_a_long_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clockwork, go = Clockwork(monkeypatch), threading.Event()
    monkeypatch.setattr(thread_module, "STOP_S", 0.01)

    def closed() -> Run:
        clockwork.tried.release()
        assert go.wait(10)
        raise RuntimeError("the connection is closed")

    monkeypatch.setattr(clockwork, "publish", closed)
    clockwork.start()
    clockwork.tries(1)
    clockwork.thread.stop()
    assert clockwork.thread._thread is not None and clockwork.thread._thread.is_alive()
    go.set()
    clockwork.thread._thread.join(10)
    assert not clockwork.thread._thread.is_alive() and clockwork.failures == []


def test_a_bug_ends_the_node(clockwork: Clockwork) -> None:
    clockwork.fails = ZeroDivisionError("a bug")
    clockwork.start()
    clockwork.until(lambda: [str(failure) for failure in clockwork.failures] == ["a bug"])
