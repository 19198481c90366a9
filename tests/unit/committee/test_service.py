"""A member over HTTP, its clients, and how members that lack batches get them."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from straddle.commitments.policy import Data
from straddle.commitments.state_copy import load_state
from straddle.committee.client import CommitteeClient, MemberBodies, MemberClient, MemberUnreachable
from straddle.committee.config import MemberConfig, MemberConfigError
from straddle.committee.member import Behind, Member, Refused
from straddle.committee.offer import Offer, OfferError
from straddle.committee.running import KEY_FILE, CatchUp, await_deployment, open_key
from straddle.committee.service import BODY_BYTES_MAX, member_app
from straddle.committee.store import StoreError
from straddle.l1.certificates import certificate_digest, signer_of
from straddle.l1.rpc import ConnectionFailed

from .conftest import MEMBERS, World, limit_disk


def http(member: Member) -> TestClient:
    return TestClient(member_app(member), base_url="http://member")


@contextmanager
def client_of(member: Member) -> Iterator[MemberClient]:
    with MemberClient("http://member", transport=http(member)._transport) as client:
        yield client


class Silent(httpx.BaseTransport):
    """A machine that is off."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")


def test_offers_travel_as_they_are(world: World) -> None:
    for offer in world.offers:
        assert Offer.from_plain(offer.plain) == offer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 0}, "number: 0, expected an integer from 1"),
        ({"number": "1"}, "number: '1'"),
        ({"number": True}, "number: True"),
        ({"data": "blob"}, "data: 'blob', expected committee or calldata"),
        ({"parent_header_hash": "00"}, "parent_header_hash: '00', expected 32 bytes"),
        ({"signature": "zz" * 65}, "signature: "),
        ({"effects": "00"}, "effects: expected a list"),
        ({"effects": ["0"] * 2000}, "effects: expected a list of at most 1024"),
        ({"body": ["-1"]}, r"body\[0\]: '-1', expected a field element"),
        ({"body": ["0x" + "ff" * 32]}, r"body\[0\]: "),
        ({"body": [7]}, r"body\[0\]: '7'"),
        ({"inputs": "0" * 3}, "inputs: "),
        ({"more": 1}, r"expected an object with the keys"),
    ],
)
def test_malformed_offers_name_the_field(world: World, change: dict[str, Any], message: str) -> None:
    with pytest.raises(OfferError, match=message):
        Offer.from_plain({**world.offers[0].plain, **change})
    answer = http(world.member()).post("/certificates", json={**world.offers[0].plain, **change})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_offer"


def test_a_body_longer_than_the_presets_is_refused(world: World) -> None:
    long = dataclasses.replace(world.offers[0], body=(1,) * (world.deployment.config.body_cells + 1))
    with pytest.raises(OfferError, match=r"body: .* cells, expected at most"):
        world.member().certify(long)


def test_everything_is_given_to_anybody(world: World) -> None:
    member = world.member()
    with client_of(member) as client:
        for offer, header in zip(world.offers, world.headers, strict=True):
            digest = certificate_digest(world.deployment.chain_id, world.deployment.rollup_number, offer.number, header)
            assert signer_of(digest, client.certify(offer)) == MEMBERS[0].address
        status = client.status()
        assert (status["batch_number"], int(status["state_root"], 16), status["member"]) == (len(world.offers), world.roots[-1], MEMBERS[0].address)
        assert client.batches(2, 2) == world.offers[1:3] and client.batches(99, 5) == []
        assert client.by_header(world.headers[0]) == world.offers[0] and client.by_header(bytes(32)) is None
        params = world.run.exchange.sequencer.committed.params
        assert load_state(client.snapshot(), params).root == world.roots[-1] and load_state(client.snapshot(2), params).root == world.roots[1]
        with pytest.raises(MemberUnreachable, match="batch: 99, expected one that this member has"):
            client.snapshot(99)
        assert MemberBodies([client]).body(2, world.headers[1]) == world.offers[1].body
    page = http(member)
    assert page.get("/batches/1").json() == world.offers[0].plain and page.get("/batches/99").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/batches/0", 400, "number: '0', expected an integer from 1"),
        ("GET", "/batches?limit=101", 400, "limit: '101'"),
        ("GET", "/batches?first=-1", 400, "first: '-1'"),
        ("GET", "/snapshot?batch=%D9%A1", 400, "batch: "),
        ("GET", "/headers/00", 400, "header_hash: '00', expected 32 bytes"),
        ("GET", "/headers/" + "11" * 32, 404, "expected the header of a batch"),
        ("GET", "/", 404, "expected GET /status"),
        ("DELETE", "/batches", 405, "expected GET /status"),
        ("POST", "/batches", 400, "body: not JSON"),
    ],
)
def test_bad_requests_say_what_was_expected(world: World, method: str, path: str, status: int, message: str) -> None:
    answer = http(world.member()).request(method, path)
    assert answer.status_code == status and message in answer.json()["error"]["message"]


