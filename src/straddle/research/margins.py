"""The same books under three rules of margin: static a position, isolated a position, and the cross-margined portfolio.

Capital is what a trader must have brought to hold a book bought and sold at its marks: with equity = capital, the requirement itself.

- *Static*: formulas a position, blind to everything else held. A long option is paid in full; a short call locks max(15 % less its distance out of the money,
  13 %) of the index, a short put the same with 10 % (the standard margin that Deribit publishes); a future or perpetual 2 % of its notional.
- *Isolated*: each position by itself under the exchange's own scenarios and charges.
- *Portfolio*: the exchange's requirement of docs/protocol/margin.md, everything against everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from straddle.core.instruments import Instrument, Kind
from straddle.core.margin import requirement
from straddle.core.params import BPS, Params
from straddle.core.risk_table import RiskTable

SHORT_OPTION_BPS = 1_500
SHORT_FLOOR_BPS = {Kind.CALL: 1_300, Kind.PUT: 1_000}
LINEAR_BPS = 200


@dataclass(frozen=True, slots=True)
class Book:
    """What an account holds: instrument -> lots, none of them 0."""

    account: int
    positions: Mapping[int, int]

    def __post_init__(self) -> None:
        if not self.positions or not all(self.positions.values()):
            raise ValueError(f"positions of account {self.account}: {dict(self.positions)}, expected at least one and none of size 0")


@dataclass(frozen=True, slots=True)
class Capital:
    """Micro-dollars that a book needs under each rule."""

    account: int
    positions: int
    static: int
    isolated: int
    portfolio: int


def capital(book: Book, instruments: Mapping[int, Instrument], table: RiskTable, params: Params) -> Capital:
    """Rounded up. KeyError for an instrument that the table or the listing lacks."""
    held = book.positions.items()
    return Capital(
        book.account,
        len(book.positions),
        sum(static_margin(instruments[instrument], lots, table) for instrument, lots in held),
        sum(_initial({instrument: lots}, table, params) for instrument, lots in held),
        _initial(book.positions, table, params),
    )


def static_margin(instrument: Instrument, lots: int, table: RiskTable) -> int:
    """Micro-dollars that one position locks under the static rule, whatever else its holder has; rounded up."""
    row, index = table[instrument.id], table.index_ticks
    if instrument.linear:
        return -(-abs(lots) * index * LINEAR_BPS // BPS)
    if lots > 0:
        return lots * max(0, row.value)
    away = instrument.strike_ticks - index if instrument.kind is Kind.CALL else index - instrument.strike_ticks
    rate_times_index = max(SHORT_OPTION_BPS * index - BPS * max(0, away), SHORT_FLOOR_BPS[instrument.kind] * index)
    return -(lots * rate_times_index // BPS)


def total(found: Sequence[Capital]) -> Capital:
    """All books together; account 0."""
    return Capital(0, *(sum(getattr(each, name) for each in found) for name in ("positions", "static", "isolated", "portfolio")))


def _initial(positions: Mapping[int, int], table: RiskTable, params: Params) -> int:
    return -(-requirement(0, positions, table, params).im_scaled // BPS)
