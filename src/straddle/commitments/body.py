"""The body to words and back (docs/protocol/data.md): account cells, order rows three in two cells, position rows four a cell, words of the listings chain.

Decoding accepts exactly what a proof can carry: everything else is a DataError that names the cell (and the row in it) and the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from straddle.commitments.cells import check_ascending, check_fits, check_positive, check_words, padded, used_rows
from straddle.commitments.data import AccountData, AuctionCode, Body, PositionData, SlotData
from straddle.commitments.layout import DataError, Layout, signed, unsigned
from straddle.commitments.listings import Listing, decode_listing, listing_word
from straddle.commitments.preset import ORDER_CELLS_PER_GROUP, ORDER_ROWS_PER_GROUP, POSITION_ROWS_PER_CELL, Preset
from straddle.core.instruments import Instrument

ACCOUNT = Layout(
    unsigned("account", 24),
    unsigned("has_positions", 1),
    unsigned("has_orders", 1),
    unsigned("auction", 2),
    signed("cash", 64),
    unsigned("min_nonce", 64),
    unsigned("action_nonce", 64),
)
SLOT = Layout(unsigned("continues", 1), unsigned("nonce", 64), unsigned("revision", 16), unsigned("filled", 40), unsigned("offset", 24))
POSITION = Layout(unsigned("continues", 1), unsigned("row", 10), signed("size", 41))

MIDDLE_LOW = 65
"""Bits of a group's middle order row that stand in its first cell."""
MIDDLE_HIGH = SLOT.width - MIDDLE_LOW

Row = TypeVar("Row", SlotData, PositionData)


def encode_body(body: Body, preset: Preset) -> list[int]:
    """The body's words, padded to the preset's length. DataError: a field out of range, too many rows, or flags of accounts that their rows do not bear out."""
    check_fits("accounts", len(body.accounts), preset.accounts)
    check_fits("slots", len(body.slots), preset.orders)
    check_fits("positions", len(body.positions), preset.positions)
    check_fits("listings", len(body.listings), preset.listings)
    _check_flags("has_orders", [row.id for row in body.accounts if row.has_orders], body.slots)
    _check_flags("has_positions", [row.id for row in body.accounts if row.has_positions], body.positions)
    accounts = [_account_cell(row, f"body[{i}]") for i, row in enumerate(body.accounts)]
    slot_names, position_names = _slot_names(preset), _position_names(preset)
    slots = [
        SLOT.pack(slot_names[i], (continues, row.nonce, row.revision, row.filled, row.offset)) for i, (continues, row) in enumerate(_continuing(body.slots))
    ]
    positions = [POSITION.pack(position_names[i], (continues, row.row, row.size_lots)) for i, (continues, row) in enumerate(_continuing(body.positions))]
    at = _listings_at(preset)
    listings = [listing_word(row, f"body[{at + i}]") for i, row in enumerate(body.listings)]
    cells = [padded(accounts, preset.accounts), _slot_cells(slots, preset), _position_cells(positions, preset), padded(listings, preset.listings)]
    return [word for part in cells for word in part]


def decode_body(words: Sequence[int], preset: Preset) -> Body:
    """The body of posted words; trailing zero words may be missing."""
    if len(words) > preset.body_words:
        raise DataError(f"body: {len(words)} words, expected at most {preset.body_words}")
    check_words("body", words)
    words = padded(words, preset.body_words)
    positions_at, listings_at = preset.accounts + preset.order_cells, _listings_at(preset)
    accounts = _decode_accounts(words[: preset.accounts])
    return Body(
        accounts=accounts,
        slots=_decode_slots(words[preset.accounts : positions_at], [row.id for row in accounts if row.has_orders], preset),
        positions=_decode_positions(words[positions_at:listings_at], [row.id for row in accounts if row.has_positions], preset),
        listings=_decode_listings(words[listings_at:], listings_at),
    )


def _account_cell(row: AccountData, where: str) -> int:
    values = (row.id, int(row.has_positions), int(row.has_orders), int(row.auction), row.cash, row.min_nonce, row.action_nonce)
    return ACCOUNT.pack(where, values)


def _decode_accounts(words: Sequence[int]) -> tuple[AccountData, ...]:
    rows: list[AccountData] = []
    for where, word in used_rows(words, [f"body[{i}]" for i in range(len(words))]):
        identifier, has_positions, has_orders, auction, cash, min_nonce, action_nonce = ACCOUNT.unpack(where, word)
        check_ascending(where, "account", rows[-1].id if rows else 0, identifier)
        rows.append(AccountData(identifier, cash, min_nonce, action_nonce, bool(has_positions), bool(has_orders), AuctionCode(auction)))
    return tuple(rows)


