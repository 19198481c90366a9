"""Fill or kill, post only and reduce only on outrights."""

from __future__ import annotations

import pytest
from support.emergencies import epoch
from support.market import BUY, CALL, DOLLARS, HOUR_MS, PERPETUAL, SELL, Market, picture, table

from straddle.core.commands import InternalEpoch, InternalSettle
from straddle.core.events import CancelReason, OrderCancelled, OrderRejected, OrderResting, Trade
from straddle.core.instruments import BTC, Settlement
from straddle.core.rejections import RejectionCode

FOK, POST, REDUCE = 2, 4, 8


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4, 5)
    return market


def position(market: Market, account: int) -> int:
    return market.exchange.accounts[account].positions.get(CALL, 0)


def open_position(market: Market, long: int, short: int, lots: int) -> None:
    market.submit(short, CALL, SELL, 20_000, lots)
    market.submit(long, CALL, BUY, 20_000, lots)
    market.cut()


def test_fill_or_kill_fills_over_several_makers(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 60)
    market.submit(5, CALL, SELL, 20_050, 60)
    assert [type(event) for event in market.submit(4, CALL, BUY, 20_050, 100, flags=FOK)] == [Trade, Trade]


def test_fill_or_kill_that_fails_leaves_the_order_that_it_would_replace_and_its_own_makers(market: Market) -> None:
    market.submit(4, CALL, BUY, 19_000, 100, nonce=50)
    market.submit(4, CALL, SELL, 20_000, 100)
    market.submit(5, CALL, SELL, 20_050, 60)
    market.cut()
    before = picture(market.exchange)
    events = market.submit(4, CALL, BUY, 20_050, 100, nonce=50, revision=1, flags=FOK)
    assert isinstance(events[0], OrderRejected) and events[0].rejection.code is RejectionCode.FILL_OR_KILL
    assert "40 would be left" in events[0].rejection.expected
    market.exchange.next_sequence -= 1
    market.exchange.open_batch.last_sequence -= 1
    assert picture(market.exchange) == before


def test_fill_or_kill_that_the_margin_stops_is_refused(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10_000)
    market.submit(4, CALL, BUY, 20_000, 5_000)
    market.exchange.accounts[4].cash -= 9_950 * DOLLARS
    market.cut()
    events = market.submit(4, CALL, BUY, 20_000, 5_000, flags=FOK)
    assert isinstance(events[0], OrderRejected) and not market.exchange.open_batch.fills


def test_post_only_rests_beside_the_other_side(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 60)
    assert [type(event) for event in market.submit(4, CALL, BUY, 19_950, 100, flags=POST)] == [OrderResting]
    assert [type(event) for event in market.submit(5, CALL, SELL, 19_950, 100, flags=POST)] == [OrderRejected]
    assert [type(event) for event in market.submit(5, CALL, SELL, 19_950, 100)] == [Trade]


def test_reduce_only_closes_and_rests(market: Market) -> None:
    open_position(market, 3, 4, 100)
    assert [type(event) for event in market.submit(3, CALL, SELL, 20_000, 60, flags=REDUCE)] == [OrderResting]
    assert [type(event) for event in market.submit(3, CALL, SELL, 20_100, 40, flags=REDUCE)] == [OrderResting]
    assert [type(event) for event in market.submit(3, CALL, SELL, 20_100, 10, flags=REDUCE)] == [OrderRejected]
    market.submit(5, CALL, BUY, 20_000, 60)
    assert position(market, 3) == 40 and dict.fromkeys([(3, CALL)]) == market.exchange.open_batch.reduced


def test_a_resting_reduce_only_order_is_clipped_to_what_is_left_and_then_cancelled(market: Market) -> None:
    open_position(market, 3, 4, 100)
    market.submit(3, CALL, SELL, 20_000, 100, flags=REDUCE)
    market.submit(5, CALL, BUY, 19_900, 70)
    market.submit(3, CALL, SELL, 19_900, 70)
    assert position(market, 3) == 30
    market.submit(4, CALL, SELL, 20_000, 50)
    market.cut()
    events = market.submit(5, CALL, BUY, 20_000, 80)
    filled = [(event.maker, event.size_lots) for event in events if isinstance(event, Trade)]
    assert filled == [(3, 30), (4, 50)] and position(market, 3) == 0
    assert [(event.account, event.left_lots, event.reason) for event in events if isinstance(event, OrderCancelled)] == [(3, 70, CancelReason.REDUCE_ONLY)]


