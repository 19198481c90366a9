"""The chain of published inputs: each recorded epoch is held against the one recorded before it, however far the numbers lie apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.watcher import tables
from straddle.watcher.tables import Succession


@pytest.mark.parametrize(
    ("recorded", "compared"),
    [
        ((1, 2, 3, 4), [(1, 2), (2, 3), (3, 4)]),
        ((1, 4, 9), [(1, 4), (4, 9)]),
        ((1, 10**15, 2**64 - 1), [(1, 10**15), (10**15, 2**64 - 1)]),
        ((4, 2, 3, 1), [(1, 2), (2, 3), (3, 4)]),
    ],
)
def test_every_recorded_epoch_is_compared_once(recorded: tuple[int, ...], compared: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[int, int]] = []
    epochs: Any = {number: SimpleNamespace(inputs=number) for number in recorded}
    monkeypatch.setattr(tables, "decode_inputs", lambda inputs: SimpleNamespace(epoch=inputs))
    monkeypatch.setattr(tables, "check_successor", lambda before, after, parameters: pairs.append((before.epoch, after.epoch)))
    succession = Succession(DEFAULT_PARAMETERS)
    for number in sorted(recorded):
        for _ in range(2):
            succession.advance(epochs, number)
    assert pairs == compared and succession.epoch == max(recorded)
    whole = Succession(DEFAULT_PARAMETERS)
    pairs.clear()
    whole.advance(epochs, min(recorded))
    whole.advance(epochs, max(recorded))
    assert pairs == compared
