"""The witness of the solvency and exit statements: a chunk of accounts valued on one risk table (docs/protocol/solvency.md, docs/reference/witness.md)."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace

from straddle.commitments.accounts import AccountLeaf
from straddle.commitments.cells import trimmed
from straddle.commitments.challenge import evaluate
from straddle.commitments.chunk import ChunkOpening
from straddle.commitments.holdings import ClaimLine, Holdings, HoldingsPreset, challenge, commitment, encode_body, encode_effects
from straddle.commitments.ledger import StateParts
from straddle.commitments.params import hash_values
from straddle.commitments.risk import risk_root
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.margin import Requirement, sweep
from straddle.core.risk_table import RiskTable
from straddle.proving.witness import InstrumentRow, PublicInputs, WitnessError, file_text, instrument_row, read_text

_UNBOUND = PublicInputs(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class HoldingsHeader:
    """The chunk's place and the parts of the state root and of the parameters' hash."""

    domain: int
    chunk: int
    accounts_root: int
    listings_root: int
    listing_count: int
    batch_number: int
    queue_pointer: int
    k_im_bps: int
    k_mm_bps: int
    discount_bps: int
    auction_ms: int
    risk_digest: int
    risk_root: int


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """Lots, signed, that an account holds."""

    account: int
    instrument: int
    size: int


@dataclass(frozen=True, slots=True)
class HoldingsWitness:
    """Everything that the prover needs; used rows only."""

    preset: str
    header: HoldingsHeader
    public: PublicInputs
    accounts: tuple[AccountLeaf, ...]
    """All 2^k leaves of the chunk."""
    path: tuple[int, ...]
    positions: tuple[HeldPosition, ...]
    instruments: tuple[InstrumentRow, ...]

    def to_json(self, *, indent: int | None = 1) -> str:
        """The witness file; with indent None on one line."""
        return file_text(self, indent)

    @classmethod
    def from_json(cls, text: str) -> HoldingsWitness:
        """Read a witness file; WitnessError names an unknown, missing or ill-typed key."""
        return read_text(cls, text)

    @property
    def first_account(self) -> int:
        """Lowest account of the chunk."""
        return self.header.chunk * len(self.accounts)

    def state_parts(self, preset: HoldingsPreset) -> StateParts:
        """What the state root is the sponge of. ValueError: a parameter out of range."""
        head = self.header
        values = (preset.account_depth, preset.slot_depth, head.k_im_bps, head.k_mm_bps, head.discount_bps, head.auction_ms, head.risk_digest)
        return StateParts(head.accounts_root, head.listings_root, head.listing_count, head.batch_number, head.queue_pointer, hash_values(values))


@dataclass(frozen=True, slots=True)
class HoldingsFacts:
    """What the challenge takes from layer 1; `rollup` and `beneficiary` are addresses as integers, `vk_id` is that of the circuit's own key."""

    chain_id: int
    rollup: int
    vk_id: bytes
    beneficiary: int


@dataclass(frozen=True, slots=True)
class PostedHoldings:
    """What goes to layer 1, with its witness."""

    witness: HoldingsWitness
    holdings: Holdings
    effects_words: tuple[int, ...]
    body_words: tuple[int, ...]
    """As posted: without trailing zeros."""


def count_chunk(opening: ChunkOpening, table: RiskTable, domain: int) -> Holdings:
    """What the statement says of a chunk on a risk table. WitnessError: a position without a row of the table."""
    ids = range(opening.first_account, opening.first_account + len(opening.leaves))
    for account, held in opening.positions.items():
        missing = next((instrument for instrument in held if instrument not in table), None)
        if missing is not None:
            raise WitnessError(f"position of account {account}: instrument {missing} is not in the risk table of epoch {table.epoch}")
    valued = sweep([(leaf.cash, opening.positions.get(id_, {})) for id_, leaf in zip(ids, opening.leaves, strict=True)], table, opening.params)
    below = [item for item in valued if item.maintenance_surplus_scaled < 0]
    nets = Counter[int]()
    for held in opening.positions.values():
        nets.update(held)
    equities = dict(zip(ids, (item.equity for item in valued), strict=True))
    return Holdings(
        domain=domain,
        state_root=opening.parts.root,
        risk_root=risk_root(opening.parts.listings_root, table.rows),
        chunk=opening.chunk,
        chunk_bits=len(opening.leaves).bit_length() - 1,
        cash=sum(leaf.cash for leaf in opening.leaves),
        claims=sum(map(_claim, valued)),
        debts=sum(max(-item.equity, 0) for item in valued),
        below=len(below),
        lacking_scaled=-sum(item.maintenance_surplus_scaled for item in below),
        fund_equity=equities.get(INSURANCE_ACCOUNT),
        lines=tuple(ClaimLine(id_, leaf.owner, _claim(item)) for id_, leaf, item in zip(ids, opening.leaves, valued, strict=True) if leaf.owner),
        nets=tuple(0 if row.settled else nets[row.instrument] for row in table.rows),
    )


