"""What the interface takes, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from support.market import BUY, CALL, PERPETUAL, PUT, SELL, picture

from straddle.api import views
from straddle.api.app import Api
from straddle.api.requests import BODY_BYTES_MAX, COMMANDS_MAX
from straddle.commitments.saved import SavedAccount, save_account
from straddle.core.orders import Leg
from straddle.primitives.plain import to_plain

from .conftest import IDENTITY, Small

MARK = 20_000


def trade(small: Small, account: int, side: Any, limit: int = MARK, size: int = 10, instrument: int = CALL) -> dict[str, Any]:
    return {"op": "l2_trade", **to_plain(small.market.trade(account, small.market.order(account, instrument, side, limit, size)))}


def state(small: Small) -> str:
    """Everything that a command could change."""
    shown: str = small.writer.call(lambda: picture(small.sequencer.exchange)).result()
    return shown + str(small.sequencer.position)


def test_an_order_rests_and_another_fills_it(client: TestClient, small: Small) -> None:
    resting = client.post("/commands", json=trade(small, 3, SELL))
    assert resting.status_code == 200 and [event["event"] for event in resting.json()["events"]] == ["order_resting"]
    filled = client.post("/commands", json=[trade(small, 4, BUY), trade(small, 4, BUY, MARK - 50)])
    assert filled.status_code == 200
    first, second = filled.json()
    assert [event["event"] for event in first["events"]] == ["trade"] and [event["event"] for event in second["events"]] == ["order_resting"]
    assert second["receipt"]["sequence"] == first["receipt"]["sequence"] + 1 == resting.json()["receipt"]["sequence"] + 2
    alone = client.get(f"/receipts/{first['receipt']['sequence']}").json()
    group = {"signature": first["receipt"]["signature"], "siblings": first["receipt"]["siblings"]}
    assert len(group["siblings"]) == 1 and alone["siblings"] == [] and alone | group == first["receipt"], "signed again, not as one of a group"
    newest = client.get(f"/trades?instrument={CALL}&limit=1").json()
    assert newest[0]["taker"] == 4 and newest[0]["log_sequence"] == first["receipt"]["sequence"]
    account = client.get("/accounts/4").json()
    assert {"instrument": CALL, "size_lots": 10} in account["positions"]
    assert [order["limit_ticks"] for order in account["open_orders"]] == [MARK - 50]
    known = small.sequencer.exchange.requirement_of(4)
    assert account["margin"]["equity"] == known.equity
    assert client.get(f"/books/{CALL}?depth=1").json()["bids"] == [[MARK - 50, 10]]


def test_a_combination_has_a_book_of_its_own(client: TestClient, small: Small) -> None:
    legs = (Leg(CALL, 1), Leg(PUT, -1))
    order = dataclasses.replace(small.market.order(3, CALL, BUY, 3_000, 10), legs=legs)
    answer = client.post("/commands", json={"op": "l2_trade", **to_plain(small.market.trade(3, order))})
    assert [event["event"] for event in answer.json()["events"]] == ["order_resting"], answer.text
    assert client.get("/combinations").json() == [{"legs": [[CALL, 1], [PUT, -1]], "bids": [[3_000, 10]], "asks": []}]


def test_the_reads(client: TestClient, small: Small) -> None:
    listed = client.get("/instruments").json()
    assert [(item["id"], item["kind"]) for item in listed] == [(1, "call"), (2, "put"), (3, "perpetual")]
    assert client.get("/auctions").json() == []
    assert client.get("/table").json()["rows"][2]["instrument"] == PERPETUAL
    assert client.get("/parameters").json() == {"fees": {"taker_bps": 3}}
    assert client.get("/batches?first=3&limit=2").json() == [{"number": 3}, {"number": 4}]
    assert client.get("/status").json() == {"sequence": small.sequencer.sequence}


def test_a_table_is_made_into_json_once(client: TestClient, small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, made = small.sequencer.exchange, list[object]()
    real = views.table
    monkeypatch.setattr(views, "table", lambda table: made.append(table) or real(table))
    other = dataclasses.replace(exchange.table, epoch=77)
    for table in (other, exchange.table):
        with monkeypatch.context() as patch:
            patch.setattr(exchange, "table", table)
            assert [client.get("/table").json()["epoch"] for _ in range(3)] == [table.epoch] * 3  # type: ignore[union-attr]
    assert made == [other, exchange.table]


def test_a_saved_account_lies_under_the_newest_closed_batch(client: TestClient, small: Small) -> None:
    saved = SavedAccount.from_json(client.get("/accounts/3/saved").text)
    saved.check(small.sequencer.committed.root)
    assert saved == save_account(small.sequencer.committed, 3, IDENTITY.chain_id, IDENTITY.rollup)


def test_the_engines_refusal_names_code_field_and_expectation(client: TestClient, small: Small) -> None:
    before = state(small)
    stale = trade(small, 3, SELL)
    stale["order_set"]["key_epoch"] = 9
    refused = client.post("/commands", json=stale)
    assert refused.status_code == 422
    assert refused.json() == {"error": {"code": "key_epoch", "field": "key_epoch", "value": 9, "expected": "1, that of the account's key"}}
    listed = client.post("/commands", json=[stale])
    assert listed.status_code == 200 and listed.json() == [refused.json()]
    assert state(small) == before


def broken(small: Small) -> list[tuple[str, bytes, str, int, str]]:
    """(name, body, content type, status, field) of requests that are refused as a whole."""
    good = trade(small, 3, SELL)

    def changed(path: str, value: Any) -> bytes:
        command = copy.deepcopy(good)
        place: Any = command
        *names, last = path.split(".")
        for name in names:
            place = place[int(name)] if name.isdigit() else place[name]
        if value is ...:
            del place[last]
        else:
            place[last] = value
        return json.dumps(command).encode()

    plain = "application/json"
    order = "body.order_set.orders[0]"
    return [
        ("content type", json.dumps(good).encode(), "text/plain", 415, "content-type"),
        ("no content type", json.dumps(good).encode(), "", 415, "content-type"),
        ("empty", b"", plain, 400, "body"),
        ("cut", json.dumps(good).encode()[:-5], plain, 400, "body"),
        ("not utf-8", b"\xff\xfe{}", plain, 400, "body"),
        ("a number", b"7", plain, 400, "body"),
        ("an empty list", b"[]", plain, 400, "body"),
        ("too many", json.dumps([good] * (COMMANDS_MAX + 1)).encode(), plain, 400, "body"),
        ("a list in a list", json.dumps([[good]]).encode(), plain, 400, "body[0]"),
        ("too long", b" " * (BODY_BYTES_MAX + 1), plain, 413, "body"),
        ("deep", b"[" * 100_000, plain, 400, "body"),
        ("nested", b'{"op":' + b"[" * 50 + b"]" * 50 + b"}", plain, 400, "body"),
        ("NaN", b'{"op":"l2_trade","order_set":NaN}', plain, 400, "body"),
        ("twice", b'{"op":"l2_cancel","account":1,"account":2}', plain, 400, "body"),
        ("thousands of digits", b'{"op":"l2_cancel","account":' + b"9" * 10_000 + b"}", plain, 400, "body"),
        ("no op", changed("op", ...), plain, 400, "body.op"),
        ("layer 1's", changed("op", "l1_deposit"), plain, 400, "body.op"),
        ("the operator's", changed("op", "internal_epoch"), plain, 400, "body.op"),
        ("unknown op", changed("op", "l2_teleport"), plain, 400, "body"),
        ("op of another type", changed("op", 3), plain, 400, "body.op"),
        ("missing field", changed("order_set.account", ...), plain, 400, "body.order_set"),
        ("unknown field", changed("order_set.colour", 1), plain, 400, "body.order_set.colour"),
        ("unknown field in an order", changed("order_set.orders.0.colour", 1), plain, 400, order + ".colour"),
        ("float", changed("order_set.orders.0.limit_ticks", 7.0), plain, 400, order + ".limit_ticks"),
        ("text", changed("order_set.orders.0.nonce", "7"), plain, 400, order + ".nonce"),
        ("bool", changed("order_set.account", True), plain, 400, "body.order_set.account"),
        ("null", changed("order_set.signature.s", None), plain, 400, "body.order_set.signature.s"),
        ("side", changed("order_set.orders.0.side", 7), plain, 400, order + ".side"),
    ]


def test_a_malformed_request_is_refused_by_field_and_changes_nothing(client: TestClient, small: Small) -> None:
    cases = broken(small)
    before = state(small)
    for name, body, content_type, status, field in cases:
        answer = client.post("/commands", content=body, headers={"content-type": content_type} if content_type else {})
        assert (name, answer.status_code, answer.json()["error"]["field"]) == (name, status, field), answer.text
        assert answer.json()["error"]["expected"]
    assert state(small) == before


def test_one_bad_command_refuses_the_whole_list(client: TestClient, small: Small) -> None:
    good, bad = trade(small, 3, SELL), trade(small, 3, SELL)
    bad["order_set"]["orders"][0]["nonce"] = 1.5
    before = state(small)
    answer = client.post("/commands", json=[good, bad])
    assert answer.status_code == 400 and answer.json()["error"]["field"] == "body[1].order_set.orders[0].nonce"
    assert state(small) == before


@pytest.mark.parametrize("value", [-1, 0, 2**31, 2**40, 2**63, 2**64, 2**160, 2**253, 2**256, -(2**64), 10**600])
@pytest.mark.parametrize("field", ["account", "key_epoch", "nonce", "size_lots", "limit_ticks", "expiry_ms", "fee_cap", "flags", "r_x", "s"])
def test_huge_integers_are_refused_by_the_engine(client: TestClient, small: Small, field: str, value: int) -> None:
    command = trade(small, 3, SELL)
    order_set = command["order_set"]
    place = next(place for place in (order_set, order_set["orders"][0], order_set["signature"]) if field in place)
    if place[field] == value:
        return
    place[field] = value
    before = state(small)
    answer = client.post("/commands", json=command)
    assert answer.status_code == 422 and set(answer.json()["error"]) == {"code", "field", "value", "expected"}, answer.text
    assert state(small) == before


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/nowhere", 404, "path"),
        ("/books/x", 400, "instrument"),
        ("/books/0", 400, "instrument"),
        ("/books/-1", 400, "instrument"),
        ("/books/99", 404, "instrument"),
        ("/books/1?depth=0", 400, "depth"),
        ("/books/1?depth=1e3", 400, "depth"),
        ("/books/1?depth=٣", 400, "depth"),
        ("/books/1?levels=3", 400, "levels"),
        ("/accounts/77", 404, "account"),
        ("/accounts/77/saved", 404, "account"),
        ("/accounts/x/saved", 400, "account"),
        ("/accounts/3/saved?batch=1", 400, "batch"),
        ("/accounts/99999999999999999999999", 400, "account"),
        ("/trades?limit=1001", 400, "limit"),
        ("/batches?first=0", 400, "first"),
        ("/receipts/999999", 404, "sequence"),
        ("/status?x=1", 400, "x"),
        ("/auctions?account=3", 400, "account"),
    ],
)
def test_a_bad_read_is_refused_by_field(client: TestClient, path: str, status: int, field: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_other_methods_are_refused(client: TestClient) -> None:
    for method, path in (("DELETE", "/status"), ("GET", "/commands"), ("PUT", "/commands"), ("POST", "/trades")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["field"]) == (405, "method")


def test_a_caller_who_hangs_up_is_no_error(small: Small) -> None:
    """Anybody could otherwise fill the operator's terminal with stacks."""
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        assert message.get("status", 400) == 400

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/commands", "query_string": b"", "headers": headers, "http_version": "1.1", "root_path": ""}
    asyncio.run(Api(small, small.hub, small.tape).app()(scope, receive, send))
    assert next(messages, None) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["l2_trade", "l2_cancel", "l2_withdraw", "l2_protect", "op"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["op", "account", "nonce", "order_set", "orders", "x"]), inner, max_size=4),
    max_leaves=12,
)
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(body=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_is_accepted_or_breaks_anything(client: TestClient, small: Small, body: bytes) -> None:
    before = state(small)
    answer = client.post("/commands", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422) and answer.json()["error"]["field"], answer.text
    assert state(small) == before


@QUIET
@given(data=st.data())
def test_no_change_of_a_signed_order_is_accepted(client: TestClient, small: Small, data: st.DataObject) -> None:
    """One value, anywhere in the command, becomes another: refused, and nothing changes."""
    command = json.loads(json.dumps(trade(small, 3, SELL)))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(command)
    place, key = data.draw(st.sampled_from([(place, key) for place, key in places if key != "op"]))
    old = copy.deepcopy(place[key])
    place[key] = data.draw(VALUES)
    if place[key] == old and type(place[key]) is type(old):
        return
    before = state(small)
    answer = client.post("/commands", content=json.dumps(command), headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422) and answer.json()["error"]["field"], answer.text
    assert state(small) == before
