"""Effects and body of a witness, and the public inputs that commit to them: what both an honest and a cheating prover must derive from their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from straddle.commitments.accounts import AUCTION
from straddle.commitments.body import encode_body
from straddle.commitments.cells import trimmed
from straddle.commitments.challenge import IN_CALLDATA, Place, challenge, commitment, evaluate, header_hash
from straddle.commitments.data import AccountData, AuctionCode, Body, Effects, PositionData, QueueEntry, SlotData, WithdrawalData
from straddle.commitments.effects import QUEUE_DEPOSIT, QUEUE_FORCE_CLOSE, QUEUE_FORCE_WITHDRAW, encode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import StateParts
from straddle.commitments.listings import KIND_RETIREMENT, KIND_SETTLEMENT, Listing
from straddle.commitments.params import hash_values
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.instruments import Instrument, Kind, Retirement, Settlement
from straddle.primitives.field import MODULUS
from straddle.proving.witness import AccountRow, ListingRow, PublicInputs, QueueRow, Witness


class Opening(Protocol):
    """The proof of a blob's value at z (straddle.commitments.blob.Opening)."""

    @property
    def commitment(self) -> bytes:
        """48 bytes."""

    @property
    def proof(self) -> bytes:
        """48 bytes."""

    @property
    def y(self) -> int:
        """As the precompile gives it."""


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the challenge takes from layer 1; `rollup` and `beneficiary` are addresses as integers."""

    chain_id: int
    rollup: int
    vk_id: bytes
    parent_header_hash: bytes
    beneficiary: int
    data: Data = Data.CALLDATA
    """Where the body will lie."""


@dataclass(frozen=True, slots=True)
class PostedBatch:
    """A batch as it goes to layer 1, with its witness."""

    witness: Witness
    effects: Effects
    body: Body
    effects_words: tuple[int, ...]
    body_words: tuple[int, ...]
    """As posted: without trailing zeros."""
    header_hash: bytes
    place: Place = IN_CALLDATA
    opening: Opening | None = None
    """Of the body's blob at z, where it lies in one."""


def state_parts(witness: Witness, preset: Preset) -> tuple[StateParts, StateParts]:
    """Parts of the old and the new state root. ValueError: a parameter out of range."""
    head = witness.header
    hashed = hash_values((preset.account_depth, preset.slot_depth, head.k_im_bps, head.k_mm_bps, head.discount_bps, head.auction_ms, head.risk_digest))
    old = StateParts(head.old_accounts_root, head.old_listings_root, head.old_listing_count, head.batch_number - 1, head.old_queue_pointer, hashed)
    new = StateParts(
        head.new_accounts_root,
        head.new_listings_root,
        head.old_listing_count + sum(row.kind < KIND_SETTLEMENT for row in witness.listings),
        head.batch_number,
        head.old_queue_pointer + len(witness.queue),
        hashed,
    )
    return old, new


def effects_of(witness: Witness, preset: Preset) -> Effects:
    """The effects that the rows stand for."""
    head = witness.header
    old, new = state_parts(witness, preset)
    return Effects(
        domain=head.domain,
        batch_number=head.batch_number,
        old_state_root=old.root,
        new_state_root=new.root,
        epoch=head.epoch,
        time_ms=head.time_ms,
        params_hash=old.params_hash,
        risk_root=head.risk_root,
        first_sequence=head.first_sequence,
        last_sequence=head.last_sequence,
        log_root=head.log_root,
        queue_first=head.old_queue_pointer,
        queue=tuple(_entry(head.old_queue_pointer + i, row) for i, row in enumerate(witness.queue)),
        withdrawals=tuple(WithdrawalData(row.account, row.owner, row.amount) for row in witness.withdrawals),
        paid=tuple(row.paid for row in witness.queue if row.kind == QUEUE_FORCE_WITHDRAW),
    )


