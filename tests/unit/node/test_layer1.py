"""What the poster asks layer 1, and how often."""

from __future__ import annotations

from typing import Any, cast

from straddle.l1.rollup import Stake
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
