"""What requests of layer 1's queue have in common."""

from __future__ import annotations

from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange


def check_entry(exchange: Exchange, queue_index: int, account: int, owner: int) -> Rejection | None:
    """The next entry, of an account that exists, by its owner."""
    if queue_index != exchange.queue_pointer:
        return Rejection(RejectionCode.QUEUE_ORDER, "queue_index", queue_index, f"{exchange.queue_pointer}, the next entry")
    known = exchange.accounts.get(account)
    if known is None:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "account", account, "an account that exists")
    if known.owner != owner:
        return Rejection(RejectionCode.OWNER, "owner", hex(owner), f"{known.owner:#x}, the account's owner")
    return None
