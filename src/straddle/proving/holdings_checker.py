"""A plain-Python checker of the solvency statement (docs/protocol/solvency.md), rule by rule.

It reads a witness only and shares no arithmetic with what makes one; the differential tests hold it against the circuit.
"""

from __future__ import annotations

import itertools
from collections import Counter

from straddle.commitments.accounts import AccountLeaf, positions_digest
from straddle.commitments.challenge import evaluate
from straddle.commitments.holdings import ClaimLine, Holdings, HoldingsPreset, commitment, encode_body, encode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.risk import risk_root
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.params import BPS, CASH_MAX, SIZE_LOTS_MAX
from straddle.core.risk_table import SCENARIOS
from straddle.proving.checker_positions import risk_row_of
from straddle.proving.checker_tables import BrokenRule, Failure, elements, fail, fold, require, width
from straddle.proving.holdings import HeldPosition, HoldingsWitness
from straddle.proving.witness import InstrumentRow

HEADER_WIDTHS = (
    *(("domain", 248), ("chunk", 24), ("listing_count", 32), ("batch_number", 64), ("queue_pointer", 64)),
    *(("k_im_bps", 16), ("k_mm_bps", 16), ("discount_bps", 16), ("auction_ms", 32), ("risk_digest", 248)),
)
LEAF_WIDTHS = (("owner", 160), ("key_epoch", 32), ("min_nonce", 64), ("action_nonce", 64), ("flags", 64), ("auction", 63))


def check_holdings(witness: HoldingsWitness, preset: HoldingsPreset) -> Failure | None:
    """The first rule of the statement that the witness breaks, or None when it satisfies all."""
    try:
        _check_sizes(witness, preset)
        _check_state(witness)
        _check_instruments(witness)
        _check_positions(witness)
        _check_vector(witness, preset)
    except BrokenRule as broken:
        return broken.failure
    return None


def _check_sizes(witness: HoldingsWitness, preset: HoldingsPreset) -> None:
    require(len(witness.accounts) == preset.chunk_accounts, "accounts.rows", f"{len(witness.accounts)} leaves")
    require(len(witness.path) == preset.account_depth - preset.chunk_bits, "path", f"{len(witness.path)} siblings")
    require(len(witness.positions) <= preset.positions, "positions.rows", "more rows than the preset has")
    require(len(witness.instruments) <= preset.instruments, "instruments.rows", "more rows than the preset has")
    for name, bits in HEADER_WIDTHS:
        width("header", name, getattr(witness.header, name), bits)
    head = witness.header
    elements("header", "a root", (head.accounts_root, head.listings_root, head.risk_root))
    require(head.chunk < preset.chunks, "header", f"chunk {head.chunk} of {preset.chunks}")


def _check_state(witness: HoldingsWitness) -> None:
    """Rules 1 and 2: the leaves lie at the chunk's place under the accounts root (the state root is made of it in the vector)."""
    nodes = []
    for leaf in witness.accounts:
        for name, bits in LEAF_WIDTHS:
            width("accounts", name, getattr(leaf, name), bits)
        require(abs(leaf.cash) <= CASH_MAX, "accounts", f"cash {leaf.cash}")
        elements("accounts", "a key or root", (leaf.key_x, leaf.key_y, leaf.multiple_x, leaf.multiple_y, leaf.positions_digest, leaf.orders_root))
        nodes.append(leaf.hash)
    while len(nodes) > 1:
        nodes = [fold(nodes[i], 0, (nodes[i + 1],)) for i in range(0, len(nodes), 2)]
    elements("path", "a sibling", witness.path)
    require(fold(nodes[0], witness.header.chunk, witness.path) == witness.header.accounts_root, "accounts.2", "the chunk does not open under the accounts root")


