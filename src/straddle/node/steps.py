"""Ways that are gone step by step, by anyone and in any order of runs: what can be done on layer 1 now, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from straddle.l1.sender import Sender
from straddle.node.recovery import RecoveryError

STEPS_MAX = 10_000
"""Longer than any way: voiding goes 256 batches at a time, answering a batch at a time."""


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing on the way. `act` does it and says what was done; None when it is not possible yet, or nothing is left."""

    stage: StrEnum
    what: str
    due_s: int | None = None
    """When it becomes possible, unix seconds."""
    act: Callable[[Sender], str] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far it went."""

    done: tuple[str, ...]
    next: Step


def utc(time_s: int) -> str:
    """A moment of layer 1's clock, unix seconds."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def advance(step: Callable[[Sender | None], Step], sender: Sender | None, tell: Callable[[str], None], whose: str) -> Standing:
    """Does all that can be done now; `step` says what is next. Without a sender nothing is done: the standing's step tells what could be."""
    done: list[str] = []
    for _ in range(STEPS_MAX):
        found = step(sender)
        if found.act is None or sender is None:
            return Standing(tuple(done), found)
        tell(found.what)
        done.append(found.act(sender))
    raise RecoveryError(f"{whose}: no end after {STEPS_MAX} steps, the last one: {done[-1]}")
