from __future__ import annotations

from dataclasses import replace

import pytest
from support.market import BUY, CALL, DOLLARS, PUT, SELL, Market, secret

from straddle.core.accounts import FEE_ACCOUNT, NO_KEY
from straddle.core.events import CancelReason, Deposited, KeySet, OrderCancelled


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4)
    return market


def test_a_first_deposit_creates_the_account_and_sets_no_key(market: Market) -> None:
    assert market.ok(market.deposit(5, 7)) == (Deposited(5, 0x1005, 7 * DOLLARS, True),)
    account = market.exchange.accounts[5]
    assert (account.owner, account.cash, account.key, account.key_epoch) == (0x1005, 7 * DOLLARS, NO_KEY, 0)
    assert market.exchange.queue_pointer == 5
    batch = market.cut()
    assert (batch.start[5].owner, batch.end[5].owner, batch.deposits[5], len(batch.queue), batch.queue_pointer) == (0, 0x1005, 7 * DOLLARS, 1, 4)


def test_deposits_add_up(market: Market) -> None:
    market.ok(market.deposit(3, 1))
    assert market.ok(market.deposit(3, 2)) == (Deposited(3, 0x1003, 2 * DOLLARS, False),)
    assert market.exchange.open_batch.deposits == {3: 3 * DOLLARS}
    assert market.exchange.accounts[3].cash == 10_003 * DOLLARS


def test_the_operator_may_fund_the_fee_account(market: Market) -> None:
    market.ok(market.deposit(FEE_ACCOUNT, 1, owner=0xA11CE))
    assert market.exchange.accounts[FEE_ACCOUNT].cash == DOLLARS


def test_a_new_key_cancels_the_orders_of_the_old_one_and_acts_from_the_next_batch(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(3, PUT, BUY, 15_000, 20)
    events = market.ok(market.set_key(3, 1))
    assert events[0] == KeySet(3, secret(3, 1).public, 2)
    assert [(event.order.instrument, event.left_lots, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)] == [
        (CALL, 10, CancelReason.KEY_CHANGED), (PUT, 20, CancelReason.KEY_CHANGED)]  # fmt: skip
    exchange = market.exchange
    assert 3 not in exchange.open_orders and 3 not in exchange.exposures
    assert len(exchange.books[CALL].asks) == len(exchange.books[PUT].bids) == 0
    market.cut()
    market.generations[3] = 1
    market.submit(3, CALL, SELL, 20_000, 10)
    assert len(exchange.books[CALL].asks) == 1


def test_revocation_leaves_positions_and_money(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(4, CALL, BUY, 20_000, 10)
    cash = market.exchange.accounts[3].cash
    market.ok(replace(market.set_key(3), key=NO_KEY))
    account = market.exchange.accounts[3]
    assert (account.key, account.key_epoch, account.positions, account.cash) == (NO_KEY, 2, {CALL: -10}, cash)