def test_a_position_of_the_open_batch_is_reduced_in_the_next_one(market: Market) -> None:
    """The statement compares the end of the batch with its start, where there was no position."""
    open_position(market, 4, 5, 100)
    market.submit(5, CALL, BUY, 20_000, 50)
    market.submit(3, CALL, SELL, 20_000, 50)
    before = picture(market.exchange)
    closing = market.trade(3, market.order(3, CALL, BUY, 20_000, 20, flags=REDUCE))
    market.submit(4, CALL, SELL, 20_000, 20)
    before = picture(market.exchange)
    assert market.refused(closing) is RejectionCode.BATCH_BOUNDARY and picture(market.exchange) == before
    market.cut()
    assert isinstance(market.ok(closing)[0], Trade) and position(market, 3) == -30


def test_no_fill_of_the_batch_may_undo_a_reduction(market: Market) -> None:
    open_position(market, 3, 4, 100)
    market.submit(5, CALL, BUY, 20_000, 60)
    market.submit(3, CALL, SELL, 20_000, 60, flags=REDUCE)
    market.submit(5, CALL, SELL, 20_000, 300)
    market.submit(3, CALL, BUY, 20_000, 60)
    assert position(market, 3) == 100
    more = market.trade(3, market.order(3, CALL, BUY, 20_000, 10))
    assert market.refused(more) is RejectionCode.BATCH_BOUNDARY
    market.cut()
    market.ok(more)
    assert position(market, 3) == 110


def test_a_taker_stops_where_no_batch_could_hold_what_comes_next(market: Market) -> None:
    """The maker's reduce-only order closes its position; the ordinary one behind it would turn it in the same batch."""
    open_position(market, 3, 4, 100)
    market.submit(3, CALL, SELL, 20_000, 100, flags=REDUCE)
    market.submit(3, CALL, SELL, 20_050, 100)
    market.cut()
    events = market.submit(5, CALL, BUY, 20_050, 150)
    assert [(event.size_lots) for event in events if isinstance(event, Trade)] == [100]
    assert isinstance(events[-1], OrderCancelled) and events[-1].reason is CancelReason.BATCH and events[-1].left_lots == 50
    market.cut()
    assert [(event.size_lots) for event in market.submit(5, CALL, BUY, 20_050, 50) if isinstance(event, Trade)] == [50]


def test_flags_survive_an_epoch(market: Market) -> None:
    open_position(market, 3, 4, 100)
    market.submit(3, CALL, SELL, 20_000, 100, flags=REDUCE)
    market.ok(InternalEpoch(table(2)))
    market.submit(5, CALL, BUY, 20_000, 100)
    assert position(market, 3) == 0


def test_what_is_taken_back_leaves_settled_positions_as_they_were(market: Market) -> None:
    """The failed fill opens both accounts, which turns their expired calls into cash, and back."""
    open_position(market, 3, 4, 100)
    epoch(market, 24 * HOUR_MS)
    market.ok(InternalSettle((Settlement(CALL, BTC, 33_000),), ()))
    epoch(market)
    market.submit(4, PERPETUAL, SELL, 900_000, 10, expiry_ms=2**47)
    market.cut()
    before = picture(market.exchange)
    order = market.order(3, PERPETUAL, BUY, 900_000, 20, flags=FOK, expiry_ms=2**47)
    assert isinstance(market.ok(market.trade(3, order))[0], OrderRejected)
    market.exchange.next_sequence -= 1
    market.exchange.open_batch.last_sequence -= 1
    assert picture(market.exchange) == before and position(market, 3) == 100
    market.submit(3, PERPETUAL, BUY, 900_000, 10, expiry_ms=2**47)
    assert position(market, 3) == position(market, 4) == 0 and market.exchange.usage.position_rows == 4
