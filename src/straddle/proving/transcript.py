"""The transcript of a batch: the rows that a reader of effects, body, queue and published risk inputs still lacks to check the statement without a proof.

It is sparse on purpose. Whatever follows from the reader's own copy of the state (old values, paths, slots, position rows), from the data (nonces, fills of
orders, amounts withdrawn) or from other rows (roots of order sets, payloads, fees of orders) is not in it, so that nothing has to be believed
(docs/protocol/transcript.md).

    version (1 byte) || length of the numbers (varint) || count of the elements (varint) || numbers, deflated || elements, 32 bytes each || zeros

The numbers are the tables, column by column: for each table its count of rows, then each column's values, as varints. The elements are what does not compress:
signatures and siblings in order-set trees. Decoding is total: a TranscriptError for anything but such bytes, before more memory is taken than the rows of the
preset need.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from straddle.commitments.preset import Preset
from straddle.core.messages import ORDER_SET_DEPTH
from straddle.primitives.compressed import compress_point
from straddle.primitives.field import WORD_BYTES
from straddle.primitives.varint import VarintError, get_varint, put_varint, unzigzag, zigzag
from straddle.proving.witness import OrderRow, Witness

__all__ = ["Transcript", "TranscriptError", "decode", "encode"]

VERSION = 1
SIGNATURE_WORDS = 2
"""R in one word (straddle.primitives.compressed), and s."""
WORD_LIMIT = 1 << 256
_DEFLATE_BITS = -15
"""A raw stream: without header, checksum or dictionary."""


class TranscriptError(ValueError):
    """A transcript that is not as specified, or does not belong to the batch; the message names the table and the field."""


class Column(NamedTuple):
    """A column of a table: values of `bits` bits, as two's complement when signed."""

    name: str
    bits: int
    signed: bool = False


class SetRow(NamedTuple):
    """A signed order set. Bit i of `present` says whether its i-th gap has a sibling among the elements, or is an empty right side."""

    present: int


class OrderTerms(NamedTuple):
    """What an order row adds to its row of the body."""

    set: int
    set_index: int
    expiry_ms: int
    size: int
    limit: int
    side: int
    fee_cap: int
    flags: int
    legs: int


class LegTerms(NamedTuple):
    """A leg of an order row; those of each order in turn."""

    instrument: int
    ratio: int
    sell: int


class FillTerms(NamedTuple):
    """An execution between two leg rows. `over_limit` is the price less the limit of the maker's order: mostly 0, as the maker's price is the trade's."""

    taker: int
    maker: int
    over_limit: int
    size: int
    taker_fee: int
    maker_fee: int


class TransferTerms(NamedTuple):
    """A transfer; its nonce is the account's new action_nonce."""

    account: int
    to: int
    amount: int


class TakeoverTerms(NamedTuple):
    """A takeover; a bid's nonce is the winner's new action_nonce."""

    account: int
    winner: int
    fraction_bps: int
    payment: int
    bid: int
    limit: int
    expiry_ms: int


class DeleverageTerms(NamedTuple):
    """As the statement's row."""

    account: int
    winner: int
    instrument: int
    size: int
    price: int


COLUMNS: dict[str, tuple[type[Any], tuple[Column, ...]]] = {
    "sets": (SetRow, (Column("present", 64 * ORDER_SET_DEPTH),)),
    "orders": (
        OrderTerms,
        (
            *(Column("set", 16), Column("set_index", ORDER_SET_DEPTH), Column("expiry_ms", 48), Column("size", 40), Column("limit", 41, signed=True)),
            *(Column("side", 1), Column("fee_cap", 32), Column("flags", 7), Column("legs", 3)),
        ),
    ),
    "legs": (LegTerms, (Column("instrument", 32), Column("ratio", 7), Column("sell", 1))),
    "fills": (
        FillTerms,
        (
            *(Column(name, 16) for name in ("taker", "maker")),
            Column("over_limit", 48, signed=True),
            Column("size", 40),
            *(Column(name, 63) for name in ("taker_fee", "maker_fee")),
        ),
    ),
    "transfers": (TransferTerms, (Column("account", 32), Column("to", 32), Column("amount", 63))),
    "takeovers": (
        TakeoverTerms,
        (
            *(Column("account", 32), Column("winner", 32), Column("fraction_bps", 14), Column("payment", 65, signed=True), Column("bid", 1)),
            *(Column("limit", 65, signed=True), Column("expiry_ms", 48)),
        ),
    ),
    "deleverages": (
        DeleverageTerms,
        (*(Column(name, 32) for name in ("account", "winner", "instrument")), Column("size", 42, signed=True), Column("price", 42, signed=True)),
    ),
}
"""The tables in their order, each with its row and its columns."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The rows, and the words in the order in which `straddle.proving.complete` asks for them: of each set its signature (R in one word, s) and the siblings
    in its gaps; then a signature for each withdrawal, transfer, bid and raised min_nonce, in that order."""

    sets: tuple[SetRow, ...] = ()
    orders: tuple[OrderTerms, ...] = ()
    legs: tuple[LegTerms, ...] = ()
    fills: tuple[FillTerms, ...] = ()
    transfers: tuple[TransferTerms, ...] = ()
    takeovers: tuple[TakeoverTerms, ...] = ()
    deleverages: tuple[DeleverageTerms, ...] = ()
    elements: tuple[int, ...] = ()