def _slot_cells(rows: Sequence[int], preset: Preset) -> list[int]:
    cells = []
    rows = padded(rows, preset.order_cells // ORDER_CELLS_PER_GROUP * ORDER_ROWS_PER_GROUP)
    for first, middle, last in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        cells += [first | (middle & (1 << MIDDLE_LOW) - 1) << SLOT.width, middle >> MIDDLE_LOW | last << MIDDLE_HIGH]
    return cells


def _decode_slots(cells: Sequence[int], accounts: Sequence[int], preset: Preset) -> tuple[SlotData, ...]:
    rows, at = [], preset.accounts
    for i in range(0, len(cells), ORDER_CELLS_PER_GROUP):
        low, high = cells[i : i + ORDER_CELLS_PER_GROUP]
        _check_spare(f"body[{at + i}]", low, SLOT.width + MIDDLE_LOW)
        _check_spare(f"body[{at + i + 1}]", high, SLOT.width + MIDDLE_HIGH)
        rows += [low & (1 << SLOT.width) - 1, low >> SLOT.width | (high & (1 << MIDDLE_HIGH) - 1) << MIDDLE_LOW, high >> MIDDLE_HIGH]
    names = _slot_names(preset)
    for name, row in zip(names[preset.orders :], rows[preset.orders :], strict=True):
        _check_spare(name, row, 0)

    def decoded(where: str, account: int, values: Sequence[int], _: SlotData | None) -> SlotData:
        nonce, revision, filled, offset = values
        check_positive(where, "filled", filled)
        return SlotData(account, nonce, revision, filled, offset)

    return _decode_rows(SLOT, used_rows(rows[: preset.orders], names), "has_orders", accounts, decoded)


def _position_cells(rows: Sequence[int], preset: Preset) -> list[int]:
    rows = padded(rows, preset.position_cells * POSITION_ROWS_PER_CELL)
    groups = zip(*(rows[k::POSITION_ROWS_PER_CELL] for k in range(POSITION_ROWS_PER_CELL)), strict=True)
    return [sum(row << k * POSITION.width for k, row in enumerate(group)) for group in groups]


def _decode_positions(cells: Sequence[int], accounts: Sequence[int], preset: Preset) -> tuple[PositionData, ...]:
    rows, at = [], preset.accounts + preset.order_cells
    for i, cell in enumerate(cells):
        _check_spare(f"body[{at + i}]", cell, POSITION_ROWS_PER_CELL * POSITION.width)
        rows += [cell >> k * POSITION.width & (1 << POSITION.width) - 1 for k in range(POSITION_ROWS_PER_CELL)]
    names = _position_names(preset)
    for name, row in zip(names[preset.positions :], rows[preset.positions :], strict=True):
        _check_spare(name, row, 0)

    def decoded(where: str, account: int, values: Sequence[int], previous: PositionData | None) -> PositionData:
        row, size = values
        check_ascending(where, "row", previous.row if previous else 0, row)
        return PositionData(account, row, size)

    return _decode_rows(POSITION, used_rows(rows[: preset.positions], names), "has_positions", accounts, decoded)


def _decode_rows(
    layout: Layout, rows: Sequence[tuple[str, int]], flag: str, accounts: Sequence[int], decoded: Callable[[str, int, Sequence[int], Row | None], Row]
) -> tuple[Row, ...]:
    """Rows with the accounts that they belong to: the flagged ones in turn, a new one wherever `continues` is 0. `decoded` gets the account's row before."""
    owners = iter(accounts)
    found: list[Row] = []
    account = 0
    for where, word in rows:
        continues, *values = layout.unpack(where, word)
        if continues and not found:
            raise DataError(f"{where}.continues: 1, expected 0 in the first row")
        if not continues:
            account = next(owners, 0)
            if not account:
                raise DataError(f"{where}: of one account more, expected rows of {len(accounts)} accounts ({flag})")
        found.append(decoded(where, account, values, found[-1] if continues else None))
    missing = next(owners, 0)
    if missing:
        raise DataError(f"account {missing}.{flag}: 1, expected rows of it")
    return tuple(found)


def _decode_listings(words: Sequence[int], at: int) -> tuple[Listing, ...]:
    rows: list[Listing] = []
    last = 0
    for where, word in used_rows(words, [f"body[{at + i}]" for i in range(len(words))]):
        row = decode_listing(word, where)
        if isinstance(row, Instrument):
            if last and row.id != last + 1:
                raise DataError(f"{where}.id: {row.id}, expected {last + 1} after {last}")
            last = row.id
        rows.append(row)
    return tuple(rows)


def _continuing(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    """Each row with whether it continues the account of the row before."""
    for i, row in enumerate(rows):
        yield int(i > 0 and rows[i - 1].account == row.account), row


def _check_flags(flag: str, flagged: Sequence[int], rows: Sequence[Row]) -> None:
    owners = [row.account for continues, row in _continuing(rows) if not continues]
    if owners != list(flagged):
        raise DataError(f"{flag}: accounts {list(flagged)}, expected those of the rows in their order ({owners})")


def _check_spare(where: str, cell: int, width: int) -> None:
    if cell >> width:
        raise DataError(f"{where}: {cell:#x}, expected spare bits from bit {width} on to be zero")


def _listings_at(preset: Preset) -> int:
    return preset.accounts + preset.order_cells + preset.position_cells


def _slot_names(preset: Preset) -> list[str]:
    """Name of each place for an order row: the first cell of its group, and its place there."""
    groups = range(preset.accounts, preset.accounts + preset.order_cells, ORDER_CELLS_PER_GROUP)
    return [f"body[{at}] row {k}" for at in groups for k in range(ORDER_ROWS_PER_GROUP)]


def _position_names(preset: Preset) -> list[str]:
    at = preset.accounts + preset.order_cells
    return [f"body[{at + i}] row {k}" for i in range(preset.position_cells) for k in range(POSITION_ROWS_PER_CELL)]
