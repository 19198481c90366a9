"""Combinations: their own book, the prices that the legs' books imply, and that all legs fill or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.market import BUY, CALL, DOLLARS, INSTRUMENTS, PERPETUAL, PUT, SELL, Market, picture, table

from straddle.core.commands import InternalEpoch, InternalList
from straddle.core.events import CancelReason, OrderCancelled, OrderRejected, OrderResting, ProtectionTripped, Trade
from straddle.core.orders import FLAG_FILL_OR_KILL, FLAG_IMMEDIATE_OR_CANCEL, FLAG_REDUCE_ONLY, Leg
from straddle.core.rejections import RejectionCode

SPREAD = {CALL: 1, PUT: -1}
"""Mark 5,000."""


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4, 5, 6)
    return market


def enter(market: Market, account: int, side, limit: int, size: int, legs: dict[int, int] | None = None, **changes):  # type: ignore[no-untyped-def]
    return market.ok(market.trade(account, market.combination(account, legs or SPREAD, side, limit, size, **changes)))


def trades(events) -> list[Trade]:  # type: ignore[no-untyped-def]
    return [event for event in events if isinstance(event, Trade)]


def held(market: Market, account: int) -> dict[int, int]:
    return dict(market.exchange.accounts[account].positions)


def test_two_combinations_trade_at_the_makers_net_with_leg_prices_by_the_marks(market: Market) -> None:
    enter(market, 3, SELL, 5_700, 100)
    events = enter(market, 4, BUY, 6_000, 40)
    assert [(trade.instrument, trade.price_ticks, trade.size_lots, trade.taker_side) for trade in trades(events)] == [
        (CALL, 20_400, 40, BUY),
        (PUT, 14_700, 40, SELL),
    ]
    assert {(trade.taker_left_lots, trade.maker_left_lots, trade.execution) for trade in trades(events)} == {(0, 60, 1)}
    assert held(market, 4) == {CALL: 40, PUT: -40} and held(market, 3) == {CALL: -40, PUT: 40}
    fees = sum(trade.taker_fee for trade in trades(events))
    assert market.exchange.accounts[4].cash == 10_000 * DOLLARS - 40 * 5_700 - fees


def test_an_execution_has_an_order_row_of_its_own_and_a_leg_row_a_leg(market: Market) -> None:
    enter(market, 3, SELL, 5_700, 100)
    for _ in range(2):
        enter(market, 4, BUY, 6_000, 40)
    batch = market.exchange.open_batch
    assert [(use.account, use.fill, use.slot_before.filled) for use in batch.order_uses] == [(4, 40, 0), (3, 40, 0), (4, 40, 0), (3, 40, 40)]
    assert [(fill.taker, fill.taker_leg, fill.maker, fill.maker_leg) for fill in batch.fills] == [(0, 0, 1, 0), (0, 1, 1, 1), (2, 0, 3, 0), (2, 1, 3, 1)]
    assert market.exchange.usage.leg_rows == 8 and market.exchange.accounts[3].slots[1].filled == 80


@pytest.mark.parametrize("flags", [0, FLAG_IMMEDIATE_OR_CANCEL])
@pytest.mark.parametrize("legs", [SPREAD, {CALL: 1}])
def test_a_revision_on_legs_of_a_larger_minimum_fills_no_more_than_was_signed(flags: int, legs: dict[int, int]) -> None:
    """3 lots of the put filled, of which 1 may be traded; of what the call takes 10 at least would go, beyond the 7 that are left."""
    market, listed = Market(open_=False), (INSTRUMENTS[0], replace(INSTRUMENTS[1], min_lots=1), INSTRUMENTS[2])
    market.ok(InternalList(listed))
    market.ok(InternalEpoch(table(instruments=listed)))
    market.join(3, 4, 5)
    market.submit(3, PUT, SELL, 15_000, 3)
    market.submit(4, PUT, BUY, 15_000, 10, nonce=1, flags=flags)
    market.submit(3, CALL, SELL, 20_500, 60)
    market.submit(5, PUT, BUY, 14_500, 60)
    (event,) = enter(market, 4, BUY, 20_400 if len(legs) == 1 else 7_000, 10, legs, nonce=1, revision=1)
    assert isinstance(event, OrderRejected) and event.rejection.code is RejectionCode.SIZE
    assert "another nonce: 3 filled on other legs, no multiple of 10" in event.rejection.message
    assert held(market, 4) == {PUT: 3} and market.exchange.accounts[4].slots[1].filled == 3
    assert len(trades(enter(market, 4, BUY, 7_000, 10, nonce=2))) == 2


def test_the_books_of_the_legs_imply_a_price(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_500, 60)
    market.submit(5, PUT, BUY, 15_000, 100)
    events = enter(market, 4, BUY, 5_500, 100)
    assert [(trade.instrument, trade.price_ticks, trade.size_lots, trade.maker, trade.execution) for trade in trades(events)] == [
        (CALL, 20_500, 60, 3, 1),
        (PUT, 15_000, 60, 5, 1),
    ]
    assert isinstance(events[-1], OrderResting) and events[-1].left_lots == 40
    assert held(market, 4) == {CALL: 60, PUT: -60}


def test_the_better_price_first_and_the_combinations_own_book_at_the_same(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_500, 100)
    market.submit(3, PUT, BUY, 15_000, 100)
    enter(market, 5, SELL, 5_500, 30)
    enter(market, 5, SELL, 5_600, 30)
    enter(market, 6, SELL, 5_450, 30)
    events = enter(market, 4, BUY, 5_600, 190)
    by_execution = {trade.execution: (trade.maker, trade.size_lots) for trade in trades(events)}
    assert by_execution == {1: (6, 30), 2: (5, 30), 3: (3, 100), 4: (5, 30)}
    assert len(trades(events)) == 8


def test_a_seller_meets_the_other_sides(market: Market) -> None:
    market.submit(3, CALL, BUY, 19_900, 100)
    market.submit(3, PUT, SELL, 15_100, 100)
    assert [type(event) for event in enter(market, 4, SELL, 4_850, 50)] == [OrderResting]
    events = enter(market, 5, SELL, 4_800, 50)
    assert [(trade.instrument, trade.price_ticks, trade.taker_side) for trade in trades(events)] == [(CALL, 19_900, SELL), (PUT, 15_100, BUY)]


def test_outright_orders_do_not_meet_resting_combinations(market: Market) -> None:
    enter(market, 3, SELL, 4_000, 100)
    market.submit(5, PUT, BUY, 15_000, 100)
    assert [type(event) for event in market.submit(4, CALL, BUY, 26_000, 100)] == [OrderResting]


def test_ratios_decide_the_sizes_and_several_makers_make_up_a_leg(market: Market) -> None:
    """A unit needs 30 lots of puts for 20 of calls: the first order on the put book does not do."""
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(5, PUT, BUY, 15_000, 20)
    market.submit(6, PUT, BUY, 14_900, 40)
    market.submit(5, PUT, BUY, 14_800, 100)
    legs = {CALL: 2, PUT: -3}
    cost = 20 * 20_000 - 20 * 15_000 - 10 * 14_900
    assert cost == -49_000
    events = enter(market, 4, BUY, -4_900, 30, legs)
    assert [(trade.instrument, trade.price_ticks, trade.size_lots, trade.execution) for trade in trades(events)] == [
        (CALL, 20_000, 20, 1),
        (PUT, 15_000, 20, 1),
        (PUT, 14_900, 10, 1),
    ]
    assert isinstance(events[-1], OrderResting) and events[-1].left_lots == 20
    use = market.exchange.open_batch.order_uses[0]
    assert use.fill == 10 and sum(fill.taker == 0 for fill in market.exchange.open_batch.fills) == 3


def test_no_leg_fills_when_another_one_lacks_lots(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    assert [type(event) for event in enter(market, 4, BUY, 6_000, 100)] == [OrderResting]
    assert not market.exchange.open_batch.fills and not market.exchange.open_batch.start


def test_four_legs(market: Market) -> None:
    legs = {CALL: 1, PUT: 1, PERPETUAL: -1}
    market.submit(3, CALL, SELL, 20_000, 20)
    market.submit(5, PUT, SELL, 15_000, 20)
    market.submit(6, PERPETUAL, BUY, 900_000, 20)
    events = enter(market, 4, BUY, 35_000 - 900_000, 20, legs)
    assert {trade.maker for trade in trades(events)} == {3, 5, 6} and held(market, 4) == {CALL: 20, PUT: 20, PERPETUAL: -20}


def test_own_orders_in_the_way_are_cancelled_in_both_books(market: Market) -> None:
    market.submit(4, CALL, SELL, 20_000, 50)
    market.submit(3, CALL, SELL, 20_050, 50)
    market.submit(3, PUT, BUY, 15_000, 50)
    enter(market, 4, SELL, 5_200, 50)
    events = enter(market, 4, BUY, 5_300, 100)
    cancelled = [(event.order.is_outright, event.reason) for event in events if isinstance(event, OrderCancelled)]
    assert cancelled == [(True, CancelReason.SELF_TRADE), (False, CancelReason.SELF_TRADE)]
    assert [trade.maker for trade in trades(events)] == [3, 3]


def test_own_orders_out_of_reach_stay(market: Market) -> None:
    market.submit(4, CALL, SELL, 20_000, 50)
    market.submit(3, PUT, BUY, 14_000, 50)
    assert [type(event) for event in enter(market, 4, BUY, 5_950, 100)] == [OrderResting]


def test_a_maker_that_would_break_its_margin_is_cancelled_and_nothing_of_the_match_stands(market: Market) -> None:
    """Account 7 sold calls with its money reserved; then that is gone."""
    market.join(7, dollars=500)
    market.submit(7, CALL, SELL, 20_050, 5_000)
    market.submit(3, CALL, SELL, 20_100, 5_000)
    market.submit(3, PUT, BUY, 15_000, 10_000)
    market.cut()
    market.exchange.accounts[7].cash -= 400 * DOLLARS
    events = enter(market, 4, BUY, 5_100, 5_000)
    assert [(event.account, event.reason) for event in events if isinstance(event, OrderCancelled)] == [(7, CancelReason.MARGIN)]
    assert {trade.maker for trade in trades(events)} == {3} and held(market, 7) == {}
    assert 7 not in market.exchange.open_batch.start


def test_a_takers_order_that_is_all_or_nothing_leaves_everything_when_it_lacks_a_leg(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, PUT, BUY, 15_000, 10)
    market.submit(3, PUT, BUY, 14_950, 80)
    market.cut()
    before = picture(market.exchange)
    events = enter(market, 4, BUY, 6_000, 100, flags=FLAG_FILL_OR_KILL)
    assert isinstance(events[0], OrderRejected) and events[0].rejection.code is RejectionCode.FILL_OR_KILL and len(events) == 1
    market.exchange.next_sequence -= 1
    market.exchange.open_batch.last_sequence -= 1
    assert picture(market.exchange) == before
    events = enter(market, 4, BUY, 6_000, 80, flags=FLAG_FILL_OR_KILL)
    assert sum(trade.size_lots for trade in trades(events)) == 160


def test_immediate_or_cancel(market: Market) -> None:
    enter(market, 3, SELL, 5_000, 60)
    events = enter(market, 4, BUY, 5_000, 100, flags=FLAG_IMMEDIATE_OR_CANCEL)
    assert isinstance(events[-1], OrderCancelled) and events[-1].left_lots == 40 and not market.exchange.combination_books


def test_reduce_only_holds_for_every_leg(market: Market) -> None:
    enter(market, 3, SELL, 5_000, 100)
    enter(market, 4, BUY, 5_000, 100)
    market.cut()
    market.submit(4, PUT, BUY, 15_000, 40)
    market.submit(3, PUT, SELL, 15_000, 40)
    refused = enter(market, 4, SELL, 5_000, 100, flags=FLAG_REDUCE_ONLY)
    assert isinstance(refused[0], OrderRejected) and refused[0].rejection.code is RejectionCode.REDUCE_ONLY
    assert isinstance(enter(market, 4, SELL, 5_000, 60, flags=FLAG_REDUCE_ONLY)[0], OrderResting)
    enter(market, 3, BUY, 5_000, 60)
    assert held(market, 4) == {CALL: 40} and set(market.exchange.open_batch.reduced) == {(4, CALL), (4, PUT)}


def test_reservation_counts_the_loss_of_the_whole_unit(market: Market) -> None:
    """A straddle loses less in any one scenario than its legs do, each in its worst one."""
    enter(market, 5, BUY, 35_000, 10_000, {CALL: 1, PUT: 1})
    market.submit(6, CALL, BUY, 20_000, 10_000)
    market.submit(6, PUT, BUY, 15_000, 10_000)
    one, two = market.exchange.exposures[5], market.exchange.exposures[6]
    assert two.reserved_surplus_scaled(0) < one.reserved_surplus_scaled(0) < 0
    assert one.lots(CALL) == one.lots(PUT) == two.lots(CALL) == (0, 10_000, 0)


def test_protection_clips_a_combination_by_the_lots_of_all_legs(market: Market) -> None:
    market.ok(market.state())
    market.ok(market.protect(3, 1_000, 500, 90))
    enter(market, 3, SELL, 5_000, 100)
    market.submit(3, CALL, SELL, 20_000, 100)
    events = enter(market, 4, BUY, 5_000, 100)
    assert sum(trade.size_lots for trade in trades(events)) == 80
    assert any(isinstance(event, ProtectionTripped) for event in events) and 3 not in market.exchange.open_orders


def test_protection_of_a_maker_in_two_legs_counts_both(market: Market) -> None:
    """60 lots over both legs: 30 units, and the rest of the interval is gone."""
    market.ok(market.state())
    market.ok(market.protect(3, 1_000, 500, 60))
    market.submit(3, CALL, SELL, 20_000, 50)
    market.submit(3, PUT, BUY, 15_000, 50)
    events = enter(market, 4, BUY, 5_000, 100)
    assert sum(trade.size_lots for trade in trades(events)) <= 60 and held(market, 4).get(CALL, 0) == -held(market, 4).get(PUT, 0) == 30
    assert any(isinstance(event, ProtectionTripped) for event in events) and 3 not in market.exchange.open_orders


def test_a_maker_outside_the_bands_is_cancelled(market: Market) -> None:
    enter(market, 3, SELL, -6_900, 100)
    market.ok(InternalEpoch(table(2, row_1={"value": 22_000})))
    events = enter(market, 4, BUY, 5_000, 100)
    assert isinstance(events[0], OrderCancelled) and events[0].reason is CancelReason.PRICE_BAND and not trades(events)


def test_amendments_keep_their_turn_and_keys_and_cancels_take_combinations_away(market: Market) -> None:
    enter(market, 3, SELL, 5_000, 100, nonce=50)
    enter(market, 5, SELL, 5_000, 100)
    enter(market, 3, SELL, 5_000, 60, nonce=50, revision=1)
    events = enter(market, 4, BUY, 5_000, 80)
    assert [(trade.maker, trade.size_lots) for trade in trades(events)] == [(3, 60), (3, 60), (5, 20), (5, 20)]
    market.ok(market.cancel(5, 10))
    assert not market.exchange.combination_books and not market.exchange.open_orders
    enter(market, 4, BUY, 5_000, 80)
    market.ok(market.set_key(4, 1))
    assert not market.exchange.combination_books


def test_expired_legs_take_their_combinations_along(market: Market) -> None:
    enter(market, 3, SELL, 5_000, 100, expiry_ms=2**47)
    assert (Leg(CALL, 1), Leg(PUT, -1)) in market.exchange.combination_books
    market.ok(InternalEpoch(table(2, time_ms=market.exchange.instruments[CALL].expiry_ms)))
    assert not market.exchange.combination_books