def encode(witness: Witness) -> bytes:
    """The transcript of a batch's rows: the same bytes for the same rows. TranscriptError: a row refers to what is not there, or a value has no place."""
    return to_bytes(transcript_of(witness))


def to_bytes(transcript: Transcript) -> bytes:
    """The bytes of a transcript. TranscriptError names a value out of range."""
    numbers = bytearray()
    for name, (_, columns) in COLUMNS.items():
        rows = getattr(transcript, name)
        put_varint(numbers, len(rows))
        for index, column in enumerate(columns):
            for row in rows:
                put_varint(numbers, _unsigned(f"{name}.{column.name}", column, row[index]))
    packer = zlib.compressobj(9, zlib.DEFLATED, _DEFLATE_BITS, 9)
    packed = packer.compress(bytes(numbers)) + packer.flush()
    head = bytearray([VERSION])
    put_varint(head, len(packed))
    put_varint(head, len(transcript.elements))
    return bytes(head) + packed + b"".join(map(_word, transcript.elements))


def decode(data: bytes, preset: Preset) -> Transcript:
    """The transcript of these bytes, which may be followed by zeros (the rest of a blob). TranscriptError says what is wrong with them."""
    if not data:
        raise TranscriptError("transcript: missing, expected it after the call's arguments (blob data: in the blobs after the first)")
    if data[0] != VERSION:
        raise TranscriptError(f"transcript: version {data[0]}, expected {VERSION}")
    length, at = _get(data, 1, 32)
    count, at = _get(data, at, 32)
    elements_max = SIGNATURE_WORDS * preset.signatures + ORDER_SET_DEPTH * preset.orders
    if count > elements_max:
        raise TranscriptError(f"transcript: {count} elements, expected at most {elements_max}")
    words_at = at + length
    end = words_at + count * WORD_BYTES
    if end > len(data):
        raise TranscriptError(f"transcript: {len(data)} bytes, expected {end}: it is cut off")
    if data[end:].strip(b"\0"):
        raise TranscriptError(f"transcript: something after byte {end}, expected nothing or zeros")
    tables = _tables(_inflated(data[at:words_at], numbers_max(preset)), preset)
    words = (data[i : i + WORD_BYTES] for i in range(words_at, end, WORD_BYTES))
    return Transcript(**tables, elements=tuple(int.from_bytes(word, "big") for word in words))


def rows_max(name: str, preset: Preset) -> int:
    """Most rows of a table: what the preset's table has."""
    return int(getattr(preset, "signatures" if name == "sets" else name))