def test_a_body_that_is_too_long_is_refused(world: World) -> None:
    assert http(world.member()).post("/batches", content=b" " * (BODY_BYTES_MAX + 1)).status_code == 413


def test_deep_nesting_is_refused_on_both_sides(world: World) -> None:
    """A parser would end the process."""
    deep = b"[" * 100_000
    assert http(world.member()).post("/batches", content=deep).status_code == 400
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=deep))
    with MemberClient("http://member", transport=transport) as client, pytest.raises(MemberUnreachable):
        client.status()


def test_refusals_reach_the_client_as_they_are(world: World) -> None:
    member = world.member()
    with client_of(member) as client:
        with pytest.raises(Behind) as caught:
            client.take(world.offers[1])
        assert caught.value.next == 1
        with pytest.raises(OfferError, match="not the sequencer's"):
            client.take(dataclasses.replace(world.offers[0], signature=bytes(65)))
        words = list(world.offers[0].effects)
        words[3] ^= 1
        with pytest.raises(Refused, match=r"effects.new_state_root"):
            client.certify(world.signed(dataclasses.replace(world.offers[0], effects=tuple(words))))


def test_a_layer_1_that_does_not_answer_decides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    member = world.member()
    member.certify(world.offers[0])
    words = list(world.offers[0].effects)
    words[8] ^= 1
    other = world.signed(dataclasses.replace(world.offers[0], effects=tuple(words)))

    def silent(number: int, header: bytes) -> bool:
        raise ConnectionFailed("no answer")

    monkeypatch.setattr(world.layer1, "is_voided", silent)
    with client_of(member) as client, pytest.raises(MemberUnreachable, match="no answer"):
        client.certify(other)
    assert member.by_header(other.header_of(world.deployment)) is None


def test_one_copy_of_the_state_is_made_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    member, entered, go = world.member(), threading.Event(), threading.Event()
    make = member.snapshot

    def slow(number: int | None) -> Any:
        entered.set()
        assert go.wait(10)
        return make(number)

    monkeypatch.setattr(member, "snapshot", slow)
    with http(member) as page, ThreadPoolExecutor(1) as pool:
        first = pool.submit(page.get, "/snapshot")
        assert entered.wait(10)
        second = page.get("/snapshot")
        assert second.status_code == 503 and second.json()["error"]["code"] == "busy"
        assert page.get("/status").json()["batch_number"] == 0
        go.set()
        assert first.result(10).status_code == 200 and page.get("/snapshot").status_code == 200


def test_a_disk_that_refuses_is_told(world: World) -> None:
    member = world.member()
    member.take(world.offers[0])
    limit_disk(world.stores[0], full=True)
    answer = http(member).post("/certificates", json=world.offers[1].plain)
    error = answer.json()["error"]
    assert answer.status_code == 503 and error["code"] == "store" and "member.sqlite: cannot be written: database or disk is full" in error["message"]


def test_a_caller_who_hangs_up_is_no_error(world: World) -> None:
    """Anybody could otherwise fill the operator's terminal with stacks."""
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        assert message.get("status", 400) == 400

    scope = {"type": "http", "method": "POST", "path": "/batches", "query_string": b"", "headers": [], "http_version": "1.1", "root_path": ""}
    asyncio.run(member_app(world.member())(scope, receive, send))
    assert next(messages, None) is None


@pytest.mark.parametrize(("status", "body"), [(200, b"hello"), (200, b"[]"), (500, b"{}"), (200, b"{}")])
def test_what_is_no_member_is_told(status: int, body: bytes) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    with MemberClient("http://member", transport=transport) as client:
        for ask in (client.status, client.snapshot):
            with pytest.raises(MemberUnreachable):
                ask()


def committee_of(world: World, members: list[Member], silent: int = 0) -> CommitteeClient:
    clients = {member.account.address: MemberClient("http://member", transport=http(member)._transport) for member in members}
    for account in MEMBERS[len(members) : len(members) + silent]:
        clients[account.address] = MemberClient("http://off", transport=Silent())
    return CommitteeClient(world.deployment, clients)


def offer_of(world: World) -> Callable[[int], Offer]:
    return lambda number: world.offers[number - 1]


def test_all_members_are_asked_at_once_and_those_behind_are_brought_forward(world: World) -> None:
    members = [world.member(f"m{i}", i) for i in range(3)]
    for offer in world.offers[:2]:
        members[0].take(offer)
    members[1].take(world.offers[0])
    with committee_of(world, members, silent=2) as committee:
        certificates = committee.certify(4, world.headers[3], offer_of(world))
        digest = certificate_digest(world.deployment.chain_id, world.deployment.rollup_number, 4, world.headers[3])
        assert [signer_of(digest, item) for item in certificates] == [account.address for account in MEMBERS[:3]]  # ascending
        assert {member.tip for member in members} == {4}
        assert set(committee.problems) == {account.address for account in MEMBERS[3:5]} and "no member answers" in committee.problems[MEMBERS[3].address]
        assert committee.body(2, world.headers[1]) == world.offers[1].body and committee.body(2, bytes(32)) is None


