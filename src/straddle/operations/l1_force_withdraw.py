"""l1_force_withdraw: the owner asks layer 1 for money. It pays min(asked, withdrawable); open orders are cancelled, since they may not starve it."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.capacity import Additions
from straddle.core.commands import L1ForceWithdraw
from straddle.core.events import CancelReason, Event, ForcePaid
from straddle.core.margin import requirement, withdrawable
from straddle.core.params import CASH_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_trading_open
from straddle.operations.queue import check_entry
from straddle.operations.resting import cancel_orders


@dataclass(frozen=True, slots=True)
class Plan:
    """The request and its rows."""

    command: L1ForceWithdraw
    paid: int
    additions: Additions


def check(exchange: Exchange, command: L1ForceWithdraw) -> Plan | Rejection:
    """Next in the queue, an account of that owner that has neither traded nor acted in the batch. Layer 1 admits no other entry."""
    rejection = check_trading_open(exchange) or check_entry(exchange, command.queue_index, command.account, command.owner)
    if rejection is not None:
        return rejection
    if not 0 < command.amount <= CASH_MAX:
        return Rejection(RejectionCode.AMOUNT, "amount", command.amount, f"1 to {CASH_MAX} micro-dollars")
    account, start = exchange.accounts[command.account], exchange.open_batch.start.get(command.account)
    if start is not None and (start.slots, start.action_nonce) != (account.slots, account.action_nonce):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account.id, "an account that has neither traded nor acted in the batch")
    cash, positions = exchange.settled_side(account.id)
    limit = withdrawable(requirement(cash, positions, exchange.context.table, exchange.params))
    return Plan(command, min(command.amount, limit), Additions(positions={account.id: positions}, queue=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The money leaves; nothing touches the account any more in this batch, or it would have been paid something else."""
    command, batch = plan.command, exchange.open_batch
    cancelled = cancel_orders(exchange, command.account, exchange.open_orders.get(command.account, {}).values(), CancelReason.FORCED)
    account = exchange.open_positions(command.account)
    account.cash -= plan.paid
    batch.forced[account.id] = plan.paid
    batch.sealed[account.id] = None
    batch.queue.append(command)
    exchange.queue_pointer += 1
    return (*cancelled, ForcePaid(account.id, account.owner, command.amount, plan.paid))
