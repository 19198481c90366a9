"""internal_liquidate, l2_bid and internal_deleverage: InternalLiquidate, L2Bid, InternalDeleverage."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from support.audit import audit_derived, audit_kept, carried
from support.audit_accounts import BatchAudit, audit_conservation
from support.emergencies import BANKRUPT, SOLVENT, bid, epoch, force_close, force_withdraw, shorted, transfer
from support.market import BUY, CALL, DOLLARS, OPERATOR, PERPETUAL, PUT, SELL, TIME_MS, Market, picture, secret

from straddle.core.accounts import INSURANCE_ACCOUNT, Auction
from straddle.core.batch import AuctionChange
from straddle.core.commands import InternalDeleverage, InternalLiquidate, InternalSettle, L1SetKey
from straddle.core.deleveraging import ranking
from straddle.core.events import AuctionBegun, AuctionEnded, CancelReason, Deleveraged, OrderCancelled, OrderResting, TakenOver
from straddle.core.instruments import BTC, Settlement
from straddle.core.market_state import MarketState
from straddle.core.rejections import RejectionCode as Code
from straddle.operations.l2_withdraw import available
from straddle.primitives.keys import SecretKey

SHORT, LONG, BIDDER = 3, 4, 5
WEAK, WORSE = {"row_1": SOLVENT}, {"row_1": BANKRUPT}
HALF_HOUR = 30 * 60_000


@pytest.fixture
def market() -> Market:
    return shorted()


def equity(market: Market, account: int) -> int:
    return market.exchange.requirement_of(account).equity


def begun(market: Market, later_ms: int = 0, **rows: Any) -> Market:
    """The auction of the short account has begun in an earlier batch, `later_ms` ago."""
    epoch(market, **(rows or WEAK))
    market.ok(InternalLiquidate(SHORT))
    market.cut()
    if later_ms:
        epoch(market, later_ms, **(rows or WEAK))
    return market


def fund(market: Market, dollars: int) -> None:
    market.ok(market.deposit(INSURANCE_ACCOUNT, dollars, owner=OPERATOR))
    market.cut()


def audit(market: Market, deposited: int = 1_020_000) -> None:
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()
    audit_conservation(market.exchange, deposited * DOLLARS, 0)


def test_an_account_below_mm_is_put_up_for_sale_and_its_orders_leave(market: Market) -> None:
    market.submit(SHORT, CALL, BUY, 19_000, 10)
    epoch(market, **WEAK)
    events = market.ok(InternalLiquidate(SHORT))
    time_ms = market.exchange.context.table.time_ms
    assert isinstance(events[0], OrderCancelled) and events[0].reason is CancelReason.LIQUIDATION
    assert events[1:] == (AuctionBegun(SHORT, time_ms, False, 0),)
    assert market.exchange.accounts[SHORT].auction == Auction(time_ms, False, 0) and SHORT not in market.exchange.open_orders
    assert market.exchange.open_batch.auctions == {SHORT: AuctionChange.BEGUN}
    audit(market)


def test_a_healthy_account_is_not(market: Market) -> None:
    before = picture(market.exchange)
    assert market.refused(InternalLiquidate(SHORT)) is Code.NOT_LIQUIDATABLE
    assert market.refused(InternalLiquidate(77)) is Code.UNKNOWN_ACCOUNT
    assert picture(market.exchange) == before


def test_whoever_changed_in_the_batch_waits_for_the_next(market: Market) -> None:
    epoch(market, row_1={"value": 300_000, "band": 300_000})
    market.submit(LONG, CALL, SELL, 299_000, 10)
    market.submit(SHORT, CALL, BUY, 299_000, 10)
    assert market.exchange.open_batch.fills
    assert market.refused(InternalLiquidate(SHORT)) is Code.BATCH_BOUNDARY
    market.ok(InternalLiquidate(SHORT))
    audit(market)


def test_a_deposit_counts_before_the_auction_and_waits_after_it(market: Market) -> None:
    epoch(market, **WEAK)
    market.ok(market.deposit(SHORT, 1))
    market.ok(InternalLiquidate(SHORT))
    assert market.refused(market.deposit(SHORT, 10_000)) is Code.BATCH_BOUNDARY
    market.ok(market.deposit(SHORT, 10_000))
    assert market.ok(InternalLiquidate(SHORT)) == (AuctionEnded(SHORT),)
    assert market.exchange.accounts[SHORT].auction is None
    audit(market, 1_020_000 + 10_001)


def test_while_for_sale_an_account_neither_trades_nor_acts(market: Market) -> None:
    begun(market)
    assert market.refused(market.trade(SHORT, market.order(SHORT, CALL, BUY, 300_000, 10))) is Code.IN_AUCTION
    assert market.refused(market.withdraw(SHORT, 1)) is Code.IN_AUCTION
    assert market.refused(bid(market, SHORT, LONG, 1)) is Code.IN_AUCTION
    market.ok(market.deposit(6, 1, owner=0x1000 + SHORT))
    assert market.refused(transfer(market, SHORT, 6, 1)) is Code.IN_AUCTION
    market.ok(market.cancel(SHORT, 100))
    market.ok(market.set_key(SHORT, 1))
    market.ok(market.deposit(SHORT, 1))
    market.ok(force_withdraw(market, SHORT, 1))
    assert market.exchange.open_batch.forced == {SHORT: 0}
    audit(market, 1_020_002)


def test_a_bid_expires(market: Market) -> None:
    begun(market)
    time_ms = market.exchange.context.table.time_ms
    for expiry_ms in (0, time_ms):
        assert market.refused(bid(market, LONG, SHORT, 10_000, expiry_ms=expiry_ms)) is Code.ORDER_EXPIRED
    market.ok(bid(market, LONG, SHORT, 10_000, expiry_ms=time_ms + 1))
    audit(market)


@pytest.mark.parametrize("fraction", [1, 2_500, 9_999, 10_000])
def test_failure_3_any_fraction_leaves_an_auction_that_closes(market: Market, fraction: int) -> None:
    """Also whole and whole less a hundredth of a percent; what is left is sold next, and the rest of the money is free."""
    begun(market, HALF_HOUR)
    held = market.exchange.accounts[SHORT].positions[CALL]
    (taken,) = market.ok(bid(market, BIDDER, SHORT, fraction))
    assert isinstance(taken, TakenOver) and taken.lots == ((CALL, -(30_000 * fraction // 10_000)),)
    assert market.exchange.positions_of(SHORT).get(CALL, 0) == held - taken.lots[0][1]
    market.cut()
    if fraction == 1:
        market.ok(bid(market, BIDDER, SHORT, 10_000))
    elif market.exchange.positions_of(SHORT):  # at MM again, not covered: it closes the rest itself
        market.submit(BIDDER, CALL, SELL, 300_000, 22_500)
        assert market.refused(market.trade(SHORT, market.order(SHORT, CALL, BUY, 300_000, 100))) is Code.IN_AUCTION
        market.submit(SHORT, CALL, BUY, 300_000, -market.exchange.positions_of(SHORT)[CALL] // 10 * 10, flags=8)
    market.cut()
    assert market.ok(InternalLiquidate(SHORT)) == (AuctionEnded(SHORT),)
    assert market.exchange.accounts[SHORT].auction is None and abs(market.exchange.positions_of(SHORT).get(CALL, 0)) < 10
    market.cut()
    left = available(market.exchange, SHORT)
    market.ok(market.withdraw(SHORT, left))
    assert left > 0 and market.exchange.accounts[SHORT].cash <= 10 * DOLLARS
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()


@pytest.mark.parametrize("minutes", [0, 1, 10, 29, 30, 300])
def test_the_discount_rises_with_age_to_its_share_of_the_margin_freed(market: Market, minutes: int) -> None:
    begun(market, minutes * 60_000 + (not minutes))
    old, worth, params = market.exchange.requirement_of(SHORT), -30_000 * 300_000, market.exchange.params
    age = min(minutes * 60_000 + (not minutes), params.auction_ms)
    allowed = params.discount_bps * age * old.mm_scaled // (params.auction_ms * 10_000 * 10_000)
    (taken,) = market.ok(bid(market, BIDDER, SHORT, 10_000))
    assert isinstance(taken, TakenOver) and taken.payment == worth - min(allowed, old.equity)
    assert equity(market, SHORT) == old.equity - min(allowed, old.equity)
    audit(market)


def test_failure_5_a_bid_binds_price_and_state(market: Market) -> None:
    """One made for the price of now is not filled at another, and one for a solvent account not on a bankrupt one."""
    begun(market, 60_000)
    (price,) = (taken.payment for taken in market.ok(bid(market, BIDDER, SHORT, 10_000, -8_900 * DOLLARS)) if isinstance(taken, TakenOver))
    assert price <= -8_900 * DOLLARS
    other = begun(shorted())
    assert other.refused(bid(other, BIDDER, SHORT, 10_000, price - 200 * DOLLARS)) is Code.BID_LIMIT
    epoch(other, **WORSE)
    assert other.refused(bid(other, BIDDER, SHORT, 10_000)) is Code.BANKRUPT
    epoch(other)
    assert other.refused(bid(other, BIDDER, SHORT, 10_000)) is Code.NOT_LIQUIDATABLE
    assert other.ok(InternalLiquidate(SHORT)) == (AuctionEnded(SHORT),)
    assert other.refused(bid(other, BIDDER, SHORT, 10_000)) is Code.NOT_IN_AUCTION


def test_failure_1_the_bidder_is_margined_with_its_orders_reserved_and_steps_do_not_mix(market: Market) -> None:
    market.join(6, dollars=1_500)
    begun(market, HALF_HOUR)
    assert market.refused(bid(market, 6, SHORT, 10_000)) is Code.MARGIN
    market.submit(BIDDER, PERPETUAL, SELL, 910_000, 9_960_000)
    assert market.refused(bid(market, BIDDER, SHORT, 10_000)) is Code.MARGIN
    market.ok(market.cancel(BIDDER, 2))
    market.ok(bid(market, BIDDER, SHORT, 5_000))
    assert market.refused(bid(market, 6, SHORT, 5_000)) is Code.BATCH_BOUNDARY
    assert market.refused(bid(market, BIDDER, LONG, 5_000)) is Code.BATCH_BOUNDARY
    assert market.refused(market.withdraw(BIDDER, 1)) is Code.BATCH_BOUNDARY
    assert market.refused(InternalLiquidate(SHORT)) in (Code.BATCH_BOUNDARY, Code.NOT_LIQUIDATABLE)
    batch = market.cut()
    assert [takeover.winner for takeover in batch.takeovers] == [BIDDER]
    BatchAudit(batch, market.exchange.params).run()


def test_a_bidder_under_protection_is_margined_with_what_that_lets_fill(market: Market) -> None:
    begun(market, HALF_HOUR)
    market.submit(BIDDER, PERPETUAL, SELL, 910_000, 9_960_000)
    assert market.refused(bid(market, BIDDER, SHORT, 10_000)) is Code.MARGIN
    market.ok(market.protect(BIDDER, 1_000, 0, 1_000))
    market.ok(bid(market, BIDDER, SHORT, 10_000))
    audit(market)


def test_an_auction_of_this_batch_takes_no_bid_yet(market: Market) -> None:
    epoch(market, **WEAK)
    market.ok(InternalLiquidate(SHORT))
    assert market.refused(bid(market, BIDDER, SHORT, 10_000)) is Code.BATCH_BOUNDARY
    market.ok(bid(market, BIDDER, SHORT, 10_000))
    audit(market)


def test_bids_are_checked(market: Market) -> None:
    begun(market)
    cases = [
        (bid(market, BIDDER, SHORT, 0), Code.FRACTION),
        (replace(bid(market, BIDDER, SHORT, 10_000), fraction_bps=10_001), Code.FRACTION),
        (replace(bid(market, BIDDER, SHORT, 10_000), limit=1 << 63), Code.BID_LIMIT),
        (bid(market, BIDDER, 99, 1), Code.UNKNOWN_ACCOUNT),
        (bid(market, BIDDER, BIDDER, 1), Code.UNKNOWN_ACCOUNT),
        (replace(bid(market, BIDDER, SHORT, 1), fraction_bps=2), Code.SIGNATURE),
        (bid(market, BIDDER, SHORT, 1, nonce=0), Code.ACTION_NONCE),
        (bid(market, BIDDER, LONG, 1), Code.NOT_IN_AUCTION),
    ]
    for command, code in cases:
        before = picture(market.exchange)
        assert market.refused(command) is code
        assert picture(market.exchange) == before
    market.ok(market.state(MarketState.HALTED))
    assert market.refused(bid(market, BIDDER, SHORT, 1)) is Code.MARKET_HALTED


def test_a_slice_without_a_lot_is_refused(market: Market) -> None:
    market.submit(SHORT, CALL, BUY, 20_000, 29_990)
    market.submit(LONG, CALL, SELL, 20_000, 29_990)
    market.ok(force_close(market, SHORT, 100))
    market.cut()
    assert market.refused(bid(market, BIDDER, SHORT, 999)) is Code.FRACTION
    market.ok(bid(market, BIDDER, SHORT, 1_000))
    audit(market)


def test_the_winner_keeps_to_caps_and_counts(market: Market) -> None:
    begun(market, HALF_HOUR)
    exchange = market.exchange
    exchange.instruments[CALL] = replace(exchange.instruments[CALL], position_cap_lots=29_999)
    assert market.refused(bid(market, BIDDER, SHORT, 10_000)) is Code.POSITION_CAP
    exchange.instruments[CALL] = replace(exchange.instruments[CALL], position_cap_lots=30_000)
    exchange.limits = replace(exchange.limits, positions=1)
    market.submit(BIDDER, PUT, BUY, 14_000, 10)
    assert market.refused(bid(market, BIDDER, SHORT, 10_000)) is Code.POSITIONS_MAX


def test_the_insurance_fund_waits_for_the_auction_and_takes_what_is_left(market: Market) -> None:
    fund(market, 50_000)
    begun(market, HALF_HOUR - 1)
    assert market.refused(InternalLiquidate(SHORT)) is Code.NOT_LIQUIDATABLE
    epoch(market, 1, **WEAK)
    before = equity(market, SHORT), equity(market, INSURANCE_ACCOUNT)
    (taken,) = market.ok(InternalLiquidate(SHORT))
    assert isinstance(taken, TakenOver) and (taken.winner, taken.fraction_bps, taken.lots) == (INSURANCE_ACCOUNT, 10_000, ((CALL, -30_000),))
    assert market.exchange.open_batch.takeovers[0].bid is None
    after = equity(market, SHORT), equity(market, INSURANCE_ACCOUNT)
    assert after[0] < before[0] and after[0] >= 0 and sum(after) == sum(before)
    market.cut()
    assert market.ok(InternalLiquidate(SHORT)) == (AuctionEnded(SHORT),)
    audit(market, 1_070_000)


def test_the_fund_takes_a_bankrupt_account_at_once_and_bears_its_loss(market: Market) -> None:
    fund(market, 50_000)
    begun(market, **WORSE)
    loss = equity(market, SHORT)
    assert loss < -1_400 * DOLLARS
    market.ok(InternalLiquidate(SHORT))
    assert equity(market, SHORT) == 0 == market.exchange.accounts[SHORT].cash and equity(market, INSURANCE_ACCOUNT) == 50_000 * DOLLARS + loss
    audit(market, 1_070_000)


def test_failure_14_the_fund_is_isolated_and_what_it_cannot_carry_is_deleveraged(market: Market) -> None:
    """Its own equity caps its loss: short of margin it takes nothing, and deleveraging fires."""
    fund(market, 1_500)
    begun(market, **WORSE)
    assert market.refused(InternalLiquidate(SHORT)) is Code.MARGIN
    before = {account: equity(market, account) for account in market.exchange.accounts}
    (closed,) = market.ok(InternalDeleverage(SHORT))
    assert isinstance(closed, Deleveraged) and (closed.winner, closed.size_lots) == (LONG, -30_000)
    assert not market.exchange.positions_of(SHORT) and not market.exchange.positions_of(LONG)
    after = {account: equity(market, account) for account in market.exchange.accounts}
    deficit = -before[SHORT]
    assert -30_000 < after[SHORT] <= 0, "the deficit but for less than a tick a lot"
    assert before[LONG] - after[LONG] == deficit + after[SHORT] and after[INSURANCE_ACCOUNT] == 1_500 * DOLLARS and after[BIDDER] == before[BIDDER]
    market.cut()
    market.ok(InternalLiquidate(SHORT))
    market.cut()
    assert equity(market, SHORT) == 0 and market.ok(InternalLiquidate(SHORT)) == (AuctionEnded(SHORT),)
    audit(market, 1_021_500)


def test_deleveraging_comes_after_the_fund_and_only_on_the_bankrupt(market: Market) -> None:
    fund(market, 50_000)
    assert market.refused(InternalDeleverage(SHORT)) is Code.NOT_IN_AUCTION
    assert market.refused(InternalDeleverage(99)) is Code.UNKNOWN_ACCOUNT
    begun(market)
    assert market.refused(InternalDeleverage(SHORT)) is Code.NOT_LIQUIDATABLE
    epoch(market, **WORSE)
    assert market.refused(InternalDeleverage(SHORT)) is Code.FUND_FIRST


def test_failure_4_the_rest_beyond_the_band_stays_a_debt_that_the_fund_pays_later_and_emergencies_repeat(market: Market) -> None:
    """The exchange recovers from each, and none of them forgets another's loss."""
    begun(market, row_1={"value": 400_000, "band": 10_000})
    deficit = -equity(market, SHORT)
    market.ok(InternalDeleverage(SHORT))
    assert equity(market, SHORT) == -deficit + 30_000 * 10_000 < 0 and not market.exchange.positions_of(SHORT)
    assert market.refused(InternalDeleverage(SHORT)) is Code.BATCH_BOUNDARY
    market.cut()
    assert market.refused(InternalDeleverage(SHORT)) is Code.NO_COUNTERPARTY
    assert market.refused(InternalLiquidate(SHORT)) is Code.MARGIN
    fund(market, 1_000)
    assert market.refused(InternalLiquidate(SHORT)) is Code.MARGIN
    fund(market, 1_000)
    market.ok(InternalLiquidate(SHORT))
    assert equity(market, SHORT) == 0
    market.cut()
    market.ok(InternalLiquidate(SHORT))
    market.ok(market.deposit(SHORT, 10_000))
    market.cut()
    epoch(market)
    market.submit(SHORT, CALL, SELL, 20_000, 30_000)
    market.submit(BIDDER, CALL, BUY, 20_000, 30_000)
    begun(market, **WORSE)
    market.ok(InternalDeleverage(SHORT))
    audit(market, 1_032_000)


