"""internal_market: the sequencer tells the time, the operator the market's state. Wall-clock time enters in no other way; nothing of it is proved."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.book import RestingOrder
from straddle.core.capacity import NO_ADDITIONS, Additions
from straddle.core.commands import InternalMarket
from straddle.core.events import CancelReason, Event, MarketChanged
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.reducing import adding_orders
from straddle.operations.resting import cancel_orders

TIME_MS_MAX = (1 << 48) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The time and the state, and the orders of each account that leave the market: those that have expired, and those that could add to a position."""

    command: InternalMarket
    leaving: tuple[tuple[int, tuple[RestingOrder, ...], CancelReason], ...]
    additions: Additions = NO_ADDITIONS


def check(exchange: Exchange, command: InternalMarket) -> Plan | Rejection:
    """Time does not go back."""
    if not exchange.time_ms <= command.time_ms <= TIME_MS_MAX:
        return Rejection(RejectionCode.MARKET_TIME, "time_ms", command.time_ms, f"{exchange.time_ms} to {TIME_MS_MAX}")
    leaving = _expired(exchange, command.time_ms)
    if command.state is MarketState.REDUCE_ONLY:
        leaving += _adding(exchange, command.time_ms)
    return Plan(command, tuple(leaving))


def _expired(exchange: Exchange, time_ms: int) -> list[tuple[int, tuple[RestingOrder, ...], CancelReason]]:
    """Of each account, ascending, the open orders whose time is over."""
    if time_ms <= exchange.now_ms:
        return []
    over = {account: [resting for resting in orders.values() if resting.order.expiry_ms <= time_ms] for account, orders in exchange.open_orders.items()}
    return [(account, tuple(over[account]), CancelReason.EXPIRED) for account in sorted(over) if over[account]]


def _adding(exchange: Exchange, time_ms: int) -> list[tuple[int, tuple[RestingOrder, ...], CancelReason]]:
    """Of each account, ascending, the open orders that could add to a position when the older ones that only reduce it fill."""
    found = ((account, adding_orders(exchange, account, time_ms)) for account in sorted(exchange.open_orders))
    return [(account, orders, CancelReason.REDUCE_ONLY) for account, orders in found if orders]


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Time and state; no order that has expired stays, in a reduce-only market none that could add to a position."""
    exchange.time_ms, exchange.market = plan.command.time_ms, plan.command.state
    events: list[Event] = [MarketChanged(exchange.time_ms, exchange.market)]
    for account, orders, reason in plan.leaving:
        events.extend(cancel_orders(exchange, account, orders, reason))
    return tuple(events)
