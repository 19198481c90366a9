from __future__ import annotations

from dataclasses import replace

import pytest
from support.audit_accounts import BatchAudit, audit_conservation
from support.emergencies import epoch, transfer
from support.market import BUY, CALL, DOLLARS, NANO, PERPETUAL, SELL, Market, picture

from straddle.core.events import Transferred
from straddle.core.market_state import MarketState
from straddle.core.params import CASH_MAX
from straddle.core.rejections import RejectionCode as Code
from straddle.operations.l2_withdraw import available

OWNER = 0x1003


@pytest.fixture
def market() -> Market:
    """3, 5 and 6 belong to one owner; 4 to another."""
    market = Market()
    market.join(3, 4)
    for account in (5, 6):
        market.ok(market.deposit(account, 10, owner=OWNER))
        market.ok(replace(market.set_key(account), owner=OWNER))
    market.cut()
    return market


def test_money_moves_between_accounts_of_one_owner(market: Market) -> None:
    assert market.ok(transfer(market, 3, 5, 7 * DOLLARS)) == (Transferred(3, 5, 7 * DOLLARS, 1),)
    exchange = market.exchange
    assert (exchange.accounts[3].cash, exchange.accounts[5].cash) == (9_993 * DOLLARS, 17 * DOLLARS)
    assert exchange.open_batch.deposits == {5: 7 * DOLLARS} and list(exchange.open_batch.opened) == [3], "the receiver needs no position rows"
    batch = market.cut()
    BatchAudit(batch, exchange.params).run()
    audit_conservation(exchange, 20_020 * DOLLARS, 0)


def test_one_action_a_batch_and_a_receiver_may_pass_it_on(market: Market) -> None:
    market.ok(transfer(market, 3, 5, DOLLARS))
    assert market.refused(transfer(market, 3, 5, DOLLARS)) is Code.BATCH_BOUNDARY
    assert market.refused(market.withdraw(3, 1)) is Code.BATCH_BOUNDARY
    market.ok(transfer(market, 5, 6, 11 * DOLLARS))
    batch = market.cut()
    assert list(batch.transfers) == [3, 5] and market.exchange.accounts[5].cash == 0
    BatchAudit(batch, market.exchange.params).run()
    market.ok(transfer(market, 3, 5, DOLLARS))


def test_what_orders_reserve_stays(market: Market) -> None:
    market.submit(3, PERPETUAL, BUY, 890_000, 50_000)
    limit = available(market.exchange, 3)
    assert limit < 6_000 * DOLLARS and market.refused(transfer(market, 3, 5, limit + 1)) is Code.WITHDRAWABLE
    market.ok(transfer(market, 3, 5, limit))


def test_the_sender_stays_covered_and_settled_to_the_end_of_the_batch(market: Market) -> None:
    market.ok(transfer(market, 3, 5, available(market.exchange, 3)))
    market.submit(4, CALL, SELL, 20_000, 10)
    market.submit(3, CALL, BUY, 20_000, 10)
    batch = market.cut()
    assert not batch.fills
    BatchAudit(batch, market.exchange.params).run()


def test_the_receiver_s_margin_counts_it_as_a_deposit(market: Market) -> None:
    market.submit(5, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, BUY, 20_000, 100)
    market.cut()
    epoch(market, row_1={"value": 120_000})
    assert market.exchange.requirement_of(5).surplus_scaled < 0
    market.ok(transfer(market, 3, 5, DOLLARS))
    BatchAudit(market.cut(), market.exchange.params).run()


def test_transfers_are_checked(market: Market) -> None:
    market.ok(transfer(market, 3, 5, DOLLARS, nonce=4))
    market.cut()
    full = CASH_MAX - 1
    cases = [
        (transfer(market, 3, 4, 1), Code.OWNER),
        (transfer(market, 3, 3, 1), Code.UNKNOWN_ACCOUNT),
        (transfer(market, 3, 99, 1), Code.UNKNOWN_ACCOUNT),
        (transfer(market, 3, 5, 0), Code.AMOUNT),
        (replace(transfer(market, 3, 5, 1), amount=CASH_MAX + 1), Code.AMOUNT),
        (transfer(market, 3, 5, 1, nonce=0), Code.ACTION_NONCE),
        (transfer(market, 3, 5, 1, nonce=4), Code.ACTION_NONCE),
        (replace(transfer(market, 3, 5, 1), amount=2), Code.SIGNATURE),
        (replace(transfer(market, 3, 5, 1), to=6), Code.SIGNATURE),
        (transfer(market, 3, 5, 10_000 * DOLLARS), Code.WITHDRAWABLE),
        (transfer(market, 3, 5, full), Code.CASH_BOUND),
    ]
    for command, code in cases:
        before = picture(market.exchange)
        assert market.refused(command) is code
        assert picture(market.exchange) == before


@pytest.mark.parametrize(("state", "code"), [(MarketState.HALTED, Code.MARKET_HALTED), (MarketState.CANCEL_ONLY, Code.CANCEL_ONLY)])
def test_markets_that_keep_money_in(market: Market, state: MarketState, code: Code) -> None:
    market.ok(market.state(state))
    assert market.refused(transfer(market, 3, 5, 1)) is code


def test_the_preset_s_transfers_are_counted() -> None:
    market = Market(NANO)
    market.join(3, 4, 5)
    for account in (6, 7, 8):
        market.ok(market.deposit(account, 1, owner=0x1000 + account - 3))
    market.cut()
    market.ok(transfer(market, 3, 6, 1))
    market.ok(transfer(market, 4, 7, 1))
    assert market.refused(transfer(market, 5, 8, 1)) is Code.BATCH_BOUNDARY
    market.ok(transfer(market, 5, 8, 1))
