"""l1_force_close: the owner puts the account's portfolio up for sale through layer 1, at a discount of at most a limit. Its open orders are cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import Auction
from straddle.core.batch import AuctionChange
from straddle.core.capacity import Additions
from straddle.core.commands import L1ForceClose
from straddle.core.events import AuctionBegun, CancelReason, Event
from straddle.core.params import BPS
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_trading_open
from straddle.operations.queue import check_entry
from straddle.operations.resting import cancel_orders


@dataclass(frozen=True, slots=True)
class Plan:
    """The request and its rows."""

    command: L1ForceClose
    additions: Additions


def check(exchange: Exchange, command: L1ForceClose) -> Plan | Rejection:
    """Next in the queue, an account of that owner, a limit in range, the account's first of the batch. Layer 1 admits no other entry."""
    rejection = check_trading_open(exchange) or check_entry(exchange, command.queue_index, command.account, command.owner)
    if rejection is not None:
        return rejection
    if not 0 <= command.limit_bps <= BPS:
        return Rejection(RejectionCode.BID_LIMIT, "limit_bps", command.limit_bps, f"0 to {BPS}")
    if any(isinstance(entry, L1ForceClose) and entry.account == command.account for entry in exchange.open_batch.queue):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", command.account, "one forced close an account and batch")
    return Plan(command, Additions(touched=(command.account,), queue=1))


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The auction begins. One that runs goes on: a new one would turn its clock back."""
    command, batch = plan.command, exchange.open_batch
    account = exchange.touch(command.account)
    batch.queue.append(command)
    exchange.queue_pointer += 1
    cancelled = cancel_orders(exchange, account.id, exchange.open_orders.get(account.id, {}).values(), CancelReason.FORCED)
    if account.auction is not None:
        return cancelled
    auction = account.auction = Auction(exchange.context.table.time_ms, True, command.limit_bps)
    batch.auctions[account.id] = AuctionChange.CLOSE_BEGUN
    return (*cancelled, AuctionBegun(account.id, *auction))
