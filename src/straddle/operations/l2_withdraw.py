"""l2_withdraw: a signed withdrawal to the account's owner on layer 1, at most one an account and batch."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.authority import check_signed
from straddle.core.capacity import Additions
from straddle.core.commands import L2Withdraw
from straddle.core.events import Event, Withdrawn
from straddle.core.exposure import Exposure
from straddle.core.margin import withdrawable
from straddle.core.market_state import MarketState
from straddle.core.messages import MessageKind, withdrawal_payload
from straddle.core.params import BPS, CASH_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_not_halted

NONCE_MAX = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The withdrawal and its rows."""

    command: L2Withdraw
    additions: Additions


def available(exchange: Exchange, account: int) -> int:
    """What an account may withdraw now: max(0, min(equity - IM, settled)), with open orders reserved. Micro-dollars."""
    cash = exchange.accounts[account].cash
    reserved = exchange.exposures.get(account, Exposure()).reserved_surplus_scaled(cash) // BPS
    return max(0, min(withdrawable(exchange.requirement_of(account)), reserved))


def check(exchange: Exchange, command: L2Withdraw) -> Plan | Rejection:
    """Signed, a new nonce, an amount that leaves the account covered and settled, the first of the batch."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    if exchange.market_state is MarketState.CANCEL_ONLY:
        return Rejection(RejectionCode.CANCEL_ONLY, "market_state", exchange.market_state, "an open or reduce-only market: margins may be out of date")
    if not 0 < command.amount <= CASH_MAX:
        return Rejection(RejectionCode.AMOUNT, "amount", command.amount, f"1 to {CASH_MAX} micro-dollars")
    if not 0 < command.nonce <= NONCE_MAX:
        return Rejection(RejectionCode.WITHDRAWAL_NONCE, "nonce", command.nonce, f"1 to {NONCE_MAX}")
    payload = withdrawal_payload(command.nonce, command.amount)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.WITHDRAWAL, payload, command.signature)
    if rejection is not None:
        return rejection
    account = exchange.accounts[command.account]
    if command.nonce <= account.withdrawal_nonce:
        return Rejection(RejectionCode.WITHDRAWAL_NONCE, "nonce", command.nonce, f"more than {account.withdrawal_nonce}, the last one's")
    if account.id in exchange.open_batch.withdrawals:
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account.id, "one withdrawal an account and batch")
    limit = available(exchange, account.id)
    if command.amount > limit:
        return Rejection(RejectionCode.WITHDRAWABLE, "amount", command.amount, f"at most {limit} micro-dollars")
    return Plan(command, Additions(positions={account.id: account.positions}, withdrawals=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Cash leaves; from here to the end of the batch the account stays covered and settled."""
    command = plan.command
    account = exchange.touch(command.account)
    account.cash -= command.amount
    account.withdrawal_nonce = command.nonce
    exchange.open_batch.withdrawals[account.id] = command
    return (Withdrawn(account.id, account.owner, command.amount, command.nonce),)
