"""l2_protect: signed; sets the account's market-maker protection, anew and not frozen. Engine-side: no row of the batch tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.book import RestingOrder
from straddle.core.capacity import NO_ADDITIONS, Additions
from straddle.core.commands import L2Protect
from straddle.core.events import CancelReason, Event, ProtectionSet
from straddle.core.messages import MessageKind, protection_payload
from straddle.core.protection import Protection
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import not_carried
from straddle.core.state import Exchange
from straddle.operations.plan import check_not_halted
from straddle.operations.resting import cancel_orders


@dataclass(frozen=True, slots=True)
class Plan:
    """The new protection."""

    account: int
    protection: Protection
    cancelled: tuple[RestingOrder, ...]
    """Open orders that the account does not carry under it."""
    additions: Additions = NO_ADDITIONS


def check(exchange: Exchange, command: L2Protect) -> Plan | Rejection:
    """Signed, fields in their widths, an interval for the limits, a new nonce."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    limits = command.limits
    try:
        payload = protection_payload(command.nonce, limits)
    except ValueError as error:
        return Rejection(RejectionCode.PROTECTION_TERMS, "limits", str(error), "fields within the widths of docs/protocol/messages.md")
    if bool(limits.interval_ms) != bool(limits.quantity_lots or limits.delta_micros):
        expected = "an interval of at least 1 with a limit, 0 without (none)"
        return Rejection(RejectionCode.PROTECTION_TERMS, "interval_ms", limits.interval_ms, expected)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.PROTECTION, payload, command.signature)
    if rejection is not None:
        return rejection
    known = exchange.protections.get(command.account)
    last = known.nonce if known else 0
    if command.nonce <= last:
        return Rejection(RejectionCode.PROTECTION_NONCE, "nonce", command.nonce, f"more than {last}, the last one's")
    protection = Protection(command.nonce, limits, exchange.time_ms)
    return Plan(command.account, protection, _outgrown(exchange, command.account, known, protection))


def _outgrown(exchange: Exchange, account: int, known: Protection | None, protection: Protection) -> tuple[RestingOrder, ...]:
    """The open orders that the account does not carry under a cap after another: admitted anew, oldest first, as at an epoch.

    Also when the new one is lower: an interval that began since the last fill gave room that nobody has asked for yet.
    """
    if known is None or known.lots_left is None:  # without a cap so far all of them are reserved
        return ()
    return not_carried(exchange, account, protection)


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The account has this protection; what it does not carry under it leaves the market."""
    exchange.protections[plan.account] = plan.protection
    cancelled = cancel_orders(exchange, plan.account, plan.cancelled, CancelReason.MARGIN)
    return (ProtectionSet(plan.account, plan.protection.limits), *cancelled)
