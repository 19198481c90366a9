"""Copies of a whole state: what comes back has the root that it should have, and nothing malformed comes back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from straddle.commitments import state_copy
from straddle.commitments.ledger import CommittedState
from straddle.commitments.state_copy import StateCopyError, dump_state, inflated_bytes, load_state
from tests.differential.scenes import OPERATOR, PARAMS
from tests.differential.stories import STORIES


@pytest.fixture(scope="module")
def states() -> list[CommittedState]:
    """After each story: positions, slots, auctions, keys that were replaced, settled and retired instruments."""
    return [CommittedState.genesis(PARAMS, OPERATOR), *(story().state for story in STORIES.values())]


def test_states_come_back(states: list[CommittedState]) -> None:
    for state in states:
        data = dump_state(state)
        copy = load_state(data, PARAMS)
        assert (copy.root, copy.parts, copy.listed) == (state.root, state.parts, state.listed)
        assert {number: item.account for number, item in copy.accounts.items()} == {number: item.account for number, item in state.accounts.items()}
        assert dump_state(copy) == data, "one form for one state, whatever order its accounts were touched in"
    assert any(item.account.auction for state in states for item in state.accounts.values())
    assert any(state.listed.retired for state in states) and any(state.listed.settled for state in states)


def test_a_copy_goes_on_as_the_state_does() -> None:
    closed = STORIES["settlement"]().closed
    for item in closed:
        copy = load_state(dump_state(item.before), PARAMS)
        assert copy.apply_data(item.posted.effects, item.posted.body, item.batch.queue).after == item.after.parts


def changed(state: CommittedState, change: Callable[[dict[str, Any]], Any]) -> bytes:
    content = json.loads(zlib.decompress(dump_state(state)))
    change(content)
    return zlib.compress(json.dumps(content).encode())


def test_any_other_content_has_another_root(states: list[CommittedState]) -> None:
    """The listings too: instruments are made of the chain's words, so their terms cannot differ under the same root."""
    state = states[1]
    lies: list[Callable[[dict[str, Any]], Any]] = [
        lambda content: content["accounts"][2].__setitem__(5, content["accounts"][2][5] + 1),
        lambda content: content["accounts"].pop(),
        lambda content: content["words"][0].__setitem__(0, content["words"][0][0] + (1 << 96)),
        lambda content: content["words"].append([content["words"][0].pop()]),
        lambda content: content.__setitem__("batch_number", 7),
        lambda content: content.__setitem__("queue_pointer", 7),
    ]
    for lie in lies:
        assert load_state(changed(state, lie), PARAMS).root != state.root


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("words"), "expected a JSON object of format"),
        (lambda content: content.__setitem__("format", "straddle.state.2"), "expected a JSON object of format"),
        (lambda content: content["accounts"].append(content["accounts"][0]), "not ascending"),
        (lambda content: content["accounts"][0].__setitem__(0, 0), "not ascending"),
        (lambda content: content["accounts"][0].__setitem__(5, "5"), "expected an integer"),
        (lambda content: content["accounts"][0].__setitem__(5, True), "expected an integer"),
        (lambda content: content["accounts"][0].__setitem__(5, 1 << 300), "state copy"),
        (lambda content: content["accounts"][-1].__setitem__(0, 1 << 20), "state copy"),
        (lambda content: content["accounts"][0].pop(), "state copy"),
        (lambda content: content["accounts"][0].__setitem__(9, [[1, 5], [1, 6]]), "twice"),
        (lambda content: content["accounts"][0].__setitem__(9, [[1, 0]]), "a position of 0"),
        (lambda content: content["accounts"][0].__setitem__(10, [[1, 0, 5], [17, 0, 5]]), "twice"),
        (lambda content: content["words"].append([5]), "state copy"),
    ],
)
def test_malformed_copies_are_refused(change: Callable[[dict[str, Any]], Any], message: str, states: list[CommittedState]) -> None:
    with pytest.raises(StateCopyError, match=message):
        load_state(changed(states[1], change), PARAMS)


@pytest.mark.parametrize(
    "data", [b"", b"no zlib", zlib.compress(b"[" * 100_000), zlib.compress(b"[" * 100_000 + b"]" * 100_000), zlib.compress(b"{}"), zlib.compress(b"{}")[:-1]]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StateCopyError):
        load_state(data, PARAMS)


def test_a_bomb_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_copy, "BYTES_MAX", 1 << 16)
    with pytest.raises(StateCopyError, match="expected a JSON object"):
        load_state(zlib.compress(bytes(1 << 24)), PARAMS)


def test_the_length_of_a_copy_is_known_before_it_is_read(monkeypatch: pytest.MonkeyPatch, states: list[CommittedState]) -> None:
    for state in states:
        copy = dump_state(state)
        assert inflated_bytes(copy) == len(zlib.decompress(copy))
    assert inflated_bytes(zlib.compress(bytes(5 << 20))) == 5 << 20
    monkeypatch.setattr(state_copy, "BYTES_MAX", 3 << 20)
    for unreadable in (zlib.compress(bytes(5 << 20)), b"", b"no zlib", zlib.compress(b"{}")[:-1]):
        assert inflated_bytes(unreadable) > 3 << 20
