"""l1_set_key: the owner sets or revokes the trading key through layer 1. It acts from the next batch; orders under the old key leave the market at once."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import NO_KEY
from straddle.core.capacity import Additions
from straddle.core.commands import L1SetKey
from straddle.core.events import CancelReason, Event, KeySet
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_trading_open
from straddle.operations.queue import check_entry
from straddle.operations.resting import cancel_orders
from straddle.primitives import keys

KEY_EPOCH_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The key change and its rows."""

    command: L1SetKey
    additions: Additions


def check(exchange: Exchange, command: L1SetKey) -> Plan | Rejection:
    """Next in the queue, an account of that owner, a good key or none, the account's first key change of the batch."""
    rejection = check_trading_open(exchange) or check_entry(exchange, command.queue_index, command.account, command.owner)
    if rejection is not None:
        return rejection
    account = exchange.accounts[command.account]
    if command.key != NO_KEY and not keys.is_valid_key(command.key):
        return Rejection(RejectionCode.KEY, "key", tuple(command.key), "a point of the prime subgroup, or (0, 0) to revoke")
    if account.key_epoch == KEY_EPOCH_MAX:
        return Rejection(RejectionCode.KEY_EPOCH, "key_epoch", account.key_epoch, f"fewer than {KEY_EPOCH_MAX} key changes")
    start = exchange.open_batch.start.get(account.id)
    if start is not None and start.key_epoch != account.key_epoch:
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account.id, "one key change an account and batch")
    return Plan(command, Additions(touched=(account.id,), queue=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The key, its epoch; every open order of the account is cancelled."""
    command = plan.command
    account = exchange.touch(command.account)
    account.key = command.key
    account.key_epoch += 1
    exchange.open_batch.queue.append(command)
    exchange.queue_pointer += 1
    cancelled = cancel_orders(exchange, account.id, exchange.open_orders.get(account.id, {}).values(), CancelReason.KEY_CHANGED)
    return (KeySet(account.id, account.key, account.key_epoch), *cancelled)
