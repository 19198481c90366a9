"""The loop of `straddle watch`: what passes is asked again, what does not ends it."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from straddle.cli import watch as module
from straddle.commitments.policy import Data
from straddle.l1.data import HistoryError
from straddle.l1.rpc import ConnectionFailed, RpcError
from straddle.watcher.agent import Duties
from straddle.watcher.follow import ReadAgain
from straddle.watcher.watcher import WatchError


class Watcher:
    """Raises one after another, then does what it should."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.steps = list(errors), 0

    def step(self) -> None:
        self.steps += 1
        if self.errors:
            raise self.errors.pop(0)

    def keep_copy(self) -> None:
        raise AssertionError("too early")


class Enough(Exception):
    pass


class Agent:
    def act(self) -> None:
        raise Enough


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(module, "_say", lines.append)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return lines


def run(watcher: Watcher, *, agent: Any = None, once: bool = False) -> None:
    module._run(watcher, agent, 5.0, once)  # type: ignore[arg-type]


def test_what_passes_is_told_once_and_asked_again(said: list[str]) -> None:
    watcher = Watcher(ConnectionFailed("away"), ConnectionFailed("away"), RpcError("eth_call", 1, "busy"), ReadAgain("short"), HistoryError("contradiction"))
    with pytest.raises(Enough):
        run(watcher, agent=Agent())
    assert watcher.steps == 6 and len(said) == 4
    assert said[0] == "layer 1 does not answer as it should, asking again every 5 s: away" and said[3].endswith("contradiction")


def test_a_single_look_reads_again_as_long_as_that_may_help(said: list[str]) -> None:
    watcher = Watcher(ReadAgain("short"), ReadAgain("short"))
    run(watcher, once=True)
    assert watcher.steps == 3 and len(said) == 1
    for error in (ConnectionFailed("away"), HistoryError("contradiction")):
        with pytest.raises(type(error)):
            run(Watcher(error), once=True)


def test_what_does_not_pass_ends_the_watch(said: list[str]) -> None:
    with pytest.raises(WatchError):
        run(Watcher(WatchError("lost")))


def test_the_prover_ends_before_the_agent_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal in the middle of a proof: nobody waits minutes for one that is given up."""
    ended: list[str] = []
    deployment: Any = SimpleNamespace(config=SimpleNamespace(data=Data.CALLDATA), vk_id=b"")
    monkeypatch.setattr(module, "Prover", lambda cache: None)
    monkeypatch.setattr(module, "held_key", lambda *args: None)
    monkeypatch.setattr(module, "RollupClient", lambda *args: None)
    monkeypatch.setattr(module, "ProvingServer", lambda *args: SimpleNamespace(end=lambda: ended.append("prover")))
    monkeypatch.setattr(module, "Agent", lambda *args, **options: SimpleNamespace(close=lambda: ended.append("agent")))
    with ExitStack() as stack:
        watcher: Any = SimpleNamespace(preset=SimpleNamespace(name="nano"))
        module._agent(stack, None, deployment, watcher, object(), Duties(prove=True), None)  # type: ignore[arg-type]
    assert ended == ["prover", "agent"]
