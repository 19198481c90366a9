"""The exchange as JSON values: amounts are integers in micro-dollars, prices in ticks ($0.01), sizes in lots (0.0001), times in unix milliseconds."""

from __future__ import annotations

import re
from typing import Any

from straddle.commitments.ledger import CommittedState
from straddle.commitments.saved import save_account
from straddle.core.book import RestingOrder
from straddle.core.events import Event
from straddle.core.params import BPS
from straddle.core.state import Exchange
from straddle.operations.l2_withdraw import available
from straddle.primitives.plain import to_plain

DEPTH_MAX = 1_000
Levels = dict[str, dict[int, int]]
"""bids and asks: price in ticks -> lots, best first."""


def event_json(event: Event) -> dict[str, Any]:
    """The event's fields and, under `event`, its name: OrderResting -> order_resting."""
    return {"event": re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower(), **to_plain(event)}


def instruments(exchange: Exchange) -> list[dict[str, Any]]:
    """Every listed instrument with its mark (None before the first table)."""
    table = exchange.table
    return [
        {**to_plain(instrument), "kind": instrument.kind.name.lower(), "mark_ticks": table[number].mark if table and number in table else None}
        for number, instrument in exchange.instruments.items()
    ]


def levels(exchange: Exchange, instrument: int, depth: int = DEPTH_MAX) -> Levels | None:
    """Both sides of a book, or None when the instrument is not listed."""
    if instrument not in exchange.instruments:
        return None
    book = exchange.books.get(instrument)
    return {"bids": dict(book.bids.depth(depth)) if book else {}, "asks": dict(book.asks.depth(depth)) if book else {}}


def book(exchange: Exchange, instrument: int, depth: int) -> dict[str, Any] | None:
    """As `levels`, with [price_ticks, lots] pairs and the sequence of the last entry that it holds."""
    found = levels(exchange, instrument, depth)
    if found is None:
        return None
    return {"instrument": instrument, "sequence": exchange.next_sequence - 1, **{side: [list(level) for level in found[side].items()] for side in found}}


def combinations(exchange: Exchange, depth: int) -> list[dict[str, Any]]:
    """Books of combinations with open orders: legs as [instrument, ratio], limits of one unit in ticks, sizes in units."""
    return [
        {"legs": to_plain(legs), "bids": to_plain(book.bids.depth(depth)), "asks": to_plain(book.asks.depth(depth))}
        for legs, book in exchange.combination_books.items()
    ]


def account(exchange: Exchange, number: int) -> dict[str, Any] | None:
    """An account with its margin, positions and open orders, or None. Margin is None while no table covers the listed instruments."""
    known = exchange.accounts.get(number)
    if known is None:
        return None
    margin = None
    if exchange.table is not None and exchange.trading_open:
        valued = exchange.requirement_of(number)
        margin = {
            "equity": valued.equity,
            "initial_margin": -(-valued.im_scaled // BPS),
            "maintenance_margin": -(-valued.mm_scaled // BPS),
            "settled": valued.settled,
            "withdrawable": available(exchange, number),
        }
    orders = exchange.open_orders.get(number, {}).values()
    return {
        "account": number,
        "owner": f"{known.owner:#042x}",
        "key_epoch": known.key_epoch,
        "has_key": any(known.key),
        "min_nonce": known.min_nonce,
        "cash": known.cash,
        "margin": margin,
        "positions": [{"instrument": instrument, "size_lots": size} for instrument, size in sorted(known.positions.items())],
        "open_orders": [_open_order(resting) for resting in orders],
        "sequence": exchange.next_sequence - 1,
    }


def _open_order(resting: RestingOrder) -> dict[str, Any]:
    return {**to_plain(resting.order), "left_lots": resting.left_lots}


def table(exchange: Exchange) -> dict[str, Any] | None:
    """The risk table in force, or None."""
    return None if exchange.table is None else dict(to_plain(exchange.table))


def saved(state: CommittedState, account: int, chain_id: int, rollup: int) -> dict[str, Any] | None:
    """What the account's owner keeps for an exit: the account and its path at the newest closed batch; None when the state does not know it."""
    return save_account(state, account, chain_id, rollup).to_plain() if account in state.accounts else None