def test_the_highest_leverage_is_closed_first_as_far_as_rows_go(market: Market) -> None:
    """Those short of IM come first and pay nothing above the mark; the preset has room for four closings."""
    market.join(6, 7, 8, 9, dollars=3_000)
    market.join(10, dollars=10_000)
    market.submit(10, CALL, SELL, 20_000, 10_000)
    for account, size in {6: 1_000, 7: 4_000, 8: 3_000, 9: 2_000}.items():
        market.submit(account, CALL, BUY, 20_000, size)
    market.cut()
    begun(market, **WORSE)
    valued = {account: market.exchange.requirement_of(account) for account in (4, 6, 7, 8, 9)}
    expected = sorted(valued, key=lambda account: -Fraction(valued[account].im_scaled, valued[account].equity))
    assert expected[0] == LONG and expected[1:] == [7, 8, 9, 6]
    market.exchange.capacity = replace(market.exchange.capacity, deleverages=4)
    closed = [event for event in market.ok(InternalDeleverage(SHORT)) if isinstance(event, Deleveraged)]
    assert [event.winner for event in closed] == [LONG] and market.exchange.positions_of(SHORT) == {}
    audit(market, 1_020_000 + 22_000)


def test_what_does_not_fit_a_batch_is_closed_in_the_next(market: Market) -> None:
    """The short account's counterparties are four, the batch takes two."""
    market.exchange.capacity = replace(market.exchange.capacity, deleverages=2)
    market.join(6, 7, 8, dollars=3_000)
    for account, size in {6: 10_000, 7: 5_000, 8: 6_000}.items():
        market.submit(LONG, CALL, SELL, 20_000, size)
        market.submit(account, CALL, BUY, 20_000, size)
    market.cut()
    begun(market, **WORSE)
    rank = ranking(market.exchange, SHORT)[CALL]
    winners: list[int] = []
    while market.exchange.positions_of(SHORT):
        closed = [event.winner for event in market.ok(InternalDeleverage(SHORT)) if isinstance(event, Deleveraged)]
        assert len(closed) == 2
        winners += closed
    assert winners == rank and sorted(rank) == [LONG, 6, 7, 8]
    assert -30_000 < equity(market, SHORT) <= 0
    audit(market, 1_020_000 + 9_000)


