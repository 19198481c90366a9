"""Positions, instruments and listings of the statement."""

from __future__ import annotations

from collections.abc import Sequence

from straddle.commitments.layout import DataError
from straddle.commitments.listings import KIND_RETIREMENT, KIND_SETTLEMENT, extend_listings_root
from straddle.commitments.risk import risk_root
from straddle.core.instruments import BTC
from straddle.core.params import SIZE_LOTS_MAX
from straddle.core.risk_table import RiskRow
from straddle.proving.checker_tables import Tables, fail, require
from straddle.proving.vector import listing_of
from straddle.proving.witness import InstrumentRow, ListingRow

MAX_INSTRUMENTS = 1023
"""What ten bits name besides 0."""


def check_positions(tables: Tables) -> None:
    """Keys, ranges, look-ups and the sums that move positions (rules 1, 3, 5, 7; digests, slices and `reduced` are checked where they are used)."""
    keys = [(row.account, row.instrument) for row in tables.witness.positions]
    require(all(a < b for a, b in zip([(0, 0), *keys], keys, strict=False)), "positions.keys", f"{keys} not strictly ascending")
    for row in tables.witness.positions:
        require(abs(row.old) <= SIZE_LOTS_MAX and abs(row.new) <= SIZE_LOTS_MAX, "positions.1", f"{row}")
        require(row.instrument in tables.instruments, "positions.3", f"{row}: no such instrument row")
        require(row.account in tables.accounts, "positions.7", f"{row}: no such account row")
    moves = dict(tables.moves)
    for row in tables.witness.positions:
        settled = tables.instruments[row.instrument].settled
        expected = moves.pop((row.account, row.instrument), 0) - row.old * settled
        require(row.new - row.old == expected, "positions.5", f"{row}: changes by {row.new - row.old}, rows say {expected}")
        require(not settled or row.new == 0, "positions.3", f"{row}: settled, and not closed")
    require(not any(moves.values()), "positions.5", f"moves without a position row: {moves}")


def check_instruments(tables: Tables) -> None:
    """The table is the one under the risk root."""
    rows = tables.witness.instruments
    require(len(rows) <= MAX_INSTRUMENTS, "instruments", f"{len(rows)} rows")
    require(all(row.linear in (0, 1) and row.settled in (0, 1) for row in rows), "instruments", "linear or settled is not a bit")
    try:
        root = risk_root(tables.header.new_listings_root, [risk_row_of(row) for row in rows])
    except DataError as error:
        fail("instruments", str(error))
    require(root == tables.header.risk_root, "instruments", "the chain does not end at the risk root")
    for row in rows:
        require(not row.settled or row.expiry_ms <= tables.header.time_ms, "instruments", f"instrument {row.id}: settled before it expires")


def check_listings(tables: Tables) -> None:
    """Ids go on, settlements are the table's, and the words lead from the old to the new root."""
    rows = tables.witness.listings
    count = tables.header.old_listing_count + sum(row.kind < KIND_SETTLEMENT for row in rows)
    for index, row in enumerate(rows):
        _check_listing(tables, index, row, count)
    try:
        root = extend_listings_root(tables.header.old_listings_root, [listing_of(row) for row in rows])
    except DataError as error:
        fail("listings", str(error))
    require(root == tables.header.new_listings_root, "listings", "the words do not lead to the new listings root")


def _check_listing(tables: Tables, index: int, row: ListingRow, count: int) -> None:
    require(1 <= row.kind <= KIND_RETIREMENT and row.underlying == BTC, "listings", f"row {index}: kind {row.kind}, underlying {row.underlying}")
    if row.kind < KIND_SETTLEMENT:
        expected = tables.header.old_listing_count + sum(item.kind < KIND_SETTLEMENT for item in tables.witness.listings[: index + 1])
        require(row.id == expected, "listings", f"row {index} has id {row.id}, expected {expected}")
        return
    require(1 <= row.id <= count, "listings", f"row {index}: id {row.id} is not listed")
    terms: Sequence[int] = (row.expiry_ms, row.tick_ticks, row.min_lots, row.position_cap_lots)
    value = row.strike_ticks if row.kind == KIND_RETIREMENT else 0
    require(not any(terms) and value == 0, "listings", f"row {index}: terms in a word of kind {row.kind}")
    if row.kind == KIND_SETTLEMENT:
        instrument = tables.instruments.get(row.id)
        settled = instrument is not None and bool(instrument.settled) and instrument.value == row.strike_ticks
        require(settled, "listings", f"row {index}: instrument {row.id} is not settled at {row.strike_ticks} in the table")


def risk_row_of(row: InstrumentRow) -> RiskRow:
    """The row of the risk table."""
    charges = (row.long_im, row.long_mm, row.short_im, row.short_mm)
    return RiskRow(row.id, row.expiry_ms, bool(row.linear), row.value, row.funding, row.band, *charges, row.deltas, settled=bool(row.settled))
