"""Whether an order may enter the market: its terms, its nonce, and what its account can carry."""

from __future__ import annotations

from straddle.core.accounts import EMPTY_SLOT
from straddle.core.book import RestingOrder
from straddle.core.exposure import Exposure
from straddle.core.implied import would_trade
from straddle.core.market_state import MarketState, reducible_lots
from straddle.core.orders import FLAG_POST_ONLY, FLAG_REDUCE_ONLY, FLAGS_ALL, FLAGS_IMMEDIATE, Leg
from straddle.core.params import BPS, POSITION_VALUE_BOUND, SIZE_LOTS_MAX, TICKS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import carried_scaled
from straddle.core.trading import Trading
from straddle.core.units import Unit

_CANCEL_ONLY, _REDUCE_ONLY = MarketState.CANCEL_ONLY, MarketState.REDUCE_ONLY
"""Looked up once: every order asks."""


def check_entry(trading: Trading, unit: Unit, incoming: RestingOrder, live: RestingOrder | None) -> Rejection | None:
    """Every condition on one order of a set whose signature holds, but for what its account can carry: terms, nonce, market and protection.

    `live`: the open order in its slot. Fills in what it may still fill (0 or less for an amendment that only takes the live order away) and its worst fee.
    """
    refused = _check_terms(trading, unit, incoming)
    if refused is None:
        refused = _check_nonce(trading, unit, incoming, live)
    if refused is not None or incoming.left_lots <= 0 or not trading.cautious:
        return refused
    return _check_caution(trading, incoming)


def _check_terms(trading: Trading, unit: Unit, incoming: RestingOrder) -> Rejection | None:
    """What the order says, against its unit and the table. The fee cap covers its worst fee, so that no taker's fee can exceed its cap."""
    order = incoming.order
    flags, size, limit, time_ms = order.flags, order.size_lots, order.limit_ticks, trading.time_ms
    if flags and (flags & ~FLAGS_ALL or (flags & FLAG_POST_ONLY and flags & FLAGS_IMMEDIATE)):
        return Rejection(
            RejectionCode.FLAGS, "flags", flags, f"bits below {FLAGS_ALL + 1}, post only (4) neither with immediate or cancel (1) nor fill or kill (2)"
        )
    if order.expiry_ms <= time_ms:
        return Rejection(RejectionCode.ORDER_EXPIRED, "expiry_ms", order.expiry_ms, f"later than the time {time_ms}")
    if not 0 <= size <= SIZE_LOTS_MAX or size % unit.step:
        return Rejection(RejectionCode.SIZE, "size_lots", size, f"a multiple of {unit.step} up to {SIZE_LOTS_MAX}")
    if not unit.lowest <= limit <= TICKS_MAX or limit % unit.tick:
        return Rejection(RejectionCode.LIMIT, "limit_ticks", limit, f"a multiple of {unit.tick} from {unit.lowest} to {TICKS_MAX}")
    if not unit.low <= limit <= unit.high:
        return Rejection(RejectionCode.PRICE_BAND, "limit_ticks", limit, f"{unit.low} to {unit.high} (mark and band of the table)")
    fee = incoming.unit_fee = unit.worst_fee(order)
    if order.fee_cap < fee:
        return Rejection(RejectionCode.FEE_CAP, "fee_cap", order.fee_cap, f"at least {fee} micro-dollars a lot, or unit of a combination")
    return None


def _check_nonce(trading: Trading, unit: Unit, incoming: RestingOrder, live: RestingOrder | None) -> Rejection | None:
    """The slot rule of docs/protocol/state.md, and no revision twice. What may still fill is a multiple of the size step: revisions may be on other legs."""
    order, owner = incoming.order, trading.exchange.accounts[incoming.account]
    nonce, size = order.nonce, order.size_lots
    if nonce < (owner.min_nonce or 1):
        return Rejection(RejectionCode.NONCE_DEAD, "nonce", nonce, f"at least {owner.min_nonce or 1}")
    newest, revision, filled = owner.slots.get(nonce % trading.slots, EMPTY_SLOT)
    if newest != nonce:
        filled = 0
    if live is not None and (live.order.nonce, live.order.revision) > (newest, revision):
        newest, revision = live.order.nonce, live.order.revision
    if nonce < newest:
        return Rejection(RejectionCode.NONCE_STALE, "nonce", nonce, f"at least {newest}, which its slot has seen")
    if nonce == newest and order.revision <= revision:
        return Rejection(RejectionCode.REVISION, "revision", order.revision, f"more than {revision}, which this nonce has seen")
    if size <= filled and live is None:
        return Rejection(RejectionCode.SIZE, "size_lots", size, f"more than {filled}, which has filled (less only amends a live order away)")
    left = incoming.left_lots = size - filled
    if left > 0 and left % unit.step:
        return Rejection(RejectionCode.SIZE, "size_lots", size, f"another nonce: {filled} filled on other legs, no multiple of {unit.step}")
    return None


def _check_caution(trading: Trading, incoming: RestingOrder) -> Rejection | None:
    """The market takes orders, and the account's protection is not frozen; then only orders that never rest enter, so that it can still hedge."""
    exchange = trading.exchange
    state, protection = trading.market_state, exchange.protections.get(incoming.account)
    if state is _CANCEL_ONLY:
        return Rejection(RejectionCode.CANCEL_ONLY, "market_state", state, "an open or reduce-only market, or an amendment to what has filled")
    if protection is not None and exchange.time_ms < protection.frozen_until_ms and not incoming.order.immediate:
        expected = f"immediate or cancel (1) or fill or kill (2) until {protection.frozen_until_ms}: the account's protection tripped"
        return Rejection(RejectionCode.PROTECTION_FROZEN, "flags", incoming.order.flags, expected)
    return None


