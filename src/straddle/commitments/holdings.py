"""What a proof of the solvency statement says of one chunk of accounts, typed; its words, and what binds them (docs/protocol/solvency.md).

The exit statement is the same with a chunk of one account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from straddle.commitments.cells import check_words
from straddle.commitments.challenge import hash_words
from straddle.commitments.layout import DataError, Layout, signed, unsigned
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import keccak256, sponge

CHALLENGE_TAG = b"straddle.z.solvency"
HEADER_WORDS = 7
NETS_PER_CELL = 4
NET_BITS = 56
CHUNK_BITS_MAX = 20
"""Wider than any preset's chunk."""

PLACE = Layout(unsigned("chunk", 24), unsigned("k", 8))
SUMS = Layout(signed("cash", 96), unsigned("claims", 96))
DISTRESS = Layout(unsigned("debts", 96), unsigned("below", 32), unsigned("lacking", 96))
FUND = Layout(signed("fund_equity", 96))
LINE = Layout(unsigned("owner", 160), unsigned("claim", 64), unsigned("account", 24))
NET = signed("net", NET_BITS)


@dataclass(frozen=True, slots=True)
class HoldingsPreset:
    """Sizes of one circuit of the solvency statement (native/circuit/presets.json and solvency.json)."""

    name: str
    """That of the circuit: nano-exit, nano-solvency, ..."""
    account_depth: int
    slot_depth: int
    instruments: int
    chunk_bits: int
    """k: a chunk has 2^k accounts."""
    positions: int

    @property
    def chunk_accounts(self) -> int:
        """Accounts of a chunk."""
        return 1 << self.chunk_bits

    @property
    def chunks(self) -> int:
        """Chunks of the whole tree."""
        return 1 << (self.account_depth - self.chunk_bits)

    @property
    def effects_words(self) -> int:
        """Length of the effects."""
        return HEADER_WORDS + self.chunk_accounts

    @property
    def body_words(self) -> int:
        """Length of the body."""
        return -(-self.instruments // NETS_PER_CELL)


class ClaimLine(NamedTuple):
    """An account that has an owner, and max(equity, 0) in micro-dollars."""

    account: int
    owner: int
    claim: int


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is proved of one chunk, in micro-dollars."""

    domain: int
    state_root: int
    risk_root: int
    chunk: int
    chunk_bits: int
    cash: int
    """Sum of cash."""
    claims: int
    """Sum of max(equity, 0)."""
    debts: int
    """Sum of max(-equity, 0)."""
    below: int
    """Accounts below maintenance margin."""
    lacking_scaled: int
    """What they lack of it together, times 10^4."""
    fund_equity: int | None
    """Equity of the insurance fund; None in a chunk without account 2."""
    lines: tuple[ClaimLine, ...]
    """Ascending by account."""
    nets: tuple[int, ...]
    """Sum of the positions in each row of the risk table, in lots; 0 for settled instruments, whose holders turn into cash one by one."""

    @property
    def first_account(self) -> int:
        """Lowest account of the chunk."""
        return self.chunk << self.chunk_bits

    @property
    def accounts(self) -> range:
        """Accounts of the chunk."""
        return range(self.first_account, self.first_account + (1 << self.chunk_bits))

    def line_of(self, account: int) -> ClaimLine | None:
        """The account's line; None without an owner, or in another chunk."""
        return next((line for line in self.lines if line.account == account), None)


def encode_effects(holdings: Holdings, preset: HoldingsPreset) -> list[int]:
    """The effects' words."""
    if (holdings.fund_equity is not None) != (INSURANCE_ACCOUNT in holdings.accounts):
        raise DataError(f"fund_equity: {holdings.fund_equity}, expected a value exactly in the chunk of account {INSURANCE_ACCOUNT}")
    lines = [0] * preset.chunk_accounts
    for line in holdings.lines:
        where = f"effects[{HEADER_WORDS + line.account - holdings.first_account}]"
        if line.account not in holdings.accounts:
            raise DataError(f"{where}.account: {line.account}, expected one of chunk {holdings.chunk}")
        lines[line.account - holdings.first_account] = LINE.pack(where, (line.owner, line.claim, line.account))
    return [
        holdings.domain,
        holdings.state_root,
        holdings.risk_root,
        PLACE.pack("effects[3]", (holdings.chunk, holdings.chunk_bits)),
        SUMS.pack("effects[4]", (holdings.cash, holdings.claims)),
        DISTRESS.pack("effects[5]", (holdings.debts, holdings.below, holdings.lacking_scaled)),
        0 if holdings.fund_equity is None else FUND.pack("effects[6]", (holdings.fund_equity,)),
        *lines,
    ]


def encode_body(nets: Sequence[int], preset: HoldingsPreset) -> list[int]:
    """The body's cells; `nets` are those of the used rows."""
    if len(nets) > preset.instruments:
        raise DataError(f"nets: {len(nets)} rows, expected at most {preset.instruments} in this preset")
    cells = [0] * preset.body_words
    for row, net in enumerate(nets):
        cell, place = divmod(row, NETS_PER_CELL)
        cells[cell] |= Layout(NET).pack(f"body[{cell}]", (net,)) << NET_BITS * place
    return cells


def decode(effects: Sequence[int], body: Sequence[int]) -> Holdings:
    """What posted words say; the body may lack its trailing zero cells. DataError names the word and the field that a proof could not carry."""
    check_words("effects", effects)
    check_words("body", body)
    if len(effects) <= HEADER_WORDS:
        raise DataError(f"effects: {len(effects)} words, expected more than {HEADER_WORDS}")
    chunk, chunk_bits = PLACE.unpack("effects[3]", effects[3])
    if chunk_bits > CHUNK_BITS_MAX or len(effects) != HEADER_WORDS + (1 << chunk_bits):
        raise DataError(f"effects[3].k: {chunk_bits} with {len(effects)} words of effects, expected {HEADER_WORDS} and 2^k words")
    first = chunk << chunk_bits
    fund = None
    if first <= INSURANCE_ACCOUNT < first + (1 << chunk_bits):
        (fund,) = FUND.unpack("effects[6]", effects[6])
    elif effects[6]:
        raise DataError(f"effects[6]: {effects[6]}, expected 0 in a chunk without account {INSURANCE_ACCOUNT}")
    cash, claims = SUMS.unpack("effects[4]", effects[4])
    debts, below, lacking_scaled = DISTRESS.unpack("effects[5]", effects[5])
    return Holdings(
        domain=effects[0],
        state_root=effects[1],
        risk_root=effects[2],
        chunk=chunk,
        chunk_bits=chunk_bits,
        cash=cash,
        claims=claims,
        debts=debts,
        below=below,
        lacking_scaled=lacking_scaled,
        fund_equity=fund,
        lines=_decode_lines(effects, first),
        nets=_decode_nets(body),
    )


def _decode_lines(effects: Sequence[int], first: int) -> tuple[ClaimLine, ...]:
    lines = []
    for at in range(HEADER_WORDS, len(effects)):
        if effects[at]:
            owner, claim, account = LINE.unpack(f"effects[{at}]", effects[at])
            if account != first + at - HEADER_WORDS:
                raise DataError(f"effects[{at}].account: {account}, expected {first + at - HEADER_WORDS}")
            if not owner:
                raise DataError(f"effects[{at}].owner: 0, expected an address, or a word of 0")
            lines.append(ClaimLine(account, owner, claim))
    return tuple(lines)


def _decode_nets(body: Sequence[int]) -> tuple[int, ...]:
    nets: list[int] = []
    ended = False
    for cell, word in enumerate(body):
        if word >> NETS_PER_CELL * NET_BITS:
            raise DataError(f"body[{cell}]: {word:#x}, expected spare bits from bit {NETS_PER_CELL * NET_BITS} on to be zero")
        for place in range(NETS_PER_CELL):
            raw = word >> NET_BITS * place & (1 << NET_BITS) - 1
            if raw and ended:
                raise DataError(f"body[{cell}].net: used, expected no used row after an unused one")
            ended = not raw
            if raw:
                nets.append(raw - NET.offset)
    return tuple(nets)


def commitment(effects: Sequence[int], body: Sequence[int]) -> int:
    """C over the whole vector, `body` at the preset's full length."""
    return sponge("straddle.solvency", [*effects, *body])


def challenge(chain_id: int, rollup: int, vk_id: bytes, effects: Sequence[int], body_posted: Sequence[int], c: int) -> int:
    """z. `rollup` is the rollup's address as an integer; `body_posted` is the body exactly as it stands in the calldata."""
    if len(vk_id) != 32:
        raise ValueError(f"vk_id: {len(vk_id)} bytes, expected 32")
    head = keccak256(CHALLENGE_TAG) + chain_id.to_bytes(32, "big") + rollup.to_bytes(32, "big") + vk_id
    digest = keccak256(head + hash_words(effects) + hash_words(body_posted) + c.to_bytes(32, "big"))
    return int.from_bytes(digest, "big") % MODULUS
