"""How things are measured: CPU seconds of this process and of the children that it waited for, repeated, the median kept."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

SEED = 1
"""Every flow, portfolio and random point follows from it."""

REPEAT, RUNS_MAX, SHORT_SECONDS = 3, 15, 0.3
"""Runs of a measurement; the most of them, and the total below which there are more than REPEAT."""

LICENCES = {
    "order-matching": "not declared by this release; MIT in its 0.1.0 wheel",
    "lightmatchingengine": "MIT",
    "QuantLib": "BSD-3-Clause",
}
"""Peers, as their wheels say it. They are only measured here: nothing of them is shipped or imported by the package."""


def cpu_seconds() -> float:
    """CPU time so far: all threads of this process, and children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True, slots=True)
class Measurement:
    """`operations` of one kind in `cpu_seconds`: the median of `runs`."""

    subject: str
    name: str
    operations: int
    cpu_seconds: float
    runs: tuple[float, ...]
    note: str = ""
    bar_per_second: float | None = None
    """What the speed is held against, where there is such a thing: at least that."""

    @property
    def met(self) -> bool | None:
        """Whether the speed reaches the bar; None without one."""
        return None if self.bar_per_second is None else self.per_second >= self.bar_per_second

    @property
    def per_second(self) -> float:
        """Operations in a CPU second."""
        return self.operations / self.cpu_seconds


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that is not a speed. `bar` is what it is held against, where there is such a thing: at most that."""

    subject: str
    name: str
    value: float
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value is at most the bar; None without one."""
        return None if self.bar is None else self.value <= self.bar


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times faster `ours` is than `theirs`; both were measured in this run on the same work."""

    name: str
    ours: str
    theirs: str
    ratio: float
    """Median over the rounds of a race."""
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether every round has the same winner."""
        return not self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True)
class Contender:
    """One of several that do the same work; `run` gets what `prepare` made, which is not counted."""

    name: str
    operations: int
    run: Callable[[Any], object]
    prepare: Callable[[], Any] = lambda: None
    note: str = ""
    bar_per_second: float | None = None
    clock: Callable[[], float] = cpu_seconds
    """CPU seconds so far of whatever runs it."""


@dataclass(slots=True)
class Results:
    """Everything that a run found out."""

    measurements: list[Measurement] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    """(subject, what, why)."""
    asked: frozenset[str] = frozenset()
    """Subjects that the command line names: what is dear is done for these only."""
    cached_keys_only: bool = False
    """Whether parts are left out whose proving keys are not in the cache yet."""

    def time(
        self,
        subject: str,
        name: str,
        operations: int,
        run: Callable[[], object],
        *,
        repeat: int = REPEAT,
        note: str = "",
        bar_per_second: float | None = None,
    ) -> Measurement:
        """Call `run`, which does `operations` each time, as `time_prepared` does. Keep preparation out of `run`."""
        return self.time_prepared(subject, name, operations, lambda: None, lambda _: run(), repeat=repeat, note=note, bar_per_second=bar_per_second)

    def time_prepared(
        self,
        subject: str,
        name: str,
        operations: int,
        prepare: Callable[[], Any],
        run: Callable[[Any], object],
        *,
        repeat: int = REPEAT,
        note: str = "",
        bar_per_second: float | None = None,
    ) -> Measurement:
        """`repeat` calls on fresh input, more of them (to RUNS_MAX) while they are short; `prepare` is not counted."""
        runs: list[float] = []
        while len(runs) < repeat or (repeat == REPEAT and sum(runs) < SHORT_SECONDS and len(runs) < RUNS_MAX):
            ready = prepare()
            gc.collect()
            begun = cpu_seconds()
            run(ready)
            runs.append(cpu_seconds() - begun)
        return self.note(subject, name, operations, tuple(runs), note, bar_per_second)

    def race(self, subject: str, contenders: Sequence[Contender], *, rounds: int) -> list[Measurement]:
        """Each contender once a round: a machine that slows down meanwhile slows all of them, and each round has ratios of its own."""
        runs: list[list[float]] = [[] for _ in contenders]
        for _ in range(rounds):
            for contender, taken in zip(contenders, runs, strict=True):
                ready = contender.prepare()
                gc.collect()
                begun = contender.clock()
                contender.run(ready)
                taken.append(contender.clock() - begun)
        pairs = zip(contenders, runs, strict=True)
        return [self.note(subject, item.name, item.operations, tuple(taken), item.note, item.bar_per_second) for item, taken in pairs]

    def note(self, subject: str, name: str, operations: int, runs: tuple[float, ...], note: str = "", bar_per_second: float | None = None) -> Measurement:
        """A measurement made elsewhere."""
        measured = Measurement(subject, name, operations, statistics.median(runs), runs, note, bar_per_second)
        self.measurements.append(measured)
        return measured

    def fact(self, subject: str, name: str, value: float, unit: str, *, bar: float | None = None, note: str = "") -> None:
        """Record a number."""
        self.facts.append(Fact(subject, name, value, unit, bar, note))

    def compare(self, name: str, ours: Measurement, theirs: Measurement) -> None:
        """Record the ratio of two contenders of one race."""
        ratios = [(ours.operations / mine) / (theirs.operations / other) for mine, other in zip(ours.runs, theirs.runs, strict=True)]
        self.ratios.append(Ratio(name, ours.name, theirs.name, statistics.median(ratios), min(ratios), max(ratios)))

    def keys_missing(self, subject: str, circuit: str) -> bool:
        """Keys are not cached: says that they are made now, or leaves out what needs them (True)."""
        if self.cached_keys_only and subject not in self.asked:
            self.leave_out(subject, "proofs and layer 1", f"no keys of {circuit} are cached")
            return True
        print(f"    making the keys of {circuit}, once: minutes, for standard some twenty", file=sys.stderr, flush=True)
        return False

    def leave_out(self, subject: str, what: str, why: str) -> None:
        """Say that something was not measured, and why."""
        self.left_out.append((subject, what, why))


def peer_version(package: str) -> str | None:
    """Installed version of a peer, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_peer(results: Results, subject: str, package: str, module: str) -> ModuleType | None:
    """A peer's module; when it cannot be imported the results say so, and None is returned."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # a peer's own failure, of whatever kind, must not stop the run
        results.leave_out(subject, package, f"cannot be imported: {type(error).__name__}: {error}")
        return None
