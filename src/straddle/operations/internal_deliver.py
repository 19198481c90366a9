"""internal_deliver: accounts that nothing else touches get their cash for settled instruments, so that these can be retired."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.capacity import Additions
from straddle.core.commands import InternalDeliver
from straddle.core.events import Delivered, Event
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.settlement import settled_cash, unsettled
from straddle.core.state import Exchange
from straddle.operations.plan import check_trading_open


@dataclass(frozen=True, slots=True)
class Plan:
    """The accounts and what they get."""

    amounts: dict[int, int]
    additions: Additions


def check(exchange: Exchange, command: InternalDeliver) -> Plan | Rejection:
    """Each account once, holding something settled."""
    halted = check_trading_open(exchange)
    if halted is not None:
        return halted
    table, amounts = exchange.context.table, {}
    for account in command.accounts:
        positions = exchange.positions_of(account)
        if account in amounts or unsettled(positions, table) == positions:
            return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "accounts", account, "accounts that hold settled instruments, each once")
        amounts[account] = settled_cash(positions, table)
    if not amounts:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "accounts", (), "at least one account")
    return Plan(amounts, Additions(positions={account: unsettled(exchange.positions_of(account), table) for account in amounts}))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Opening an account's positions turns the settled ones into cash."""
    for account in plan.amounts:
        exchange.open_positions(account)
    return tuple(Delivered(account, amount) for account, amount in plan.amounts.items())
