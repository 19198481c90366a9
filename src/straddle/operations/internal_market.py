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
    """The time and the state, and the orders of each account that could add to a position."""

    command: InternalMarket
    adding: tuple[tuple[int, tuple[RestingOrder, ...]], ...]
    additions: Additions = NO_ADDITIONS


def check(exchange: Exchange, command: InternalMarket) -> Plan | Rejection:
    """Time does not go back."""
    if not exchange.time_ms <= command.time_ms <= TIME_MS_MAX:
        return Rejection(RejectionCode.MARKET_TIME, "time_ms", command.time_ms, f"{exchange.time_ms} to {TIME_MS_MAX}")
    return Plan(command, _adding(exchange) if command.state is MarketState.REDUCE_ONLY else ())


def _adding(exchange: Exchange) -> tuple[tuple[int, tuple[RestingOrder, ...]], ...]:
    """Of each account, ascending, the open orders that could add to a position when the older ones that only reduce it fill."""
    found = ((account, adding_orders(exchange, account)) for account in sorted(exchange.open_orders))
    return tuple((account, orders) for account, orders in found if orders)


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """Time and state; in a reduce-only market no order that could add to a position stays."""
    exchange.time_ms, exchange.market = plan.command.time_ms, plan.command.state
    events: list[Event] = [MarketChanged(exchange.time_ms, exchange.market)]
    for account, orders in plan.adding:
        events.extend(cancel_orders(exchange, account, orders, CancelReason.REDUCE_ONLY))
    return tuple(events)
