"""Following layer 1: reorgs, answers that leave logs out, and a store that an older answer spoilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from straddle.commitments.challenge import IN_CALLDATA
from straddle.l1.events import BatchProposed
from straddle.l1.history import HistoryError
from straddle.l1.rpc import RpcError
from straddle.watcher import follow as module
from straddle.watcher.follow import Follower, ReadAgain
from straddle.watcher.store import Store
from tests.support.told import DEPLOYMENT, ROLLUP, ToldChain, challenged, epoch, final, header_of, proposed, queue_entry, voided


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 1, ROLLUP)
    yield store
    store.close()


@pytest.fixture
def chain() -> ToldChain:
    """Two entries, an epoch, a final batch and a proposal, block by block."""
    chain = ToldChain()
    for event in (queue_entry(0), queue_entry(1), epoch(1), proposed(1), final(1), proposed(2)):
        chain.add(event)
    return chain


def follower(chain: ToldChain, store: Store, **options: Any) -> Follower:
    return Follower(chain, DEPLOYMENT, store, **options)  # type: ignore[arg-type]


def counts(follower: Follower) -> tuple[int, int, int, int]:
    history = follower.history
    return len(history.queue), len(history.epochs), len(history.batches), len(history.final)


def test_what_was_read_comes_back_from_the_store(chain: ToldChain, store: Store) -> None:
    assert not follower(chain, store).advance()
    chain.asked.clear()
    again = follower(chain, store)
    again.advance()
    assert (counts(again), chain.asked) == ((2, 1, 2, 1), []), "without a question for logs"
    assert [batch.header_hash for batch in again.history.batches] == [header_of(1), header_of(2)]
    assert again.history.batches[1].parent_header_hash == header_of(1)


def test_confirmations_hold_back_the_newest_blocks(chain: ToldChain, store: Store) -> None:
    late = follower(chain, store, confirmations=2)
    late.advance()
    assert (counts(late), late.history.to_block) == ((2, 1, 1, 0), 4)


@pytest.mark.parametrize("hidden", [{7}, {8}, {9}, {7, 8, 9}])
def test_an_answer_that_leaves_logs_out_is_neither_kept_nor_believed(chain: ToldChain, store: Store, hidden: set[int]) -> None:
    """A backend behind the others: what it does not know yet is asked for again, and nothing else."""
    told = follower(chain, store)
    told.advance()
    chain.hidden = hidden
    for event in (queue_entry(2), challenged(2), ("Frozen", {})):
        chain.add(event)
    for _ in range(2):
        with pytest.raises(ReadAgain, match=r"logs are left out|expected"):
            told.advance()
    assert store.checkpoint() is None or store.checkpoint()[0] <= 6  # type: ignore[index]
    chain.hidden = set()
    told.advance()
    assert (counts(told), len(told.history.challenges), told.history.frozen) == ((3, 1, 2, 1), 1, True)
    assert store.checkpoint()[0] == 9  # type: ignore[index]


def test_the_first_short_answer_costs_one_question_more(chain: ToldChain, store: Store) -> None:
    told = follower(chain, store)
    told.advance()
    chain.add(queue_entry(2))
    chain.hidden = {7}
    with pytest.raises(ReadAgain, match=r"queue entries: 2 by the logs, expected 3.*Reading from block 7 again"):
        told.advance()
    chain.hidden = set()
    chain.asked.clear()
    told.advance()
    assert (counts(told)[0], chain.asked) == (3, [(7, 7)])


def spoilt(chain: ToldChain, store: Store, *missing: int) -> None:
    """A store of an answer that left out the logs of blocks, as older versions kept it."""
    for block in range(1, len(chain.blocks)):
        logs = [] if block in missing else chain.logs([], block, block)
        store.extend(block, chain.block(block)["hash"], logs)


@pytest.mark.parametrize("missing", [1, 2, 4, 6])
def test_a_store_that_a_short_answer_spoilt_heals(chain: ToldChain, store: Store, missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is missing, each look goes further back, at last to the rollup's first block, also across restarts of the program."""
    monkeypatch.setattr(module, "BLOCKS_PER_QUERY", 2)
    spoilt(chain, store, missing)
    chain.add(queue_entry(2))
    told, refused = follower(chain, store), 0
    while True:
        try:
            told.advance()
            break
        except ReadAgain:
            refused += 1
            assert refused < 8
    assert refused >= 1 and counts(told) == (3, 1, 2, 1)
    assert counts(told) == counts(read_anew(chain, store))


def read_anew(chain: ToldChain, store: Store) -> Follower:
    found = follower(chain, store)
    found.advance()
    return found


def test_a_contradiction_from_the_first_block_on_is_told_and_asked_again(chain: ToldChain, store: Store) -> None:
    chain.hidden = {1}
    told = follower(chain, store)
    errors = []
    for _ in range(6):
        with pytest.raises(HistoryError) as caught:
            told.advance()
        errors.append(type(caught.value))
    assert errors == [ReadAgain] * 3 + [HistoryError] * 3
    chain.hidden = set()
    told.advance()
    assert counts(told) == (2, 1, 2, 1)


