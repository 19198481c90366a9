"""What a layer-1 node says, damaged at random: what is right is taken, the rest is an error that says so, and nothing of it stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from eth_abi.abi import encode

from straddle.l1 import rpc as module
from straddle.l1.contracts import ContractError, load
from straddle.l1.data import HistoryError
from straddle.l1.history import HistoryReader, Outline
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.watcher.follow import Follower
from straddle.watcher.store import Store
from tests.support.damage import damaged
from tests.support.told import DEPLOYMENT, ROLLUP, ToldChain, challenged, epoch, final, proposed, queue_entry

ROUNDS = 150


@pytest.fixture
def chain() -> ToldChain:
    chain = ToldChain()
    for event in (queue_entry(0), queue_entry(1), epoch(1), proposed(1), final(1), proposed(2), challenged(2)):
        chain.add(event)
    return chain


def told_over_http(chain: ToldChain, spoil: Callable[[bytes], bytes]) -> Rpc:
    """A node whose answers pass `spoil`."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        method, params = asked["method"], asked["params"]
        if method == "eth_blockNumber":
            result: Any = hex(chain.block_number())
        elif method == "eth_getBlockByNumber":
            found = chain.block(int(params[0], 16))
            result = {**found, "hash": f"0x{found['hash']}", "timestamp": "0x5", "parentHash": "0x" + "00" * 32, "transactions": []}
        elif method == "eth_getLogs":
            result = chain.logs([ROLLUP], int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16))
        else:
            result = f"0x{chain.eth_call(params[0]['to'], bytes.fromhex(params[0]['data'][2:]), int(params[1], 16)).hex()}"
        return httpx.Response(200, content=spoil(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()))

    return Rpc("http://layer1:1", transport=httpx.MockTransport(answer))


def outline(follower: Follower) -> tuple[Any, ...]:
    history = follower.history
    return history.to_block, len(history.queue), dict(history.epochs), list(history.batches), list(history.final), dict(history.challenges)


def test_a_node_that_lies_at_random_is_told_and_read_again(chain: ToldChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a watcher keeps of it in the end is what the honest node says."""
    monkeypatch.setattr(module, "RETRY_DELAYS_S", ())
    told = 0
    for i in range(ROUNDS // 12):
        rng, store = Random(f"node/{i}"), Store(tmp_path / str(i), 31_337, ROLLUP)
        place, count = rng.randrange(6), iter(range(10**6))
        liar = told_over_http(chain, lambda content: damaged(rng, content) if next(count) == place else content)  # noqa: B023
        follower = Follower(liar, DEPLOYMENT, store)  # type: ignore[arg-type]
        try:
            follower.advance()
        except (RpcError, ConnectionFailed, HistoryError) as error:
            assert len(str(error)) > 10
            told += 1
            follower.advance()
            assert [len(part) for part in outline(follower)[2:]] == [1, 2, 1, 1] and outline(follower)[:2] == (7, 2), f"damage {i}"
        store.close()
    assert told > 3


def test_a_damaged_log_is_an_event_or_told(chain: ToldChain) -> None:
    logs = chain.logs([ROLLUP], 1, 7)
    for i in range(ROUNDS):
        rng = Random(f"log/{i}")
        log = dict(rng.choice(logs))
        name = rng.choice(["data", "topics"])
        words = [bytes.fromhex(text[2:]) for text in ([log["data"]] if name == "data" else log["topics"])]
        at = rng.randrange(len(words)) if name == "data" else rng.randrange(1, len(words)) if len(words) > 1 else 0
        words[at] = rng.choice((rng.randbytes(32), words[at][: rng.randrange(32)], b"", b"\xff" * 32, words[at] + b"\1", words[at][:32]))
        texts = [f"0x{word.hex()}" for word in words]
        if name == "topics" and rng.random() < 0.3:
            texts = texts[: rng.randrange(len(texts) + 1)]
        log[name] = texts[0] if name == "data" else texts
        try:
            HistoryReader(DEPLOYMENT, Outline(0)).take(log)
        except HistoryError as error:
            assert len(str(error)) > 10


def test_an_indexed_field_that_is_none_is_told() -> None:
    contract = load("Vault")
    item = next(item for item in contract.abi if item["type"] == "event" and any(field["indexed"] and field["type"] == "address" for field in item["inputs"]))
    indexed = [field for field in item["inputs"] if field["indexed"]]
    data = encode([field["type"] for field in item["inputs"] if not field["indexed"]], [0 for field in item["inputs"] if not field["indexed"]])
    for topic in (b"\xff" * 32, b"", b"\1" * 31):
        with pytest.raises(ContractError, match=f"Vault: cannot decode event {item['name']}"):
            contract.decode_log([contract.event_topic(item["name"]), *[topic] * len(indexed)], data)