def test_nobody_pays_what_would_leave_it_short_of_im(market: Market) -> None:
    """Account 6 holds the other side of a perpetual with little to spare: it is closed at the price that leaves it just covered; the rest stays a debt."""
    market.join(6, dollars=130)
    market.join(7, dollars=130)
    market.submit(6, PERPETUAL, SELL, 900_000, 1_000)
    market.submit(7, PERPETUAL, BUY, 900_000, 1_000)
    market.cut()
    fallen = {"row_3": {"value": 599_000, "band": 300_000}}
    epoch(market, **fallen)
    market.ok(market.withdraw(6, 315 * DOLLARS))
    market.ok(InternalLiquidate(7))
    market.cut()
    spare = market.exchange.requirement_of(6).equity
    (closed,) = market.ok(InternalDeleverage(7))
    assert isinstance(closed, Deleveraged) and closed.winner == 6 and closed.price_ticks == 600_000 + spare // 1_000
    assert 0 <= equity(market, 6) < 1_000 and equity(market, 7) < -DOLLARS
    audit_accounts(market)


def test_a_pair_is_unwound_in_an_order_that_lowers_risk(market: Market) -> None:
    """Bankrupt with a short call and its hedge: closing the hedge first would raise the account's risk."""
    market.submit(SHORT, PERPETUAL, BUY, 900_000, 10_000)
    market.submit(BIDDER, PERPETUAL, SELL, 900_000, 10_000)
    begun(market, row_1={"value": 400_000, "band": 100_000})
    events = market.ok(InternalDeleverage(SHORT))
    assert {event.instrument for event in events if isinstance(event, Deleveraged)} == {CALL, PERPETUAL}
    audit(market)


