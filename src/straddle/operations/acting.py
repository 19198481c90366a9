"""What withdrawals, transfers and bids have in common: they are actions, one an account and batch (docs/protocol/messages.md)."""

from __future__ import annotations

from straddle.core.liquidation import has_acted
from straddle.core.market_state import MarketState
from straddle.core.params import CASH_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_not_halted

NONCE_MAX = (1 << 64) - 1


def check_payment(exchange: Exchange, amount: int, nonce: int) -> Rejection | None:
    """What withdrawals and transfers ask of the market and of their numbers before anybody looks at the account."""
    halted = check_not_halted(exchange)
    if halted is not None:
        return halted
    if exchange.market_state is MarketState.CANCEL_ONLY:
        return Rejection(RejectionCode.CANCEL_ONLY, "market_state", exchange.market_state, "an open or reduce-only market: margins may be out of date")
    if not 0 < amount <= CASH_MAX:
        return Rejection(RejectionCode.AMOUNT, "amount", amount, f"1 to {CASH_MAX} micro-dollars")
    return check_nonce(nonce)


def check_nonce(nonce: int) -> Rejection | None:
    """An action's nonce is a positive number of 64 bits."""
    return None if 0 < nonce <= NONCE_MAX else Rejection(RejectionCode.ACTION_NONCE, "nonce", nonce, f"1 to {NONCE_MAX}")


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
