"""Orders that only come to rest, as most do: the kernel enters a run of them in one call, with the same results as `matching.place` one by one."""

from __future__ import annotations

from straddle.core.book import Book, BookSide, RestingOrder
from straddle.core.events import CancelReason, OrderCancelled, OrderResting
from straddle.core.exposure import Exposure
from straddle.core.kernel import Quotes
from straddle.core.market_state import MarketState
from straddle.core.orders import Order, OrderSet
from straddle.core.state import Exchange
from straddle.core.trading import Trading
from straddle.core.units import Unit

_OPEN = MarketState.OPEN
"""Looked up once: every set asks."""


def enter_quotes(trading: Trading, order_set: OrderSet, root: int, start: int) -> int:
    """Enters the orders of a set from index `start` on, up to the first that does not just come to rest; its index, or the number of orders.

    Taken are outrights that meet nobody and, in their slot, at most an order on the same instrument and side. Everything else is left untouched.
    """
    exchange, account = trading.exchange, order_set.account
    if trading.cautious and _refuses_some(trading, account):
        return start
    owner, limits, most = exchange.accounts[account], exchange.limits, trading.lots_left(account)
    return _QUOTES.enter(
        order_set.orders,
        start,
        account,
        order_set,
        root,
        exchange.next_sequence << 6,
        trading.exposure(account),
        owner.cash,
        -1 if most is None else most,
        owner.min_nonce or 1,
        trading.slots,
        owner.slots,
        exchange.open_orders,
        exchange.books,
        trading.units.known,
        trading.time_ms,
        limits.positions,
        limits.open_orders,
        trading.events,
        trading.undo.steps,
        exchange,
    )


def _refuses_some(trading: Trading, account: int) -> bool:
    """Whether the state of the market or the account's protection may refuse an order that would only rest."""
    protection = trading.exchange.protections.get(account)
    return trading.market_state is not _OPEN or (protection is not None and trading.exchange.time_ms < protection.frozen_until_ms)


def _take_back(exchange: Exchange, exposure: Exposure, resting: RestingOrder, live: RestingOrder | None) -> None:
    """The newest quote goes; the order whose place it took is back, in its turn."""
    if live is not None and live.turn == resting.turn:
        exchange.add_order(live)
    else:
        exchange.remove_order(resting)
        if live is not None:
            exchange.restore_order(live)
    for order, units in ((resting, -resting.left_lots), *(((live, live.left_lots),) if live is not None else ())):
        exposure.reserve(order.order.legs, order.order.side.sign, order.order.limit_ticks, order.unit_fee, units)


_QUOTES = Quotes(Order, RestingOrder, Unit, Book, BookSide, OrderResting, OrderCancelled, CancelReason.AMENDED, CancelReason.REPLACED, _take_back)
