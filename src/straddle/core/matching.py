"""Matching: an order meets the other side by price, then time, at the makers' prices. Everything happens in a draft.

Makers that may not trade are cancelled when they are met, not filled: the taker's own orders (self-trade prevention: the *resting*
order is cancelled, the incoming one goes on), those whose fee cap or price the table has left behind, and those whose account would
break the margin rule. A maker under market-maker protection fills no more than that leaves, and then its account's orders leave.
Orders that expired, or that a cancel or a new key killed, have left the book before. A taker that would break the rule stops, and its
rest is cancelled.
"""

from __future__ import annotations

from straddle.core.batch import Fill
from straddle.core.book import RestingOrder
from straddle.core.draft import Draft
from straddle.core.entry import check_entry
from straddle.core.events import CancelReason, OrderCancelled, OrderRejected, Trade
from straddle.core.fees import fill_fee
from straddle.core.orders import Order, Side
from straddle.core.params import MAX_FILLS_PER_ORDER
from straddle.core.rejections import InvariantBroken, Rejection


def place(draft: Draft, incoming: RestingOrder) -> None:
    """One signed order enters: it is refused, or takes its slot over, matches, and then rests if it may. `incoming.left_lots` is filled in here."""
    account, order = incoming.account, incoming.order
    entry = check_entry(draft, account, order)
    if isinstance(entry, Rejection):
        draft.events.append(OrderRejected(account, order, incoming.set_index, entry))
        return
    replaced = entry.replaced
    keeps_turn = replaced is not None and _only_size_falls(replaced.order, order)
    if replaced is not None:
        draft.cancel(replaced, CancelReason.AMENDED if replaced.order.nonce == order.nonce else CancelReason.REPLACED)
    if entry.left_lots <= 0:
        return
    incoming.left_lots = entry.left_lots
    if keeps_turn:
        draft.rest(incoming, keeps_turn_of=replaced)
        return
    stopped = match(draft, incoming)
    if not incoming.left_lots:
        return
    if stopped is None and not order.immediate:
        draft.rest(incoming)
    else:
        draft.events.append(OrderCancelled(account, order, incoming.left_lots, stopped or CancelReason.IMMEDIATE))


def _only_size_falls(old: Order, new: Order) -> bool:
    """An amendment that keeps its turn in the book."""
    same = (old.nonce, old.instrument, old.side, old.limit_ticks) == (new.nonce, new.instrument, new.side, new.limit_ticks)
    return same and new.size_lots <= old.size_lots and not new.immediate


def match(draft: Draft, taker: RestingOrder) -> CancelReason | None:
    """Fills `taker` as far as it goes, lowering its `left_lots`; returns why it had to stop early, or None."""
    fills = 0
    for maker in draft.makers(taker.order):
        if not taker.left_lots or not _crosses(taker.order, maker.order.limit_ticks):
            break
        if maker.account == taker.account:
            draft.cancel(maker, CancelReason.SELF_TRADE)
            continue
        if fills == MAX_FILLS_PER_ORDER:
            return CancelReason.MAX_FILLS
        wanted_lots = min(taker.left_lots, draft.left_of(maker))
        unfit = _unfit(draft, maker, wanted_lots)
        if unfit is not None:
            draft.cancel(maker, unfit)
            continue
        size_lots = _protected_size(draft, maker, wanted_lots)
        if not size_lots:
            continue
        taker_stopped, maker_stopped = _try_fill(draft, taker, maker, size_lots)
        if taker_stopped is not None:
            return taker_stopped
        if maker_stopped is not None:
            draft.cancel(maker, maker_stopped)
        else:
            fills += 1
            _use_protection(draft, maker, size_lots, clipped=size_lots < wanted_lots)
    return None


def _protected_size(draft: Draft, maker: RestingOrder, wanted_lots: int) -> int:
    """What the maker's protection leaves of a fill. When that is nothing, it trips: the maker's orders are gone."""
    protection, order = draft.protection(maker.account), maker.order
    if protection is None:
        return wanted_lots
    min_lots = draft.exchange.instruments[order.instrument].min_lots
    size_lots = min(wanted_lots, protection.room_lots(draft.context.table[order.instrument], order.side, min_lots))
    if not size_lots:
        draft.trip(maker.account, protection)
    return size_lots


