"""Another watcher's answers, whatever they are: taken whole, or told and nothing of them kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from straddle.watcher.peer import Peer, PeerError
from straddle.watcher.store import Store

PAGE = {"next": 1, "transactions": [{"hash": "0x01", "to": "0xab", "input": "0x02", "blobVersionedHashes": []}]}
SNAPSHOT = {"batch_number": 1, "header_hash": "01" * 32, "copy": "00"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, 1, "0xAA")
    yield store
    store.close()


def peer(page: Any, snapshot: Any) -> Peer:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/snapshot":
            return httpx.Response(200, content=snapshot if isinstance(snapshot, bytes) else json.dumps(snapshot))
        last = {"next": int(request.url.params["after"]), "transactions": []}
        found = page if request.url.params["after"] == "0" else last
        return httpx.Response(200, content=found if isinstance(found, bytes) else json.dumps(found))

    return Peer("http://peer:1", transport=httpx.MockTransport(answer))


def test_what_a_peer_gives_is_kept(store: Store) -> None:
    assert peer(PAGE, SNAPSHOT).fill(store) == 1
    assert store.transaction("0x01") == PAGE["transactions"][0] and store.states() == [(1, b"\1" * 32, b"\0")]  # type: ignore[index]


@pytest.mark.parametrize(
    "page",
    [
        [], 7, None, "page", b"[" * 200_000, b"\xff", {**PAGE, "next": "soon"}, {**PAGE, "next": None}, {**PAGE, "transactions": 7},
        {**PAGE, "transactions": [[]]}, {**PAGE, "transactions": ["0x"]}, {**PAGE, "transactions": [{"hash": 5}]},
        {**PAGE, "transactions": [{"hash": "0x1", "to": "0x", "input": "0x"}]},
    ],
)  # fmt: skip
def test_a_page_that_is_none_is_told(store: Store, page: Any) -> None:
    with pytest.raises(PeerError, match=r"--peer http://peer:1"):
        peer(page, SNAPSHOT).fill(store)
    assert store.transactions(0, 9) == (0, []) and store.states() == []


@pytest.mark.parametrize(
    "change", [{"batch_number": 2**70}, {"batch_number": -1}, {"batch_number": []}, {"header_hash": 7}, {"header_hash": "zz"}, {"copy": None}]
)
def test_a_snapshot_that_is_none_is_told(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(PeerError, match="expected a snapshot"):
        peer(PAGE, {**SNAPSHOT, **change}).fill(store)
    assert store.states() == []
