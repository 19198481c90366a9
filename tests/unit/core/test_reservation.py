"""What an account carries under its protection's cap: two findings of an independent review."""

from __future__ import annotations

from typing import Any

import pytest
from support.market import BUY, CALL, PERPETUAL, SELL, TIME_MS, Market, scenarios, spread, table

from straddle.core import reservation as module
from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, Event, OrderCancelled
from straddle.core.fees import FeeSchedule
from straddle.core.market_state import MarketState

MINUTE_MS = 60_000


def test_readmission_values_each_order_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not all kept ones for each that is refused: 1,000 quotes took 0.7 s of an epoch."""
    market = Market(slot_depth=12)
    market.join(3, dollars=100)
    market.ok(market.state(MarketState.OPEN, 1000))
    market.ok(market.protect(3, 5000, 100, 200))
    for group in range(4):
        instrument, price = (CALL, 19_950) if group < 2 else (PERPETUAL, 899_950)
        market.ok(market.trade(3, *[market.order(3, instrument, BUY, price - 50 * i, 10) for i in range(64)]))
    exchange = market.exchange
    count = len(exchange.open_orders[3])
    assert count == 256
    spare = module.reserved_scaled(exchange, 3, exchange.exposures[3], exchange.accounts[3].cash) // 10_000
    market.ok(market.withdraw(3, spare))
    market.cut()
    calls, real = [0], module.order_terms

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        return real(*arguments)

    monkeypatch.setattr(module, "order_terms", counted)
    dropped = market.ok(InternalEpoch(table(2, exchange.table.time_ms + 1000, row_3={"deltas": spread(12_000)})))
    assert any(isinstance(event, OrderCancelled) for event in dropped)
    assert calls[0] <= 4 * count


def flat(deltas: list[int] | tuple[int, ...], **changes: int) -> dict[str, Any]:
    """A row without charges."""
    return {"deltas": deltas, "long_im": 0, "short_im": 0, "long_mm": 0, "short_mm": 0, **changes}


def test_limits_set_anew_ask_for_the_room_of_an_interval_that_nobody_has_asked_for() -> None:
    """The clock alone begins an interval with more room than is carried; lower limits must still turn away what is not carried."""
    market = Market(fees=FeeSchedule(0, 0, 0))
    market.join(4, 5, dollars=100_000)
    market.ok(market.deposit(3, 1))
    market.ok(market.set_key(3))
    market.cut()
    rows = {
        "row_1": flat(scenarios((0, 10_000))),
        "row_2": flat(scenarios((1, 10_000))),
        "row_3": flat(scenarios((2, -2_000)), value=900_000, funding=0),
    }
    market.ok(InternalEpoch(table(2, TIME_MS + 2, **rows)))
    market.ok(market.state())
    market.ok(market.protect(3, MINUTE_MS, 0, 100))
    market.submit(3, CALL, SELL, 20_000, 200)
    market.submit(3, PERPETUAL, BUY, 899_950, 40)
    market.submit(4, CALL, BUY, 20_000, 60, flags=1)
    market.cut()
    market.ok(market.state(later_ms=MINUTE_MS))
    market.submit(4, PERPETUAL, SELL, 900_000, 490)
    market.submit(3, PERPETUAL, BUY, 900_000, 490, flags=1)
    turned_away = market.ok(market.protect(3, MINUTE_MS, 0, 40))
    exchange = market.exchange
    assert module.reserved_scaled(exchange, 3, exchange.exposures[3], exchange.accounts[3].cash) >= 0 and margin_cancels(turned_away)
    assert not margin_cancels(market.submit(5, PERPETUAL, SELL, 899_950, 40, flags=1)), "what is left is carried"


def margin_cancels(events: tuple[Event, ...]) -> list[Event]:
    return [event for event in events if isinstance(event, OrderCancelled) and event.account == 3 and event.reason == CancelReason.MARGIN]