def numbers_max(preset: Preset) -> int:
    """Most bytes of the inflated numbers."""
    widths = {name: sum(-(-column.bits // 7) for column in columns) for name, (_, columns) in COLUMNS.items()}
    return sum(5 + rows_max(name, preset) * width for name, width in widths.items())


def gaps(indices: Iterable[int]) -> list[tuple[int, int]]:
    """(level, node) of the siblings that the leaves at `indices` lack on their way to the root, from the leaves up, ascending in a level."""
    found = []
    known = set(indices)
    for level in range(ORDER_SET_DEPTH):
        found += [(level, node) for node in sorted({node ^ 1 for node in known} - known)]
        known = {node >> 1 for node in known}
    return found


# ---- from a witness


def transcript_of(witness: Witness) -> Transcript:
    """The rows of a witness that a reader lacks. TranscriptError: a row refers to what is not there."""
    order_sets: dict[int, list[OrderRow]] = {}
    for row in witness.orders:
        order_sets.setdefault(row.signature, []).append(row)
    places = {signature: i for i, signature in enumerate(order_sets)}
    sets = []
    elements: list[int] = []
    for signature, rows in order_sets.items():
        elements += _signature(witness, "orders", signature)
        siblings = [_sibling(rows, level, node) for level, node in gaps(row.set_index for row in rows)]
        sets.append(SetRow(sum(1 << i for i, sibling in enumerate(siblings) if sibling)))
        elements += [sibling for sibling in siblings if sibling]
    elements += _other_signatures(witness)
    return Transcript(
        sets=tuple(sets),
        orders=_orders(witness, places),
        legs=tuple(LegTerms(row.instrument, row.ratio, row.sell) for row in witness.legs),
        fills=tuple(_fill(witness, index) for index in range(len(witness.fills))),
        transfers=tuple(TransferTerms(row.account, row.to, row.amount) for row in witness.transfers),
        takeovers=tuple(
            TakeoverTerms(row.account, row.winner, row.fraction_bps, row.payment, int(row.signature != -1), row.limit, row.expiry_ms)
            for row in witness.takeovers
        ),
        deleverages=tuple(DeleverageTerms(row.account, row.winner, row.instrument, row.size, row.price) for row in witness.deleverages),
        elements=tuple(elements),
    )


def _orders(witness: Witness, places: Mapping[int, int]) -> tuple[OrderTerms, ...]:
    counts = [0] * len(witness.orders)
    for leg in witness.legs:
        if not 0 <= leg.order < len(counts):
            raise TranscriptError(f"legs: order {leg.order}, expected one of {len(counts)} order rows")
        counts[leg.order] += 1
    return tuple(
        OrderTerms(places[row.signature], row.set_index, row.expiry_ms, row.size, row.limit, row.side, row.fee_cap, row.flags, counts[index])
        for index, row in enumerate(witness.orders)
    )


def _fill(witness: Witness, index: int) -> FillTerms:
    row = witness.fills[index]
    if not 0 <= row.maker < len(witness.legs):
        raise TranscriptError(f"fills[{index}].maker: {row.maker}, expected one of {len(witness.legs)} leg rows")
    limit = witness.orders[witness.legs[row.maker].order].limit
    return FillTerms(row.taker, row.maker, row.price - limit, row.size, row.taker_fee, row.maker_fee)


def _other_signatures(witness: Witness) -> Iterator[int]:
    """Of withdrawals, transfers, bids and raised min_nonces; a cancel that raises nothing needs none."""
    for withdrawal in witness.withdrawals:
        yield from _signature(witness, "withdrawals", withdrawal.signature)
    for transfer in witness.transfers:
        yield from _signature(witness, "transfers", transfer.signature)
    for takeover in witness.takeovers:
        if takeover.signature != -1:
            yield from _signature(witness, "takeovers", takeover.signature)
    for account in witness.accounts:
        if account.new.min_nonce != account.old.min_nonce:
            yield from _signature(witness, f"account {account.id} cancel", account.cancel_signature)


def _signature(witness: Witness, where: str, index: int) -> tuple[int, int]:
    if not 0 <= index < len(witness.signatures):
        raise TranscriptError(f"{where}.signature: {index}, expected one of {len(witness.signatures)} signature rows")
    row = witness.signatures[index]
    try:
        return compress_point(row.r_x, row.r_y), row.s
    except ValueError as error:
        raise TranscriptError(f"{where}.signature: {error}") from None


def _sibling(rows: Sequence[OrderRow], level: int, node: int) -> int:
    """The sibling in a gap, from the path of an order below its other side."""
    row = next(row for row in rows if row.set_index >> level == node ^ 1)
    if len(row.set_path) != ORDER_SET_DEPTH:
        raise TranscriptError(f"orders.set_path: {len(row.set_path)} siblings, expected {ORDER_SET_DEPTH}")
    return row.set_path[level]


# ---- bytes


def _inflated(packed: bytes, limit: int) -> bytes:
    """The numbers, never more than the rows of the preset can need: a stream that would go on is refused without being followed."""
    unpacker = zlib.decompressobj(_DEFLATE_BITS)
    try:
        numbers = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise TranscriptError(f"transcript: numbers cannot be inflated ({error})") from None
    if len(numbers) > limit:
        raise TranscriptError(f"transcript: more than {limit} bytes of numbers, expected no more in this preset")
    if not unpacker.eof or unpacker.unused_data:
        raise TranscriptError("transcript: the numbers end before or after their stream does")
    return numbers


def _tables(numbers: bytes, preset: Preset) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    at = 0
    for name, (row, columns) in COLUMNS.items():
        count, at = _get(numbers, at, 32)
        if count > rows_max(name, preset):
            raise TranscriptError(f"{name}: {count} rows, expected at most {rows_max(name, preset)} in this preset")
        values: list[list[int]] = []
        for column in columns:
            values.append([])
            for _ in range(count):
                raw, at = _get(numbers, at, column.bits)
                values[-1].append(_valued(column, raw))
        tables[name] = tuple(row(*items) for items in zip(*values, strict=True))
    if at != len(numbers):
        raise TranscriptError(f"transcript: {len(numbers) - at} bytes of numbers after the last table, expected none")
    return tables


def _get(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """A varint of at most `bits` bits, and where it ends."""
    try:
        return get_varint(data, at, bits)
    except VarintError as error:
        raise TranscriptError(f"transcript: {error}") from None


def _unsigned(where: str, column: Column, value: int) -> int:
    """As it is written: a signed value with its sign in the lowest bit."""
    written = zigzag(value) if column.signed else value
    if (value < 0 and not column.signed) or written >> column.bits:
        raise TranscriptError(f"{where}: {value}, expected {column.bits} bits{', signed' if column.signed else ''}")
    return written


def _valued(column: Column, written: int) -> int:
    return unzigzag(written) if column.signed else written


def _word(value: int) -> bytes:
    if not 0 <= value < WORD_LIMIT:
        raise TranscriptError(f"elements: {value:#x}, expected 256 bits")
    return value.to_bytes(WORD_BYTES, "big")
