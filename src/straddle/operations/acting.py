"""What withdrawals, transfers and bids have in common: they are actions, one an account and batch (docs/protocol/messages.md)."""

from __future__ import annotations

from straddle.core.liquidation import has_acted
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange

NONCE_MAX = (1 << 64) - 1


def check_action(exchange: Exchange, account: int, nonce: int) -> Rejection | None:
    """A new nonce, an account whose portfolio is not for sale, its first action of the batch. Call after its signature was checked."""
    known = exchange.accounts[account]
    if not known.action_nonce < nonce <= NONCE_MAX:
        return Rejection(RejectionCode.ACTION_NONCE, "nonce", nonce, f"{known.action_nonce + 1} (one more than the last action's) to {NONCE_MAX}")
    if known.auction is not None:
        return Rejection(RejectionCode.IN_AUCTION, "account", account, "an account whose portfolio is not for sale")
    if has_acted(exchange, account):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account, "one action an account and batch")
    return None
