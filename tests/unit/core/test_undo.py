"""The undo log: what it takes back, in which order, and how far."""

from __future__ import annotations

from straddle.core.undo import UndoLog


def test_goes_back_step_by_step_newest_first_to_a_length() -> None:
    log, seen = UndoLog(), list[int]()
    log.note((seen.append, (1,)))
    log.note((seen.append, (2,)))
    length = len(log.steps)
    log.note((seen.append, (3,)))
    log.note((seen.extend, ((4, 5),)))
    log.back_to(length)
    assert seen == [4, 5, 3] and len(log.steps) == length
    log.back_to(length)
    log.back_to(0)
    assert seen == [4, 5, 3, 2, 1] and not log.steps
