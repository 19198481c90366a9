"""internal_market, and what each market state lets a trading key do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.audit import audit_exchange
from support.market import BUY, CALL, DOLLARS, INSTRUMENTS, PERPETUAL, SELL, TIME_MS, Market, picture, table

from straddle.core.commands import InternalEpoch, InternalList, InternalMarket
from straddle.core.events import CancelReason, MarketChanged, OrderCancelled, OrderRejected, OrderResting, Trade
from straddle.core.market_state import MarketState, reducible_lots, strictest
from straddle.core.orders import Side
from straddle.core.params import Limits
from straddle.core.rejections import RejectionCode
from straddle.operations import internal_market

AGE_MS = 15 * 60_000


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4, 5)
    return market


def test_the_time_and_the_state_are_those_told_and_leave_no_row(market: Market) -> None:
    assert market.ok(InternalMarket(TIME_MS + 7, MarketState.HALTED)) == (MarketChanged(TIME_MS + 7, MarketState.HALTED),)
    assert (market.exchange.time_ms, market.exchange.market, market.exchange.market_state) == (TIME_MS + 7, MarketState.HALTED, MarketState.HALTED)
    batch = market.cut()
    assert batch.start == {} and batch.first_sequence == batch.last_sequence
    assert market.do(InternalMarket(TIME_MS + 7, MarketState.OPEN)).accepted
    assert market.do(InternalMarket((1 << 48) - 1, MarketState.OPEN)).accepted


def test_it_needs_no_table() -> None:
    market = Market(open_=False)
    market.ok(InternalMarket(0, MarketState.REDUCE_ONLY))
    assert market.exchange.market_state is MarketState.REDUCE_ONLY
    assert market.do(InternalMarket(10**12, MarketState.OPEN)).accepted and market.exchange.market_state is MarketState.OPEN


@pytest.mark.parametrize("state", MarketState)
def test_layer_1_listings_and_epochs_go_on_in_every_state(market: Market, state: MarketState) -> None:
    market.ok(market.state(state, AGE_MS + 1))
    assert market.do(market.deposit(3, 1)).accepted
    assert market.do(market.set_key(3, 1)).accepted
    market.ok(InternalEpoch(table(2)))
    assert market.exchange.market is state


def test_a_revoked_key_cancels_in_a_halted_market(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.ok(market.state(MarketState.HALTED))
    assert len(market.exchange.books[CALL].asks) == 1
    market.ok(market.set_key(3, 1))
    assert len(market.exchange.books[CALL].asks) == 0


@pytest.mark.parametrize(("state", "later_ms"), [(MarketState.CANCEL_ONLY, 0), (MarketState.OPEN, AGE_MS + 1)])
def test_cancel_only_lets_orders_leave(market: Market, state: MarketState, later_ms: int) -> None:
    for account in (3, 4, 5):
        market.submit(account, CALL, SELL, 20_000, 100, nonce=5)
    market.ok(market.state(state, later_ms))
    assert market.exchange.market_state is MarketState.CANCEL_ONLY
    (amended_away,) = market.submit(3, CALL, SELL, 20_000, 0, nonce=5, revision=1)
    assert isinstance(amended_away, OrderCancelled) and amended_away.reason is CancelReason.AMENDED
    assert len(market.ok(market.cancel(4, 6))) == 2
    assert [resting.account for resting in market.exchange.books[CALL].asks] == [5]
    assert market.do(market.protect(3, 1, 1, 1)).accepted


def test_an_old_table_makes_a_reduce_only_market_cancel_only_and_a_halted_one_stay(market: Market) -> None:
    for state, effective in ((MarketState.REDUCE_ONLY, MarketState.CANCEL_ONLY), (MarketState.HALTED, MarketState.HALTED)):
        market.ok(market.state(state, AGE_MS + 1))
        assert market.exchange.market_state is effective


def test_a_table_is_too_old_just_after_its_maximum_age_and_a_new_one_reopens(market: Market) -> None:
    market.ok(market.state(later_ms=AGE_MS))
    assert market.exchange.market_state is MarketState.OPEN
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 10)[0], OrderResting)
    market.ok(market.state(later_ms=1))
    assert market.exchange.market_state is MarketState.CANCEL_ONLY and market.exchange.market is MarketState.OPEN
    assert isinstance(market.submit(4, CALL, BUY, 20_000, 10)[0], OrderRejected)
    market.ok(InternalEpoch(table(2, time_ms=TIME_MS + 1)))
    assert isinstance(market.submit(4, CALL, BUY, 20_000, 10)[0], Trade)


def test_the_maximum_age_is_a_limit_of_the_exchange() -> None:
    market = Market(limits=Limits(positions=5, table_age_ms_max=1_000))
    market.ok(market.state(later_ms=1_000))
    assert market.exchange.market_state is MarketState.OPEN
    market.ok(market.state(later_ms=1))
    assert market.exchange.market_state is MarketState.CANCEL_ONLY


def test_a_table_ahead_of_the_sequencers_time_is_fresh(market: Market) -> None:
    market.ok(InternalMarket(5, MarketState.OPEN))
    assert market.exchange.market_state is MarketState.OPEN


@pytest.mark.parametrize(("position", "side", "lots"), [(7, BUY, 0), (7, SELL, 7), (-7, BUY, 7), (-7, SELL, 0), (0, BUY, 0), (0, SELL, 0)])
def test_reducible_lots(position: int, side: Side, lots: int) -> None:
    assert reducible_lots(position, side) == lots


def long_and_short(market: Market) -> None:
    """Account 3 is long 100 calls, account 4 short."""
    market.submit(4, CALL, SELL, 20_000, 100)
    market.submit(3, CALL, BUY, 20_000, 100)


def test_going_reduce_only_cancels_what_could_add(market: Market) -> None:
    """Oldest first: 60 and 40 lots close the position, the 50 between them and the bids are too much."""
    long_and_short(market)
    market.submit(5, CALL, SELL, 20_200, 10)
    for size_lots in (60, 50, 40):
        market.submit(3, CALL, SELL, 20_100, size_lots)
    market.submit(3, CALL, BUY, 19_900, 10)
    market.submit(3, PERPETUAL, BUY, 900_000, 10)
    market.submit(4, CALL, BUY, 19_900, 100)
    command = market.state(MarketState.REDUCE_ONLY)
    before = picture(market.exchange)
    plan = internal_market.check(market.exchange, command)
    assert isinstance(plan, internal_market.Plan) and picture(market.exchange) == before
    events = market.ok(command)
    cancelled = [(event.account, event.order.nonce, event.reason) for event in events if isinstance(event, OrderCancelled)]
    assert cancelled == [(account, nonce, CancelReason.REDUCE_ONLY) for account, nonce in ((3, 3), (3, 5), (3, 6), (5, 1))]
    assert market.exchange.books[CALL].asks.depth(9) == [(20_100, 100)] and market.exchange.books[CALL].bids.depth(9) == [(19_900, 100)]
    audit_exchange(market.exchange, 30_000 * DOLLARS, 0)


@pytest.mark.parametrize("state", [MarketState.OPEN, MarketState.CANCEL_ONLY, MarketState.HALTED])
def test_other_states_cancel_nothing(market: Market, state: MarketState) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    assert len(market.ok(market.state(state))) == 1 and len(market.exchange.books[CALL].asks) == 1


def test_a_reduce_only_market_closes_positions_and_opens_none(market: Market) -> None:
    long_and_short(market)
    market.ok(market.state(MarketState.REDUCE_ONLY))
    assert isinstance(market.submit(4, CALL, BUY, 20_000, 100)[0], OrderResting)
    assert isinstance(market.submit(5, CALL, SELL, 20_000, 10)[0], OrderRejected)
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 30)[0], Trade)
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 80)[0], OrderRejected)
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 70, flags=1)[0], Trade)
    assert market.exchange.accounts[3].positions == market.exchange.accounts[4].positions == {}
    assert market.do(market.withdraw(5, 1)).accepted


def test_an_amendment_in_a_reduce_only_market_counts_in_place_of_what_it_replaces(market: Market) -> None:
    long_and_short(market)
    market.submit(3, CALL, SELL, 20_100, 100, nonce=50)
    market.ok(market.state(MarketState.REDUCE_ONLY))
    assert isinstance(market.submit(3, CALL, SELL, 20_200, 100, nonce=50, revision=1)[-1], OrderResting)
    rejected = market.submit(3, CALL, SELL, 20_200, 110, nonce=50, revision=2)[0]
    assert isinstance(rejected, OrderRejected) and rejected.rejection.code is RejectionCode.REDUCE_ONLY


def test_it_works_between_a_listing_and_its_table(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    new = replace(INSTRUMENTS[0], id=4)
    market.ok(InternalList((new,)))
    assert market.do(market.state(MarketState.REDUCE_ONLY)).accepted
    assert market.exchange.open_orders == {} and market.exchange.exposures == {}
    market.ok(InternalEpoch(table(2, instruments=(*INSTRUMENTS, new))))
    assert market.cut().listings == [new]


def test_an_order_leaves_the_book_and_its_reservation_when_the_sequencers_time_reaches_its_date(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10, expiry_ms=TIME_MS + 5_000)
    market.submit(3, CALL, SELL, 20_100, 10, expiry_ms=TIME_MS + 5_001)
    market.submit(4, PERPETUAL, BUY, 890_000, 10, expiry_ms=TIME_MS + 1)
    assert len(market.ok(InternalMarket(TIME_MS + 4_999, MarketState.OPEN))) == 2
    assert market.exchange.open_orders.keys() == {3} and 4 not in market.exchange.exposures
    events = market.ok(InternalMarket(TIME_MS + 5_000, MarketState.OPEN))
    assert [(event.account, event.order.nonce, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)] == [(3, 1, CancelReason.EXPIRED)]
    assert market.exchange.books[CALL].asks.depth(9) == [(20_100, 10)]
    audit_exchange(market.exchange, 30_000 * DOLLARS, 0)


def test_an_order_whose_date_has_come_is_refused_though_the_table_is_older(market: Market) -> None:
    market.ok(InternalMarket(TIME_MS + 5_000, MarketState.OPEN))
    (refused,) = market.submit(3, CALL, SELL, 20_000, 10, expiry_ms=TIME_MS + 5_000)
    assert isinstance(refused, OrderRejected) and refused.rejection.code is RejectionCode.ORDER_EXPIRED
    assert str(TIME_MS + 5_000) in refused.rejection.expected
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 10, expiry_ms=TIME_MS + 5_001)[0], OrderResting)


def test_what_has_expired_closes_nothing_when_the_market_goes_reduce_only(market: Market) -> None:
    """The older order would have covered the position; the younger one stays in its place."""
    long_and_short(market)
    market.submit(3, CALL, SELL, 20_100, 100, expiry_ms=TIME_MS + 5)
    market.submit(3, CALL, SELL, 20_200, 100)
    events = market.ok(InternalMarket(TIME_MS + 5, MarketState.REDUCE_ONLY))
    assert [(event.order.limit_ticks, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)] == [(20_100, CancelReason.EXPIRED)]
    assert market.exchange.books[CALL].asks.depth(9) == [(20_200, 100)]


def test_the_strictest_of_some_states() -> None:
    open_, reduce_only, cancel_only, halted = MarketState
    assert (open_, halted) == (MarketState.OPEN, MarketState.HALTED)
    assert strictest(open_) is open_ and strictest(reduce_only, open_) is reduce_only
    assert strictest(reduce_only, cancel_only) is strictest(cancel_only, reduce_only) is cancel_only and strictest(halted, cancel_only) is halted
