"""The witness file of a batch, typed (docs/reference/witness.md). Field names are the file's keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from straddle.commitments.accounts import AccountLeaf
from straddle.core.accounts import Slot
from straddle.core.risk_table import RiskRow
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json

_STRINGS = frozenset(
    {
        *("domain", "log_root", "risk_digest", "old_accounts_root", "new_accounts_root", "old_listings_root", "new_listings_root", "risk_root"),
        *("accounts_root", "listings_root"),
        *("c", "z", "y_effects", "y_body", "beneficiary", "owner", "key_x", "key_y", "multiple_x", "multiple_y", "positions_digest", "orders_root"),
        *("payload", "r_x", "r_y", "s", "orders_root_old", "orders_root_new", "path", "set_path", "slot_path"),
    }
)
"""Keys whose values are written as decimal strings; the others are JSON integers."""

_DIGITS_MAX = 80
"""A word has 77."""

TABLES = ("accounts", "positions", "instruments", "listings", "signatures", "orders", "legs", "fills", "queue", "withdrawals", "transfers", "takeovers",
          "deleverages")  # fmt: skip
"""The statement's tables: fields of Witness and of Preset."""

T = TypeVar("T")


class WitnessError(Actionable, ValueError):
    """A witness file, or what one would be built from, that is not as specified; the message names the field."""


@dataclass(frozen=True, slots=True)
class Header:
    """The batch's header and the parts of both state roots."""

    domain: int
    batch_number: int
    epoch: int
    time_ms: int
    first_sequence: int
    last_sequence: int
    log_root: int
    k_im_bps: int
    k_mm_bps: int
    discount_bps: int
    auction_ms: int
    risk_digest: int
    old_accounts_root: int
    new_accounts_root: int
    old_listings_root: int
    new_listings_root: int
    old_listing_count: int
    old_queue_pointer: int
    risk_root: int


@dataclass(frozen=True, slots=True)
class PublicInputs:
    """The statement's public inputs, in their order."""

    c: int
    z: int
    y_effects: int
    y_body: int
    beneficiary: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A touched account; `path` stands after the updates of the rows before."""

    id: int
    old: AccountLeaf
    new: AccountLeaf
    path: tuple[int, ...]
    cancel_signature: int = -1
    """Index into signatures when the batch raises min_nonce, else -1."""


@dataclass(frozen=True, slots=True)
class PositionRow:
    """Signed lots before and after."""

    account: int
    instrument: int
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """A row of the risk table."""

    id: int
    expiry_ms: int
    linear: int
    settled: int
    value: int
    funding: int
    band: int
    long_im: int
    long_mm: int
    short_im: int
    short_mm: int
    deltas: tuple[int, ...]

    @property
    def mark(self) -> int:
        """The mark price in ticks: value with the funding folded back in."""
        return self.value + self.funding


def instrument_row(row: RiskRow) -> InstrumentRow:
    """A row of the risk table as a witness has it."""
    flags, charges = (int(row.linear), int(row.settled)), (row.long_im, row.long_mm, row.short_im, row.short_mm)
    return InstrumentRow(row.instrument, row.expiry_ms, *flags, row.value, row.funding, row.band, *charges, row.deltas)


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A word of the listings chain. Kinds 1 to 4 list; kind 5 settles (`strike_ticks` is the value), kind 6 retires: what a word lacks is 0."""

    id: int
    kind: int
    underlying: int
    expiry_ms: int
    strike_ticks: int
    tick_ticks: int
    min_lots: int
    position_cap_lots: int


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """A signature over [domain, kind, account, key_epoch, payload, 0]."""

    account: int
    kind: int
    payload: int
    r_x: int
    r_y: int
    s: int


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An outright that filled, or one execution of a combination, whose `fill` counts units; `signature` indexes signatures."""

    account: int
    step: int
    signature: int
    set_index: int
    set_path: tuple[int, ...]
    nonce: int
    revision: int
    expiry_ms: int
    size: int
    limit: int
    side: int
    fee_cap: int
    flags: int
    slot_old: Slot
    slot_path: tuple[int, ...]
    orders_root_old: int
    orders_root_new: int
    fill: int
    fee: int
    sequence: int

    @property
    def filled_before(self) -> int:
        """Lots of this order filled before the batch's row (the slot rule of docs/protocol/state.md)."""
        return self.slot_old.filled if self.nonce == self.slot_old.nonce else 0

    @property
    def slot_new(self) -> Slot:
        """What the slot holds afterwards."""
        return Slot(self.nonce, self.revision, self.filled_before + self.fill)


@dataclass(frozen=True, slots=True)
class LegRow:
    """A leg of an order row (`order` is its index): a unit of the order is `ratio` lots of the instrument, sold to its buyer where `sell` is 1."""

    order: int
    place: int
    instrument: int
    ratio: int
    sell: int


