"""internal_deleverage: a bankrupt account that the insurance fund cannot take is closed against holders of the other side; the rest waits a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.core.batch import Deleverage
from straddle.core.capacity import Additions, fits, is_empty
from straddle.core.commands import InternalDeleverage
from straddle.core.deleveraging import closings
from straddle.core.events import CancelReason, Deleveraged, Event
from straddle.core.liquidation import fund_sale, has_changed, old_requirement
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import not_carried
from straddle.core.state import Exchange
from straddle.operations.plan import check_fresh, check_trading_open
from straddle.operations.reducing import cancel_adding
from straddle.operations.resting import cancel_orders
from straddle.operations.takeover import Taking, check_fund


@dataclass(frozen=True, slots=True)
class Plan:
    """The closings and their rows."""

    account: int
    rows: tuple[Deleverage, ...]
    additions: Additions


def check(exchange: Exchange, command: InternalDeleverage) -> Plan | Rejection:
    """A fresh table, a bankrupt account in an auction that an earlier batch began, out of the fund's reach; somebody who can be closed against."""
    rejection = check_trading_open(exchange) or check_fresh(exchange)
    if rejection is not None:
        return rejection
    account = exchange.accounts.get(command.account)
    if account is None:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "account", command.account, "an account that exists")
    if account.auction is None:
        return Rejection(RejectionCode.NOT_IN_AUCTION, "account", account.id, "an account whose auction an earlier batch began")
    if has_changed(exchange, account.id):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account.id, "an account that the open batch has not changed but by deposits")
    old = old_requirement(exchange, account.id)
    if old.equity >= 0:
        return Rejection(RejectionCode.NOT_LIQUIDATABLE, "equity", old.equity, "less than 0")
    if isinstance(check_fund(exchange, account.id, fund_sale(exchange, account.id, account.auction)), Taking):
        return Rejection(RejectionCode.FUND_FIRST, "account", account.id, "one that the insurance fund cannot take")
    rows = closings(exchange, account.id, account.auction, lambda rows: fits(exchange, _additions(exchange, rows)))
    if rows:
        return Plan(account.id, rows, _additions(exchange, rows))
    code = RejectionCode.NO_COUNTERPARTY if is_empty(exchange.open_batch) else RejectionCode.BATCH_BOUNDARY
    return Rejection(code, "account", account.id, "a position, not expired, whose other side somebody holds who stays within the margin rule")


def _additions(exchange: Exchange, rows: Sequence[Deleverage]) -> Additions:
    """Rows of these closings."""
    positions: dict[int, dict[int, int]] = {}
    for row in rows:
        for account, lots in ((row.account, -row.size_lots), (row.winner, row.size_lots)):
            after = positions.setdefault(account, exchange.settled_side(account)[1])
            size = after.pop(row.instrument, 0) + lots
            if size:
                after[row.instrument] = size
    return Additions(positions=positions, deleverages=len(rows))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Both positions shrink, at the closing's price; those closed against lose their orders in the instrument, then what they no longer carry."""
    orders = exchange.open_orders.get(plan.account, {}).values()
    events: list[Event] = [*cancel_orders(exchange, plan.account, orders, CancelReason.LIQUIDATION)]
    for row in plan.rows:
        events.append(Deleveraged(row.account, row.winner, row.instrument, row.size_lots, row.price_ticks))
        _close(exchange, row)
        touching = [
            resting for resting in exchange.open_orders.get(row.winner, {}).values() if any(leg.instrument == row.instrument for leg in resting.order.legs)
        ]
        events.extend(cancel_orders(exchange, row.winner, touching, CancelReason.DELEVERAGED))
        events.extend(cancel_adding(exchange, row.winner))
        exchange.drop_empty_exposure(row.winner)
    for winner in dict.fromkeys(row.winner for row in plan.rows):
        left = not_carried(exchange, winner, exchange.protections.get(winner))
        events.extend(cancel_orders(exchange, winner, left, CancelReason.MARGIN))
    exchange.drop_empty_exposure(plan.account)
    exchange.open_batch.sealed[plan.account] = None
    return tuple(events)


def _close(exchange: Exchange, row: Deleverage) -> None:
    cash = row.size_lots * (row.price_ticks - exchange.context.table[row.instrument].funding)
    for account, lots, amount in ((row.account, -row.size_lots, cash), (row.winner, row.size_lots, -cash)):
        exchange.open_positions(account).cash += amount
        exchange.change_position(account, row.instrument, lots)
        exchange.open_batch.reduced[account, row.instrument] = None
    exchange.open_batch.deleverages.append(row)
