"""Effects and body of a witness, and the public inputs that commit to them: what both an honest and a cheating prover must derive from their rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from straddle.commitments.challenge import challenge, commitment, evaluate, header_hash
from straddle.commitments.data import (
    QUEUE_DEPOSIT,
    AccountData,
    Body,
    Effects,
    PositionData,
    QueueEntry,
    SlotData,
    WithdrawalData,
    encode_body,
    encode_effects,
    trimmed,
)
from straddle.commitments.ledger import StateParts
from straddle.commitments.params import params_hash
from straddle.commitments.preset import Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.instruments import Instrument, Kind
from straddle.core.params import Params
from straddle.proving.witness import PublicInputs, QueueRow, Witness


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the challenge takes from layer 1; `rollup` and `beneficiary` are addresses as integers."""

    chain_id: int
    rollup: int
    vk_id: bytes
    parent_header_hash: bytes
    beneficiary: int


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


def state_parts(witness: Witness, preset: Preset) -> tuple[StateParts, StateParts]:
    """Parts of the old and the new state root."""
    head = witness.header
    hashed = params_hash(Params(preset.account_depth, preset.slot_depth, head.k_im_bps, head.k_mm_bps, head.risk_digest))
    old = StateParts(head.old_accounts_root, head.old_listings_root, head.old_listing_count, head.batch_number - 1, head.old_queue_pointer, hashed)
    new = StateParts(
        head.new_accounts_root,
        head.new_listings_root,
        head.old_listing_count + len(witness.listings),
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
    )


def body_of(witness: Witness) -> Body:
    """The body that the rows stand for."""
    return Body(
        accounts=tuple(AccountData(row.id, row.new.cash, row.new.min_nonce, row.new.withdrawal_nonce) for row in witness.accounts),
        slots=tuple(SlotData(row.account, row.nonce, row.revision, row.slot_new.filled, row.sequence) for row in witness.orders),
        positions=tuple(PositionData(row.account, row.instrument, row.new) for row in witness.positions),
        listings=tuple(
            Instrument(row.id, Kind(row.kind), row.underlying, row.expiry_ms, row.strike_ticks, row.tick_ticks, row.min_lots, row.position_cap_lots)
            for row in witness.listings
        ),
    )


def bind(witness: Witness, preset: Preset, chain: ChainFacts) -> PostedBatch:
    """The witness with its public inputs, and the batch as it is posted after the header `chain.parent_header_hash`."""
    effects, body = effects_of(witness, preset), body_of(witness)
    effects_words, full_body = encode_effects(effects, preset), encode_body(body, preset)
    body_words = trimmed(full_body)
    number = effects.batch_number
    c = commitment(effects_words, full_body)
    z = challenge(chain.chain_id, chain.rollup, chain.vk_id, number, chain.parent_header_hash, effects_words, body_words, c)
    public = PublicInputs(c, z, evaluate(effects_words, z), evaluate(body_words, z), chain.beneficiary)
    hashed = header_hash(chain.parent_header_hash, number, effects_words, body_words, c, z, public.y_effects, public.y_body)
    return PostedBatch(replace(witness, public=public), effects, body, tuple(effects_words), tuple(body_words), hashed)


def _entry(index: int, row: QueueRow) -> QueueEntry:
    if row.kind == QUEUE_DEPOSIT:
        return L1Deposit(index, row.account, row.owner, row.amount)
    return L1SetKey(index, row.account, row.owner, PublicKey(row.key_x, row.key_y))
