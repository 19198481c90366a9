"""l2_cancel: signed; every order with a nonce below `min_nonce` is dead, resting or not. What filled before stands."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.capacity import Additions
from straddle.core.commands import L2Cancel
from straddle.core.events import CancelReason, Event, MinNonceRaised
from straddle.core.messages import MessageKind, cancel_payload
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_not_halted
from straddle.operations.resting import cancel_orders

NONCE_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The cancel and its rows."""

    command: L2Cancel
    additions: Additions


def check(exchange: Exchange, command: L2Cancel) -> Plan | Rejection:
    """Signed, and it raises min_nonce."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    if not 0 < command.min_nonce <= NONCE_MAX:
        return Rejection(RejectionCode.MIN_NONCE, "min_nonce", command.min_nonce, f"1 to {NONCE_MAX}")
    payload = cancel_payload(command.min_nonce)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.CANCEL, payload, command.signature)
    if rejection is not None:
        return rejection
    account = exchange.accounts[command.account]
    if command.min_nonce <= account.min_nonce:
        return Rejection(RejectionCode.MIN_NONCE, "min_nonce", command.min_nonce, f"more than {account.min_nonce}, the account's")
    return Plan(command, Additions(touched=(account.id,), cancels=(account.id,)))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """min_nonce rises; open orders below it are cancelled."""
    command = plan.command
    account = exchange.touch(command.account)
    account.min_nonce = command.min_nonce
    exchange.open_batch.cancels[account.id] = command
    dead = [resting for resting in exchange.open_orders.get(account.id, {}).values() if resting.order.nonce < command.min_nonce]
    return (MinNonceRaised(account.id, command.min_nonce), *cancel_orders(exchange, account.id, dead, CancelReason.MIN_NONCE))