def audit_accounts(market: Market) -> None:
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()


def test_those_closed_against_lose_their_orders_in_the_instrument(market: Market) -> None:
    begun(market, **WORSE)
    market.submit(LONG, CALL, SELL, 500_000, 10)
    market.submit(LONG, PUT, BUY, 14_000, 10)
    events = market.ok(InternalDeleverage(SHORT))
    assert [(event.order.instrument, event.reason) for event in events if isinstance(event, OrderCancelled)] == [(CALL, CancelReason.DELEVERAGED)]
    assert [resting.order.instrument for resting in market.exchange.open_orders[LONG].values()] == [PUT]
    audit(market)


def test_those_closed_against_lose_what_they_no_longer_carry(market: Market) -> None:
    """The position that was closed hedged what is still quoted: the younger quote goes, before anybody meets it in vain."""
    begun(market, **WORSE)
    market.ok(market.withdraw(LONG, available(market.exchange, LONG)))
    market.submit(LONG, PUT, BUY, 15_000, 10)
    sizes = range(300_000, 0, -1_000)
    assert any(isinstance(market.submit(LONG, PERPETUAL, SELL, 899_000, size)[0], OrderResting) for size in sizes)
    market.cut()
    before = carried(market.exchange)
    assert before[LONG] and len(market.exchange.open_orders[LONG]) == 2
    events = market.ok(InternalDeleverage(SHORT))
    cancelled = [(event.account, event.order.instrument, event.reason) for event in events if isinstance(event, OrderCancelled)]
    assert cancelled == [(LONG, PERPETUAL, CancelReason.MARGIN)]
    assert [resting.order.instrument for resting in market.exchange.open_orders[LONG].values()] == [PUT]
    audit_kept(market.exchange, before)
    audit_derived(market.exchange)
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()


