"""A member signs what it has recomputed and has on disk, and never two headers of one number."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from straddle.commitments.policy import Data
from straddle.commitments.state_copy import load_state
from straddle.committee import member as module
from straddle.committee.member import Behind, Refused
from straddle.committee.offer import Offer, OfferError
from straddle.committee.store import MemberStore, StoreError
from straddle.l1.certificates import certificate_digest, signer_of
from straddle.primitives.field import MODULUS
from straddle.primitives.sqlite import add_row_sum

from .conftest import MEMBERS, World, limit_disk


def test_every_batch_is_recomputed_and_certified(world: World) -> None:
    member = world.member()
    for offer, header, root in zip(world.offers, world.headers, world.roots, strict=True):
        found, signature = member.certify(offer)
        assert found == header and member.state_root == root
        digest = certificate_digest(world.deployment.chain_id, world.deployment.rollup_number, offer.number, header)
        assert signer_of(digest, signature) == MEMBERS[0].address
    assert member.certify(world.offers[2]) == (world.headers[2], member.certify(world.offers[2])[1])  # again: the same
    assert member.tip == len(world.offers)


def test_what_was_certified_is_on_disk_and_a_restart_goes_on(world: World) -> None:
    for count, offer in enumerate(world.offers):
        member = world.member()  # a new process each time; the old one was not closed
        assert member.tip == count and member.state_root == ([world.deployment.config.genesis_root, *world.roots][count])
        member.certify(offer)
    held = world.member().batches(1, 100)
    assert [item.offer for item in held] == world.offers and [item.header_hash for item in held] == world.headers


def changed_root(offer: Offer) -> Offer:
    words = list(offer.effects)
    words[3] = (words[3] + 1) % MODULUS
    return dataclasses.replace(offer, effects=tuple(words))


def changed_cell(offer: Offer) -> Offer:
    cells = list(offer.body)
    cells[0] ^= 1 << 40  # a cent more cash
    return dataclasses.replace(offer, body=tuple(cells))


def changed_risk_root(offer: Offer) -> Offer:
    words = list(offer.effects)
    words[6] = (words[6] + 1) % MODULUS
    return dataclasses.replace(offer, effects=tuple(words))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (changed_root, "effects.new_state_root"),
        (changed_cell, "batch 2: "),
        (changed_risk_root, "inputs: risk_root"),
        (lambda offer: dataclasses.replace(offer, inputs=b"other feeds"), "batch 2: "),
        (lambda offer: dataclasses.replace(offer, effects=offer.effects[:-1]), "effects: "),
    ],
)
def test_what_does_not_add_up_is_refused_and_leaves_nothing(world: World, spoil: Callable[[Offer], Offer], message: str) -> None:
    member = world.member()
    member.certify(world.offers[0])
    bad = world.signed(spoil(world.offers[1]))  # even when the sequencer vouches for it
    with pytest.raises(Refused, match=message):
        member.certify(bad)
    assert member.tip == 1 and member.state_root == world.roots[0] and member.by_header(bad.header_of(world.deployment)) is None
    member.certify(world.offers[1])


def test_inputs_of_another_epoch_are_refused_even_with_the_right_prices(world: World) -> None:
    member = world.member()
    member.certify(world.offers[0])
    words = list(world.offers[1].effects)
    words[4] += 1
    with pytest.raises(Refused, match="inputs: epoch"):
        member.certify(world.signed(dataclasses.replace(world.offers[1], effects=tuple(words))))


def test_nobody_but_the_sequencer_offers_batches(world: World) -> None:
    member = world.member()
    for signature in (bytes(65), world.offers[1].signature, b"\1" * 65):
        with pytest.raises(OfferError, match="signature: not the sequencer's"):
            member.certify(dataclasses.replace(world.offers[0], signature=signature))
    assert member.tip == 0


def test_a_stranger_cannot_make_a_member_ask_layer_1(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    member = world.member()
    member.certify(world.offers[0])
    other, _ = another(world, 1)
    monkeypatch.setattr(world.layer1, "is_voided", lambda number, header: pytest.fail("layer 1 was asked"))
    with pytest.raises(OfferError, match="signature"):
        member.certify(dataclasses.replace(other, signature=world.offers[0].signature))


def test_a_batch_that_comes_too_early_names_the_one_that_is_missing(world: World) -> None:
    member = world.member()
    with pytest.raises(Behind) as caught:
        member.certify(world.offers[2])
    assert caught.value.next == 1
    member.take(world.offers[0])
    with pytest.raises(Behind) as caught:
        member.take(world.offers[3])
    assert caught.value.next == 2


def another(world: World, number: int) -> tuple[Offer, bytes]:
    """A second, equally consistent batch of a number: one trailing zero cell fewer changes nothing but where the log ended."""
    words = list(world.offers[number - 1].effects)
    words[8] ^= 1  # log_root
    offer = world.signed(dataclasses.replace(world.offers[number - 1], effects=tuple(words)))
    return offer, offer.header_of(world.deployment)


def test_never_two_headers_of_one_number_unless_layer_1_voided_the_first(world: World) -> None:
    member = world.member()
    for offer in world.offers[:3]:
        member.certify(offer)
    other, header = another(world, 2)
    assert header != world.headers[1]
    for attempt in (member.certify, member.take):
        with pytest.raises(Refused, match=f"batch 2: header {world.headers[1].hex()} was certified before"):
            attempt(other)
    world.layer1.voided.add((2, world.headers[1]))
    with pytest.raises(Refused, match="batch 3: header"):  # its descendant is certified too
        member.certify(other)
    world.layer1.voided.add((3, world.headers[2]))
    assert member.certify(other)[0] == header and member.tip == 2
    with pytest.raises(Refused, match=f"header {header.hex()} was certified before"):
        world.member().certify(world.offers[1])  # after a restart as well
    voided = member.by_header(world.headers[2])
    assert voided is not None and voided.offer == world.offers[2]  # it can still be had


def test_a_batch_that_went_to_layer_1_is_taken_and_its_successor_certified(world: World) -> None:
    """The quorum was away: this member signed batch 2 for the committee, then it went into calldata."""
    member = world.member()
    for offer in world.offers[:2]:
        member.certify(offer)
    posted, header = world.elsewhere(2, Data.CALLDATA)
    with pytest.raises(OfferError, match="needs no certificate"):
        member.certify(posted)
    with pytest.raises(Refused, match="was certified before"):
        member.take(posted)
    world.layer1.standing.add((2, header))
    member.take(posted)
    next_ = world.signed(dataclasses.replace(world.offers[2], parent_header_hash=header))
    assert member.certify(next_)[0] == next_.header_of(world.deployment) != world.headers[2]
    with pytest.raises(Behind) as caught:
        world.member("fresh").certify(next_)
    assert caught.value.next == 1


def test_a_batch_after_another_parent_asks_for_the_parent(world: World) -> None:
    member = world.member()
    for offer in world.offers[:2]:
        member.take(offer)
    other, header = another(world, 2)
    next_ = world.signed(dataclasses.replace(world.offers[2], parent_header_hash=header))
    with pytest.raises(Behind) as caught:
        member.certify(next_)
    assert caught.value.next == 2
    member.take(other)  # nothing of it was signed: it gives way
    assert member.certify(next_)[0] == next_.header_of(world.deployment)
    with pytest.raises(Refused, match="batch 1: its parent is not the genesis"):
        member.take(world.signed(dataclasses.replace(world.offers[0], parent_header_hash=header)))


def test_snapshots_lead_to_their_roots(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COPY_EVERY", 2)
    member = world.member()
    for offer in world.offers:
        member.take(offer)
    params = world.run.exchange.sequencer.committed.params
    for number, root in enumerate([world.deployment.config.genesis_root, *world.roots]):
        found = member.snapshot(number)
        assert found is not None and (found.number, found.state_root) == (number, root) and load_state(found.copy, params).root == root
    newest = member.snapshot()
    assert newest is not None and newest.header_hash == world.headers[-1]
    assert member.snapshot(len(world.offers) + 1) is None
    assert world.member().state_root == world.roots[-1]  # from a copy and what follows it


def test_neither_copies_nor_strangers_keep_a_member_from_certifying(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has a copy of the state made, and somebody else has an offer hashed that is not the sequencer's; both take as long as they like."""
    member, go, entered = world.member(), threading.Event(), threading.Barrier(3)
    member.certify(world.offers[0])

    def slow(function: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*args: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                entered.wait(10)
                assert go.wait(10)
            return function(*args)

        return wait

    monkeypatch.setattr(module, "dump_state", slow(module.dump_state))
    monkeypatch.setattr(Offer, "header_of", slow(Offer.header_of))
    with ThreadPoolExecutor(2) as pool:
        copy = pool.submit(member.snapshot)
        strange = pool.submit(member.take, dataclasses.replace(world.offers[1], signature=bytes(65)))
        entered.wait(10)
        member.certify(world.offers[1])
        assert member.tip == 2 and member.batches(1, 9)[1].offer == world.offers[1] and not copy.done() and not strange.done()
        go.set()
        found = copy.result(10)
        assert found is not None and (found.number, found.state_root) == (1, world.roots[0])
        with pytest.raises(OfferError, match="not the sequencer's"):
            strange.result(10)


def test_a_full_disk_certifies_nothing(world: World) -> None:
    member = world.member()
    member.certify(world.offers[0])
    limit_disk(world.stores[0], full=True)
    with pytest.raises(StoreError, match=r"member.sqlite: cannot be written: database or disk is full. Make room"):
        member.certify(world.offers[1])
    limit_disk(world.stores[0], full=False)
    assert (member.tip, member.state_root) == (1, world.roots[0])
    member.certify(world.offers[1])
    assert member.state_root == world.roots[1]


def test_files_that_cannot_be_used_are_told(world: World, tmp_path: Path) -> None:
    world.member().take(world.offers[0])
    with pytest.raises(StoreError, match=r"holds batches of rollup .* expected 0x1 on 31337"):
        MemberStore(tmp_path / "member" / "member.sqlite", world.deployment.chain_id, "0x1")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "member.sqlite").write_bytes(b"nothing" * 1000)
    with pytest.raises(StoreError, match="cannot be used"):
        world.member("bad")
    path = tmp_path / "member" / "member.sqlite"
    spoil(path, "UPDATE batches SET offer = replace(offer, '\"number\": 1', '\"number\": 2')")
    with pytest.raises(StoreError, match="what it holds of batch 1 is not as it was written"):
        world.member()
    spoil(path, "UPDATE batches SET offer = replace(offer, '\"number\": 2', '\"number\": 1')")
    world.member()
    with sqlite3.connect(path) as database:
        (text,) = database.execute("SELECT offer FROM batches").fetchone()
    raw = json.loads(text)
    raw["body"][0] = f"{int(raw['body'][0], 16) ^ 1 << 40:x}"
    spoil(path, "UPDATE batches SET offer = ?1, sum = row_sum(header_hash, number, ?1)", json.dumps(raw))
    with pytest.raises(StoreError, match="batch 1 on disk"):
        world.member()


