"""Subscriptions: in order, numbered, from a snapshot on; a slow client is dropped with the reason and the writer never waits."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from support.emergencies import SOLVENT, epoch, shorted
from support.market import BUY, CALL, PUT, SELL

from straddle.api import tape as tape_module
from straddle.api import views
from straddle.api.hub import Client, Hub
from straddle.api.tape import Tape
from straddle.core.accounts import NO_KEY
from straddle.core.commands import InternalLiquidate
from straddle.core.events import AuctionBegun, AuctionEnded, EpochStarted, KeySet, MarketChanged, TakenOver, Trade
from straddle.core.market_state import MarketState
from straddle.core.orders import Leg
from straddle.primitives.plain import to_plain
from straddle.sequencer.sequencer import Logged

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


def test_combinations_followed_from_their_snapshot_are_the_books(client: TestClient, small: Small) -> None:
    def combined(account: int, side: Any, limit: int, size: int, *legs: Leg) -> dict[str, Any]:
        order = dataclasses.replace(small.market.order(account, CALL, side, limit, size), legs=legs)
        return {"op": "l2_trade", **to_plain(small.market.trade(account, order))}

    straddle, spread = (Leg(CALL, 1), Leg(PUT, 1)), (Leg(CALL, 1), Leg(PUT, -2))
    client.post("/commands", json=combined(3, BUY, 33_000, 10, *straddle))
    with client.websocket_connect("/ws") as socket:
        socket.send_text('{"subscribe": ["combinations"]}')
        answer = json.loads(socket.receive_text())
        sequence, books = answer["sequence"], {str(book["legs"]): {side: dict(book[side]) for side in ("bids", "asks")} for book in answer["snapshot"]}
        assert books[str(to_plain(straddle))]["bids"] == {33_000: 10}
        cancel = {"op": "l2_cancel", **to_plain(small.market.cancel(3, small.market.nonces[3] + 1))}
        client.post("/commands", json=[combined(4, BUY, -12_000, 20, *spread), combined(4, BUY, 32_000, 10, *straddle), cancel])
        wanted = {str(book["legs"]): {side: dict(book[side]) for side in ("bids", "asks")} for book in client.get("/combinations?depth=1000").json()}
        assert wanted[str(to_plain(straddle))]["bids"] == {32_000: 10} and wanted[str(to_plain(spread))]["bids"] == {-12_000: 20}
        while {legs: book for legs, book in books.items() if any(book.values())} != wanted:
            message = receive(socket, "combinations")
            sequence += 1
            assert message["sequence"] == sequence and message["data"]["log_sequence"] <= small.sequencer.sequence
            for changed in message["data"]["books"]:
                book = books.setdefault(str(changed["legs"]), {"bids": {}, "asks": {}})
                for side, levels in book.items():
                    for price, units in changed[side]:
                        if units:
                            levels[price] = units
                        else:
                            del levels[price]


def test_auctions_are_told_from_what_is_for_sale_on() -> None:
    market = shorted()
    epoch(market, row_1=SOLVENT)
    market.ok(InternalLiquidate(3))

    async def run() -> list[Any]:
        hub, client = Hub(), Client()
        tape = Tape(hub)
        hub.attach(asyncio.get_running_loop())
        tape.record([Logged(1, market.state(), (AuctionBegun(9, 1, False, 0),))])
        tape.subscribe_auctions(client, market.exchange)
        ended = AuctionEnded(3)
        taken = TakenOver(3, 5, 10_000, ((CALL, -30),), -7)
        tape.record([Logged(8, market.state(), (taken, MarketChanged(5, MarketState.OPEN))), Logged(9, market.state(), (ended,))])
        await asyncio.sleep(0.01)
        assert hub._sequences == {"auctions": 3, "account.3": 2, "account.5": 1, "account.9": 1}
        return [json.loads(client.queue.get_nowait() or "") for _ in range(client.queue.qsize())]

    welcome, taken, ended = asyncio.run(run())
    assert welcome["sequence"] == 1 and welcome["snapshot"] == json.loads(json.dumps(views.auctions(market.exchange)))
    assert (taken["sequence"], taken["data"]["event"], taken["data"]["payment"], taken["data"]["log_sequence"]) == (2, "taken_over", -7, 8)
    assert ended["data"] == {"event": "auction_ended", "account": 3, "log_sequence": 9}


def test_an_event_that_nobody_follows_is_not_made_into_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's thread is the busiest of the node."""
    made: list[str] = []
    real = tape_module.event_json
    monkeypatch.setattr(tape_module, "event_json", lambda event: made.append(type(event).__name__) or real(event))
    fill = Trade(PUT, 100, 10, BUY, 4, 1, 0, 0, 5, 3, 1, 0, 0, 2, 1)

    async def run() -> None:
        hub, client = Hub(), Client()
        tape = Tape(hub)
        hub.attach(asyncio.get_running_loop())
        tape.record([Logged(1, shorted().state(), (fill, EpochStarted(3, 77), KeySet(3, NO_KEY, 1)))])
        assert made == [] and hub._sequences[f"trades.{PUT}"] == hub._sequences["account.3"] - 1 == 1
        assert [trade["taker"] for trade in tape.trades(PUT, 5)] == [4] and made == ["Trade"]
        hub.subscribe(client, "account.3")
        tape.record([Logged(2, shorted().state(), (fill, EpochStarted(4, 78), KeySet(3, NO_KEY, 1)))])
        assert made == ["Trade", "Trade", "KeySet"]
        assert [trade["table_time_ms"] for trade in tape.trades(None, 5)] == [77, 0]

    asyncio.run(run())


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
            hub.publish("trades", lambda number=number: number)  # type: ignore[misc]
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
    hub.publish("trades", lambda: pytest.fail("made for nobody"))
    hub.publish("trades", lambda: pytest.fail("made for nobody"))

    async def run() -> None:
        client = Client()
        hub.attach(asyncio.get_running_loop())
        hub.subscribe(client, "trades")
        await asyncio.sleep(0)
        assert json.loads(client.queue.get_nowait() or "") == {"subscribed": "trades", "sequence": 2}

    asyncio.run(run())