def test_a_member_on_another_branch_is_brought_to_the_sequencers(world: World) -> None:
    """It certified batch 2 for the committee; then batch 2 went to layer 1, and batch 3 follows it."""
    member = world.member()
    for offer in world.offers[:2]:
        member.certify(offer)
    posted, header = world.elsewhere(2, Data.CALLDATA)
    world.layer1.standing.add((2, header))
    third = world.signed(dataclasses.replace(world.offers[2], parent_header_hash=header))
    chain = [world.offers[0], posted, third]
    with committee_of(world, [member]) as committee:
        certificates = committee.certify(3, third.header_of(world.deployment), lambda number: chain[number - 1])
    assert len(certificates) == 1 and member.batch(2) is not None and member.tip == 3


def test_a_certificate_of_another_key_does_not_count(world: World) -> None:
    impostor = world.member("impostor", 1)
    clients = {MEMBERS[0].address: MemberClient("http://member", transport=http(impostor)._transport)}
    with CommitteeClient(world.deployment, clients) as committee:
        assert committee.certify(1, world.headers[0], offer_of(world)) == ()
        assert "with another key" in committee.problems[MEMBERS[0].address]


def test_members_catch_up_from_each_other(world: World) -> None:
    ahead, behind = world.member("ahead", 0), world.member("behind", 1)
    for offer in world.offers:
        ahead.take(offer)
    with client_of(ahead) as client, MemberClient("http://off", transport=Silent()) as off:
        assert CatchUp(behind, [off, client], 1.0).step() == len(world.offers)
        assert CatchUp(behind, [off, client], 1.0).step() == 0
    assert behind.state_root == world.roots[-1]


def test_a_disk_that_refuses_for_a_while_does_not_end_catching_up(world: World) -> None:
    ahead, behind, said = world.member("ahead", 0), world.member("behind", 1), list[str]()
    for offer in world.offers:
        ahead.take(offer)
    limit_disk(world.stores[1], full=True)

    def report(problem: str) -> None:
        said.append(problem)
        limit_disk(world.stores[1], full=False)

    with client_of(ahead) as client:
        catch_up = CatchUp(behind, [client], 0.01, report)
        catch_up.start()
        deadline = time.monotonic() + 20
        while len(said) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        catch_up.stop()
    assert len(said) == 2 and "database or disk is full" in said[0] and said[1] == "" and behind.state_root == world.roots[-1]


def test_the_key_is_made_once_for_its_owner(tmp_path: Path) -> None:
    first = open_key(tmp_path / "m")
    assert open_key(tmp_path / "m").address == first.address
    assert os.stat(tmp_path / "m" / KEY_FILE).st_mode & 0o077 == 0
    (tmp_path / "m" / KEY_FILE).write_text("secret")
    with pytest.raises(StoreError, match="no private key") as caught:
        open_key(tmp_path / "m")
    assert "secret" not in str(caught.value)


def test_the_record_may_come_later(world: World, tmp_path: Path) -> None:
    path, told = tmp_path / "deployment.json", list[bool]()

    def waiting() -> None:
        told.append(True)
        path.write_text(world.deployment.to_json())

    assert await_deployment(path, waiting) == world.deployment and told == [True]
    assert await_deployment(path, waiting) == world.deployment and told == [True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l1": "localhost"}, "l1: 'localhost', expected an address"),
        ({"deployment": ""}, "deployment: '', expected a text"),
        ({"port": 70_000}, "port: 70000, expected an integer from 0 to 65535"),
        ({"peers": "http://one"}, "peers: 'http://one', expected a list"),
        ({"peers": ["one"]}, "peers: 'one', expected an address"),
        ({"catch_up_seconds": 0}, "catch_up_seconds: 0, expected a number"),
        ({"prot": 1}, "prot: unknown key, expected one of"),
    ],
)
def test_settings_are_checked(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"deployment": "d.json", "l1": "http://127.0.0.1:1"}
    path = tmp_path / "member.toml"
    path.write_text('deployment = "d.json"\nl1 = "http://127.0.0.1:1"\npeers = ["http://127.0.0.1:2"]\n')
    assert MemberConfig.load(path, {"port": 7}).port == 7 and MemberConfig.load(path, {}).peers == ("http://127.0.0.1:2",)
    with pytest.raises(MemberConfigError, match=message):
        MemberConfig.load(None, {**good, **change})
