"""The poster's thread goes on after what passes, and ends the node at what does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from straddle.l1.rpc import ConnectionFailed
from straddle.node import posting as module
from straddle.node.posting import Posting, ProverPool
from straddle.proving.prover import ProverError
from straddle.sequencer.poster import BatchRecord, PosterError, Status


class Poster:
    """Does what the next item of a script says."""

    def __init__(self, posting: Posting, script: list[Any]) -> None:
        self.posting, self.script = posting, script
        self.added: list[Any] = []
        self.earlier: list[BatchRecord] = []
        self.told: list[tuple[int, int]] = []
        """At each advance: the newest epoch, and how many batches were added."""

    def records(self, first: int, limit: int) -> list[BatchRecord]:
        return [record for record in self.earlier if record.number >= first][:limit]

    def add(self, closed: Any) -> None:
        self.added.append(closed)

    is_idle = True
    newest_epoch = 0

    def advance(self, rounds: int, newest_epoch: int) -> None:
        assert rounds == 1
        self.told.append((newest_epoch, len(self.added)))
        step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step is not None:
            self.posting.report(step)


def record(number: int, status: Status) -> BatchRecord:
    return BatchRecord(number, status, "00", "0x0")


def wait_for(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.005)


def test_a_connection_that_fails_is_told_and_tried_again(quick: None) -> None:
    failures: list[BaseException] = []
    records: list[BatchRecord] = []
    kept: list[int] = []
    posting = Posting(failures.append, records.append, lambda: kept.append(len(records)))
    problems: list[str] = []
    poster = Poster(posting, [ConnectionFailed("no answer"), ConnectionFailed("no answer"), record(1, Status.PROPOSED), record(1, Status.VERIFIED)])
    posting.open(poster)  # type: ignore[arg-type]
    posting.start()
    posting.add("batch")  # type: ignore[arg-type]
    wait_for(lambda: problems.append(posting.problem) or posting.verified == 1)  # type: ignore[func-returns-value]
    wait_for(lambda: posting.problem == "" and len(kept) == 2)
    posting.stop()
    assert "no answer" in problems and failures == [] and poster.added == ["batch"]
    assert [item.status for item in records] == [Status.PROPOSED, Status.VERIFIED] and kept == [1, 2]


def test_tables_go_no_further_than_when_the_closed_batches_were_counted(quick: None) -> None:
    """The writer signs two tables, with a batch on the first, while the thread takes in batches."""
    posting = Posting(lambda error: None, lambda item: None, lambda: None)

    class Slow(Poster):
        def add(self, closed: Any) -> None:
            super().add(closed)
            self.newest_epoch = 7

    poster = Slow(posting, [])
    poster.newest_epoch = 5
    posting.open(poster)  # type: ignore[arg-type]
    posting.start()
    posting.add("batch")  # type: ignore[arg-type]
    wait_for(lambda: (7, 1) in poster.told)
    posting.stop()
    assert sorted(set(poster.told) - {(5, 0)}) == [(5, 1), (7, 1)]


def test_a_contradiction_ends_the_node(quick: None) -> None:
    failures: list[BaseException] = []
    posting = Posting(failures.append, lambda item: None, lambda: None)
    posting.open(Poster(posting, [PosterError("layer 1 has another header")]))  # type: ignore[arg-type]
    posting.start()
    wait_for(lambda: failures)
    assert str(failures[0]) == "layer 1 has another header"
    posting.stop()


def test_what_is_verified_counts_up_to_the_first_that_is_not() -> None:
    posting = Posting(lambda error: None, lambda item: None, lambda: None)
    assert posting.verified == 0
    poster = Poster(posting, [])
    poster.earlier = [record(1, Status.VERIFIED), record(2, Status.VERIFIED), record(3, Status.PROVED)]
    posting.open(poster)  # type: ignore[arg-type]
    assert (posting.verified, posting.count(Status.PROVED, Status.VERIFIED)) == (2, 3)
    posting.report(record(3, Status.VERIFIED))
    assert posting.verified == 3
    posting.report(record(2, Status.PROVED))  # a reorg
    assert posting.verified == 1


def test_final_batches_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange has a batch a minute, for years."""
    monkeypatch.setattr(module, "RECORDS_AT_ONCE", 7)
    posting = Posting(lambda error: None, lambda item: None, lambda: None)
    poster = Poster(posting, [])
    poster.earlier = [record(number, Status.VERIFIED) for number in range(1, 100)] + [record(100, Status.PROVED), record(101, Status.CLOSED)]
    posting.open(poster)  # type: ignore[arg-type]
    assert list(posting._open) == [100, 101] and posting.count(Status.PROVED, Status.VERIFIED) == 100 and posting.count(Status.CLOSED) == 1
    assert [posting.reached(status) for status in (Status.CLOSED, Status.PROVED, Status.VERIFIED)] == [101, 100, 99]
    for number in (100, 101, 102):
        posting.report(record(number, Status.VERIFIED))
    assert (posting.verified, posting.count(Status.VERIFIED), posting._open) == (102, 102, {})
    posting.report(record(101, Status.PROPOSED))  # a reorg
    assert (posting.verified, posting.count(Status.VERIFIED), posting.count(Status.PROPOSED)) == (100, 101, 1)


def test_a_replay_leaves_no_batches_waiting_in_memory() -> None:
    posting = Posting(lambda error: None, lambda item: None, lambda: None)
    poster = Poster(posting, [])
    posting.open(poster)  # type: ignore[arg-type]
    posting.add("replayed")  # type: ignore[arg-type]
    assert poster.added == ["replayed"] and posting._closed.empty()


def test_each_process_proves_one_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    busy: list[Server] = []

    class Server:
        def __init__(self, prover: object, preset: str) -> None:
            self.closed = False

        def end(self) -> None:
            assert self not in busy

        def close(self) -> None:
            self.closed = True

        def prove(self, witness: int) -> int:
            assert self not in busy and not self.closed
            busy.append(self)
            time.sleep(0.002)
            busy.remove(self)
            if witness % 7 == 3:
                raise RuntimeError("refused")
            return witness

    monkeypatch.setattr(module, "ProvingServer", Server)
    with ProverPool(None, "nano", 2) as pool, ThreadPoolExecutor(6) as threads:  # type: ignore[arg-type]
        futures = [threads.submit(pool.prove, number) for number in range(40)]  # type: ignore[arg-type]
        assert [future.result() for number, future in enumerate(futures) if number % 7 != 3] == [number for number in range(40) if number % 7 != 3]


def test_a_pool_closes_as_often_as_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo closes it when trading is over, and again when it leaves; who asks for a proof then is told, and does not wait for ever."""

    class Server:
        def __init__(self, prover: object, preset: str) -> None:
            self.ended = False

        def end(self) -> None:
            self.ended = True

        def close(self) -> None:
            assert self.ended

        def prove(self, witness: object) -> None:
            raise ProverError("it was ended")

    monkeypatch.setattr(module, "ProvingServer", Server)
    with ProverPool(None, "nano", 2) as pool:  # type: ignore[arg-type]
        pool.close()
        with pytest.raises(ProverError, match="it was ended"):
            pool.prove(None)  # type: ignore[arg-type]
