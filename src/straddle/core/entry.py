"""Whether an order may enter the market: its terms, its nonce, and what its account can carry."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.book import RestingOrder
from straddle.core.draft import AccountDraft, Draft
from straddle.core.exposure import Exposure, RiskContext
from straddle.core.fees import worst_fee_per_lot
from straddle.core.instruments import Instrument
from straddle.core.market_state import MarketState, reducible_lots
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, Order, Side
from straddle.core.params import BPS, POSITION_VALUE_BOUND, SIZE_LOTS_MAX, TICKS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.risk_table import RiskRow


@dataclass(frozen=True, slots=True)
class Entry:
    """An order that may enter."""

    left_lots: int
    """Lots that it may still fill; 0 or less for an amendment that only takes the live order away."""
    replaced: RestingOrder | None
    """The live order whose slot it takes."""


def check_entry(draft: Draft, account: int, order: Order) -> Entry | Rejection:
    """Every condition on one order of a set whose signature holds, in this order: terms, nonce, market and protection, limits, margin."""
    rejection = _check_terms(draft, order)
    if rejection is not None:
        return rejection
    entry = _check_nonce(draft, account, order)
    if isinstance(entry, Rejection) or entry.left_lots <= 0:
        return entry
    return _check_caution(draft, account, order) or _check_room(draft, account, order, entry) or entry


def _check_terms(draft: Draft, order: Order) -> Rejection | None:
    """What the order says, against its instrument and the table."""
    table = draft.context.table
    instrument = draft.exchange.instruments.get(order.instrument)
    if instrument is None:
        return Rejection(RejectionCode.INSTRUMENT, "instrument", order.instrument, f"a listed instrument, 1 to {draft.exchange.listing_count}")
    row = table[order.instrument]
    if row.expiry_ms <= table.time_ms:
        return Rejection(RejectionCode.INSTRUMENT_EXPIRED, "instrument", order.instrument, f"one that expires after the table's time {table.time_ms}")
    if order.flags & ~FLAG_IMMEDIATE_OR_CANCEL:
        return Rejection(RejectionCode.FLAGS, "flags", order.flags, "0, or 1 for immediate or cancel (the circuit proves no other)")
    if order.expiry_ms <= table.time_ms:
        return Rejection(RejectionCode.ORDER_EXPIRED, "expiry_ms", order.expiry_ms, f"later than the table's time {table.time_ms}")
    if not 0 <= order.size_lots <= SIZE_LOTS_MAX or order.size_lots % instrument.min_lots:
        return Rejection(RejectionCode.SIZE, "size_lots", order.size_lots, f"a multiple of {instrument.min_lots} up to {SIZE_LOTS_MAX}")
    return _check_price(draft.context, instrument, row, order)


def _check_price(context: RiskContext, instrument: Instrument, row: RiskRow, order: Order) -> Rejection | None:
    """Limit: positive, on the tick, in the band. Fee cap: covers the worst fee, so that no taker's fee can exceed it."""
    limit = order.limit_ticks
    if not 0 < limit <= TICKS_MAX or limit % instrument.tick_ticks:
        return Rejection(RejectionCode.LIMIT, "limit_ticks", limit, f"a positive multiple of {instrument.tick_ticks} up to {TICKS_MAX}")
    if abs(limit - row.mark) > row.band:
        return Rejection(RejectionCode.PRICE_BAND, "limit_ticks", limit, f"{row.mark - row.band} to {row.mark + row.band} (mark and band of the table)")
    fee = worst_fee_per_lot(context.fees, context.table.index_ticks, row, order.side, limit)
    if order.fee_cap < fee:
        return Rejection(RejectionCode.FEE_CAP, "fee_cap", order.fee_cap, f"at least {fee} micro-dollars a lot")
    return None