def admit(trading: Trading, unit: Unit, incoming: RestingOrder, replaced: RestingOrder | None, *, keeps_turn: bool) -> Rejection | None:
    """Reserves the incoming order in place of the one that it replaces, if its account can carry it: position caps and value bounds, numbers of positions
    and orders, margin, as if every open order filled, or as many as its protection lets. A refusal leaves the reservation to be taken back by the caller, to a
    mark set before. `keeps_turn`: it is not matched."""
    exchange, account, order = trading.exchange, incoming.account, incoming.order
    exposure = trading.used.get(account) or trading.exposure(account)
    _reserve(trading, incoming, replaced)
    for place, most_lots in enumerate(unit.most_lots):
        rejection = _check_position(trading, exposure, incoming, order.legs[place], most_lots)
        if rejection is not None:
            return rejection
    limits, held, cash = exchange.limits, exposure.instruments, exchange.accounts[account].cash
    surplus = _carried(trading, incoming, replaced, keeps_turn=keeps_turn)
    if surplus < 0 or held > limits.positions:
        trading.reserve(incoming, -incoming.left_lots)
        if replaced is not None:
            trading.reserve(replaced, replaced.left_lots)
        held_before = exposure.instruments
        if held > limits.positions and held > held_before:
            return Rejection(RejectionCode.POSITIONS_MAX, "instrument", order.instrument, f"one of the {limits.positions} that an account may hold or quote")
        if surplus < 0 and surplus < carried_scaled(exposure, cash, trading.lots_left(account), lambda: _resting(trading, account)):
            lacking = -(surplus // BPS)
            return Rejection(RejectionCode.MARGIN, "size_lots", order.size_lots, f"an order that the account can carry: it lacks {lacking} micro-dollars")
        _reserve(trading, incoming, replaced)
    if replaced is None and len(exchange.open_orders.get(account, ())) >= limits.open_orders:
        return Rejection(RejectionCode.OPEN_ORDERS_MAX, "nonce", order.nonce, f"at most {limits.open_orders} open orders")
    return None


def _carried(trading: Trading, incoming: RestingOrder, replaced: RestingOrder | None, *, keeps_turn: bool) -> int:
    """What the account is left with, as `carried_scaled` has it. An order that may trade at once is outside its protection until it rests."""
    account, exposure = incoming.account, trading.exposure(incoming.account)
    cash, most = trading.exchange.accounts[account].cash, trading.lots_left(account)
    surplus = exposure.reserved_surplus_scaled(cash)
    if surplus >= 0 or most is None:
        return surplus
    others = [resting for resting in _resting(trading, account) if resting is not replaced]
    if keeps_turn or not would_trade(trading, incoming.order):
        return carried_scaled(exposure, cash, most, lambda: [*others, incoming])
    return carried_scaled(exposure, cash, most, lambda: others, incoming)


def _resting(trading: Trading, account: int) -> tuple[RestingOrder, ...]:
    return tuple(trading.exchange.open_orders.get(account, {}).values())


def _reserve(trading: Trading, incoming: RestingOrder, replaced: RestingOrder | None) -> None:
    if replaced is not None:
        trading.reserve(replaced, -replaced.left_lots)
    trading.reserve(incoming, incoming.left_lots)


def _check_position(trading: Trading, exposure: Exposure, incoming: RestingOrder, leg: Leg, most_lots: int) -> Rejection | None:
    """Size of the position that the order could lead to in one of its instruments; whether it reduces where it has to."""
    order, (instrument, ratio) = incoming.order, leg
    position, buys, sells = exposure.lots(instrument)
    side = order.side if ratio > 0 else order.side.opposite
    lots, towards = (buys, position) if side else (sells, -position)
    if order.flags & FLAG_REDUCE_ONLY:
        closing = _open_reducing(trading, incoming, leg) + abs(ratio) * incoming.left_lots
        if closing > reducible_lots(position, side):
            expected = f"at most {reducible_lots(position, side)} lots of instrument {instrument} with the open reduce-only orders of its side, not {closing}"
            return Rejection(RejectionCode.REDUCE_ONLY, "size_lots", order.size_lots, expected)
    if trading.market_state is _REDUCE_ONLY and lots > reducible_lots(position, side):
        expected = f"at most {reducible_lots(position, side)} lots with all open orders of its side, not {lots}: the market is reduce-only"
        return Rejection(RejectionCode.REDUCE_ONLY, "size_lots", order.size_lots, expected)
    reached = lots + towards
    if reached <= most_lots:
        return None
    cap = trading.exchange.instruments[instrument].position_cap_lots
    if reached > cap:
        return Rejection(RejectionCode.POSITION_CAP, "size_lots", order.size_lots, f"a position of at most {cap} lots with all open orders, not {reached}")
    return Rejection(RejectionCode.POSITION_VALUE, "size_lots", order.size_lots, f"size times value or scenario result below {POSITION_VALUE_BOUND}")


def _open_reducing(trading: Trading, incoming: RestingOrder, leg: Leg) -> int:
    """Lots of the account's other open reduce-only orders that trade an instrument on the same side."""
    exchange, side = trading.exchange, incoming.order.leg_side(leg)
    slot, lots = incoming.order.nonce % trading.slots, 0
    for index, resting in exchange.open_orders.get(incoming.account, {}).items():
        if resting.order.reduce_only and index != slot:
            same = (other for other in resting.order.legs if other.instrument == leg.instrument and resting.order.leg_side(other) is side)
            lots += resting.left_lots * sum(abs(other.ratio) for other in same)
    return lots
