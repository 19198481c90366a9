"""l2_protect: a protected account's resting orders fill no more than its limits, exactly, and then leave the market."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.audit import audit_exchange
from support.market import BUY, CALL, DOLLARS, PUT, SELL, TIME_MS, Market, picture, scenarios, table

from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderRejected, OrderResting, ProtectionSet, ProtectionTripped, Trade
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL
from straddle.core.protection import Protection, ProtectionLimits
from straddle.operations import l2_trade

SLOPE = 160


@pytest.fixture
def market() -> Market:
    """One lot of the call or the put moves 160 micro-dollars, opposite ways, between the two scenarios of the delta limit."""
    market = Market()
    market.join(3, 4, 5)
    deltas = {"row_1": {"deltas": scenarios((4, 100), (7, -60))}, "row_2": {"deltas": scenarios((4, -60), (7, 100))}}
    market.ok(InternalEpoch(table(2, **deltas)))
    market.ok(market.state())
    return market


def trades(events: tuple[Event, ...]) -> list[tuple[int, int]]:
    return [(event.maker, event.size_lots) for event in events if isinstance(event, Trade)]


def shape(events: tuple[Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_the_account_sets_its_protection_and_no_row_tells(market: Market) -> None:
    command = market.protect(3, 1_000, 500, 50, 7, nonce=4)
    assert market.ok(command) == (ProtectionSet(3, ProtectionLimits(1_000, 500, 50, 7)),)
    assert market.exchange.protections == {3: Protection(4, ProtectionLimits(1_000, 500, 50, 7), TIME_MS)}
    assert market.cut().start == {}


def test_fills_within_the_limit_trip_nothing(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 100)
    assert shape(market.submit(4, CALL, BUY, 20_000, 40)) == ["Trade"]
    assert market.exchange.protections[3].quantity_lots == 40 and market.exchange.books[CALL].asks.depth(1) == [(20_000, 60)]


def test_a_fill_is_clipped_to_the_limit_and_trips_before_the_next_match(market: Market) -> None:
    """Of three makers the protected one stands first and third: it fills 55 rounded down to the minimum size, then all its orders are gone."""
    market.ok(market.protect(3, 1_000, 500, 55))
    market.submit(3, CALL, SELL, 20_000, 80)
    market.submit(4, CALL, SELL, 20_050, 30)
    market.submit(3, CALL, SELL, 20_100, 80)
    market.submit(3, PUT, BUY, 15_000, 10)
    events = market.submit(5, CALL, BUY, 20_100, 200)
    assert shape(events) == ["Trade", "ProtectionTripped", "OrderCancelled", "OrderCancelled", "OrderCancelled", "Trade", "OrderResting"]
    assert trades(events) == [(3, 50), (4, 30)] and events[1] == ProtectionTripped(3, TIME_MS + 500)
    cancelled = [(event.order.nonce, event.left_lots, event.reason) for event in events if isinstance(event, OrderCancelled)]
    assert cancelled == [(1, 30, CancelReason.PROTECTION), (2, 80, CancelReason.PROTECTION), (3, 10, CancelReason.PROTECTION)]
    assert 3 not in market.exchange.open_orders and market.exchange.books[PUT].bids.depth(1) == []
    assert market.exchange.protections[3] == replace(Protection(1, ProtectionLimits(1_000, 500, 55, 0), TIME_MS), frozen_until_ms=TIME_MS + 500)
    audit_exchange(market.exchange, 30_000 * DOLLARS, 0)


def test_meeting_the_limit_exactly_trips_at_once(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 50)
    market.submit(3, PUT, SELL, 15_000, 50)
    assert shape(market.submit(4, CALL, BUY, 20_000, 50)) == ["Trade", "ProtectionTripped", "OrderCancelled"]


def test_a_limit_below_the_minimum_size_trips_without_a_fill_and_the_taker_goes_on(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 9))
    market.submit(3, CALL, SELL, 20_000, 50)
    market.submit(4, CALL, SELL, 20_000, 50)
    events = market.submit(5, CALL, BUY, 20_000, 50)
    assert shape(events) == ["ProtectionTripped", "OrderCancelled", "Trade"] and trades(events) == [(4, 50)]
    assert 3 not in market.exchange.open_batch.start


def test_the_delta_limit_nets_over_instruments(market: Market) -> None:
    """Selling calls and selling puts offset; then 50 more lots of one way are the limit."""
    market.ok(market.protect(3, 1_000, 500, 0, 50 * SLOPE + SLOPE - 1))
    market.submit(3, CALL, SELL, 20_000, 300)
    market.submit(3, PUT, SELL, 15_000, 40)
    assert trades(market.submit(4, CALL, BUY, 20_000, 40)) == [(3, 40)]
    assert trades(market.submit(4, PUT, BUY, 15_000, 40)) == [(3, 40)]
    assert market.exchange.protections[3].delta_micros == 0
    events = market.submit(4, CALL, BUY, 20_000, 70, flags=FLAG_IMMEDIATE_OR_CANCEL)
    assert shape(events) == ["Trade", "ProtectionTripped", "OrderCancelled", "OrderCancelled"] and trades(events) == [(3, 50)]


def test_taking_uses_no_protection(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 50, 1))
    market.submit(4, CALL, SELL, 20_000, 200)
    assert trades(market.submit(3, CALL, BUY, 20_000, 200)) == [(4, 200)]
    assert market.exchange.protections[3].quantity_lots == 0


def test_the_interval_begins_anew_when_it_is_over(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 100)
    for later_ms, used in ((0, 20), (999, 40), (1, 20)):
        market.ok(market.state(later_ms=later_ms))
        assert shape(market.submit(4, CALL, BUY, 20_000, 20)) == ["Trade"]
        assert market.exchange.protections[3].quantity_lots == used


def test_use_adds_up_within_one_order_set(market: Market) -> None:
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(3, PUT, SELL, 15_000, 100)
    command = market.trade(4, market.order(4, CALL, BUY, 20_000, 30), market.order(4, PUT, BUY, 15_000, 30, flags=1))
    before = picture(market.exchange)
    assert isinstance(l2_trade.check(market.exchange, command), l2_trade.Plan)
    assert picture(market.exchange) == before
    assert trades(market.ok(command)) == [(3, 30), (3, 20)]


def trip(market: Market, frozen_ms: int = 500) -> None:
    market.ok(market.protect(3, 1_000, frozen_ms, 50))
    market.submit(3, CALL, SELL, 20_000, 50)
    market.submit(4, CALL, BUY, 20_000, 50)


def test_a_frozen_account_may_hedge_but_not_quote_until_its_time(market: Market) -> None:
    trip(market)
    market.submit(4, CALL, SELL, 20_000, 10)
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 10)[0], OrderRejected)
    assert trades(market.submit(3, CALL, BUY, 20_000, 10, flags=FLAG_IMMEDIATE_OR_CANCEL)) == [(4, 10)]
    assert isinstance(market.submit(5, CALL, SELL, 20_000, 10)[0], OrderResting)
    market.ok(market.state(later_ms=499))
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderRejected)
    market.ok(market.state(later_ms=1))
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderResting)


def test_a_frozen_time_of_0_freezes_nothing(market: Market) -> None:
    trip(market, 0)
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderResting)


@pytest.mark.parametrize("limits", [(1_000, 500, 50), (0, 0, 0)])
def test_setting_it_again_unfreezes(market: Market, limits: tuple[int, int, int]) -> None:
    trip(market)
    market.ok(market.protect(3, *limits))
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderResting)


def test_limits_of_0_protect_from_nothing(market: Market) -> None:
    market.ok(market.protect(3, 0, 0, 0))
    market.submit(3, CALL, SELL, 20_000, 5_000)
    assert shape(market.submit(4, CALL, BUY, 20_000, 4_000)) == ["Trade"]


def test_a_maker_that_cannot_fill_for_another_reason_uses_nothing(market: Market) -> None:
    """The fill that its own account fails is no use of the limit."""
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 40, fee_cap=270)
    market.ok(InternalEpoch(replace(table(3), index_ticks=4 * 900_000)))
    events = market.submit(4, CALL, BUY, 20_000, 40)
    assert [event.reason for event in events if isinstance(event, OrderCancelled)] == [CancelReason.FEE_CAP]
    assert market.exchange.protections[3].quantity_lots == 0


def test_before_any_time_is_told_limits_hold_and_only_setting_anew_unfreezes() -> None:
    market = Market()
    market.join(3, 4)
    trip(market)
    assert market.exchange.time_ms == 0
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderRejected)
    market.ok(market.protect(3, 1_000, 500, 50))
    assert isinstance(market.submit(3, CALL, SELL, 20_100, 10)[0], OrderResting)
