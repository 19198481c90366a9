"""l1_force_withdraw and l1_force_close: L1ForceWithdraw, L1ForceClose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.audit_accounts import BatchAudit, audit_conservation
from support.emergencies import bid, epoch, force_close, force_withdraw, transfer
from support.market import BUY, CALL, DOLLARS, OPERATOR, PERPETUAL, SELL, Market, picture

from straddle.core.accounts import FEE_ACCOUNT, Auction
from straddle.core.batch import AuctionChange
from straddle.core.commands import Command, InternalLiquidate, L1ForceClose
from straddle.core.events import AuctionBegun, AuctionEnded, CancelReason, ForcePaid, OrderCancelled, TakenOver
from straddle.core.market_state import MarketState
from straddle.core.rejections import RejectionCode as Code
from straddle.operations.l2_withdraw import available

HALF_HOUR = 30 * 60_000


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4)
    return market


def audit(market: Market, deposited: int, paid_out: int) -> None:
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()
    audit_conservation(market.exchange, deposited * DOLLARS, paid_out)


def test_a_forced_withdrawal_pays_what_was_asked(market: Market) -> None:
    assert market.ok(force_withdraw(market, 3, 7 * DOLLARS)) == (ForcePaid(3, 0x1003, 7 * DOLLARS, 7 * DOLLARS),)
    assert market.exchange.open_batch.forced == {3: 7 * DOLLARS} and market.exchange.accounts[3].action_nonce == 0
    audit(market, 20_000, 7 * DOLLARS)


def test_its_own_orders_do_not_starve_it(market: Market) -> None:
    """Trading keys and sequencers cannot keep the owner's money with a book full of orders."""
    market.submit(3, PERPETUAL, BUY, 890_000, 90_000)
    assert available(market.exchange, 3) < 2_000 * DOLLARS
    events = market.ok(force_withdraw(market, 3, 20_000 * DOLLARS))
    assert [type(event) for event in events] == [OrderCancelled, ForcePaid]
    assert isinstance(events[0], OrderCancelled) and events[0].reason is CancelReason.FORCED
    assert market.exchange.accounts[3].cash == 0 and 3 not in market.exchange.exposures
    audit(market, 20_000, 10_000 * DOLLARS)


def test_it_pays_no_more_than_may_be_withdrawn(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100_000)
    market.submit(4, CALL, BUY, 20_000, 100_000)
    market.cut()
    for account in (3, 4):
        market.ok(force_withdraw(market, account, 1 << 62))
        valued = market.exchange.requirement_of(account)
        assert (valued.surplus_scaled < 10_000 or valued.settled == 0) and valued.surplus_scaled >= 0 and valued.settled >= 0
    paid = sum(market.exchange.open_batch.forced.values())
    audit(market, 20_000, paid)


def test_one_below_im_is_answered_with_nothing(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100_000)
    market.submit(4, CALL, BUY, 20_000, 100_000)
    epoch(market, row_1={"value": 60_000})
    assert market.exchange.requirement_of(3).surplus_scaled < 0
    assert market.ok(force_withdraw(market, 3, 1)) == (ForcePaid(3, 0x1003, 1, 0),)
    audit(market, 20_000, 0)


