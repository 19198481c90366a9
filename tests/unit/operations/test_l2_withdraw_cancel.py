from __future__ import annotations

import pytest
from support.market import BUY, CALL, DOLLARS, SELL, Market, table

from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, MinNonceRaised, OrderCancelled, OrderRejected, Trade, Withdrawn
from straddle.core.rejections import RejectionCode
from straddle.operations.l2_withdraw import available


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4)
    return market


def test_a_withdrawal_lowers_cash_and_takes_its_nonce(market: Market) -> None:
    assert market.ok(market.withdraw(3, 10_000 * DOLLARS, nonce=77)) == (Withdrawn(3, 0x1003, 10_000 * DOLLARS, 77),)
    account = market.exchange.accounts[3]
    assert (account.cash, account.action_nonce) == (0, 77)
    batch = market.cut()
    assert batch.withdrawals[3].nonce == 77 and batch.start[3].cash - batch.end[3].cash == 10_000 * DOLLARS


def test_withdrawable_is_the_surplus_of_a_short_seller(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 1_000)
    market.submit(4, CALL, BUY, 20_000, 1_000)
    valued = market.exchange.requirement_of(3)
    limit = valued.surplus_scaled // 10_000
    assert available(market.exchange, 3) == limit < valued.settled
    assert market.refused(market.withdraw(3, limit + 1)) is RejectionCode.WITHDRAWABLE
    market.ok(market.withdraw(3, limit))
    assert 0 <= market.exchange.requirement_of(3).surplus_scaled < 10_000


def test_option_value_cannot_be_withdrawn(market: Market) -> None:
    """A $60 option that can lose $31 supports trades, yet only cash leaves."""
    market.ok(InternalEpoch(table(2, row_1={"value": 60_000})))
    market.submit(3, CALL, SELL, 60_000, 1_000)
    market.submit(4, CALL, BUY, 60_000, 1_000)
    valued = market.exchange.requirement_of(4)
    assert valued.settled == market.exchange.accounts[4].cash < valued.surplus_scaled // 10_000
    assert market.refused(market.withdraw(4, valued.settled + 1)) is RejectionCode.WITHDRAWABLE
    market.ok(market.withdraw(4, valued.settled))


def test_open_orders_hold_money_back(market: Market) -> None:
    free = available(market.exchange, 3)
    market.submit(3, CALL, SELL, 20_000, 1_000)
    held = available(market.exchange, 3)
    assert held < free
    assert market.refused(market.withdraw(3, held + 1)) is RejectionCode.WITHDRAWABLE
    market.ok(market.cancel(3, 100))
    assert available(market.exchange, 3) == free


def test_cancel_kills_lower_nonces_only(market: Market) -> None:
    for nonce in (5, 9, 7):
        market.submit(3, CALL, SELL, 20_000, 10, nonce=nonce)
    events = market.ok(market.cancel(3, 9))
    assert events[0] == MinNonceRaised(3, 9)
    cancelled = [(event.order.nonce, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)]
    assert cancelled == [(5, CancelReason.MIN_NONCE), (7, CancelReason.MIN_NONCE)]
    assert [resting.order.nonce for resting in market.exchange.books[CALL].asks] == [9]
    refused = market.submit(3, CALL, SELL, 20_000, 10, nonce=7)[0]
    assert isinstance(refused, OrderRejected) and refused.rejection.code is RejectionCode.NONCE_DEAD


def test_what_filled_before_a_cancel_stands_and_the_highest_counts(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 20, nonce=5)
    assert isinstance(market.submit(4, CALL, BUY, 20_000, 10)[0], Trade)
    market.ok(market.cancel(3, 6))
    market.ok(market.cancel(3, 8))
    batch = market.cut()
    assert {account: cancel.min_nonce for account, cancel in batch.cancels.items()} == {3: 8}
    assert (batch.start[3].min_nonce, batch.end[3].min_nonce, batch.order_uses[1].fill) == (0, 8, 10)
