"""Sets checked ahead of the transition: the same answers, with nothing left to verify."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from straddle.core import messages
from straddle.core.authority import check_sets
from straddle.core.commands import L1SetKey, L2Trade
from straddle.core.orders import OrderSet, Side
from straddle.core.rejections import RejectionCode
from straddle.primitives import keys, native
from tests.support.market import CALL, Market, picture, secret


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    for memory in (keys.VALID, messages._ROOTS):
        memory.clear()
    yield
    for memory in (keys.VALID, messages._ROOTS):
        memory.clear()


def traders() -> Market:
    market = Market()
    market.join(5, 6)
    return market


def trades(market: Market) -> list[L2Trade]:
    """Good and bad sets of both accounts, one of an account that is not there."""
    sizes = (1, 3, 2)
    good = [market.trade(5 + n % 2, *(market.order(5 + n % 2, CALL, Side.BUY, 10_000 + i, 10) for i in range(size))) for n, size in enumerate(sizes)]
    first, second, third = (trade.order_set for trade in good)
    bad = (
        replace(first, account=6),
        replace(first, signature=second.signature),
        replace(second, orders=second.orders[::-1]),
        replace(third, orders=third.orders[:1]),
        replace(third, orders=()),
        replace(third, orders=(replace(third.orders[0], nonce=2**64),)),
        replace(third, key_epoch=7),
        replace(third, account=99),
    )
    return [*(L2Trade(order_set) for order_set in bad), *good]


def test_answers_are_the_same_with_and_without() -> None:
    plain, ahead = traders(), traders()
    commands, others = trades(plain), trades(ahead)
    assert check_sets(ahead.exchange, [trade.order_set for trade in others]) == [False] * 8 + [True] * 3
    for command, other in zip(commands, others, strict=True):
        expected, found = plain.do(command), ahead.do(other)
        assert (expected.rejection, expected.events) == (found.rejection, found.events)
    assert picture(plain.exchange) == picture(ahead.exchange)


def test_nothing_is_left_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    market = traders()
    *bad, one, two, three = trades(market)
    check_sets(market.exchange, [trade.order_set for trade in (*bad, one, two, three)])

    def called(*_: object) -> bytes:
        raise AssertionError("the native library was called")

    monkeypatch.setattr(native, "verify_many", called)
    monkeypatch.setattr(native, "order_set", called)
    for trade in (one, two, three):
        assert market.do(trade).accepted


def test_a_set_made_of_the_same_parts_is_another_one() -> None:
    market = traders()
    trade = market.trade(5, market.order(5, CALL, Side.BUY, 10_000, 10))
    assert check_sets(market.exchange, [trade.order_set]) == [True]
    other = market.order(5, CALL, Side.BUY, 10_001, 10)
    forged = OrderSet(5, trade.order_set.key_epoch, (other,), trade.order_set.signature)
    assert market.refused(L2Trade(forged)) is RejectionCode.SIGNATURE


def test_a_key_that_changes_in_between_counts() -> None:
    market = traders()
    trade = market.trade(5, market.order(5, CALL, Side.BUY, 10_000, 10))
    assert check_sets(market.exchange, [trade.order_set]) == [True]
    market.ok(L1SetKey(market.exchange.queue_pointer, 5, 0x1005, secret(5, 1).public))
    market.cut()
    assert market.refused(trade) is RejectionCode.KEY_EPOCH
