"""l1_deposit: money arrives through layer 1's queue; the first deposit creates the account."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import FIRST_USER_ACCOUNT
from straddle.core.capacity import Additions
from straddle.core.commands import L1Deposit
from straddle.core.events import Deposited, Event
from straddle.core.params import CASH_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_trading_open

ADDRESS_MAX = (1 << 160) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The deposit, whether it creates its account, its rows."""

    command: L1Deposit
    creates: bool
    additions: Additions


def check(exchange: Exchange, command: L1Deposit) -> Plan | Rejection:
    """Next in the queue, a possible account, its owner, an amount that cash can hold. Layer 1 admits no other entry."""
    halted = check_trading_open(exchange)
    if halted is not None:
        return halted
    if command.queue_index != exchange.queue_pointer:
        return Rejection(RejectionCode.QUEUE_ORDER, "queue_index", command.queue_index, f"{exchange.queue_pointer}, the next entry")
    known = exchange.accounts.get(command.account)
    if known is None and not FIRST_USER_ACCOUNT <= command.account < exchange.params.accounts_max:
        expected = f"one that exists, or {FIRST_USER_ACCOUNT} to {exchange.params.accounts_max - 1}"
        return Rejection(RejectionCode.ACCOUNT_ID, "account", command.account, expected)
    if known is not None and known.owner != command.owner:
        return Rejection(RejectionCode.OWNER, "owner", hex(command.owner), f"{known.owner:#x}, the account's owner")
    if not 0 < command.owner <= ADDRESS_MAX:
        return Rejection(RejectionCode.OWNER, "owner", hex(command.owner), "a non-zero address of 160 bits")
    if not 0 < command.amount <= CASH_MAX:
        return Rejection(RejectionCode.AMOUNT, "amount", command.amount, f"1 to {CASH_MAX} micro-dollars")
    cash = command.amount + (known.cash if known else 0)
    if cash > CASH_MAX:
        return Rejection(RejectionCode.CASH_BOUND, "amount", command.amount, f"one that leaves cash at most {CASH_MAX}, not {cash}")
    return Plan(command, known is None, Additions(touched=(command.account,), queue=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Cash rises; the rule's old side rises with it."""
    command, batch = plan.command, exchange.open_batch
    account = exchange.touch(command.account)
    account.owner = command.owner
    account.cash += command.amount
    batch.deposits[account.id] = batch.deposits.get(account.id, 0) + command.amount
    batch.queue.append(command)
    exchange.queue_pointer += 1
    return (Deposited(account.id, command.owner, command.amount, plan.creates),)
