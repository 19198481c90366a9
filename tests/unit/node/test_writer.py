"""One thread writes: groups share a sync, answers go to who asked, and a failure leaves nobody waiting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from straddle.core.commands import Command, L2Cancel
from straddle.core.orders import Signature
from straddle.core.rejections import Rejection, RejectionCode
from straddle.node import writer as module
from straddle.node.writer import Writer, WriterBusy, WriterStopped


def command(number: int) -> L2Cancel:
    return L2Cancel(number, 0, 0, Signature(0, 0, 0))


class Sequencer:
    """Refuses each command with its own number; waits where it is told to; notes groups and threads."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.threads: set[int] = set()
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.fails = False

    def submit_many(self, commands: list[Command]) -> list[Rejection]:
        self.entered.set()
        assert self.go.wait(10)
        self.threads.add(threading.get_ident())
        if self.fails:
            raise OSError("no room")
        self.groups.append([getattr(item, "account", 0) for item in commands])
        return [Rejection(RejectionCode.SIGNATURE, "signature", getattr(item, "account", 0), "another") for item in commands]


def start(sequencer: Any, **settings: Any) -> tuple[Writer, list[BaseException]]:
    failures: list[BaseException] = []
    writer = Writer(sequencer, on_failure=failures.append, **settings)
    writer.start()
    return writer, failures


def values(answers: Any) -> list[object]:
    return [answer.value for answer in answers]


def test_what_waits_during_a_sync_shares_the_next_one() -> None:
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    sequencer.go.clear()
    first = writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    waiting = [writer.submit([command(10 * number), command(10 * number + 1)]) for number in range(1, 21)]
    sequencer.go.set()
    assert values(first.result(5)) == [1]
    assert [values(future.result(5)) for future in waiting] == [[10 * number, 10 * number + 1] for number in range(1, 21)]
    assert [len(group) for group in sequencer.groups] == [1, 40] and writer.groups == 2
    writer.stop()
    assert failures == []


def test_from_many_threads_every_answer_goes_to_who_asked() -> None:
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: values(writer.submit([command(number), command(number + 1)]).result(10)), range(400)))
    assert results == [[number, number + 1] for number in range(400)]
    assert len(sequencer.threads) == 1
    writer.stop()
    assert failures == []