def test_a_deleveraged_row_only_shrinks_to_the_end_of_the_batch(market: Market) -> None:
    """Who was closed against does not turn to the other side in the same batch: the circuit wants its row reduced."""
    begun(market, **WORSE)
    market.ok(InternalDeleverage(SHORT))
    market.submit(BIDDER, CALL, BUY, 400_000, 10)
    batches = len(market.closed)
    market.submit(LONG, CALL, SELL, 400_000, 10)
    assert len(market.closed) == batches + 1
    audit(market)


def test_failure_13_nobody_is_seized_on_stale_prices(market: Market) -> None:
    fund(market, 50_000)
    begun(market, **WORSE)
    market.ok(market.state(later_ms=15 * 60_000 + 1))
    for command in (InternalLiquidate(SHORT), InternalDeleverage(SHORT), bid(market, BIDDER, SHORT, 1)):
        assert market.refused(command) is Code.STALE_TABLE
    epoch(market, 16 * 60_000, **WORSE)
    market.ok(InternalLiquidate(SHORT))


def test_a_market_that_is_shut_does_not_stop_a_liquidation(market: Market) -> None:
    fund(market, 50_000)
    epoch(market, **WORSE)
    market.ok(market.state(MarketState.HALTED))
    market.ok(InternalLiquidate(SHORT))
    market.cut()
    market.ok(InternalLiquidate(SHORT))
    audit(market, 1_070_000)


