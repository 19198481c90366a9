"""Taking an account's resting orders out of the market, for operations that are not trades."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.core.book import RestingOrder
from straddle.core.events import CancelReason, OrderCancelled
from straddle.core.state import Exchange


def cancel_orders(exchange: Exchange, account: int, cancelled: Iterable[RestingOrder], reason: CancelReason) -> tuple[OrderCancelled, ...]:
    """Cancels open orders of one account; returns the events, in the orders' turn."""
    cancelled = tuple(cancelled)
    if not cancelled:
        return ()
    exposure = exchange.exposures[account]
    for resting in cancelled:
        order = resting.order
        exchange.remove_order(resting)
        exposure.reserve(order.legs, order.side.sign, order.limit_ticks, resting.unit_fee, -resting.left_lots)
    exchange.drop_empty_exposure(account)
    return tuple(OrderCancelled(account, resting.order, resting.left_lots, reason) for resting in cancelled)
