"""What every operation's plan offers the transition."""

from __future__ import annotations

from typing import Protocol

from straddle.core.capacity import Additions, first_overflow, is_empty
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange


class Plan(Protocol):
    """A command that passed its check, ready to apply."""

    @property
    def additions(self) -> Additions:
        """Rows that it adds to the open batch."""
        ...


def check_capacity(exchange: Exchange, additions: Additions) -> Rejection | None:
    """Whether the open batch has room; when it has not, whether cutting the batch would help."""
    table = first_overflow(exchange, additions)
    if table is None:
        return None
    rows = getattr(exchange.capacity, table)
    if is_empty(exchange.open_batch):
        return Rejection(RejectionCode.EXCEEDS_CAPACITY, table, f"more than {rows}", f"at most {rows} rows for one command (the preset)")
    return Rejection(RejectionCode.BATCH_BOUNDARY, table, f"more than {rows}", f"at most {rows} rows in a batch (the preset)")


def check_trading_open(exchange: Exchange) -> Rejection | None:
    """Commands on accounts need a table that covers exactly the listed instruments."""
    if exchange.trading_open:
        return None
    return Rejection(RejectionCode.TRADING_HALTED, "trading_open", False, "an epoch's table first")


def check_not_halted(exchange: Exchange) -> Rejection | None:
    """Commands that a trading key signs need, besides, a market that is not halted."""
    rejection = check_trading_open(exchange)
    if rejection is None and exchange.market_state is MarketState.HALTED:
        return Rejection(RejectionCode.MARKET_HALTED, "market_state", exchange.market_state, "a market that is not halted")
    return rejection
