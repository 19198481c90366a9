"""A history that is read on: what is new is added once, and what layer 1 took back or left out is read anew."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from straddle.l1 import growing as module
from straddle.l1.events import BatchProposed
from straddle.l1.growing import GrowingHistory
from straddle.l1.history import HistoryError
from straddle.l1.rpc import ConnectionFailed, RpcError


class Reader:
    """Notes logs, which are numbers that follow each other; fails where it is told to."""

    def __init__(self, deployment: Any, history: Any, data: Any) -> None:
        self.history = history
        Reader.newest = self

    newest: Reader
    fails_at: int | None = None

    def take(self, raw: int) -> None:
        if raw == Reader.fails_at:
            Reader.fails_at = None
            raise ConnectionFailed("no answer")
        if raw != len(self.history.queue):
            raise HistoryError(f"entry {raw}, expected {len(self.history.queue)}")
        self.history.queue.append(raw)


class Chain:
    """Blocks of logs."""

    def __init__(self) -> None:
        self.blocks: list[list[int]] = [[], [0, 1], [2]]
        self.asked: list[tuple[int, int]] = []
        self.hides_logs = False

    def block_number(self) -> int:
        return len(self.blocks) - 1

    def block(self, number: int) -> dict[str, str]:
        if number >= len(self.blocks):
            raise RpcError("eth_getBlockByNumber", 0, "no block")
        return {"hash": repr(self.blocks[: number + 1])}

    def logs(self, addresses: Any, first: int, last: int) -> list[int]:
        self.asked.append((first, last))
        return [] if self.hides_logs else [log for block in self.blocks[first : last + 1] for log in block]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(module, "HistoryReader", Reader)
    monkeypatch.setattr(module, "DataReader", lambda *args, **sources: None)
    monkeypatch.setattr(module, "BLOCKS_PER_QUERY", 2)
    return Chain()


def history_of(chain: Chain) -> GrowingHistory:
    return GrowingHistory(cast(Any, chain), cast(Any, SimpleNamespace(start_block=1, log_addresses=[])))


def test_only_what_is_new_is_read(chain: Chain) -> None:
    history = history_of(chain)
    assert history.read().queue == [0, 1, 2]  # type: ignore[comparison-overlap]
    chain.blocks += [[3], [], [4]]
    assert history.read().queue == [0, 1, 2, 3, 4] and history.read().to_block == 5  # type: ignore[comparison-overlap]
    assert chain.asked == [(1, 2), (3, 4), (5, 5)]


def test_a_chain_that_went_back_is_read_anew(chain: Chain) -> None:
    history = history_of(chain)
    history.read()
    chain.blocks[2:] = [[]]
    assert history.read().queue == [0, 1]  # type: ignore[comparison-overlap]
    del chain.blocks[2:]
    assert history.read().to_block == 1


def test_an_answer_that_did_not_come_is_asked_for_again_and_nothing_is_taken_twice(chain: Chain) -> None:
    history, Reader.fails_at = history_of(chain), 1
    with pytest.raises(ConnectionFailed):
        history.read()
    assert history.read().queue == [0, 1, 2] and chain.asked == [(1, 2)]  # type: ignore[comparison-overlap]


def test_logs_that_were_left_out_are_found_at_the_next_ones(chain: Chain) -> None:
    history = history_of(chain)
    history.read()
    chain.hides_logs = True
    chain.blocks += [[3]]
    history.read()
    chain.hides_logs = False
    chain.blocks += [[4]]
    with pytest.raises(HistoryError, match="entry 4, expected 3"):
        history.read()
    assert history.read().queue == [0, 1, 2, 3, 4]  # type: ignore[comparison-overlap]


def test_bodies_that_nobody_needs_are_dropped(chain: Chain) -> None:
    history = history_of(chain)
    found = history.read()
    nothing: dict[str, Any] = dict.fromkeys(BatchProposed.__dataclass_fields__)
    made = [BatchProposed(**nothing | {"body": (i, 7)}) for i in range(3)]
    found.batches.extend(made)
    found.events.extend(made)
    history.drop_bodies(2)
    assert [batch.body for batch in found.batches] == [(), (), (2, 7)] and found.events == []
