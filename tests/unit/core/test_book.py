from __future__ import annotations

import pytest

from straddle.core.book import Book, BookSide, RestingOrder
from straddle.core.orders import OrderSet, Side, Signature, outright


def resting(account: int, nonce: int, limit_ticks: int, left_lots: int = 10, side: Side = Side.SELL) -> RestingOrder:
    order = outright(nonce, 0, 1, left_lots, limit_ticks, 1, side, 0)
    return RestingOrder(account, order, OrderSet(account, 1, (order,), Signature(0, 0, 0)), 0, 0, left_lots)


@pytest.mark.parametrize(("side", "expected"), [(Side.SELL, [2, 3, 1, 4]), (Side.BUY, [4, 1, 2, 3])])
def test_best_price_first_then_arrival(side: Side, expected: list[int]) -> None:
    orders = BookSide(side)
    for nonce, price in ((1, 20), (2, 10), (3, 10), (4, 30)):
        orders.add(resting(3, nonce, price, side=side))
    assert [order.order.nonce for order in orders] == expected
    assert orders.best_ticks() == (10 if side is Side.SELL else 30)


def test_remove_empties_levels() -> None:
    orders = BookSide(Side.SELL)
    first, second = resting(3, 1, 10), resting(4, 1, 10)
    orders.add(first)
    orders.add(second)
    orders.remove(first)
    assert list(orders) == [second] and len(orders) == 1
    orders.remove(second)
    assert orders.best_ticks() is None and list(orders.prices()) == [] and list(orders) == []
    with pytest.raises(KeyError):
        orders.remove(second)


def test_the_same_key_at_the_same_price_keeps_its_turn() -> None:
    orders = BookSide(Side.BUY)
    for order in (resting(3, 1, 10), resting(4, 1, 10), resting(3, 1, 10, 5)):
        orders.add(order)
    assert [(order.account, order.left_lots) for order in orders] == [(3, 5), (4, 10)]


def test_depth_adds_up_levels() -> None:
    book = Book()
    for nonce, price in ((1, 20), (2, 10), (3, 10), (4, 30)):
        book.side(Side.BUY).add(resting(3, nonce, price, nonce))
    assert book.bids.depth(2) == [(30, 4), (20, 1)] and book.bids.depth(9) == [(30, 4), (20, 1), (10, 5)]
    assert book.asks.depth(9) == []


def test_an_order_that_is_put_back_has_its_old_turn() -> None:
    side = Book().side(Side.BUY)
    first, second, third = (resting(3, nonce, 100, side=Side.BUY) for nonce in (1, 2, 3))
    for turn, order in enumerate((first, second, third), 1):
        order.turn = turn
        side.add(order)
    side.remove(second)
    side.restore(second)
    assert [order.turn for order in side] == [1, 2, 3] and side.best() is first
    for order in (first, second, third):
        side.remove(order)
    assert side.best() is None and side.best_ticks() is None
    side.restore(third)
    assert list(side) == [third]


def test_a_taker_meets_the_best_order_within_its_limit() -> None:
    book = Book()
    assert book.best_for(Side.BUY, 10**9) is None and book.best_for(Side.SELL, -(10**9)) is None
    ask, bid = resting(3, 1, 20), resting(3, 2, 10, side=Side.BUY)
    for order in (resting(4, 1, 21), ask, bid, resting(4, 2, 9, side=Side.BUY)):
        book.side(order.order.side).add(order)
    assert [book.best_for(Side.BUY, limit) for limit in (19, 20, 30)] == [None, ask, ask]
    assert [book.best_for(Side.SELL, limit) for limit in (11, 10, 1)] == [None, bid, bid]
