"""l2_trade: a signed order set. Each order in turn enters, matches and then rests if it may; each gets its own outcome.

A bad signature, a wrong key epoch, a repeated nonce or a malformed order refuses the whole set. An order whose fills would not fit
even an empty batch is refused by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.book import RestingOrder
from straddle.core.capacity import Additions
from straddle.core.commands import L2Trade
from straddle.core.draft import Draft, install
from straddle.core.events import Event, OrderRejected
from straddle.core.matching import place
from straddle.core.messages import MessageKind, order_set_root
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_capacity, check_not_halted


@dataclass(frozen=True, slots=True)
class Plan:
    """What the whole set does, and its rows."""

    draft: Draft
    additions: Additions


def check(exchange: Exchange, command: L2Trade) -> Plan | Rejection:
    """The set as a whole, then each order on what those before it leave."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    order_set = command.order_set
    if not 1 <= len(order_set.orders) <= MAX_ORDERS_PER_SET:
        return Rejection(RejectionCode.SET_SIZE, "orders", len(order_set.orders), f"1 to {MAX_ORDERS_PER_SET}")
    try:
        root = order_set_root(order_set.orders)
    except ValueError as error:
        return Rejection(RejectionCode.MALFORMED, "orders", str(error), "fields within the widths of docs/protocol/messages.md")
    rejection = check_signed(exchange, order_set.account, order_set.key_epoch, MessageKind.ORDER_SET, root, order_set.signature)
    if rejection is not None:
        return rejection
    seen: dict[int, None] = {}
    for order in order_set.orders:
        if order.nonce in seen:
            return Rejection(RejectionCode.DUPLICATE_NONCE, "nonce", order.nonce, "one order a nonce in a set")
        seen[order.nonce] = None
    return _plan(exchange, order_set, root)


def _plan(exchange: Exchange, order_set: OrderSet, root: int) -> Plan | Rejection:
    """Drafts the set. An order too big for any batch is refused and the set drafted again without it."""
    too_big: dict[int, Rejection] = {}
    while True:
        draft = Draft(exchange)
        overflow = _place_all(draft, order_set, root, too_big)
        if overflow is None:
            return Plan(draft, draft.additions())
        set_index, rejection = overflow
        if rejection.code is RejectionCode.BATCH_BOUNDARY:
            return rejection
        too_big[set_index] = rejection


def _place_all(draft: Draft, order_set: OrderSet, root: int, too_big: dict[int, Rejection]) -> tuple[int, Rejection] | None:
    """Each order in turn; stops at the first one whose rows do not fit the open batch and tells which and why."""
    for i, order in enumerate(order_set.orders):
        if i in too_big:
            draft.events.append(OrderRejected(order_set.account, order, i, too_big[i]))
            continue
        fills = len(draft.fills)
        place(draft, RestingOrder(order_set.account, order, order_set, i, root, 0))
        if len(draft.fills) > fills:
            overflow = check_capacity(draft.exchange, draft.additions())
            if overflow is not None:
                return i, overflow
    return None


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The draft becomes the state."""
    return install(exchange, plan.draft)
