"""What the operator is to submit of its own accord, read from the state: whom to liquidate or deleverage, to whom to deliver, what to retire."""

from __future__ import annotations

from straddle.core.instruments import Retirement
from straddle.core.margin import sweep
from straddle.core.settlement import unsettled
from straddle.core.state import Exchange


def to_liquidate(exchange: Exchange) -> tuple[int, ...]:
    """Accounts below MM or with an auction that runs, ascending: for internal_liquidate, which refuses those for whom nothing is due yet."""
    ids = sorted(exchange.accounts)
    valued = sweep([(exchange.accounts[id_].cash, exchange.positions_of(id_)) for id_ in ids], exchange.context.table, exchange.params)
    known = zip(ids, valued, strict=True)
    return tuple(id_ for id_, value in known if value.maintenance_surplus_scaled < 0 or exchange.accounts[id_].auction is not None)


def to_deleverage(exchange: Exchange) -> tuple[int, ...]:
    """Bankrupt accounts in an auction, ascending: for internal_deleverage, after internal_liquidate was refused because the fund cannot take them."""
    known = (id_ for id_ in sorted(exchange.accounts) if exchange.accounts[id_].auction is not None)
    return tuple(id_ for id_ in known if exchange.positions_of(id_) and exchange.requirement_of(id_).equity < 0)


def to_deliver(exchange: Exchange) -> tuple[int, ...]:
    """The first holders of settled instruments, ascending, as many as one batch has rows for: for internal_deliver. Empty when nobody holds any."""
    table, capacity = exchange.context.table, exchange.capacity
    found: list[int] = []
    rows = 0
    for id_ in sorted(exchange.accounts):
        positions = exchange.positions_of(id_)
        if positions and len(unsettled(positions, table)) < len(positions):
            rows += len(positions)
            if rows > capacity.positions or len(found) == capacity.accounts:
                break
            found.append(id_)
    return tuple(found)


def needs_time(exchange: Exchange, now_ms: int) -> bool:
    """Whether the books or the market's state would be others if the sequencer's time were told: an open order's date has come, or the table is too old."""
    table, told_ms = exchange.table, exchange.time_ms
    if table is not None and told_ms <= table.time_ms + exchange.limits.table_age_ms_max < now_ms:
        return True
    return any(resting.order.expiry_ms <= now_ms for orders in exchange.open_orders.values() for resting in orders.values())


def to_retire(exchange: Exchange) -> tuple[Retirement, ...]:
    """Settled instruments that nobody holds, ascending: for internal_settle."""
    held = {instrument for id_ in exchange.accounts for instrument in exchange.positions_of(id_)}
    return tuple(Retirement(id_, exchange.instruments[id_].underlying) for id_ in sorted(exchange.settlements.keys() - held))