def test_the_fund_itself_is_sold_and_deleveraged_but_not_to_itself(market: Market) -> None:
    fund(market, 2_900)
    begun(market, HALF_HOUR)
    market.ok(InternalLiquidate(SHORT))
    epoch(market, row_1={"value": 500_000, "band": 400_000})
    assert equity(market, INSURANCE_ACCOUNT) < 0
    market.ok(InternalLiquidate(INSURANCE_ACCOUNT))
    market.cut()
    assert market.refused(InternalLiquidate(INSURANCE_ACCOUNT)) is Code.IN_AUCTION
    (closed,) = market.ok(InternalDeleverage(INSURANCE_ACCOUNT))
    assert isinstance(closed, Deleveraged) and closed.winner == LONG
    audit(market, 1_022_900)


def test_the_operator_may_trade_the_fund_out_of_what_it_took(market: Market) -> None:
    fund(market, 50_000)
    begun(market, HALF_HOUR)
    market.ok(InternalLiquidate(SHORT))
    key = SecretKey.from_seed(b"2/0")
    assert key.public == secret(INSURANCE_ACCOUNT).public
    market.ok(L1SetKey(market.exchange.queue_pointer, INSURANCE_ACCOUNT, OPERATOR, key.public))
    market.cut()
    market.submit(LONG, CALL, SELL, 300_000, 30_000)
    market.submit(INSURANCE_ACCOUNT, CALL, BUY, 300_000, 30_000)
    assert not market.exchange.positions_of(INSURANCE_ACCOUNT)


