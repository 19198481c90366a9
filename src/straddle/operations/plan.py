"""What every operation's plan offers the transition."""

from __future__ import annotations

from typing import Protocol

from straddle.core.capacity import NO_ADDITIONS, Additions, first_overflow, is_empty
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange

_HALTED = MarketState.HALTED
"""Looked up once: every command asks."""


class Plan(Protocol):
    """A command that passed its check, ready to apply."""

    @property
    def additions(self) -> Additions:
        """Rows that it adds to the open batch."""
        ...


def check_capacity(exchange: Exchange, additions: Additions, *, fresh: bool | None = None) -> Rejection | None:
    """Whether the open batch may still touch the plan's accounts, and has room; when it has not, whether cutting it would help.

    `fresh`: whether it was empty before the command.
    """
    if additions is NO_ADDITIONS and fresh is None:
        return None
    for account in (*additions.touched, *additions.positions):
        if account in exchange.open_batch.sealed:
            expected = "an account that the batch has neither paid by force nor seized, nor put up for sale or back"
            return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account, expected)
    table = first_overflow(exchange, additions)
    if table is None:
        return None
    rows = getattr(exchange.capacity, table)
    if is_empty(exchange.open_batch) if fresh is None else fresh:
        return Rejection(RejectionCode.EXCEEDS_CAPACITY, table, f"more than {rows}", f"at most {rows} rows for one command (the preset)")
    return Rejection(RejectionCode.BATCH_BOUNDARY, table, f"more than {rows}", f"at most {rows} rows in a batch (the preset)")


def check_trading_open(exchange: Exchange) -> Rejection | None:
    """Commands on accounts need a table that covers exactly the listed instruments."""
    if exchange.trading_open:
        return None
    return Rejection(RejectionCode.TRADING_HALTED, "trading_open", False, "an epoch's table first")


def check_not_halted(exchange: Exchange) -> Rejection | None:
    """Commands that a trading key signs need, besides, a market that is not halted."""
    if exchange.market is _HALTED and exchange.trading_open:
        return Rejection(RejectionCode.MARKET_HALTED, "market_state", exchange.market, "a market that is not halted")
    return check_trading_open(exchange)


def check_fresh(exchange: Exchange) -> Rejection | None:
    """Nobody is seized on prices that are out of date."""
    age_ms, age_ms_max = exchange.time_ms - exchange.context.table.time_ms, exchange.limits.table_age_ms_max
    if age_ms <= age_ms_max:
        return None
    return Rejection(RejectionCode.STALE_TABLE, "time_ms", exchange.time_ms, f"a table at most {age_ms_max} ms old, not {age_ms}")