def spoil(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        add_row_sum(database)
        assert database.execute(statement, values).rowcount == 1


def test_a_signature_that_the_disk_forgot_is_missed(world: World, tmp_path: Path) -> None:
    """Its number is what tells a second header of the batch from the first."""
    member = world.member()
    member.certify(world.offers[0])
    spoil(tmp_path / "member" / "member.sqlite", "UPDATE signed SET number = 2")
    with pytest.raises(StoreError, match="what it holds of batch 2 is not as it was written"):
        world.member()
    spoil(tmp_path / "member" / "member.sqlite", "UPDATE signed SET number = 1")
    assert world.member().certify(world.offers[0])[0] == world.headers[0]


def test_a_damaged_copy_of_the_state_is_passed_over(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COPY_EVERY", 1)
    member = world.member()
    for offer in world.offers:
        member.take(offer)
    spoil(tmp_path / "member" / "member.sqlite", "UPDATE copies SET copy = x'00' WHERE number = (SELECT max(number) FROM copies)")
    last = len(world.offers)
    text = "UPDATE copies SET copy = x'00', sum = row_sum(header_hash, number, x'00') WHERE number = ?"
    spoil(tmp_path / "member" / "member.sqlite", text, last - 1)
    assert world.member().state_root == world.roots[-1]
