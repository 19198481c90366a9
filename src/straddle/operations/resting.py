"""Taking an account's resting orders out of the market, for operations that are not trades."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.core.book import RestingOrder
from straddle.core.events import CancelReason, OrderCancelled
from straddle.core.exposure import Exposure
from straddle.core.state import Exchange


def cancel_orders(exchange: Exchange, account: int, cancelled: Iterable[RestingOrder], reason: CancelReason) -> tuple[OrderCancelled, ...]:
    """Cancels open orders of one account; returns the events, in the orders' turn."""
    cancelled = tuple(cancelled)
    if not cancelled:
        return ()
    kept = dict(exchange.open_orders[account])
    positions = exchange.accounts[account].positions
    exposure = exchange.exposures.get(account, Exposure())
    for resting in cancelled:
        del kept[resting.order.nonce % exchange.params.slots]
        exchange.books[resting.order.instrument].side(resting.order.side).remove(resting)
        exposure.reserve(exchange.context, resting.order, -resting.left_lots, positions.get(resting.order.instrument, 0))
    exchange.set_open_orders(account, kept)
    exchange.set_exposure(account, exposure)
    return tuple(OrderCancelled(account, resting.order, resting.left_lots, reason) for resting in cancelled)