def _use_protection(draft: Draft, maker: RestingOrder, size_lots: int, *, clipped: bool) -> None:
    """Counts a maker's fill; what it used up or cut short trips before the next match."""
    protection = draft.protection(maker.account)
    if protection is None:
        return
    used = draft.protections[maker.account] = protection.filled(draft.context.table[maker.order.instrument], maker.order.side, size_lots)
    if clipped or used.exhausted:
        draft.trip(maker.account, used)


def _crosses(taker: Order, maker_limit_ticks: int) -> bool:
    """Whether the taker's limit admits the maker's price."""
    return maker_limit_ticks <= taker.limit_ticks if taker.side is Side.BUY else maker_limit_ticks >= taker.limit_ticks


def _unfit(draft: Draft, maker: RestingOrder, size_lots: int) -> CancelReason | None:
    """Why a resting order may not trade on this table, whatever its account holds."""
    context, order = draft.context, maker.order
    owner, row = draft.exchange.accounts[maker.account], context.table[order.instrument]
    if order.nonce < owner.min_nonce or maker.order_set.key_epoch != owner.key_epoch or order.expiry_ms <= context.table.time_ms:
        raise InvariantBroken(f"order {maker.key}: dead by nonce, key or expiry, expected it to have left the book")
    if abs(order.limit_ticks - row.mark) > row.band:
        return CancelReason.PRICE_BAND
    fee = fill_fee(context.fees.maker_bps, context.fees, context.table.index_ticks, row, order.limit_ticks, size_lots)
    return CancelReason.FEE_CAP if fee > order.fee_cap * size_lots else None


def _try_fill(draft: Draft, taker: RestingOrder, maker: RestingOrder, size_lots: int) -> tuple[CancelReason | None, CancelReason | None]:
    """One fill, unless the taker (first) or the maker would break the rule; then nothing changes and the reason is returned in its place."""
    context, price = draft.context, maker.order.limit_ticks
    row, index = context.table[maker.order.instrument], context.table.index_ticks
    taker_fee = fill_fee(context.fees.taker_bps, context.fees, index, row, price, size_lots)
    maker_fee = fill_fee(context.fees.maker_bps, context.fees, index, row, price, size_lots)
    if taker_fee > taker.order.fee_cap * size_lots:
        raise InvariantBroken(f"order {taker.key}: fee {taker_fee} above its cap, expected entry to have refused it")
    taker_after = draft.account(taker.account).after_fill(context, taker.order, price, size_lots, taker_fee, reserved=False)
    stopped = draft.violation(taker_after)
    if stopped is not None:
        return stopped, None
    maker_after = draft.account(maker.account).after_fill(context, maker.order, price, size_lots, maker_fee, reserved=True)
    stopped = draft.violation(maker_after)
    if stopped is not None:
        return None, stopped
    draft.accounts[taker.account], draft.accounts[maker.account] = taker_after, maker_after
    _record(draft, taker, maker, size_lots, taker_fee, maker_fee)
    return None, None


def _record(draft: Draft, taker: RestingOrder, maker: RestingOrder, size_lots: int, taker_fee: int, maker_fee: int) -> None:
    """Slots, rows, what is left of both orders, the event."""
    order, price, sequence = maker.order, maker.order.limit_ticks, draft.exchange.next_sequence
    taker_row = draft.use_order(taker, size_lots, taker_fee)
    maker_row = draft.use_order(maker, size_lots, maker_fee)
    draft.pay_fee(taker_fee + maker_fee)
    draft.fills.append(Fill(taker_row, maker_row, order.instrument, price, size_lots, taker_fee, maker_fee, sequence))
    taker.left_lots -= size_lots
    maker_left = draft.left_of(maker) - size_lots
    draft.left[maker.key] = maker_left
    taking = taker.order
    draft.events.append(
        Trade(
            order.instrument,
            price,
            size_lots,
            taking.side,
            taker.account,
            taking.nonce,
            taking.revision,
            taker.left_lots,
            taker_fee,
            maker.account,
            order.nonce,
            order.revision,
            maker_left,
            maker_fee,
        )
    )
    if not maker_left:
        draft.remove(maker)
