"""Signed messages against docs/protocol/messages.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from straddle.core.commands import L2Bid, L2Cancel, L2Protect, L2Transfer, L2Withdraw
from straddle.core.messages import (
    OrderSetTree,
    bid_words,
    cancel_words,
    domain,
    legs_word,
    order_leaf,
    order_set_payload,
    order_set_root,
    order_set_words,
    order_terms,
    protection_words,
    remember_root,
    transfer_words,
    withdrawal_words,
)
from straddle.core.orders import Leg, Order, OrderSet, Side, Signature, outright
from straddle.core.protection import ProtectionLimits
from straddle.primitives.hashing import compress, keccak256
from straddle.primitives.order_sets import fold_set

SIGNATURE = Signature(1, 2, 3)


def order(nonce: int = 5, limit_ticks: int = -7) -> Order:
    return outright(nonce, 2, 1_590_000_000_000, 300, limit_ticks, 9, Side.BUY, 40, 9)


def test_terms_and_legs_are_packed_from_the_lowest_bit() -> None:
    terms = 5 | 2 << 64 | 1_590_000_000_000 << 80 | 300 << 128 | (-7 + 2**39) << 168 | 40 << 208 | 1 << 240 | 9 << 241
    assert order_terms(order()) == terms < 2**248
    assert legs_word(order().legs) == 9 | 1 << 32
    assert order_leaf(order()) == compress(terms, 9 | 1 << 32)
    legs = (Leg(9, 3), Leg(10, -127), Leg(2**32 - 1, 1), Leg(12, -2))
    words = 9 | 3 << 32, 10 | 127 << 32 | 1 << 39, (2**32 - 1) | 1 << 32, 12 | 2 << 32 | 1 << 39
    assert legs_word(legs) == words[0] | words[1] << 40 | words[2] << 80 | words[3] << 120 < 2**160


@pytest.mark.parametrize("limit_ticks", [-(2**39) - 1, 2**39])
def test_a_limit_out_of_range_is_named(limit_ticks: int) -> None:
    with pytest.raises(ValueError, match="limit_ticks"):
        order_terms(order(limit_ticks=limit_ticks))


@pytest.mark.parametrize(
    ("legs", "name"), [((), "legs"), ((Leg(1, 1),) * 5, "legs"), ((Leg(1, 0),), "ratio"), ((Leg(1, 128),), "ratio"), ((Leg(2**32, 1),), "instrument")]
)
def test_legs_out_of_range_are_named(legs: tuple[Leg, ...], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        legs_word(legs)


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64])
def test_every_order_opens_under_the_root(count: int) -> None:
    orders = [order(nonce) for nonce in range(count)]
    tree = OrderSetTree(orders)
    assert tree.leaves == tuple(order_leaf(item) for item in orders)
    assert order_set_root(orders) == tree.root
    for index, leaf in enumerate(tree.leaves):
        assert fold_set(leaf, index, tree.path(index)) == tree.root


def test_beyond_the_last_order_leaves_are_the_number_zero_and_pass_their_left_through() -> None:
    first, second, third = (order_leaf(order(nonce)) for nonce in range(3))
    assert OrderSetTree([order(0)]).root == first
    tree = OrderSetTree([order(nonce) for nonce in range(3)])
    assert tree.root == compress(compress(first, second), third)
    assert tree.path(2) == (0, compress(first, second), 0, 0, 0, 0)


def test_a_remembered_root_is_that_of_one_object() -> None:
    order_set = OrderSet(3, 4, (order(1), order(2)), SIGNATURE)
    root = order_set_root(order_set.orders)
    assert order_set_payload(order_set) == root
    remember_root(order_set, 12345)  # a wrong one, to see where it is used
    assert order_set_payload(order_set) == 12345
    assert order_set_payload(OrderSet(3, 4, (order(1), order(2)), SIGNATURE)) == order_set_payload(replace(order_set)) == root
    remember_root(order_set, root)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"nonce": 2**64}, "nonce"),
        ({"revision": -1}, "revision"),
        ({"expiry_ms": 2**48}, "expiry_ms"),
        ({"size_lots": 2**40}, "size_lots"),
        ({"fee_cap": 2**32}, "fee_cap"),
        ({"side": 2}, "side"),
        ({"flags": 128}, "flags"),
    ],
)
def test_a_term_out_of_range_is_named(change: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        order_terms(replace(order(), **change))


@pytest.mark.parametrize("count", [0, 65])
def test_a_set_has_1_to_64_orders(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        OrderSetTree([order(i) for i in range(count)])


def test_six_words() -> None:
    orders = (order(1), order(2))
    assert order_set_words(77, OrderSet(3, 4, orders, SIGNATURE)) == (77, 1, 3, 4, OrderSetTree(orders).root, 0)
    assert withdrawal_words(77, L2Withdraw(3, 4, 6, 500, SIGNATURE)) == (77, 2, 3, 4, 6 | 500 << 64, 0)
    assert cancel_words(77, L2Cancel(3, 4, 8, SIGNATURE)) == (77, 3, 3, 4, 8, 0)
    assert transfer_words(77, L2Transfer(3, 4, 6, 8, 500, SIGNATURE)) == (77, 5, 3, 4, 6 | 500 << 64 | 8 << 128, 0)
    assert bid_words(77, L2Bid(3, 4, 6, 8, 10_000, -5, 99, SIGNATURE)) == (77, 6, 3, 4, 6 | 8 << 64 | 10_000 << 96 | (2**63 - 5) << 110 | 99 << 174, 0)
    payload = 9 | 5_000 << 64 | 2_000 << 96 | 700 << 128 | 123_456 << 168
    assert protection_words(77, L2Protect(3, 4, 9, ProtectionLimits(5_000, 2_000, 700, 123_456), SIGNATURE)) == (77, 4, 3, 4, payload, 0)


def test_domain() -> None:
    digest = keccak256(b"straddle.domain" + (31337).to_bytes(32, "big") + (0xABC).to_bytes(20, "big"))
    assert domain(31337, 0xABC) == int.from_bytes(digest, "big") % 2**248
    assert len({domain(1, 1), domain(1, 2), domain(2, 1)}) == 3
