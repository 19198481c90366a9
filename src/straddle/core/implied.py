"""Implied prices: what the books of a combination's legs offer for the combination. An incoming combination takes all its legs there at once, or none."""

from __future__ import annotations

from dataclasses import dataclass, field

from straddle.core.book import RestingOrder
from straddle.core.events import CancelReason
from straddle.core.market_state import reducible_lots
from straddle.core.orders import Order
from straddle.core.protection import Protection
from straddle.core.trading import LegFill, Part, TakerStopped, Trading


def implied_ticks(trading: Trading, order: Order) -> int | None:
    """Net of the best prices that the legs' books have for the order's side; None when one of them has none."""
    net = 0
    for leg in order.legs:
        best = trading.exchange.books[leg.instrument].side(order.leg_side(leg).opposite).best_ticks()
        if best is None:
            return None
        net += leg.ratio * best
    return net


def crosses(order: Order, price_ticks: int) -> bool:
    """Whether an order's limit admits a price of the other side."""
    return order.side.sign * (price_ticks - order.limit_ticks) <= 0


def would_trade(trading: Trading, order: Order) -> bool:
    """Whether the best price of the other side, or the one that the books of the legs imply, is within the limit."""
    book = trading.exchange.book(order.legs)
    best = book.side(order.side.opposite).best_ticks() if book is not None else None
    implied = None if order.is_outright else implied_ticks(trading, order)
    return any(price is not None and crosses(order, price) for price in (best, implied))


@dataclass(slots=True)
class Offer:
    """Resting orders that make up a number of units together, found by walking the books of the legs."""

    units: int
    parts: list[Part] = field(default_factory=list)
    cost: int = 0
    """Of all units, as the taker's net, ticks."""
    unfit: tuple[RestingOrder, CancelReason] | None = None
    """The first one that has to leave before anything can fill."""
    used: dict[int, Protection] = field(default_factory=dict)
    """Protections of the makers as they are after the offer is taken."""
    clipped: dict[int, None] = field(default_factory=dict)
    """Accounts whose protection cut a part short."""


def execute_implied(trading: Trading, taker: RestingOrder, rival: RestingOrder | None, fills_left: int) -> bool:
    """Takes what the legs' books offer once, if that is within the taker's limit and better than the `rival`, the best order on the combination itself.

    Whether anything was done: a match, or a maker that may not trade taken away. TakerStopped when the taker may not go on.
    """
    order = taker.order
    best = implied_ticks(trading, order)
    sign = order.side.sign
    if best is None or not _acceptable(sign, best, 1, order.limit_ticks, rival):
        return False
    step = trading.units[order.legs].step
    top = _top_units(trading, taker)
    for units in dict.fromkeys((max(top - top % step, step), step)):
        offer = _walk(trading, taker, units)
        if offer is None or not _acceptable(sign, offer.cost, units, order.limit_ticks, rival):
            continue
        if offer.unfit is not None:
            _dismiss(trading, *offer.unfit)
        elif len(offer.parts) > fills_left:
            raise TakerStopped(CancelReason.MAX_FILLS)
        else:
            _take(trading, taker, offer)
        return True
    return False


def _acceptable(sign: int, cost: int, units: int, limit_ticks: int, rival: RestingOrder | None) -> bool:
    """Whether a cost of `units` is within the taker's limit, and better for it than the rival's price."""
    return sign * (cost - limit_ticks * units) <= 0 and (rival is None or sign * (cost - rival.order.limit_ticks * units) < 0)


def _top_units(trading: Trading, taker: RestingOrder) -> int:
    """Units that the best order of every leg's book covers by itself, at most what the taker wants."""
    units, order = taker.left_lots, taker.order
    for leg in order.legs:
        best = trading.exchange.books[leg.instrument].side(order.leg_side(leg).opposite).best()
        units = min(units, best.left_lots // abs(leg.ratio)) if best is not None else 0
    return units


def _walk(trading: Trading, taker: RestingOrder, units: int) -> Offer | None:
    """The resting orders that a taker meets for `units`, leg by leg; None when a book has too few lots."""
    offer, order = Offer(units), taker.order
    for place, leg in enumerate(order.legs):
        missing, direction = abs(leg.ratio) * units, 1 if leg.ratio > 0 else -1
        for maker in trading.exchange.books[leg.instrument].side(order.leg_side(leg).opposite):
            lots = _available(trading, taker, maker, missing, offer)
            if lots:
                price = maker.order.limit_ticks
                offer.parts.append(Part(maker, lots, (LegFill(place, 0, price),)))
                offer.cost += direction * lots * price
                missing -= lots
                if not missing:
                    break
        if missing:
            return None
    return offer


def _available(trading: Trading, taker: RestingOrder, maker: RestingOrder, missing: int, offer: Offer) -> int:
    """Lots of a resting order for an offer; one that may not trade counts in full, and as unfit."""
    order, account, lots = maker.order, maker.account, min(missing, maker.left_lots)
    unit, instrument = trading.units[order.legs], order.instrument
    reason: CancelReason | None = None
    if account == taker.account:
        reason = CancelReason.SELF_TRADE
    elif not unit.low <= order.limit_ticks <= unit.high:
        reason = CancelReason.PRICE_BAND
    elif order.reduce_only:
        taken = sum(part.units for part in offer.parts if part.maker.account == account and part.maker.order.instrument == instrument)
        position = trading.exchange.positions_of(account).get(instrument, 0)
        room = max(0, reducible_lots(position, order.side) - taken)
        lots = min(lots, room - room % unit.step)
        reason = CancelReason.REDUCE_ONLY if not lots else None
    protection = offer.used.get(account) or trading.protection(account)
    if reason is None and protection is not None and account not in offer.used and trading.outgrows(account, protection):
        reason = CancelReason.PROTECTION
    if reason is None and protection is not None:
        slope = order.side.sign * unit.slope
        room = protection.room(1, slope, unit.step)
        if room < lots:
            if not room and account not in offer.used:
                reason = CancelReason.PROTECTION
            else:
                lots = room
                offer.clipped[account] = None
        if reason is None:
            offer.used[account] = protection.filled(lots, slope * lots)
    if reason is not None:
        offer.unfit = offer.unfit or (maker, reason)
        return min(missing, maker.left_lots)
    return lots


def _dismiss(trading: Trading, maker: RestingOrder, reason: CancelReason) -> None:
    """A resting order that may not trade leaves; one whose protection has no room takes the others of its account along."""
    protection = trading.protection(maker.account)
    if reason is CancelReason.PROTECTION and protection is not None:
        trading.trip(maker.account, protection)
    else:
        trading.cancel(maker, reason)


def _take(trading: Trading, taker: RestingOrder, offer: Offer) -> None:
    """Fills against the whole offer, or cancels the order that stands in its way."""
    failed = trading.execute(taker, offer.units, offer.parts)
    if failed is not None:
        trading.cancel(*failed)
        return
    for account, used in offer.used.items():
        trading.use_protection(account, used, clipped=account in offer.clipped)