def test_reduce_only_markets_keep_their_promise_when_positions_are_taken(market: Market) -> None:
    market.submit(SHORT, CALL, SELL, 20_000, 100)
    market.submit(BIDDER, CALL, BUY, 20_000, 100)
    begun(market, HALF_HOUR)
    market.ok(market.state(MarketState.REDUCE_ONLY))
    market.submit(BIDDER, CALL, SELL, 350_000, 100)
    events = market.ok(bid(market, BIDDER, SHORT, 10_000))
    assert [event.reason for event in events if isinstance(event, OrderCancelled)] == [CancelReason.REDUCE_ONLY]
    assert market.exchange.positions_of(BIDDER)[CALL] == -30_000


def test_a_takeover_leaves_settled_instruments_out_and_pays_them_in_cash(market: Market) -> None:
    """The account is long a put that settled; with that cash it is still below MM."""
    market.submit(BIDDER, PUT, SELL, 15_000, 100)
    market.submit(SHORT, PUT, BUY, 15_000, 100)
    market.cut()
    day = 24 * 3_600_000
    market.ok(market.state(later_ms=day))
    market.exchange.instruments[CALL] = replace(market.exchange.instruments[CALL], expiry_ms=TIME_MS + 2 * day)
    market.ok(InternalSettle((Settlement(PUT, BTC, 2_000),), ()))
    rows = {"row_1": {**SOLVENT, "expiry_ms": TIME_MS + 2 * day}}
    epoch(market, day, **rows)
    market.ok(InternalLiquidate(SHORT))
    assert market.exchange.positions_of(SHORT) == {CALL: -30_000}, "opened, so paid"
    market.cut()
    epoch(market, 1, **rows)
    cash = market.exchange.accounts[BIDDER].cash
    (taken,) = market.ok(bid(market, BIDDER, SHORT, 5_000))
    assert isinstance(taken, TakenOver) and taken.lots == ((CALL, -15_000),)
    assert market.exchange.positions_of(BIDDER) == {CALL: -15_000}, "the bidder's own settled put was paid too"
    assert market.exchange.accounts[BIDDER].cash == cash - taken.payment - 100 * 2_000
    audit(market)


def test_a_slice_that_rounds_hedges_away_is_refused(market: Market) -> None:
    """20 long hold 10 and 10 short: a twentieth takes one of the hedge and none of the risk, and nobody pays the account for that."""
    same = {"deltas": tuple(100 * (s - 20) for s in range(48)), "long_im": 0, "long_mm": 0, "short_im": 0, "short_mm": 0}
    epoch(market, row_1=same, row_2=same, row_3=same)
    for instrument, side, lots, limit in ((CALL, BUY, 20, 20_000), (PUT, SELL, 10, 15_000), (PERPETUAL, SELL, 10, None)):
        price = market.exchange.context.table[instrument].mark if limit is None else limit
        market.submit(BIDDER, instrument, side, price, lots)
        market.submit(LONG, instrument, side.opposite, price, lots)
    assert sorted(market.exchange.positions_of(BIDDER).values()) == [-10, -10, 20]
    market.ok(force_close(market, BIDDER, 100))
    market.cut()
    assert market.refused(bid(market, LONG, BIDDER, 500)) is Code.FRACTION
    market.ok(bid(market, LONG, BIDDER, 1_000))
    audit(market)
