"""l2_withdraw: a signed withdrawal to the account's owner on layer 1, at most one an account and batch."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.capacity import Additions
from straddle.core.commands import L2Withdraw
from straddle.core.events import Event, Withdrawn
from straddle.core.margin import requirement, withdrawable
from straddle.core.messages import MessageKind, withdrawal_payload
from straddle.core.params import BPS
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import reserved_scaled
from straddle.core.state import Exchange
from straddle.operations.acting import check_action, check_payment


@dataclass(frozen=True, slots=True)
class Plan:
    """The withdrawal and its rows."""

    command: L2Withdraw
    additions: Additions


def available(exchange: Exchange, account: int) -> int:
    """What an account may withdraw now: max(0, min(equity - IM, settled)), with open orders reserved (no more of them than its protection lets fill) and
    settled positions paid. Micro-dollars."""
    cash, positions = exchange.settled_side(account)
    valued = withdrawable(requirement(cash, positions, exchange.context.table, exchange.params))
    exposure = exchange.exposures.get(account)
    if exposure is None:
        return valued
    return max(0, min(valued, reserved_scaled(exchange, account, exposure, exchange.accounts[account].cash) // BPS))


def check(exchange: Exchange, command: L2Withdraw) -> Plan | Rejection:
    """Signed, a new nonce, an amount that leaves the account covered and settled, the first of the batch."""
    rejection = check_payment(exchange, command.amount, command.nonce)
    if rejection is not None:
        return rejection
    payload = withdrawal_payload(command.nonce, command.amount)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.WITHDRAWAL, payload, command.signature)
    rejection = rejection or check_action(exchange, command.account, command.nonce)
    if rejection is not None:
        return rejection
    account = exchange.accounts[command.account]
    limit = available(exchange, account.id)
    if command.amount > limit:
        return Rejection(RejectionCode.WITHDRAWABLE, "amount", command.amount, f"at most {limit} micro-dollars")
    return Plan(command, Additions(positions={account.id: exchange.settled_side(account.id)[1]}, withdrawals=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Cash leaves; from here to the end of the batch the account stays covered and settled."""
    command = plan.command
    account = exchange.open_positions(command.account)
    account.cash -= command.amount
    account.action_nonce = command.nonce
    exchange.usage.covered[account.id] = True
    exchange.open_batch.withdrawals[account.id] = command
    return (Withdrawn(account.id, account.owner, command.amount, command.nonce),)
