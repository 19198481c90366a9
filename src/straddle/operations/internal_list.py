"""internal_list: the operator lists instruments, in a batch without rows. Trading halts until the next epoch's table, which contains them."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.book import Book
from straddle.core.capacity import Additions
from straddle.core.commands import InternalList
from straddle.core.events import Event, Listed
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.params import SIZE_LOTS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.words import check_words

ID_MAX = (1 << 32) - 1
TABLE_ROWS_MAX = 1023
"""A risk table's rows are numbered in 10 bits, from 1 (docs/protocol/data.md)."""
STRIKE_TICKS_MAX = (1 << 39) - 1
TICK_TICKS_MAX = (1 << 24) - 1
MIN_LOTS_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The instruments and their rows."""

    instruments: tuple[Instrument, ...]
    additions: Additions


def check(exchange: Exchange, command: InternalList) -> Plan | Rejection:
    """Ids that continue, terms in range, room in the preset's table, a batch without rows."""
    listed = exchange.listing_count
    if not command.instruments:
        return Rejection(RejectionCode.LISTING_TERMS, "instruments", 0, "at least one")
    for offset, instrument in enumerate(command.instruments):
        expected_id = listed + 1 + offset
        if instrument.id != expected_id:
            return Rejection(RejectionCode.LISTING_ID, "id", instrument.id, f"{expected_id}, the next id")
        rejection = _check_terms(exchange, instrument)
        if rejection is not None:
            return rejection
    live, rows = len(exchange.instruments) + len(command.instruments), min(exchange.capacity.instruments, TABLE_ROWS_MAX)
    if live > rows:
        return Rejection(RejectionCode.LISTINGS_MAX, "instruments", live, f"at most {rows} listed and not retired (the preset)")
    if listed + len(command.instruments) > ID_MAX:
        return Rejection(RejectionCode.LISTINGS_MAX, "instruments", listed + len(command.instruments), f"at most {ID_MAX} ever listed")
    rejection = check_words(exchange, len(command.instruments))
    if rejection is not None:
        return rejection
    return Plan(command.instruments, Additions(listings=len(command.instruments)))


def _check_terms(exchange: Exchange, instrument: Instrument) -> Rejection | None:
    """The fields of the listing word (docs/protocol/state.md)."""
    time_ms = exchange.table.time_ms if exchange.table else 0
    expiry_min, expiry_max = (NEVER_MS, NEVER_MS) if instrument.kind is Kind.PERPETUAL else (time_ms + 1, NEVER_MS - 1)
    strike_min, strike_max = (0, 0) if instrument.linear else (1, STRIKE_TICKS_MAX)
    for name, value, low, high in (
        ("kind", instrument.kind, min(Kind), max(Kind)),
        ("underlying", instrument.underlying, BTC, BTC),
        ("expiry_ms", instrument.expiry_ms, expiry_min, expiry_max),
        ("strike_ticks", instrument.strike_ticks, strike_min, strike_max),
        ("tick_ticks", instrument.tick_ticks, 1, TICK_TICKS_MAX),
        ("min_lots", instrument.min_lots, 1, MIN_LOTS_MAX),
        ("position_cap_lots", instrument.position_cap_lots, 1, SIZE_LOTS_MAX),
    ):
        if not low <= value <= high:
            return Rejection(RejectionCode.LISTING_TERMS, name, value, f"{low} to {high} for instrument {instrument.id}")
    return None


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The instruments get their books; trading halts."""
    for instrument in plan.instruments:
        exchange.instruments[instrument.id] = instrument
        exchange.books[instrument.id] = Book()
    exchange.listing_count += len(plan.instruments)
    exchange.open_batch.listings.extend(plan.instruments)
    exchange.trading_open = False
    return tuple(Listed(instrument.id) for instrument in plan.instruments)