def _check_nonce(draft: Draft, account: int, order: Order) -> Entry | Rejection:
    """The slot rule of docs/protocol/state.md, and no revision twice."""
    nonce = order.nonce
    min_nonce = max(1, draft.exchange.accounts[account].min_nonce)
    if nonce < min_nonce:
        return Rejection(RejectionCode.NONCE_DEAD, "nonce", nonce, f"at least {min_nonce}")
    slot = draft.slot(account, nonce)
    live = draft.live_orders(account).get(draft.slot_index(nonce))
    newest, revision = slot.nonce, slot.revision
    if live is not None and (live.order.nonce, live.order.revision) > (newest, revision):
        newest, revision = live.order.nonce, live.order.revision
    if nonce < newest:
        return Rejection(RejectionCode.NONCE_STALE, "nonce", nonce, f"at least {newest}, which its slot has seen")
    if nonce == newest and order.revision <= revision:
        return Rejection(RejectionCode.REVISION, "revision", order.revision, f"more than {revision}, which this nonce has seen")
    filled = slot.filled if slot.nonce == nonce else 0
    if order.size_lots <= filled and live is None:
        return Rejection(RejectionCode.SIZE, "size_lots", order.size_lots, f"more than {filled}, which has filled (less only amends a live order away)")
    return Entry(order.size_lots - filled, live)


def _check_caution(draft: Draft, account: int, order: Order) -> Rejection | None:
    """The market takes orders, and the account's protection is not frozen; then only orders that never rest enter, so that it can still hedge."""
    state, protection = draft.exchange.market_state, draft.exchange.protections.get(account)
    if state is MarketState.CANCEL_ONLY:
        return Rejection(RejectionCode.CANCEL_ONLY, "market_state", state, "an open or reduce-only market, or an amendment to what has filled")
    if protection is not None and draft.exchange.time_ms < protection.frozen_until_ms and not order.immediate:
        expected = f"immediate or cancel (1) until {protection.frozen_until_ms}: the account's protection tripped"
        return Rejection(RejectionCode.PROTECTION_FROZEN, "flags", order.flags, expected)
    return None


def _check_room(draft: Draft, account: int, order: Order, entry: Entry) -> Rejection | None:
    """Position cap, value bound, numbers of positions and orders, margin: as if every open order filled, this one in place of the one it replaces."""
    owner, limits, context = draft.account(account), draft.exchange.limits, draft.context
    after = owner.exposure.copy()
    if entry.replaced is not None:
        replaced = entry.replaced
        after.reserve(context, replaced.order, -draft.left_of(replaced), owner.positions.get(replaced.order.instrument, 0))
    after.reserve(context, order, entry.left_lots, owner.positions.get(order.instrument, 0))
    rejection = _check_position(draft, owner, after, order)
    if rejection is not None:
        return rejection
    held = after.instruments(owner.positions)
    if held > limits.positions and held > owner.exposure.instruments(owner.positions):
        return Rejection(RejectionCode.POSITIONS_MAX, "instrument", order.instrument, f"one of the {limits.positions} that an account may hold or quote")
    if entry.replaced is None and len(draft.live_orders(account)) >= limits.open_orders:
        return Rejection(RejectionCode.OPEN_ORDERS_MAX, "nonce", order.nonce, f"at most {limits.open_orders} open orders")
    surplus = after.reserved_surplus_scaled(owner.cash)
    if surplus < 0 and surplus < owner.exposure.reserved_surplus_scaled(owner.cash):
        lacking = -(surplus // BPS)
        return Rejection(RejectionCode.MARGIN, "size_lots", order.size_lots, f"an order that the account can carry: it lacks {lacking} micro-dollars")
    return None


def _check_position(draft: Draft, owner: AccountDraft, after: Exposure, order: Order) -> Rejection | None:
    """Size of the position that the order could lead to."""
    instrument, row = order.instrument, draft.context.table[order.instrument]
    position = owner.positions.get(instrument, 0)
    lots = (after.buys if order.side is Side.BUY else after.sells).get(instrument, 0)
    reducible = reducible_lots(position, order.side)
    if draft.exchange.market_state is MarketState.REDUCE_ONLY and lots > reducible:
        expected = f"at most {reducible} lots with all open orders of its side, not {lots}: the market is reduce-only"
        return Rejection(RejectionCode.REDUCE_ONLY, "size_lots", order.size_lots, expected)
    reached = lots + order.side.sign * position
    cap = draft.exchange.instruments[instrument].position_cap_lots
    if reached > cap:
        return Rejection(RejectionCode.POSITION_CAP, "size_lots", order.size_lots, f"a position of at most {cap} lots with all open orders, not {reached}")
    largest = max(abs(row.value), max(map(abs, row.deltas)))
    if reached * largest >= POSITION_VALUE_BOUND:
        return Rejection(RejectionCode.POSITION_VALUE, "size_lots", order.size_lots, f"size times value or scenario result below {POSITION_VALUE_BOUND}")
    return None
