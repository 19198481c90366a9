"""Subscriptions: in order, numbered, from a snapshot on; a slow client is dropped with the reason and the writer never waits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from support.market import BUY, PUT, SELL

from straddle.api.hub import Client, Hub

from .conftest import Small
from .test_app import trade

MARK = 15_000


def receive(socket: Any, channel: str) -> Any:
    while (message := json.loads(socket.receive_text())).get("channel") != channel:
        pass
    return message


def test_a_book_followed_from_its_snapshot_is_the_book(client: TestClient, small: Small) -> None:
    client.post("/commands", json=trade(small, 3, SELL, MARK + 100, 20, PUT))
    with client.websocket_connect("/ws") as socket:
        socket.send_text(json.dumps({"subscribe": [f"book.{PUT}", "trades", f"trades.{PUT}", "account.4"]}))
        answers = [json.loads(socket.receive_text()) for _ in range(4)]
        book: dict[str, dict[int, int]] = {side: dict(levels) for side, levels in answers[0]["snapshot"].items()}
        sequence = answers[0]["sequence"]
        assert book["asks"] == {MARK + 100: 20}
        client.post(
            "/commands", json=[trade(small, 4, BUY, MARK + 100, 10, PUT), trade(small, 4, BUY, MARK, 10, PUT), trade(small, 3, SELL, MARK + 50, 10, PUT)]
        )
        wanted = client.get(f"/books/{PUT}").json()
        while {side: sorted(levels.items()) for side, levels in book.items()} != {side: sorted(map(tuple, wanted[side])) for side in book}:
            message = receive(socket, f"book.{PUT}")
            assert message["sequence"] == sequence + 1
            sequence = message["sequence"]
            for side, levels in book.items():
                for price, lots in message["data"][side]:
                    if lots:
                        levels[price] = lots
                    else:
                        del levels[price]


def test_fills_come_once_on_each_channel_with_consecutive_numbers(client: TestClient, small: Small) -> None:
    with client.websocket_connect("/ws") as socket:
        socket.send_text(json.dumps({"subscribe": ["trades"]}))
        last = json.loads(socket.receive_text())["sequence"]
        for _ in range(3):
            client.post("/commands", json=[trade(small, 3, SELL, MARK, 10, PUT), trade(small, 4, BUY, MARK, 10, PUT)])
        for expected in range(last + 1, last + 4):
            assert receive(socket, "trades")["sequence"] == expected
        socket.send_text(json.dumps({"unsubscribe": ["trades"], "subscribe": ["account.3"]}))
        assert {json.dumps(json.loads(socket.receive_text())) for _ in range(2)} == {
            json.dumps({"unsubscribed": ["trades"]}),
            json.dumps({"subscribed": "account.3", "sequence": small.hub._sequences["account.3"]}),
        }
        client.post("/commands", json=trade(small, 3, SELL, MARK + 200, 10, PUT))
        message = json.loads(socket.receive_text())
        assert message["channel"] == "account.3" and message["data"]["event"] == "order_resting"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("{", "message"),
        ("[]", "message"),
        ("{}", "message"),
        ('{"subscribe": "trades"}', "subscribe"),
        ('{"subscribe": []}', "subscribe"),
        ('{"subscribe": ["trades", 7]}', "subscribe[1]"),
        ('{"subscribe": ["books.1"]}', "subscribe[0]"),
        ('{"subscribe": ["book.0"]}', "subscribe[0]"),
        ('{"subscribe": ["book.1.2"]}', "subscribe[0]"),
        ('{"subscribe": ["book.99"]}', "subscribe"),
        ('{"subscribe": ["account.99"]}', "subscribe"),
        ('{"subscribe": ["trades"], "op": 1}', "message"),
        ('{"subscribe": ["' + "x" * 70_000 + '"]}', "message"),
    ],
)
def test_a_bad_message_is_answered_by_field_and_the_connection_stays(client: TestClient, message: str, field: str) -> None:
    with client.websocket_connect("/ws") as socket:
        socket.send_text(message)
        assert json.loads(socket.receive_text())["error"]["field"] == field
        socket.send_text('{"subscribe": ["epochs"]}')
        assert json.loads(socket.receive_text())["subscribed"] == "epochs"


def test_bytes_end_the_connection(client: TestClient) -> None:
    with client.websocket_connect("/ws") as socket, pytest.raises(WebSocketDisconnect) as ended:
        socket.send_bytes(b"hello")
        socket.receive_text()
    assert ended.value.code == 1008


def test_a_slow_client_is_dropped_and_the_others_go_on() -> None:
    async def run() -> None:
        hub, slow, quick = Hub(), Client(backlog_max=10), Client()
        hub.attach(asyncio.get_running_loop())
        for client in (slow, quick):
            hub.subscribe(client, "trades")
        await asyncio.sleep(0)
        for number in range(50):
            hub.publish("trades", number)
        await asyncio.sleep(0.01)
        assert slow.dropped is not None and "too slow: 10 messages wait" in slow.dropped
        assert slow.queue.qsize() == 11  # what waited, and the end
        assert [json.loads(quick.queue.get_nowait() or "")["sequence"] for _ in range(51)] == [0, *range(1, 51)]
        hub.forget(slow)
        hub.unsubscribe(quick, ["trades"])
        assert hub.wanted("trades") == []
        hub.subscribe(slow, "trades")  # what it asked for before it was dropped
        assert hub.wanted("trades") == []

    asyncio.run(run())


def test_what_is_published_without_readers_only_counts() -> None:
    hub = Hub()
    hub.publish("trades", 1)
    hub.publish("trades", 2)

    async def run() -> None:
        client = Client()
        hub.attach(asyncio.get_running_loop())
        hub.subscribe(client, "trades")
        await asyncio.sleep(0)
        assert json.loads(client.queue.get_nowait() or "") == {"subscribed": "trades", "sequence": 2}

    asyncio.run(run())
