"""The watcher's file: what is kept comes back, blocks that are undone do not, and a disk that refuses is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from straddle.watcher import store as module
from straddle.watcher.store import FILE, Judged, Store, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 1, "0xAA")
    yield store
    store.close()


def log(block: int, place: int = 0) -> dict[str, str]:
    return {"blockNumber": hex(block), "logIndex": hex(place)}


def test_blocks_that_are_undone_take_their_logs_along(store: Store) -> None:
    store.extend(10, "a", [log(3), log(10, 1)])
    store.extend(12, "b", [log(12)])
    assert store.checkpoint() == (12, "b") and list(store.logs()) == [log(3), log(10, 1), log(12)]
    store.go_back(11)
    assert store.checkpoint() == (10, "a") and list(store.logs()) == [log(3), log(10, 1)]
    store.go_back(0)
    assert store.checkpoint() is None and list(store.logs()) == []


def test_checkpoints_do_not_grow_for_ever(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINTS_KEPT", 3)
    for block in range(10):
        store.extend(block, str(block), [])
    store.go_back(6)
    assert store.checkpoint() is None


def test_a_peers_transaction_never_replaces_layer_1s(store: Store) -> None:
    own, peers = {"hash": "0x1", "to": "0xAB", "input": "0x01", "blobVersionedHashes": None, "gas": "0x5"}, {"hash": "0x1", "to": "0xab", "input": "0x02"}
    store.save_transactions([peers], own=False)
    assert not store.is_own("0x1") and store.transaction("0x1") == {"hash": "0x1", "to": "0xab", "input": "0x02", "blobVersionedHashes": []}
    store.save_transactions([own], own=True)
    store.save_transactions([peers], own=False)
    assert store.is_own("0x1") and store.transaction("0x1") == {"hash": "0x1", "to": "0xab", "input": "0x01", "blobVersionedHashes": []}
    store.save_transactions([{"hash": "0x2", "to": "", "input": "0x"}], own=False)
    store.forget_transaction("0x2")
    assert store.transaction("0x2") is None and store.is_own("0x1")


def test_logs_come_in_order_however_many_there_are(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGS_PER_READ", 2)
    for block in range(5):
        store.extend(block, str(block), [log(block, place) for place in range(3)])
    assert list(store.logs()) == [log(block, place) for block in range(5) for place in range(3)]


def test_a_committees_bodies_are_kept(store: Store) -> None:
    store.save_body(b"\1" * 32, (1, 0, 2**253))
    store.save_body(b"\2" * 32, ())
    assert (store.body(b"\1" * 32), store.body(b"\2" * 32), store.body(b"\3" * 32)) == ((1, 0, 2**253), (), None)


def test_pages_of_transactions_end(store: Store) -> None:
    store.save_transactions(({"hash": f"0x{i:02x}", "to": "", "input": "0x"} for i in range(5)), own=True)
    after, first = store.transactions(0, 3)
    last, second = store.transactions(after, 3)
    assert [item["hash"] for item in first + second] == [f"0x{i:02x}" for i in range(5)]
    assert store.transactions(last, 3) == (last, [])


def test_verdicts_are_of_headers_not_of_numbers(store: Store) -> None:
    wrong = Judged(3, b"\1" * 32, "wrong", "why", ("a note",))
    store.save_judged(wrong)
    assert store.judged(b"\1" * 32) == wrong and store.judged(b"\2" * 32) is None


def test_the_newest_states_stay(store: Store) -> None:
    for number in (1, 5, 3, 9):
        store.save_state(number, bytes([number]) * 32, bytes(number))
    assert [number for number, _, _ in store.states()] == [9, 5]


def test_a_disk_that_refuses_is_told_and_leaves_no_half(store: Store) -> None:
    store.extend(1, "a", [log(1)])
    with pytest.raises(StoreError, match="UNIQUE constraint failed"):
        store.extend(2, "b", [log(2), log(2)])  # the same place twice
    assert store.checkpoint() == (1, "a") and list(store.logs()) == [log(1)]
    store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="make room and start again"):
        store.save_blob(b"\1" * 32, b"data")
    assert store.blob(b"\1" * 32) is None


def spoil(store: Store, statement: str) -> None:
    assert store._db.execute(statement).rowcount == 1


def test_what_the_disk_spoilt_counts_as_not_kept(store: Store) -> None:
    """Unnoticed, a batch that holds would be challenged with the watcher's own bond."""
    key = b"\1" * 32
    sent = {"hash": "0x1", "to": "0xab", "input": "0x01", "blobVersionedHashes": []}
    store.save_transactions([sent], own=True)
    store.save_blob(key, b"data")
    store.save_body(key, (1, 2))
    store.save_judged(Judged(1, key, "holds", ""))
    store.save_state(1, key, b"older")
    store.save_state(2, key, b"newer")
    spoil(store, "UPDATE transactions SET raw = replace(raw, '0x01', '0x03')")
    spoil(store, "UPDATE blobs SET data = x'00'")
    spoil(store, "UPDATE bodies SET data = x'00'")
    spoil(store, "UPDATE verdicts SET judged = replace(judged, 'holds', 'wrong')")
    spoil(store, "UPDATE states SET copy = x'00' WHERE batch = 2")
    assert (store.transaction("0x1"), store.is_own("0x1"), store.transactions(0, 9)[1]) == (None, False, [])
    assert (store.blob(key), store.body(key), store.judged(key), store.states()) == (None, None, None, [(1, key, b"older")])
    store.save_transactions([sent], own=True)
    store.save_blob(key, b"data")
    assert (store.transaction("0x1"), store.is_own("0x1"), store.blob(key)) == (sent, True, b"data")


def test_a_log_that_the_disk_spoilt_is_told(store: Store) -> None:
    store.extend(3, "a", [log(3), {**log(3, 1), "data": "0x00"}])
    spoil(store, "UPDATE logs SET raw = replace(raw, '0x00', '0x01') WHERE place = 1")
    with pytest.raises(StoreError, match=r"log 1 of block 3 is not as it was written. .* move watcher.sqlite and what begins with its name elsewhere"):
        list(store.logs())


def test_a_store_of_before_is_told(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("CREATE TABLE logs (block INTEGER NOT NULL, place INTEGER NOT NULL, raw TEXT NOT NULL, PRIMARY KEY (block, place))")
    store = Store(tmp_path, 1, "0xAA")
    with pytest.raises(StoreError, match=r"the store cannot be read: no such column: sum"):
        list(store.logs())
    store.close()
