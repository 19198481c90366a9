"""Matching: an order meets the other side by price, then time, at the makers' prices. Everything happens in place and can be taken back (`Trading`).

A combination meets the orders on the same combination, and the orders on its legs' own books at the price that they imply, whichever is better; at one price
its own book comes first. Outright orders do not meet resting combinations.

Makers that may not trade are cancelled when they are met, not filled: the taker's own orders (self-trade prevention: the *resting*
order is cancelled, the incoming one goes on), those whose fee cap or price the table has left behind, reduce-only ones with nothing to reduce, and those whose
account would break the margin rule. A maker under market-maker protection fills no more than that leaves, and then its account's orders leave.
Orders that expired, or that a cancel or a new key killed, have left the book before. A taker that would break the rule stops, and its
rest is cancelled.
"""

from __future__ import annotations

from straddle.core.book import RestingOrder
from straddle.core.combinations import leg_prices
from straddle.core.entry import admit, check_entry
from straddle.core.events import CancelReason, OrderCancelled, OrderRejected
from straddle.core.implied import execute_implied, would_trade
from straddle.core.market_state import reducible_lots
from straddle.core.orders import FLAG_FILL_OR_KILL, FLAG_POST_ONLY, FLAG_REDUCE_ONLY, FLAGS_IMMEDIATE, Order
from straddle.core.params import MAX_FILLS_PER_ORDER
from straddle.core.rejections import InvariantBroken, Rejection, RejectionCode
from straddle.core.trading import LegFill, Mark, Part, TakerStopped, Trading
from straddle.core.units import Unit

_AMENDED, _REPLACED = CancelReason.AMENDED, CancelReason.REPLACED
"""Looked up once: every amendment gives one."""


def place(trading: Trading, incoming: RestingOrder, mark: Mark) -> None:
    """One signed order enters: it is refused, or takes its slot over, matches, and then rests if it may. The rest of `incoming` is filled in here.

    `mark`: the one just made.
    """
    order = incoming.order
    unit = trading.units.check(order.legs)
    refused = unit if isinstance(unit, Rejection) else _enter(trading, unit, incoming)
    if refused is not None:
        trading.back_to(mark)
        trading.events.append(OrderRejected(incoming.account, order, incoming.set_index, refused))


def _enter(trading: Trading, unit: Unit, incoming: RestingOrder) -> Rejection | None:
    """An order on legs that may trade; what it did before a refusal is the caller's to take back."""
    exchange, order = trading.exchange, incoming.order
    orders = exchange.open_orders.get(incoming.account)
    replaced = orders.get(order.nonce % trading.slots) if orders else None
    refused = check_entry(trading, unit, incoming, replaced)
    if refused is not None:
        return refused
    if incoming.left_lots <= 0:
        if replaced is not None:
            trading.cancel(replaced, _AMENDED if replaced.order.nonce == order.nonce else _REPLACED)
        return None
    incoming.turn = exchange.next_sequence << 6 | incoming.set_index
    keeps_turn = replaced is not None and _keeps_turn(replaced.order, order)
    refused = admit(trading, unit, incoming, replaced, keeps_turn=keeps_turn)
    if refused is not None:
        return refused
    if replaced is not None:
        old = replaced.order
        trading.events.append(OrderCancelled(replaced.account, old, replaced.left_lots, _AMENDED if old.nonce == order.nonce else _REPLACED))
        if keeps_turn:
            trading.exchange_in_place(replaced, incoming)
            return None
        trading.remove(replaced)
    if order.flags & FLAG_POST_ONLY and would_trade(trading, order):
        return Rejection(RejectionCode.POST_ONLY, "limit_ticks", order.limit_ticks, "a limit that does not reach the other side: the order is post only")
    return _match_and_rest(trading, unit, incoming)