def body_of(witness: Witness) -> Body:
    """The body that the rows stand for. DataError: a position in an instrument without a row of the risk table."""
    opened, ordering = {row.account for row in witness.positions}, {row.account for row in witness.orders}
    table_rows = {row.id: i + 1 for i, row in enumerate(witness.instruments)}
    for position in witness.positions:
        if position.instrument not in table_rows:
            raise DataError(f"position of account {position.account}: instrument {position.instrument} is not in the risk table")
    return Body(
        accounts=tuple(
            AccountData(row.id, row.new.cash, row.new.min_nonce, row.new.action_nonce, row.id in opened, row.id in ordering, auction_code(row))
            for row in witness.accounts
        ),
        slots=tuple(
            SlotData(row.account, row.nonce, row.revision, row.slot_new.filled, row.sequence - witness.header.first_sequence) for row in witness.orders
        ),
        positions=tuple(PositionData(row.account, table_rows[row.instrument], row.new) for row in witness.positions),
        listings=tuple(listing_of(row) for row in witness.listings),
    )


def auction_code(row: AccountRow) -> AuctionCode:
    """What the batch did to the account's auction word."""
    if row.new.auction == row.old.auction:
        return AuctionCode.UNCHANGED
    if row.new.auction == 0:
        return AuctionCode.ENDED
    return AuctionCode.CLOSE_BEGUN if AUCTION.unpack("auction", row.new.auction)[1] else AuctionCode.BEGUN


def listing_of(row: ListingRow) -> Listing:
    """The word of the listings chain that a row stands for."""
    if row.kind == KIND_SETTLEMENT:
        return Settlement(row.id, row.underlying, row.strike_ticks)
    if row.kind == KIND_RETIREMENT:
        return Retirement(row.id, row.underlying)
    return Instrument(row.id, Kind(row.kind), row.underlying, row.expiry_ms, row.strike_ticks, row.tick_ticks, row.min_lots, row.position_cap_lots)


def bind(witness: Witness, preset: Preset, chain: ChainFacts) -> PostedBatch:
    """The witness with its public inputs, and the batch as it is posted after the header `chain.parent_header_hash`."""
    effects, body = effects_of(witness, preset), body_of(witness)
    effects_words, full_body = encode_effects(effects, preset), encode_body(body, preset)
    body_words = trimmed(full_body)
    number = effects.batch_number
    c = commitment(effects_words, full_body)
    z, place, opening = _placed(chain, number, effects_words, body_words, c)
    public = PublicInputs(c, z, evaluate(effects_words, z), opening.y % MODULUS if opening else evaluate(body_words, z), chain.beneficiary)
    hashed = header_hash(chain.parent_header_hash, number, effects_words, body_words, c, z, public.y_effects, public.y_body, place)
    named = replace(witness, preset=circuit_name(preset.name, chain.data), public=public)
    return PostedBatch(named, effects, body, tuple(effects_words), tuple(body_words), hashed, place, opening)


def _placed(chain: ChainFacts, number: int, effects: Sequence[int], body: Sequence[int], c: int) -> tuple[int, Place, Opening | None]:
    """z, where the body lies, and the opening of its blob if it lies in one."""
    facts = (chain.chain_id, chain.rollup, chain.vk_id, number, chain.parent_header_hash, effects, body, c)
    if chain.data is not Data.BLOB:
        place = Place(chain.data)
        return challenge(*facts, place), place, None
    from straddle.commitments.blob import cells_blob, kzg_commitment, open_blob, versioned_hash  # loads the ceremony's points: nobody else needs them

    blob = cells_blob(body)
    place = Place(chain.data, versioned_hash(kzg_commitment(blob)))
    z = challenge(*facts, place)
    return z, place, open_blob(blob, z)


def circuit_name(preset: str, data: Data) -> str:
    """The batch circuit of a preset: one for blobs, one for calldata and committees."""
    return f"{preset}-blob" if data is Data.BLOB else preset


def _entry(index: int, row: QueueRow) -> QueueEntry:
    if row.kind == QUEUE_DEPOSIT:
        return L1Deposit(index, row.account, row.owner, row.amount)
    if row.kind == QUEUE_FORCE_WITHDRAW:
        return L1ForceWithdraw(index, row.account, row.owner, row.amount)
    if row.kind == QUEUE_FORCE_CLOSE:
        return L1ForceClose(index, row.account, row.owner, row.amount)
    return L1SetKey(index, row.account, row.owner, PublicKey(row.key_x, row.key_y))
