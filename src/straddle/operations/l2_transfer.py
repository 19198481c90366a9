"""l2_transfer: signed; money goes to another account of the same owner, at most one transfer out of an account in a batch."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.capacity import Additions
from straddle.core.commands import L2Transfer
from straddle.core.events import Event, Transferred
from straddle.core.messages import MessageKind, transfer_payload
from straddle.core.params import CASH_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.acting import check_action, check_payment
from straddle.operations.l2_withdraw import available


@dataclass(frozen=True, slots=True)
class Plan:
    """The transfer and its rows."""

    command: L2Transfer
    additions: Additions


def check(exchange: Exchange, command: L2Transfer) -> Plan | Rejection:
    """Signed, a new nonce, another account of the owner, an amount that leaves the account covered and settled with its orders reserved."""
    rejection = check_payment(exchange, command.amount, command.nonce)
    if rejection is not None:
        return rejection
    receiver = exchange.accounts.get(command.to)
    if receiver is None or command.to == command.account:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "to", command.to, "another account that exists")
    payload = transfer_payload(command.nonce, command.amount, command.to)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.TRANSFER, payload, command.signature)
    if rejection is None:
        rejection = check_action(exchange, command.account, command.nonce)
    if rejection is not None:
        return rejection
    account = exchange.accounts[command.account]
    if receiver.owner != account.owner:
        return Rejection(RejectionCode.OWNER, "to", command.to, f"an account of the owner {account.owner:#x}")
    if receiver.cash + command.amount > CASH_MAX:
        return Rejection(RejectionCode.CASH_BOUND, "amount", command.amount, f"one that leaves the receiver's cash at most {CASH_MAX}")
    limit = available(exchange, account.id)
    if command.amount > limit:
        return Rejection(RejectionCode.WITHDRAWABLE, "amount", command.amount, f"at most {limit} micro-dollars")
    return Plan(command, Additions(touched=(receiver.id,), positions={account.id: exchange.settled_side(account.id)[1]}, transfers=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The money moves; from here to the end of the batch the sender stays covered and settled. On the receiver's old side it counts as a deposit."""
    command, batch = plan.command, exchange.open_batch
    account, receiver = exchange.open_positions(command.account), exchange.touch(command.to)
    account.cash -= command.amount
    account.action_nonce = command.nonce
    receiver.cash += command.amount
    batch.deposits[receiver.id] = batch.deposits.get(receiver.id, 0) + command.amount
    batch.transfers[account.id] = command
    exchange.usage.covered[account.id] = True
    return (Transferred(account.id, receiver.id, command.amount, command.nonce),)