def _match_and_rest(trading: Trading, unit: Unit, incoming: RestingOrder) -> Rejection | None:
    """An admitted order fills as far as it goes; what is left rests or is cancelled."""
    order, stopped = incoming.order, None
    try:
        match(trading, unit, incoming)
    except TakerStopped as stop:
        stopped = stop.reason
    left = incoming.left_lots
    if not left:
        return None
    if order.flags & FLAG_FILL_OR_KILL:
        return Rejection(
            RejectionCode.FILL_OR_KILL, "size_lots", order.size_lots, f"a size that fills at once: {left} would be left ({stopped or 'no more crossed'})"
        )
    if stopped is None and not order.flags & FLAGS_IMMEDIATE:
        trading.rest(incoming)
    else:
        trading.give_back(incoming, stopped or CancelReason.IMMEDIATE)
    return None


def _keeps_turn(old: Order, new: Order) -> bool:
    """Whether an amendment keeps its turn in the book: of another order only its size falls, and it may rest."""
    same = old.limit_ticks == new.limit_ticks and old.nonce == new.nonce and old.side is new.side and old.legs == new.legs
    return same and new.size_lots <= old.size_lots and not new.immediate


def match(trading: Trading, unit: Unit, taker: RestingOrder) -> None:
    """Fills `taker` as far as it goes, lowering its `left_lots`. TakerStopped when it has to stop early."""
    exchange, order = trading.exchange, taker.order
    legs, side = order.legs, order.side
    fills = exchange.open_batch.fills
    most = len(fills) + MAX_FILLS_PER_ORDER
    while taker.left_lots:
        book = exchange.book(legs)
        maker = None if book is None else book.best_for(side, order.limit_ticks)
        if len(legs) > 1 and execute_implied(trading, taker, maker, most - len(fills)):
            continue
        if maker is None:
            return
        if maker.account == taker.account:
            trading.cancel(maker, CancelReason.SELF_TRADE)
        elif len(fills) + len(legs) > most:
            raise TakerStopped(CancelReason.MAX_FILLS)
        else:
            _meet(trading, unit, taker, maker)


def _meet(trading: Trading, unit: Unit, taker: RestingOrder, maker: RestingOrder) -> None:
    """The two orders, on the same legs, fill at the maker's price as far as they may; a maker that may not fill on leaves the book."""
    order, account, exchange, context = maker.order, maker.account, trading.exchange, trading.context
    owner = exchange.accounts[account]
    if order.nonce < owner.min_nonce or maker.order_set.key_epoch != owner.key_epoch or order.expiry_ms <= trading.time_ms:
        raise InvariantBroken(f"order {maker.key}: dead by nonce, key or expiry, expected it to have left the book")
    price = order.limit_ticks
    prices = (price,) if len(order.legs) == 1 else leg_prices(context.table, order.legs, price)
    if prices is None or not unit.low <= price <= unit.high:
        trading.cancel(maker, CancelReason.PRICE_BAND)
        return
    wanted = units = min(taker.left_lots, maker.left_lots)
    if order.flags & FLAG_REDUCE_ONLY:
        wanted = units = min(units, reducible_units(trading, maker))
        if not units:
            trading.cancel(maker, CancelReason.REDUCE_ONLY)
            return
    protection = trading.protection(account)
    if protection is not None:
        slope = order.side.sign * unit.slope
        units = 0 if trading.outgrows(account, protection) else min(units, protection.room(unit.lots, slope, unit.step))
        if not units:
            trading.trip(account, protection)
            return
    failed = trading.execute(taker, units, [Part(maker, units, [LegFill(i, i, price) for i, price in enumerate(prices)])])
    if failed is not None:
        trading.cancel(maker, failed[1])
        return
    if protection is not None:
        trading.use_protection(account, protection.filled(unit.lots * units, slope * units), clipped=units < wanted)


def reducible_units(trading: Trading, maker: RestingOrder) -> int:
    """Units of a reduce-only order that reduce every position of its legs, a multiple of its size step."""
    positions, order = trading.exchange.positions_of(maker.account), maker.order
    units = min(reducible_lots(positions.get(leg.instrument, 0), order.leg_side(leg)) // abs(leg.ratio) for leg in order.legs)
    return units - units % trading.units[order.legs].step
