"""l2_trade: a signed order set. Each order in turn enters, matches and then rests if it may; each gets its own outcome.

A bad signature, a wrong key epoch, a repeated nonce or a malformed order refuses the whole set. An order whose fills would not fit
even an empty batch is refused by itself. The set is traded in `apply`, in place; when the open batch cannot hold it, everything is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.book import RestingOrder
from straddle.core.capacity import NO_ADDITIONS, Additions, trades_overflow
from straddle.core.commands import L2Trade
from straddle.core.events import Event, OrderRejected
from straddle.core.liquidation import may_reduce
from straddle.core.matching import place
from straddle.core.messages import MessageKind, order_set_payload
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet
from straddle.core.quotes import enter_quotes
from straddle.core.rejections import InvariantBroken, Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.core.trading import BatchBoundary, Trading
from straddle.operations.plan import check_capacity, check_not_halted

_KIND = MessageKind.ORDER_SET
"""Looked up once: an enumeration's members cost."""


@dataclass(slots=True)
class Plan:
    """A set that may be traded. Its rows are counted as it is."""

    order_set: OrderSet
    root: int
    additions: Additions = NO_ADDITIONS


def check(exchange: Exchange, command: L2Trade) -> Plan | Rejection:
    """The set as a whole."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    order_set = command.order_set
    if not 1 <= len(order_set.orders) <= MAX_ORDERS_PER_SET:
        return Rejection(RejectionCode.SET_SIZE, "orders", len(order_set.orders), f"1 to {MAX_ORDERS_PER_SET}")
    try:
        root = order_set_payload(order_set)
    except ValueError as error:
        return Rejection(RejectionCode.MALFORMED, "orders", str(error), "fields within the widths of docs/protocol/messages.md")
    rejection = check_signed(exchange, order_set.account, order_set.key_epoch, _KIND, root, order_set.signature)
    if rejection is not None:
        return rejection
    if exchange.accounts[order_set.account].auction is not None and not _closes(exchange, order_set):
        expected = "an account whose portfolio is not for sale, or reduce-only orders of one that is at its maintenance margin again"
        return Rejection(RejectionCode.IN_AUCTION, "account", order_set.account, expected)
    if len(order_set.orders) > 1:
        nonces = [order.nonce for order in order_set.orders]
        if len(set(nonces)) < len(nonces):
            repeated = next(nonce for nonce in nonces if nonces.count(nonce) > 1)
            return Rejection(RejectionCode.DUPLICATE_NONCE, "nonce", repeated, "one order a nonce in a set")
    return Plan(order_set, root)


def _closes(exchange: Exchange, order_set: OrderSet) -> bool:
    """Whether an account that is for sale may enter this set."""
    return all(order.reduce_only for order in order_set.orders) and may_reduce(exchange, order_set.account)


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...] | Rejection:
    """Each order in turn, on what those before it leave. BATCH_BOUNDARY when the open batch cannot hold the set: then nothing has changed."""
    trading = Trading(exchange)
    start = trading.mark()
    try:
        index, count = 0, len(plan.order_set.orders)
        while (index := enter_quotes(trading, plan.order_set, plan.root, index)) < count:
            _trade(trading, plan, index)
            index += 1
    except BatchBoundary as boundary:
        trading.back_to(start)
        return boundary.rejection
    finally:
        trading.finish()
    return tuple(trading.events)


def _trade(trading: Trading, plan: Plan, set_index: int) -> None:
    """One order of the set. When its rows do not fit, it is refused by itself if the set had the whole batch, else the batch is to be cut."""
    order_set, mark, fills = plan.order_set, trading.mark(), trading.executions
    order = order_set.orders[set_index]
    place(trading, RestingOrder(order_set.account, order, order_set, set_index, plan.root, 0), mark)
    if trading.executions == fills or not trades_overflow(trading.exchange):
        return
    rejection = check_capacity(trading.exchange, NO_ADDITIONS, fresh=trading.fresh)
    if rejection is None:
        raise InvariantBroken("capacity: an overflow that is none, expected both counts to agree")
    if not trading.fresh:
        raise BatchBoundary(rejection)
    trading.back_to(mark)
    trading.events.append(OrderRejected(order_set.account, order, set_index, rejection))