@dataclass(frozen=True, slots=True)
class FillRow:
    """An execution between two leg rows (indices)."""

    taker: int
    maker: int
    price: int
    size: int
    taker_fee: int
    maker_fee: int


@dataclass(frozen=True, slots=True)
class QueueRow:
    """An answered queue entry. `amount` is what is deposited (kind 1), what is asked for and `paid` what is paid (3), a limit in bps (4); kind 2 has a key."""

    kind: int
    account: int
    owner: int
    amount: int
    paid: int
    key_x: int
    key_y: int


@dataclass(frozen=True, slots=True)
class WithdrawalRow:
    """A withdrawal; `signature` indexes signatures."""

    account: int
    owner: int
    amount: int
    nonce: int
    signature: int


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A transfer to another account of the same owner; `signature` indexes signatures."""

    account: int
    to: int
    amount: int
    nonce: int
    signature: int


@dataclass(frozen=True, slots=True)
class TakeoverRow:
    """A fraction of an account's portfolio goes to the winner, who pays `payment` (negative: is paid), at most the `limit` that its bid signs.

    `signature` indexes signatures; -1 for the insurance fund, which signs nothing: its limit, nonce and expiry are 0.
    """

    account: int
    winner: int
    fraction_bps: int
    payment: int
    limit: int
    nonce: int
    expiry_ms: int
    signature: int


@dataclass(frozen=True, slots=True)
class DeleverageRow:
    """Lots of a bankrupt account go to the winner, whose position changes by `size` (signed)."""

    account: int
    winner: int
    instrument: int
    size: int
    price: int


@dataclass(frozen=True, slots=True)
class Witness:
    """Everything the prover needs; used rows only."""

    preset: str
    header: Header
    public: PublicInputs
    accounts: tuple[AccountRow, ...]
    positions: tuple[PositionRow, ...]
    instruments: tuple[InstrumentRow, ...]
    listings: tuple[ListingRow, ...]
    signatures: tuple[SignatureRow, ...]
    orders: tuple[OrderRow, ...]
    legs: tuple[LegRow, ...]
    fills: tuple[FillRow, ...]
    queue: tuple[QueueRow, ...]
    withdrawals: tuple[WithdrawalRow, ...]
    transfers: tuple[TransferRow, ...]
    takeovers: tuple[TakeoverRow, ...]
    deleverages: tuple[DeleverageRow, ...]

    def to_json(self, *, indent: int | None = 1) -> str:
        """The witness file; with indent None on one line."""
        return file_text(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Witness:
        """Read a witness file; WitnessError names an unknown, missing or ill-typed key."""
        return read_text(cls, text)


def file_text(witness: object, indent: int | None) -> str:
    """A witness, of any circuit, as its file."""
    return json.dumps(_plain("", witness), indent=indent)


def read_text(kind: type[T], text: str) -> T:
    """The inverse of `file_text`; WitnessError names an unknown, missing or ill-typed key."""
    try:
        raw = decode_json(text)
    except ValueError as error:
        raise WitnessError(f"witness: not JSON ({error})") from None
    return _typed("witness", kind, raw)


def _plain(name: str, value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(field.name, getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, AccountLeaf | Slot):
        return {key: _plain(key, item) for key, item in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(name, item) for item in value]
    return str(value) if isinstance(value, int) and name in _STRINGS else value


def _typed(where: str, kind: type[T], raw: Any) -> T:
    """`raw` JSON as a value of `kind`: a row class, a tuple of one element type, an integer or a string."""
    if get_origin(kind) is tuple:
        if not isinstance(raw, list):
            raise WitnessError(f"{where}: {type(raw).__name__}, expected a list")
        item = get_args(kind)[0]
        return tuple(_typed(f"{where}[{i}]", item, value) for i, value in enumerate(raw))  # type: ignore[return-value]
    if kind is int:
        return _integer(where, raw)  # type: ignore[return-value]
    if kind is str:
        if not isinstance(raw, str):
            raise WitnessError(f"{where}: {raw!r}, expected a string")
        return raw  # type: ignore[return-value]
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    if not isinstance(raw, dict) or raw.keys() != hints.keys():
        found = sorted(raw.keys() ^ hints.keys()) if isinstance(raw, dict) else type(raw).__name__
        raise WitnessError(f"{where}: unknown or missing keys {found}")
    return kind(**{key: _typed(f"{where}.{key}", hint, raw[key]) for key, hint in hints.items()})


@cache
def _hints(kind: type[Any]) -> Mapping[str, Any]:
    """Evaluated once a class: for each row anew it would be two thirds of what reading a witness takes."""
    return get_type_hints(kind)


def _integer(where: str, raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and len(raw) <= _DIGITS_MAX and raw.isascii() and raw.removeprefix("-").isdigit():
        return int(raw)
    raise WitnessError(f"{where}: {repr(raw)[:100]}, expected an integer, or a decimal string of at most {_DIGITS_MAX} digits")
