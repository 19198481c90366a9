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
    """Holders of settled instruments, ascending: for internal_deliver, as many at once as a batch takes."""
    table = exchange.context.table
    return tuple(id_ for id_ in sorted(exchange.accounts) if len(unsettled(exchange.positions_of(id_), table)) < len(exchange.positions_of(id_)))


def to_retire(exchange: Exchange) -> tuple[Retirement, ...]:
    """Settled instruments that nobody holds, ascending: for internal_settle."""
    held = {instrument for id_ in exchange.accounts for instrument in exchange.positions_of(id_)}
    return tuple(Retirement(id_, exchange.instruments[id_].underlying) for id_ in sorted(exchange.settlements.keys() - held))