def traded(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(4, CALL, BUY, 20_000, 10)


def withdrew(market: Market) -> None:
    market.ok(market.withdraw(3, 1))


def was_paid(market: Market) -> None:
    market.ok(force_withdraw(market, 3, 1))


@pytest.mark.parametrize("before", [traded, withdrew, was_paid])
def test_it_wants_a_batch_without_orders_and_actions(market: Market, before: Callable[[Market], None]) -> None:
    before(market)
    command = force_withdraw(market, 3, DOLLARS)
    picture_before = picture(market.exchange)
    assert market.refused(command) is Code.BATCH_BOUNDARY
    assert picture(market.exchange) == picture_before
    market.ok(command)
    paid = DOLLARS + (before is not traded)
    audit(market, 20_000, paid)


@pytest.mark.parametrize(
    "make",
    [
        lambda market: market.deposit(3, 1),
        lambda market: market.withdraw(3, 1),
        lambda market: market.cancel(3, 5),
        lambda market: market.set_key(3, 1),
        lambda market: force_close(market, 3, 1),
        lambda market: transfer(market, 5, 3, 1),
    ],
)
def test_nothing_else_touches_the_account_in_the_batch(market: Market, make: Callable[[Market], Command]) -> None:
    """Whatever changed its margin would change what it had to be paid."""
    market.ok(market.deposit(5, 10, owner=0x1003))
    market.ok(replace(market.set_key(5), owner=0x1003))
    market.cut()
    market.ok(force_withdraw(market, 3, 1))
    command = make(market)
    before = picture(market.exchange)
    assert market.refused(command) is Code.BATCH_BOUNDARY
    assert picture(market.exchange) == before


def test_fees_wait_when_the_fee_account_was_paid_by_force(market: Market) -> None:
    market.ok(market.deposit(FEE_ACCOUNT, 5, owner=OPERATOR))
    market.submit(3, CALL, SELL, 20_000, 10)
    market.ok(force_withdraw(market, FEE_ACCOUNT, 1 << 62))
    batches = len(market.closed)
    market.submit(4, CALL, BUY, 20_000, 10)
    assert len(market.closed) == batches + 1 and market.exchange.open_batch.fills
    audit(market, 20_005, 5 * DOLLARS)


@pytest.mark.parametrize("state", MarketState)
def test_requests_of_layer_1_are_answered_in_any_market(market: Market, state: MarketState) -> None:
    market.ok(market.state(state, 16 * 60_000))
    market.ok(force_withdraw(market, 3, 1))
    market.ok(force_close(market, 4, 10))


def test_requests_are_checked(market: Market) -> None:
    ask, close = force_withdraw(market, 3, 1), force_close(market, 3, 1)
    for command, code in (
        (replace(ask, queue_index=0), Code.QUEUE_ORDER),
        (replace(close, queue_index=99), Code.QUEUE_ORDER),
        (replace(ask, account=9), Code.UNKNOWN_ACCOUNT),
        (replace(close, account=9), Code.UNKNOWN_ACCOUNT),
        (replace(ask, owner=1), Code.OWNER),
        (replace(close, owner=1), Code.OWNER),
        (replace(ask, amount=0), Code.AMOUNT),
        (replace(ask, amount=1 << 63), Code.AMOUNT),
        (replace(close, limit_bps=10_001), Code.BID_LIMIT),
        (replace(close, limit_bps=-1), Code.BID_LIMIT),
    ):
        assert market.refused(command) is code


def test_a_forced_close_sells_a_healthy_portfolio_within_the_owner_s_limit(market: Market) -> None:
    market.join(5, dollars=100_000)
    traded(market)
    market.submit(3, CALL, SELL, 21_000, 10)
    market.cut()
    events = market.ok(force_close(market, 3, 1_000))
    time_ms = market.exchange.context.table.time_ms
    assert isinstance(events[0], OrderCancelled) and events[1:] == (AuctionBegun(3, time_ms, True, 1_000),)
    batch = market.cut()
    assert batch.auctions == {3: AuctionChange.CLOSE_BEGUN} and 3 not in batch.opened
    assert market.refused(market.trade(3, market.order(3, CALL, BUY, 20_000, 10))) is Code.IN_AUCTION
    assert market.refused(InternalLiquidate(3)) is Code.NOT_LIQUIDATABLE, "covered, but its owner wants it sold"
    epoch(market, HALF_HOUR // 2)
    old = market.exchange.requirement_of(3)
    (taken,) = market.ok(bid(market, 5, 3, 10_000))
    assert isinstance(taken, TakenOver) and taken.payment == -10 * 20_000 - 1_000 * old.mm_scaled // (2 * 10_000 * 10_000)
    market.cut()
    assert market.ok(InternalLiquidate(3)) == (AuctionEnded(3),)
    audit(market, 120_000, 0)


def test_a_forced_auction_ends_when_its_time_is_over(market: Market) -> None:
    traded(market)
    market.ok(force_close(market, 3, 0))
    epoch(market, HALF_HOUR - 1)
    assert market.refused(InternalLiquidate(3)) is Code.NOT_LIQUIDATABLE
    epoch(market, 1)
    assert market.ok(InternalLiquidate(3)) == (AuctionEnded(3),)
    market.submit(3, CALL, BUY, 20_000, 10, expiry_ms=market.exchange.context.table.time_ms + 1)
    audit(market, 20_000, 0)


def test_a_forced_close_does_not_turn_a_running_clock_back(market: Market) -> None:
    """Nor does one with limit 0 shield an account below MM: there the discount is the parameters'."""
    market.join(5, dollars=100_000)
    market.submit(3, CALL, SELL, 20_000, 100_000)
    market.submit(4, CALL, BUY, 20_000, 100_000)
    market.cut()
    weak = {"value": 60_000, "band": 20_000}
    epoch(market, row_1=weak)
    market.ok(InternalLiquidate(3))
    running = market.exchange.accounts[3].auction
    epoch(market, 60_000, row_1=weak)
    assert market.ok(force_close(market, 3, 0)) == ()
    assert market.exchange.accounts[3].auction == running == Auction(running.start_ms if running else 0, False, 0)
    assert market.refused(force_close(market, 3, 0)) is Code.BATCH_BOUNDARY
    assert not market.exchange.open_batch.auctions
    old, params = market.exchange.requirement_of(3), market.exchange.params
    (taken,) = market.ok(bid(market, 5, 3, 10_000))
    assert isinstance(taken, TakenOver)
    assert taken.payment == -100_000 * 60_000 - params.discount_bps * 60_000 * old.mm_scaled // (params.auction_ms * 10_000 * 10_000)
    audit(market, 120_000, 0)


def test_below_mm_a_forced_auction_sells_at_the_parameters_discount(market: Market) -> None:
    market.join(5, dollars=100_000)
    market.submit(3, CALL, SELL, 20_000, 100_000)
    market.submit(4, CALL, BUY, 20_000, 100_000)
    market.ok(force_close(market, 3, 0))
    market.cut()
    epoch(market, 60_000, row_1={"value": 60_000, "band": 20_000})
    old, params = market.exchange.requirement_of(3), market.exchange.params
    (taken,) = market.ok(bid(market, 5, 3, 10_000))
    assert isinstance(taken, TakenOver)
    assert taken.payment == -100_000 * 60_000 - params.discount_bps * 60_000 * old.mm_scaled // (params.auction_ms * 10_000 * 10_000)
    audit(market, 120_000, 0)


def test_a_close_without_positions_ends_at_once(market: Market) -> None:
    market.ok(force_close(market, 3, 10_000))
    assert market.refused(InternalLiquidate(3)) is Code.BATCH_BOUNDARY
    assert market.ok(InternalLiquidate(3)) == (AuctionEnded(3),)
    assert isinstance(market.closed[-1].queue[0], L1ForceClose)
    audit(market, 20_000, 0)
