"""What a reduce-only market takes out of the book: orders that could add to a position."""

from __future__ import annotations

from straddle.core.book import RestingOrder
from straddle.core.events import CancelReason, OrderCancelled
from straddle.core.market_state import MarketState, reducible_lots
from straddle.core.orders import Side
from straddle.core.state import Exchange
from straddle.operations.resting import cancel_orders


def adding_orders(exchange: Exchange, account: int, time_ms: int = 0) -> tuple[RestingOrder, ...]:
    """The open orders of an account that could add to a position when the older ones that only reduce it fill: oldest first, an order stays when it and those
    that stay close at most the position in each of its legs. Orders that have expired by `time_ms` are left out: they leave the market anyway."""
    positions, adding = exchange.positions_of(account), []
    closing: dict[tuple[int, Side], int] = {}
    for resting in exchange.open_orders.get(account, {}).values():
        if resting.order.expiry_ms <= time_ms:
            continue
        lots = {}
        for instrument, ratio in resting.order.legs:
            side = resting.order.side if ratio > 0 else resting.order.side.opposite
            lots[instrument, side] = closing.get((instrument, side), 0) + abs(ratio) * resting.left_lots
        if any(total > reducible_lots(positions.get(instrument, 0), side) for (instrument, side), total in lots.items()):
            adding.append(resting)
        else:
            closing.update(lots)
    return tuple(adding)


def cancel_adding(exchange: Exchange, account: int) -> tuple[OrderCancelled, ...]:
    """In a reduce-only market: cancels what an account's positions, having changed otherwise than by a trade, no longer cover."""
    if exchange.market is not MarketState.REDUCE_ONLY:
        return ()
    return cancel_orders(exchange, account, adding_orders(exchange, account), CancelReason.REDUCE_ONLY)