def test_a_reorg_takes_back_what_it_undid_and_no_more(chain: ToldChain, store: Store) -> None:
    told = follower(chain, store)
    for last in range(1, 7):  # a checkpoint each
        whole, chain.blocks = chain.blocks, chain.blocks[: last + 1]
        told.advance()
        chain.blocks = whole
    assert len(told.news()) == 6 and told.news() == []
    chain.asked.clear()
    chain.blocks[6:] = [[], [proposed(2, "other")]]
    assert told.advance()
    assert chain.asked == [(6, 7)] and told.history.batches[1].header_hash == header_of(2, "other")
    assert [event.block_number for event in told.news()] == [7], "told again is only what is new"


def test_a_reorg_that_undoes_a_void_restores_what_stood(chain: ToldChain, store: Store) -> None:
    told = follower(chain, store)
    chain.add(challenged(2))
    told.advance()
    chain.add(voided(2, 2))
    told.advance()
    assert (counts(told)[2], told.history.challenges) == (1, {})
    chain.blocks[8] = []
    assert told.advance()
    assert (counts(told)[2], list(told.history.challenges)) == (2, [2])


def posted(told: Follower, number: int = 2, *, epoch: int = 1, queue_end: int = 2) -> BatchProposed:
    """A batch as a transaction would give it."""
    header = told.history.batches[number - 1]
    effects = (0, number, 0, 0, epoch, 0, 0, 0, 0, queue_end << 64)
    said = {item.name: getattr(header, item.name) for item in fields(header)}
    return BatchProposed(**said, effects=effects, body=(), data_commitment=0, place=IN_CALLDATA, y_body=0, transcript=b"")


@pytest.mark.parametrize(
    ("asked", "message"), [({"epoch": 2}, "of epoch 2, which no log recorded"), ({"queue_end": 3}, "up to entry 2, the logs tell of 2 entries")]
)
def test_a_batch_on_logs_that_were_left_out_is_not_judged(
    chain: ToldChain, store: Store, asked: dict[str, int], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract counts no epochs, so a missing one shows when a batch is priced on it, and calling that batch unfounded would cost a bond."""
    told = read_anew(chain, store)
    monkeypatch.setattr(told._data, "batch", lambda header: posted(told, **asked))
    monkeypatch.setattr(told, "transaction", lambda name: {})
    store.save_transactions([{"hash": told.history.batches[1].transaction_hash}], own=True)
    with pytest.raises(ReadAgain, match=message):
        told.batch(told.history.batches[1])
    assert store.checkpoint() is None, "logs that were taken to be whole are not believed any more"
    told.advance()
    monkeypatch.setattr(told._data, "batch", lambda header: posted(told))
    assert told.batch(told.history.batches[1]) == posted(told)


def test_a_node_that_is_busy_undoes_nothing(chain: ToldChain, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told = follower(chain, store)
    told.advance()

    def busy(number: int) -> dict[str, Any]:
        raise RpcError("eth_getBlockByNumber", -32_005, "too many requests")

    monkeypatch.setattr(chain, "block", busy)
    with pytest.raises(RpcError, match="too many requests"):
        told.advance()
    assert store.checkpoint() is not None and counts(told) == (2, 1, 2, 1)


def test_another_contracts_log_and_one_that_does_not_decode_are_contradictions(chain: ToldChain, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"address": "0x" + "55" * 20}, {"data": "0x00"}, {"topics": []}):
        real = ToldChain.logs
        with monkeypatch.context() as patch:
            patch.setattr(ToldChain, "logs", lambda *args, real=real, change=change: [{**log, **change} for log in real(*args)])
            with pytest.raises(ReadAgain):
                follower(chain, store).advance()
    assert counts(read_anew(chain, store)) == (2, 1, 2, 1)


def test_data_are_in_the_store_and_not_in_memory(chain: ToldChain, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the history: what was not asked for lately is read anew, from the store; and of an epoch that is never asked for nothing is read."""
    monkeypatch.setattr(module, "KEPT_IN_MEMORY", 3)
    told = read_anew(chain, store)
    for number in range(3, 20):
        chain.add(proposed(number))
    told.advance()
    reads: list[int] = []
    monkeypatch.setattr(told._data, "batch", lambda header: reads.append(header.batch_number) or posted(told, header.batch_number))
    for header in told.history.batches:
        assert told.batch(header) is told.batch(header)
    assert reads == list(range(1, 20)) and len(told._recent) == 3
    assert told.batch(told.history.batches[0]).batch_number == 1 and reads[-1] == 1


def test_a_rollup_that_is_younger_than_what_is_read_is_waited_for(chain: ToldChain, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --from-block 0 and confirmations the newest block that counts may be before the deployment."""
    with monkeypatch.context() as patch:
        patch.setattr(chain, "eth_call", lambda *args: b"")
        with pytest.raises(ReadAgain, match="no rollup answers"):
            follower(chain, store).advance()
    assert counts(read_anew(chain, store)) == (2, 1, 2, 1)