def _claim(valued: Requirement) -> int:
    return max(valued.equity, 0)


def post_holdings(opening: ChunkOpening, table: RiskTable, preset: HoldingsPreset, domain: int, facts: HoldingsFacts) -> PostedHoldings:
    """Witness and layer-1 data of a chunk. WitnessError: it does not fit the preset; DataError: a value that no proof could carry."""
    positions = tuple(HeldPosition(id_, instrument, size) for id_, held in sorted(opening.positions.items()) for instrument, size in sorted(held.items()))
    sizes = (
        ("account_depth", opening.params.account_depth, preset.account_depth, opening.params.account_depth == preset.account_depth),
        ("slot_depth", opening.params.slot_depth, preset.slot_depth, opening.params.slot_depth == preset.slot_depth),
        ("accounts", len(opening.leaves), preset.chunk_accounts, len(opening.leaves) == preset.chunk_accounts),
        ("positions", len(positions), preset.positions, len(positions) <= preset.positions),
        ("instruments", len(table.rows), preset.instruments, len(table.rows) <= preset.instruments),
    )
    for name, found, expected, fits in sizes:
        if not fits:
            raise WitnessError(f"{name}: {found}, expected {expected} in circuit {preset.name}")
    params, parts = opening.params, opening.parts
    holdings = count_chunk(opening, table, domain)
    header = HoldingsHeader(
        domain=domain,
        chunk=opening.chunk,
        accounts_root=parts.accounts_root,
        listings_root=parts.listings_root,
        listing_count=parts.listing_count,
        batch_number=parts.batch_number,
        queue_pointer=parts.queue_pointer,
        k_im_bps=params.k_im_bps,
        k_mm_bps=params.k_mm_bps,
        discount_bps=params.discount_bps,
        auction_ms=params.auction_ms,
        risk_digest=params.risk_digest,
        risk_root=holdings.risk_root,
    )
    rows = tuple(instrument_row(row) for row in table.rows)
    witness = HoldingsWitness(preset.name, header, _UNBOUND, opening.leaves, opening.path, positions, rows)
    return bind_holdings(witness, holdings, preset, facts)


def bind_holdings(witness: HoldingsWitness, holdings: Holdings, preset: HoldingsPreset, facts: HoldingsFacts) -> PostedHoldings:
    """The witness with the public inputs of what it says, `holdings`."""
    effects, full_body = encode_effects(holdings, preset), encode_body(holdings.nets, preset)
    body = trimmed(full_body)
    c = commitment(effects, full_body)
    z = challenge(facts.chain_id, facts.rollup, facts.vk_id, effects, body, c)
    public = PublicInputs(c, z, evaluate(effects, z), evaluate(body, z), facts.beneficiary)
    return PostedHoldings(replace(witness, public=public), holdings, tuple(effects), tuple(body))


def total(parts: list[Holdings]) -> Holdings:
    """Chunks of one state and table, all from the first on, as one (`chunk` and `chunk_bits` are the first one's). ValueError: they do not belong together."""
    first = parts[0]
    for place, part in enumerate(parts):
        same = (part.domain, part.state_root, part.risk_root, part.chunk_bits) == (first.domain, first.state_root, first.risk_root, first.chunk_bits)
        if part.chunk != place or not same:
            raise ValueError(f"chunk {part.chunk}: expected chunk {place} of state {first.state_root:#x} and table {first.risk_root:#x}")
    return replace(
        first,
        cash=sum(part.cash for part in parts),
        claims=sum(part.claims for part in parts),
        debts=sum(part.debts for part in parts),
        below=sum(part.below for part in parts),
        lacking_scaled=sum(part.lacking_scaled for part in parts),
        fund_equity=next((part.fund_equity for part in parts if part.fund_equity is not None), None),
        lines=tuple(line for part in parts for line in part.lines),
        nets=tuple(map(sum, itertools.zip_longest(*(part.nets for part in parts), fillvalue=0))),
    )
