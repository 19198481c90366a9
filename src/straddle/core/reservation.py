"""Whether an account carries its open orders: everything reserved, or no more than its market-maker protection lets fill (docs/protocol/engine.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from straddle.core.book import RestingOrder
from straddle.core.exposure import Exposure, RiskContext, build_exposure, order_terms
from straddle.core.kernel import Cap
from straddle.core.orders import Order
from straddle.core.protection import Protection
from straddle.core.state import Exchange

OpenOrders = Callable[[], Sequence[RestingOrder]]
"""All open orders that are reserved; asked for only when the answer depends on them."""

_CAP = Cap(Order, RestingOrder)


def lots_left(protection: Protection | None, time_ms: int) -> int | None:
    """Lots of an account's resting orders that may fill at a time before its protection trips; None for any number."""
    return None if protection is None else protection.at(time_ms).lots_left


def carried_scaled(exposure: Exposure, cash: int, most: int | None, orders: OpenOrders, taking: RestingOrder | None = None) -> int:
    """(equity - IM) * BPS of an account after the worst fills that may come, at most `most` lots of its open orders. Exact where it is negative; where it
    is not, a lower bound, at least 0.

    `taking`: an order that may trade as it enters, where nothing caps it: it is reserved in full, `orders` are the others.
    """
    surplus = exposure.reserved_surplus_scaled(cash)
    if surplus >= 0 or most is None:
        return surplus
    if taking is None:
        bound = exposure.capped_bound_scaled(cash, most)
        if bound is not None and bound >= 0:
            return bound
    return max(surplus, _CAP.surplus(exposure, cash, most, orders(), taking))


def reserved_scaled(exchange: Exchange, account: int, exposure: Exposure, cash: int) -> int:
    """The same of an account as it stands, always exact: with this exposure and cash, which may be others than it has."""
    surplus = exposure.reserved_surplus_scaled(cash)
    most = lots_left(exchange.protections.get(account), exchange.time_ms)
    if most is None:
        return surplus
    return max(surplus, _CAP.surplus(exposure, cash, most, exchange.open_orders.get(account, {}).values(), None))


def not_carried(exchange: Exchange, account: int, protection: Protection | None) -> tuple[RestingOrder, ...]:
    """The open orders that an account does not carry as it stands, under this protection, when they are admitted anew, oldest first."""
    orders = exchange.open_orders.get(account, {}).values()
    if not orders:
        return ()
    most = lots_left(protection, exchange.time_ms)
    return readmit(exchange.context, exchange.positions_of(account), exchange.accounts[account].cash, most, orders)[1]


def readmit(
    context: RiskContext, positions: Mapping[int, int], cash: int, most: int | None, orders: Iterable[RestingOrder]
) -> tuple[Exposure, tuple[RestingOrder, ...]]:
    """The exposure of an account whose open orders are admitted anew, oldest first, by the margin condition of entry; and those that are not."""
    known = tuple(orders)
    # Once for all: each order that is refused asks for all that were kept.
    valued = [replace(resting, unit_fee=order_terms(context, resting.order).fee) for resting in known]
    whole = build_exposure(context, positions, known)
    if carried_scaled(whole, cash, most, lambda: valued) >= 0:
        return whole, ()
    exposure, kept, dropped = build_exposure(context, positions, ()), list[RestingOrder](), list[RestingOrder]()
    for resting, now in zip(known, valued, strict=True):
        terms, units = order_terms(context, resting.order), resting.left_lots
        exposure.reserve(*terms, units)
        kept.append(now)
        after = carried_scaled(exposure, cash, most, lambda: kept)
        if after < 0:
            exposure.reserve(*terms, -units)
            kept.pop()
            if after < carried_scaled(exposure, cash, most, lambda: kept):
                dropped.append(resting)
                continue
            exposure.reserve(*terms, units)
            kept.append(now)
    return exposure, tuple(dropped)
