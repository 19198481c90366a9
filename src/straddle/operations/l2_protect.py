"""l2_protect: signed; sets the account's market-maker protection, anew and not frozen. Engine-side: no row of the batch tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.capacity import NO_ADDITIONS, Additions
from straddle.core.commands import L2Protect
from straddle.core.events import Event, ProtectionSet
from straddle.core.messages import MessageKind, protection_payload
from straddle.core.protection import Protection
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_not_halted


@dataclass(frozen=True, slots=True)
class Plan:
    """The new protection."""

    account: int
    protection: Protection
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
    return Plan(command.account, Protection(command.nonce, limits, exchange.time_ms))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The account has this protection."""
    exchange.protections[plan.account] = plan.protection
    return (ProtectionSet(plan.account, plan.protection.limits),)