def test_a_call_sees_all_that_was_submitted_before_it() -> None:
    sequencer = Sequencer()
    writer, _ = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    writer.submit([command(2)])
    seen = writer.call(lambda: [list(group) for group in sequencer.groups])
    last = writer.submit([command(3)])
    sequencer.go.set()
    assert seen.result(5) == [[1], [2, 3]]
    assert values(last.result(5)) == [3]
    with pytest.raises(ZeroDivisionError):
        writer.call(lambda: 1 // 0).result(5)
    assert writer.call(lambda: 7).result(5) == 7
    writer.stop()


def test_calls_between_commands_part_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, write, read, write, ...: one sync for all that waits, and each read has the writes before it. Many calls do not hold commands up."""
    monkeypatch.setattr(module, "CALLS_MAX", 3)
    sequencer = Sequencer()
    writer, _ = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(0)])
    assert sequencer.entered.wait(5)
    reads, late = [], []
    for number in range(1, 21):
        writer.submit([command(number)])
        reads.append(writer.call(lambda: [account for group in sequencer.groups for account in group]))
    reads[0].add_done_callback(lambda _: late.append(writer.submit([command(99)])))
    sequencer.go.set()
    assert all(set(range(number + 1)) <= set(read.result(5)) for number, read in enumerate(reads, 1))
    assert [len(group) for group in sequencer.groups] == [1, 20, 1]
    assert 99 not in reads[2].result(5) and 99 in reads[3].result(5), "a command that came meanwhile went before the calls beyond the third"
    writer.stop()


def test_what_is_too_long_for_one_group_goes_into_the_next_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_MAX", 3)
    sequencer = Sequencer()
    writer, _ = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(0)])
    assert sequencer.entered.wait(5)
    futures = [writer.submit([command(10 * number), command(10 * number + 1)]) for number in range(1, 4)]
    seen = writer.call(lambda: len(sequencer.groups))
    gone = writer.submit([command(40)])
    assert gone.cancel()
    sequencer.go.set()
    assert seen.result(5) == 4 and [values(future.result(5)) for future in futures] == [[10, 11], [20, 21], [30, 31]]
    writer.stop()
    assert sequencer.groups == [[0], [10, 11], [20, 21], [30, 31]] and writer._waiting == 0


def test_too_much_waiting_is_refused_and_nothing_of_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    sequencer = Sequencer()
    writer, _ = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    writer.submit([command(2)])
    with pytest.raises(WriterBusy, match="2 commands wait, at most 3 may"):
        writer.submit([command(3), command(4)])
    sequencer.go.set()
    writer.call(lambda: None).result(5)
    assert values(writer.submit([command(5), command(6)]).result(5)) == [5, 6]
    assert [number for group in sequencer.groups for number in group] == [1, 2, 5, 6]
    writer.stop()


def test_a_request_that_was_given_up_does_not_run_and_stops_nothing() -> None:
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    given_up, kept = writer.submit([command(2)]), writer.submit([command(3)])
    assert given_up.cancel()
    sequencer.go.set()
    assert values(kept.result(5)) == [3]
    assert sequencer.groups == [[1], [3]] and writer._waiting == 0
    writer.stop()
    assert failures == []


def test_a_failure_ends_it_and_leaves_nobody_waiting() -> None:
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    sequencer.go.clear()
    sequencer.fails = True
    first = writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    second, third = writer.submit([command(2)]), writer.call(lambda: 1)
    sequencer.go.set()
    for future in (first, second, third):
        with pytest.raises(WriterStopped):
            future.result(5)
    assert [str(failure) for failure in failures] == ["no room"]
    with pytest.raises(WriterStopped):
        writer.submit([command(4)])
    writer.stop()


def test_after_a_failure_a_cancelled_request_keeps_nobody_behind_it_waiting() -> None:
    """Of commands, of calls, and of what was too long for the group that failed."""
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    sequencer.go.clear()
    sequencer.fails = True
    first = writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    waiting = []
    for _ in range(3):
        gone: list[Any] = [writer.submit([command(2)]), writer.call(lambda: 1)]
        waiting += [writer.submit([command(3)] * module.GROUP_MAX), writer.call(lambda: 2)]
        assert all(future.cancel() for future in gone)
    sequencer.go.set()
    for future in (first, *waiting):
        with pytest.raises(WriterStopped):
            future.result(5)
    writer.stop()
    assert [str(failure) for failure in failures] == ["no room"]


def test_a_call_that_ends_the_thread_leaves_nobody_waiting() -> None:
    sequencer = Sequencer()
    writer, failures = start(sequencer)
    sequencer.go.clear()
    writer.submit([command(1)])
    assert sequencer.entered.wait(5)
    fatal, behind = writer.call(lambda: (_ for _ in ()).throw(SystemExit(3))), writer.call(lambda: 1)
    sequencer.go.set()
    with pytest.raises(SystemExit):
        fatal.result(5)
    with pytest.raises(WriterStopped):
        behind.result(5)
    writer.stop()
    assert [type(failure) for failure in failures] == [SystemExit]


def test_stopping_writes_what_waits_first() -> None:
    sequencer = Sequencer()
    writer, _ = start(sequencer)
    futures = [writer.submit([command(number)]) for number in range(20)]
    writer.stop()
    assert [values(future.result(0)) for future in futures] == [[number] for number in range(20)]
    with pytest.raises(WriterStopped):
        writer.call(lambda: 1)
    with pytest.raises(ValueError, match="commands: 0 at once"):
        writer.submit([])
