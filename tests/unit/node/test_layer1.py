"""What the poster asks layer 1, and how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from straddle.l1.rollup import Stake
from straddle.l1.rpc import ConnectionFailed
from straddle.node.layer1 import PosterChain

NOBODY = "0x" + "00" * 20


class Client:
    """A window of proposals, some of them challenged."""

    def __init__(self, due_s: dict[int, int], proven: int = 0) -> None:
        self.due_s, self.proven, self.asked = due_s, proven, list[int]()

    def open_challenges(self) -> int:
        return sum(number != self.proven for number in self.due_s)

    def stake(self, number: int) -> Stake:
        self.asked.append(number)
        return Stake("0x" + "11" * 20, "0x" + "22" * 20 if number in self.due_s else NOBODY, self.due_s.get(number, 0), number == self.proven)


def challenged(client: Client, count: int) -> list[int]:
    return PosterChain(cast(Any, client), cast(Any, None)).challenged(range(1, count + 1))


def test_challenges_are_found_the_most_urgent_first_without_asking_for_a_whole_window() -> None:
    quiet, busy = Client({}), Client({3990: 700, 3995: 500, 3998: 600, 3999: 100}, proven=3999)
    assert challenged(quiet, 4000) == [] and quiet.asked == []
    assert challenged(busy, 4000) == [3995, 3998, 3990] and len(busy.asked) == 11
    assert challenged(Client({1: 5}), 40) == [1]


def test_a_copy_of_a_state_that_was_interrupted_goes_on_with_its_next_part() -> None:
    class Committee:
        """Takes parts in order, until the connection fails."""

        def __init__(self) -> None:
            self.parts: list[bytes] = []
            self.fails_at = 2

        def has_snapshot(self, poster: str, state_root: int) -> bool:
            return len(self.parts) == 4

        def snapshot_parts(self, poster: str, state_root: int, parts: int) -> int:
            return len(self.parts)

        def post_snapshot(self, sender: Any, state_root: int, part: int, parts: int, data: bytes) -> None:
            assert (part, parts, state_root) == (len(self.parts), 4, 7)
            if part == self.fails_at:
                raise ConnectionFailed("gone")
            self.parts.append(data)

    committee, state = Committee(), bytes(range(251)) * 800
    chain = PosterChain(cast(Any, committee), cast(Any, SimpleNamespace(address="0x1")))
    assert chain.snapshot_s(state) == 4 * 12.0
    with pytest.raises(ConnectionFailed):
        chain.post_snapshot(7, state)
    assert len(committee.parts) == 2 and not chain.has_snapshot(7)
    committee.fails_at = -1
    chain.post_snapshot(7, state)
    assert b"".join(committee.parts) == state and chain.has_snapshot(7)
    chain.post_snapshot(7, state)  # it is there
    assert len(committee.parts) == 4
