from __future__ import annotations

from support.emergencies import BANKRUPT, SOLVENT, auctioned, epoch, shorted
from support.market import BUY, CALL, HOUR_MS, PUT, SELL

from straddle.core.commands import InternalDeleverage, InternalDeliver, InternalLiquidate, InternalSettle
from straddle.core.instruments import BTC, Retirement, Settlement
from straddle.core.upkeep import to_deleverage, to_deliver, to_liquidate, to_retire


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
