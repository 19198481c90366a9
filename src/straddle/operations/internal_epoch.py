"""internal_epoch: a new risk table takes effect, in a batch without rows (other than listings).

Orders that the table leaves behind are cancelled before matching goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.book import RestingOrder
from straddle.core.capacity import NO_ADDITIONS, Additions
from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, EpochStarted, Event, OrderCancelled
from straddle.core.exposure import Exposure, RiskContext, order_terms
from straddle.core.instruments import Instrument
from straddle.core.params import TICKS_MAX, TIME_MS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import lots_left, readmit
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.state import Exchange

EPOCH_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The table, every account valued on it, the orders to cancel."""

    table: RiskTable
    exposures: dict[int, Exposure]
    cancelled: tuple[tuple[RestingOrder, CancelReason], ...]
    additions: Additions = NO_ADDITIONS


def check(exchange: Exchange, command: InternalEpoch) -> Plan | Rejection:
    """A later epoch, not an earlier time, one row in range for each instrument that is listed and not retired, a batch without rows."""
    table, current = command.table, exchange.table
    epoch_min, time_min = (current.epoch + 1, current.time_ms) if current else (1, 1)
    if not epoch_min <= table.epoch <= EPOCH_MAX:
        return Rejection(RejectionCode.EPOCH_ORDER, "epoch", table.epoch, f"{epoch_min} to {EPOCH_MAX}")
    if not time_min <= table.time_ms <= TIME_MS_MAX:
        return Rejection(RejectionCode.EPOCH_ORDER, "time_ms", table.time_ms, f"{time_min} to {TIME_MS_MAX}")
    ids = tuple(row.instrument for row in table.rows)
    if ids != tuple(exchange.instruments):
        return Rejection(RejectionCode.TABLE_ROWS, "rows", ids, f"the {len(exchange.instruments)} instruments listed and not retired, ascending, each once")
    if not 0 < table.index_ticks <= TICKS_MAX:
        return Rejection(RejectionCode.TABLE_FIELD, "index_ticks", table.index_ticks, f"1 to {TICKS_MAX}")
    for row in table.rows:
        rejection = _check_row(exchange.instruments[row.instrument], row) or _check_settled(exchange, table, row)
        if rejection is not None:
            return rejection
    if exchange.open_batch.start:
        return Rejection(RejectionCode.BATCH_BOUNDARY, "epoch", table.epoch, "one table a batch")
    return _plan(exchange, table)


def _check_row(instrument: Instrument, row: RiskRow) -> Rejection | None:
    """A row against its listing and the widths of docs/protocol/risk.md."""
    if (row.expiry_ms, row.linear) != (instrument.expiry_ms, instrument.linear):
        got = f"expiry_ms {row.expiry_ms}, linear {row.linear}"
        return Rejection(RejectionCode.TABLE_FIELD, f"rows[{row.instrument}]", got, f"as listed: {instrument.expiry_ms}, {instrument.linear}")
    if len(row.deltas) != SCENARIOS:
        return Rejection(RejectionCode.TABLE_FIELD, f"rows[{row.instrument}].deltas", len(row.deltas), f"{SCENARIOS} scenarios")
    signed = (("value", row.value), ("funding", row.funding), ("mark", row.mark), *(("deltas", delta) for delta in row.deltas))
    charges = (("band", row.band), ("long_im", row.long_im), ("long_mm", row.long_mm), ("short_im", row.short_im), ("short_mm", row.short_mm))
    for fields, low in ((signed, -TICKS_MAX), (charges, 0)):
        for name, value in fields:
            if not low <= value <= TICKS_MAX:
                return Rejection(RejectionCode.TABLE_FIELD, f"rows[{row.instrument}].{name}", value, f"{low} to {TICKS_MAX}")
    return None


def _check_settled(exchange: Exchange, table: RiskTable, row: RiskRow) -> Rejection | None:
    """A row is settled exactly when its value was declared; it is then worth that, without risk, and its instrument has expired."""
    declared, name = exchange.settlements.get(row.instrument), f"rows[{row.instrument}]"
    if row.settled != (declared is not None):
        return Rejection(RejectionCode.TABLE_FIELD, f"{name}.settled", row.settled, "true exactly for instruments with a declared settlement value")
    if declared is None:
        return None
    if row.expiry_ms > table.time_ms:
        return Rejection(RejectionCode.TABLE_FIELD, "time_ms", table.time_ms, f"at least {row.expiry_ms}, the expiry of settled instrument {row.instrument}")
    if row.value != declared:
        return Rejection(RejectionCode.TABLE_FIELD, f"{name}.value", row.value, f"{declared}, as declared")
    if any((row.band, row.long_im, row.long_mm, row.short_im, row.short_mm, *row.deltas)):
        return Rejection(RejectionCode.TABLE_FIELD, name, "a band, charge or delta that is not 0", "all 0: it is settled")
    return None


def _plan(exchange: Exchange, table: RiskTable) -> Plan:
    """Values every account with positions or orders anew, ascending, and lets its orders in again, oldest first."""
    context = RiskContext(table, exchange.params, exchange.fees)
    exposures: dict[int, Exposure] = {}
    cancelled: list[tuple[RestingOrder, CancelReason]] = []
    for account in sorted(exchange.accounts):
        positions, orders = exchange.positions_of(account), exchange.open_orders.get(account, {}).values()
        if positions or orders:
            left = {resting.turn: CancelReason.EXPIRED for resting in orders if _expired(table, resting)}
            most = lots_left(exchange.protections.get(account), exchange.time_ms)
            live = (resting for resting in orders if resting.turn not in left)
            exposure, dropped = readmit(context, positions, exchange.accounts[account].cash, most, live)
            left |= {resting.turn: CancelReason.MARGIN for resting in dropped}
            cancelled.extend((resting, left[resting.turn]) for resting in orders if resting.turn in left)
            if positions or len(left) < len(orders):
                exposures[account] = exposure
    return Plan(table, exposures, tuple(cancelled))


def _expired(table: RiskTable, resting: RestingOrder) -> bool:
    """Its own date, or that of an instrument of it, has come."""
    return resting.order.expiry_ms <= table.time_ms or any(table[leg.instrument].expiry_ms <= table.time_ms for leg in resting.order.legs)


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The table, the exposures on it, the cancels; trading is open."""
    for resting, _ in plan.cancelled:
        exchange.remove_order(resting)
    exchange.table = exchange.open_batch.table = plan.table
    exchange.exposures = plan.exposures
    exchange.trading_open = True
    for orders in exchange.open_orders.values():
        for resting in orders.values():
            resting.unit_fee = order_terms(exchange.context, resting.order).fee
    cancels = (OrderCancelled(resting.account, resting.order, resting.left_lots, reason) for resting, reason in plan.cancelled)
    return (EpochStarted(plan.table.epoch, plan.table.time_ms), *cancels)
