"""Signed messages against docs/protocol/messages.md."""

from __future__ import annotations

import pytest

from straddle.core.commands import L2Cancel, L2Protect, L2Withdraw
from straddle.core.messages import OrderSetTree, cancel_words, domain, order_leaf, order_set_words, order_words, protection_words, withdrawal_words
from straddle.core.orders import Order, OrderSet, Side, Signature
from straddle.core.protection import ProtectionLimits
from straddle.primitives.hashing import compress, keccak256, sponge

SIGNATURE = Signature(1, 2, 3)


def order(nonce: int = 5, limit_ticks: int = -7) -> Order:
    return Order(nonce, 2, 1_590_000_000_000, 300, limit_ticks, 9, Side.BUY, 40, 1)


def test_order_words_are_packed_from_the_lowest_bit() -> None:
    first = 5 | 2 << 64 | 1_590_000_000_000 << 80 | 300 << 128 | (-7 + 2**39) << 168
    second = 9 | 1 << 32 | 40 << 40 | 1 << 72
    assert order_words(order()) == (first, second)
    assert order_leaf(order()) == sponge("straddle.order", [first, second])


@pytest.mark.parametrize("limit_ticks", [-(2**39) - 1, 2**39])
def test_a_limit_out_of_range_is_named(limit_ticks: int) -> None:
    with pytest.raises(ValueError, match="limit_ticks"):
        order_words(order(limit_ticks=limit_ticks))


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64])
def test_every_order_opens_under_the_root(count: int) -> None:
    orders = [order(nonce) for nonce in range(count)]
    tree = OrderSetTree(orders)
    for index, leaf in enumerate(tree.leaves):
        node = leaf
        for level, sibling in enumerate(tree.path(index)):
            node = compress(sibling, node) if index >> level & 1 else compress(node, sibling)
        assert node == tree.root


def test_beyond_the_last_order_leaves_are_the_number_zero() -> None:
    node = order_leaf(order())
    zero = 0
    for _ in range(6):
        node, zero = compress(node, zero), compress(zero, zero)
    assert OrderSetTree([order()]).root == node


@pytest.mark.parametrize("count", [0, 65])
def test_a_set_has_1_to_64_orders(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 64"):
        OrderSetTree([order(i) for i in range(count)])


def test_six_words() -> None:
    orders = (order(1), order(2))
    assert order_set_words(77, OrderSet(3, 4, orders, SIGNATURE)) == (77, 1, 3, 4, OrderSetTree(orders).root, 0)
    assert withdrawal_words(77, L2Withdraw(3, 4, 6, 500, SIGNATURE)) == (77, 2, 3, 4, 6 | 500 << 64, 0)
    assert cancel_words(77, L2Cancel(3, 4, 8, SIGNATURE)) == (77, 3, 3, 4, 8, 0)
    payload = 9 | 5_000 << 64 | 2_000 << 96 | 700 << 128 | 123_456 << 168
    assert protection_words(77, L2Protect(3, 4, 9, ProtectionLimits(5_000, 2_000, 700, 123_456), SIGNATURE)) == (77, 4, 3, 4, payload, 0)


def test_domain() -> None:
    digest = keccak256(b"straddle.domain" + (31337).to_bytes(32, "big") + (0xABC).to_bytes(20, "big"))
    assert domain(31337, 0xABC) == int.from_bytes(digest, "big") % 2**248
    assert len({domain(1, 1), domain(1, 2), domain(2, 1)}) == 3