def _check_instruments(witness: HoldingsWitness) -> None:
    """Rule 4, the table: it is the one under the risk root."""
    require(all(row.linear in (0, 1) and row.settled in (0, 1) for row in witness.instruments), "instruments", "linear or settled is not a bit")
    try:
        root = risk_root(witness.header.listings_root, [risk_row_of(row) for row in witness.instruments])
    except DataError as error:
        fail("instruments", str(error))
    require(root == witness.header.risk_root, "instruments", "the chain does not end at the risk root")


def _check_positions(witness: HoldingsWitness) -> None:
    """Rules 3 and 4: every account's rows fold to its digest, in instruments of the table."""
    rows, ids = witness.positions, {row.id for row in witness.instruments}
    keys = [(row.account, row.instrument) for row in rows]
    require(all(before < after for before, after in itertools.pairwise(keys)), "positions.keys", "rows do not ascend strictly")
    first, count = witness.first_account, len(witness.accounts)
    for row in rows:
        require(row.size != 0 and abs(row.size) <= SIZE_LOTS_MAX, "positions.3", f"{row}: size")
        require(first <= row.account < first + count, "positions.3", f"{row}: not an account of the chunk")
        require(row.instrument in ids, "positions.4", f"{row}: no such instrument row")
    for account, leaf in enumerate(witness.accounts, first):
        held = {row.instrument: row.size for row in rows if row.account == account}
        require(positions_digest(held) == leaf.positions_digest, "positions.3", f"rows of account {account} do not fold to its digest")


def _valued(leaf: AccountLeaf, rows: list[HeldPosition], table: dict[int, InstrumentRow], k_mm_bps: int) -> tuple[int, int]:
    """Rule 5: equity, and 10^4 (equity - MM)."""
    equity, charge = leaf.cash, 0
    losses = [0] * SCENARIOS
    for row in rows:
        terms = table[row.instrument]
        equity += row.size * terms.value
        charge += row.size * terms.long_mm if row.size > 0 else -row.size * terms.short_mm
        losses = [loss - row.size * delta for loss, delta in zip(losses, terms.deltas, strict=True)]
    return equity, BPS * (equity - charge) - k_mm_bps * max(0, *losses)


def _holdings(witness: HoldingsWitness, preset: HoldingsPreset) -> Holdings:
    """Rules 5 and 6: what the rows amount to."""
    head, table, net = witness.header, {row.id: row for row in witness.instruments}, Counter[int]()
    cash = claims = debts = below = lacking = 0
    fund: int | None = None
    lines = []
    for row in witness.positions:
        net[row.instrument] += row.size
    for account, leaf in enumerate(witness.accounts, witness.first_account):
        equity, surplus = _valued(leaf, [row for row in witness.positions if row.account == account], table, head.k_mm_bps)
        cash, claims, debts = cash + leaf.cash, claims + max(equity, 0), debts + max(-equity, 0)
        if surplus < 0:
            below, lacking = below + 1, lacking - surplus
        if account == INSURANCE_ACCOUNT:
            fund = equity
        width("accounts.5", "claim", max(equity, 0), 64)
        if leaf.owner:
            lines.append(ClaimLine(account, leaf.owner, max(equity, 0)))
    nets = tuple(0 if row.settled else net[row.id] for row in witness.instruments)
    place = (head.chunk, preset.chunk_bits)
    return Holdings(head.domain, witness.state_parts(preset).root, head.risk_root, *place, cash, claims, debts, below, lacking, fund, tuple(lines), nets)


def _check_vector(witness: HoldingsWitness, preset: HoldingsPreset) -> None:
    public = witness.public
    try:
        holdings = _holdings(witness, preset)
        effects, body = encode_effects(holdings, preset), encode_body(holdings.nets, preset)
    except ValueError as error:
        fail("vector", str(error))
    require(commitment(effects, body) == public.c, "vector", "C is not the sponge of the words")
    require(evaluate(effects, public.z) == public.y_effects, "vector", "y_effects is not the effects' value at z")
    require(evaluate(body, public.z) == public.y_body, "vector", "y_body is not the body's value at z")
    elements("vector", "z", (public.z,))
    width("vector", "beneficiary", public.beneficiary, 160)
