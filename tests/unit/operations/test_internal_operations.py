from __future__ import annotations

from dataclasses import replace

import pytest
from support.market import BUY, CALL, HOUR_MS, INSTRUMENTS, NANO, PERPETUAL, PUT, SELL, TIME_MS, Market, table

from straddle.core.commands import InternalEpoch, InternalList
from straddle.core.events import CancelReason, EpochStarted, Listed, OrderCancelled
from straddle.core.exposure import build_exposure
from straddle.core.instruments import Instrument, Kind
from straddle.core.rejections import RejectionCode

NEW = Instrument(4, Kind.CALL, 1, TIME_MS + 48 * HOUR_MS, 1_000_000, 50, 10, 1_000)


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4)
    return market


def test_listing_halts_until_a_table_covers_it_in_the_same_batch(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    assert market.ok(InternalList((NEW,))) == (Listed(4),)
    assert market.refused(market.deposit(3, 1)) is RejectionCode.TRADING_HALTED
    assert market.refused(InternalEpoch(table(2))) is RejectionCode.TABLE_ROWS
    assert market.ok(InternalEpoch(table(2, instruments=(*INSTRUMENTS, NEW)))) == (EpochStarted(2, TIME_MS),)
    market.submit(3, NEW.id, SELL, 20_000, 10)
    assert market.exchange.books[CALL].asks.depth(1) == [(20_000, 10)]
    batch = market.cut()
    assert batch.listings == [NEW] and batch.listing_count == 3 and batch.table is market.exchange.table
    assert market.exchange.open_batch.listing_count == 4


def test_a_batch_of_listings_may_also_trade(market: Market) -> None:
    market.ok(InternalList((NEW,)))
    market.ok(InternalEpoch(table(2, instruments=(*INSTRUMENTS, NEW))))
    market.submit(3, NEW.id, SELL, 20_000, 10)
    market.submit(4, NEW.id, BUY, 20_000, 10)
    batch = market.cut()
    assert len(batch.fills) == 1 and batch.listings == [NEW]


def test_the_first_epoch_may_have_no_rows() -> None:
    market = Market(open_=False)
    market.ok(InternalEpoch(table(1, instruments=())))
    market.ok(market.deposit(3, 1))
    assert len(market.cut().queue) == 1


def test_nano_holds_six_instruments() -> None:
    market = Market(NANO)
    more = tuple(replace(NEW, id=4 + i) for i in range(4))
    assert market.refused(InternalList(more)) is RejectionCode.LISTINGS_MAX
    market.ok(InternalList(more[:3]))


def test_an_epoch_in_a_batch_without_rows_changes_its_table(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    second = table(2, time_ms=TIME_MS + 1)
    assert market.do(InternalEpoch(second)).accepted
    market.submit(4, CALL, BUY, 20_000, 10)
    assert market.cut().table is second


def test_expired_orders_and_orders_on_expired_instruments_are_dropped(market: Market) -> None:
    time_ms = INSTRUMENTS[0].expiry_ms
    market.submit(3, PERPETUAL, SELL, 900_000, 10, expiry_ms=time_ms)
    market.submit(3, PERPETUAL, SELL, 900_000, 10, expiry_ms=time_ms + 1)
    market.submit(4, CALL, SELL, 20_000, 10, expiry_ms=time_ms + 1)
    events = market.ok(InternalEpoch(table(2, time_ms=time_ms)))
    assert [(event.account, event.order.nonce, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)] == [
        (3, 1, CancelReason.EXPIRED), (4, 1, CancelReason.EXPIRED)]  # fmt: skip
    assert [resting.order.nonce for resting in market.exchange.books[PERPETUAL].asks] == [2]
    assert list(market.exchange.open_orders) == list(market.exchange.exposures) == [3]


def test_orders_that_the_account_no_longer_carries_are_dropped_newest_first(market: Market) -> None:
    for _ in range(3):
        market.submit(3, CALL, SELL, 20_000, 30_000)
    twice = tuple(2 * delta for delta in table().rows[0].deltas)
    events = market.ok(InternalEpoch(table(2, row_1={"deltas": twice})))
    assert [(event.order.nonce, event.reason) for event in events[1:] if isinstance(event, OrderCancelled)] == [(3, CancelReason.MARGIN)]
    assert market.exchange.exposures[3].reserved_surplus_scaled(market.exchange.accounts[3].cash) >= 0


def test_reducing_orders_survive_a_deficit(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 30_000)
    market.submit(4, CALL, BUY, 20_000, 30_000)
    market.submit(3, CALL, BUY, 19_900, 10_000)
    market.cut()
    events = market.ok(InternalEpoch(table(2, row_1={"value": 4_000_000, "band": 4_000_000})))
    assert len(events) == 1 and market.exchange.requirement_of(3).equity < 0
    assert len(market.exchange.books[CALL].bids) == 1


def test_exposures_are_those_of_the_new_table(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 1_000)
    market.submit(4, CALL, BUY, 20_000, 500)
    market.submit(4, PUT, BUY, 14_000, 500)
    market.ok(InternalEpoch(table(2, row_1={"value": 21_000, "short_im": 1_000}, row_2={"value": 16_000})))
    exchange = market.exchange
    for account in (3, 4):
        built = build_exposure(exchange.context, exchange.positions_of(account), exchange.open_orders.get(account, {}).values())
        assert exchange.exposures[account] == built
