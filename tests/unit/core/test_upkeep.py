from __future__ import annotations

from dataclasses import replace

from support.emergencies import BANKRUPT, SOLVENT, auctioned, epoch, shorted
from support.market import BUY, CALL, HOUR_MS, PUT, SELL, TIME_MS, Market

from straddle.core.commands import InternalDeleverage, InternalDeliver, InternalLiquidate, InternalMarket, InternalSettle
from straddle.core.instruments import BTC, Retirement, Settlement
from straddle.core.market_state import MarketState
from straddle.core.upkeep import needs_time, to_deleverage, to_deliver, to_liquidate, to_retire


def test_accounts_below_mm_and_in_auctions_are_liquidated() -> None:
    market = shorted()
    assert to_liquidate(market.exchange) == to_deleverage(market.exchange) == ()
    epoch(market, row_1=SOLVENT)
    assert to_liquidate(market.exchange) == (3,)
    market.ok(InternalLiquidate(3))
    market.cut()
    epoch(market)
    assert to_liquidate(market.exchange) == (3,), "to end its auction"
    market.ok(InternalLiquidate(3))
    assert to_liquidate(market.exchange) == ()


def test_bankrupt_ones_are_deleveraged_while_they_hold_something() -> None:
    market = auctioned(BANKRUPT)
    assert to_deleverage(market.exchange) == (3,)
    market.ok(InternalDeleverage(3))
    assert to_deleverage(market.exchange) == () and to_liquidate(market.exchange) == (3,)


def test_settled_instruments_are_delivered_then_retired() -> None:
    market = shorted()
    market.submit(5, PUT, SELL, 15_000, 10)
    market.submit(4, PUT, BUY, 15_000, 10)
    market.cut()
    epoch(market, 24 * HOUR_MS)
    assert to_deliver(market.exchange) == () and to_retire(market.exchange) == ()
    market.ok(InternalSettle((Settlement(CALL, BTC, 0), Settlement(PUT, BTC, 0)), ()))
    epoch(market)
    assert to_deliver(market.exchange) == (3, 4, 5) and to_retire(market.exchange) == ()
    market.ok(InternalDeliver((3, 4)))
    assert to_deliver(market.exchange) == (5,) and to_retire(market.exchange) == (Retirement(CALL, BTC),)
    market.ok(InternalDeliver((5,)))
    market.ok(InternalSettle((), to_retire(market.exchange)))
    epoch(market)
    assert list(market.exchange.instruments) == [3]


def test_no_more_holders_are_named_than_one_batch_has_rows_for() -> None:
    market = shorted()
    market.submit(5, PUT, SELL, 15_000, 10)
    market.submit(4, PUT, BUY, 15_000, 10)
    market.cut()
    epoch(market, 24 * HOUR_MS)
    market.ok(InternalSettle((Settlement(CALL, BTC, 0), Settlement(PUT, BTC, 0)), ()))
    epoch(market)
    exchange, capacity = market.exchange, market.exchange.capacity
    held = {account: len(exchange.positions_of(account)) for account in (3, 4, 5)}
    for accounts, positions, expected in (
        (2, 99, (3, 4)),
        (99, held[3] + held[4], (3, 4)),
        (99, held[3] + held[4] - 1, (3,)),
        (99, sum(held.values()), (3, 4, 5)),
    ):
        exchange.capacity = replace(capacity, accounts=accounts, positions=positions)
        assert to_deliver(exchange) == expected


def test_the_time_is_needed_when_a_date_passes_or_the_table_grows_too_old() -> None:
    market = Market()
    market.join(3)
    age_ms = market.exchange.limits.table_age_ms_max
    assert not needs_time(market.exchange, TIME_MS + age_ms) and needs_time(market.exchange, TIME_MS + age_ms + 1)
    market.submit(3, CALL, SELL, 20_000, 10, expiry_ms=TIME_MS + 5_000)
    assert not needs_time(market.exchange, TIME_MS + 4_999) and needs_time(market.exchange, TIME_MS + 5_000)
    market.ok(InternalMarket(TIME_MS + 5_000, MarketState.OPEN))
    assert not needs_time(market.exchange, TIME_MS + 6_000)
    market.ok(InternalMarket(TIME_MS + age_ms + 1, MarketState.OPEN))
    assert not needs_time(market.exchange, TIME_MS + 2 * age_ms)
