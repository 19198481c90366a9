"""The exchange as JSON values: amounts are integers in micro-dollars, prices in ticks ($0.01), sizes in lots (0.0001), times in unix milliseconds."""

from __future__ import annotations

import re
from typing import Any, get_args

from straddle.commitments.ledger import CommittedState
from straddle.commitments.saved import save_account
from straddle.core.accounts import Auction
from straddle.core.book import RestingOrder
from straddle.core.events import Event
from straddle.core.liquidation import WHOLE_BPS, age_ms, is_below_maintenance, sale_at
from straddle.core.margin import Requirement
from straddle.core.orders import Legs
from straddle.core.params import BPS
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.operations.l2_withdraw import available
from straddle.primitives.plain import to_plain

DEPTH_MAX = 1_000
EVENT_NAMES = {kind.__name__: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Event)}
Levels = dict[str, dict[int, int]]
"""bids and asks: price in ticks -> lots, best first."""


def event_json(event: Event) -> dict[str, Any]:
    """The event's fields and, under `event`, its name: OrderResting -> order_resting."""
    return {"event": EVENT_NAMES[type(event).__name__], **to_plain(event)}


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


def combination_levels(exchange: Exchange, depth: int = DEPTH_MAX) -> dict[Legs, Levels]:
    """Both sides of every combination with open orders."""
    return {legs: {"bids": dict(book.bids.depth(depth)), "asks": dict(book.asks.depth(depth))} for legs, book in exchange.combination_books.items()}


def combinations(exchange: Exchange, depth: int = DEPTH_MAX) -> list[dict[str, Any]]:
    """Books of combinations with open orders: legs as [instrument, ratio], limits of one unit in ticks, sizes in units."""
    return [combination(legs, {side: list(found[side].items()) for side in found}) for legs, found in combination_levels(exchange, depth).items()]


def combination(legs: Legs, sides: dict[str, list[tuple[int, int]]]) -> dict[str, Any]:
    """A combination's book, or what changed of it."""
    return {"legs": to_plain(legs), **{side: [list(level) for level in found] for side, found in sides.items()}}


def auctions(exchange: Exchange) -> list[dict[str, Any]]:
    """Every portfolio that is for sale, by account, with what the whole of it costs now."""
    return [_auction(exchange, number, known.auction) for number, known in sorted(exchange.accounts.items()) if known.auction is not None]


def _auction(exchange: Exchange, number: int, auction: Auction) -> dict[str, Any]:
    """`whole` is None while no bid is taken: the account is bankrupt, or at its maintenance margin again without having asked, or holds nothing to take."""
    context, known = exchange.context, exchange.requirement_of(number)
    sale = sale_at(exchange, number, auction, WHOLE_BPS, known) if _may_be_bought(auction, known) else None
    whole = None
    if sale is not None and sale.lots and sale.discount >= 0:
        lots = [{"instrument": instrument, "size_lots": size} for instrument, size in sorted(sale.lots.items())]
        whole = {"payment": sale.payment, "discount": sale.discount, "lots": lots}
    return {
        "account": number,
        **auction._asdict(),
        "age_ms": age_ms(auction, context.table, exchange.params),
        "equity": known.equity,
        "maintenance_margin": -(-known.mm_scaled // BPS),
        "whole": whole,
    }


def _may_be_bought(auction: Auction, known: Requirement) -> bool:
    return known.equity >= 0 and (auction.forced or is_below_maintenance(known))


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
    orders, protection = exchange.open_orders.get(number, {}).values(), exchange.protections.get(number)
    return {
        "account": number,
        "owner": f"{known.owner:#042x}",
        "key_epoch": known.key_epoch,
        "has_key": any(known.key),
        "min_nonce": known.min_nonce,
        "action_nonce": known.action_nonce,
        "cash": known.cash,
        "margin": margin,
        "positions": [{"instrument": instrument, "size_lots": size} for instrument, size in sorted(known.positions.items())],
        "open_orders": [_open_order(resting) for resting in orders],
        "auction": None if known.auction is None else known.auction._asdict(),
        "protection": None if protection is None else to_plain(protection.at(exchange.time_ms)),
        "sequence": exchange.next_sequence - 1,
    }


def _open_order(resting: RestingOrder) -> dict[str, Any]:
    return {**to_plain(resting.order), "left_lots": resting.left_lots}


def table(found: RiskTable | None) -> dict[str, Any] | None:
    """A risk table, or None."""
    return None if found is None else dict(to_plain(found))


def saved(state: CommittedState, account: int, chain_id: int, rollup: int) -> dict[str, Any] | None:
    """What the account's owner keeps for an exit: the account and its path at the newest closed batch; None when the state does not know it."""
    return save_account(state, account, chain_id, rollup).to_plain() if account in state.accounts else None
