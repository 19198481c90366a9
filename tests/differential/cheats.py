"""What a cheating prover does after changing a row: make everything else consistent again, as far as it can.

`settle` recomputes roots, paths, digests and the data vector. On the old side that means another world, whose old state root layer 1 would refuse but the
statement cannot. With `resign` the owners of the keys collude: payloads of changed messages are signed again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from straddle.commitments.accounts import AccountLeaf, positions_digest, slot_leaf
from straddle.commitments.committed import empty_committed_account
from straddle.commitments.layout import DataError
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.risk import risk_root
from straddle.core.accounts import FEE_ACCOUNT, PublicKey, Slot
from straddle.core.instruments import Instrument, Kind
from straddle.core.messages import MessageKind, cancel_payload, order_leaf, signed_words, withdrawal_payload
from straddle.core.orders import Order, Side
from straddle.core.risk_table import RiskRow
from straddle.primitives.field import MODULUS
from straddle.primitives.merkle import SparseMerkleTree
from straddle.proving.vector import bind
from straddle.proving.witness import AccountRow, InstrumentRow, ListingRow, OrderRow, Witness
from tests.differential.histories import PRESET, ClosedBatch

TABLES = ("accounts", "positions", "instruments", "listings", "signatures", "orders", "fills", "queue", "withdrawals")


@dataclass(frozen=True, slots=True)
class Settling:
    """How far the prover goes to make its cheat consistent."""

    flows: bool = False
    """Fills of orders, new positions and new cash, from the fills, the queue and the withdrawals."""
    roots: bool = True
    """Digests, order roots, account paths and roots, risk and listings roots."""
    old_side: bool = True
    """Also on the old side (another world)."""
    resign: bool = False


def settle(witness: Witness, closed: ClosedBatch, how: Settling) -> Witness:
    """The witness with everything that follows from its rows recomputed; parts that cannot be computed any more stay as they are."""
    steps: list[Callable[[Witness, ClosedBatch, Settling], Witness]] = []
    if how.flows:
        steps.append(_flows)
    if how.resign:
        steps.append(_sign_again)
    if how.roots:
        steps += [_digests, _order_chains, _table_roots, _account_chain]
    for step in [*steps, _point, _bind]:
        try:
            witness = step(witness, closed, how)
        except (DataError, ValueError, IndexError, OverflowError):
            continue  # out of range: neither side can accept it
    return witness


def _bind(witness: Witness, closed: ClosedBatch, _: Settling) -> Witness:
    return bind(witness, PRESET, closed.chain).witness


def _flows(witness: Witness, _: ClosedBatch, __: Settling) -> Witness:
    orders, cash, moves = list(witness.orders), Counter[int](), Counter[tuple[int, int]]()
    orders = [replace(row, fill=0, fee=0) for row in orders]
    funding = {row.id: row.funding for row in witness.instruments}
    for fill in witness.fills:
        for index, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
            row = orders[index]
            orders[index] = replace(row, fill=row.fill + fill.size, fee=row.fee + fee)
            lots = Side(row.side).sign * fill.size
            moves[row.account, row.instrument] += lots
            cash[row.account] -= lots * (fill.price - funding.get(row.instrument, 0)) + fee
            cash[FEE_ACCOUNT] += fee
    for entry in witness.queue:
        cash[entry.account] += entry.amount
    for item in witness.withdrawals:
        cash[item.account] -= item.amount
    positions = tuple(replace(row, new=row.old + moves[row.account, row.instrument]) for row in witness.positions)
    accounts = tuple(replace(row, new=row.new._replace(cash=row.old.cash + cash[row.id])) for row in witness.accounts)
    return replace(witness, orders=tuple(orders), positions=positions, accounts=accounts)


def _point(witness: Witness, _: ClosedBatch, __: Settling) -> Witness:
    """Indices of signature rows are no part of the statement, only hints to whoever fills its tables: point them at rows that fit, if there are any."""
    places = {(row.account, row.kind, row.payload): i for i, row in reversed(list(enumerate(witness.signatures)))}

    def at(index: int, account: int, kind: MessageKind, payload: int) -> int:
        return places.get((account, kind, payload), index if 0 <= index < len(witness.signatures) else 0)

    orders = [replace(row, signature=at(row.signature, row.account, MessageKind.ORDER_SET, set_root_of(row))) for row in witness.orders]
    withdrawals = [
        replace(row, signature=at(row.signature, row.account, MessageKind.WITHDRAWAL, withdrawal_payload(row.nonce, row.amount))) for row in witness.withdrawals
    ]
    accounts = [
        row if row.cancel_signature == -1 else replace(row, cancel_signature=at(row.cancel_signature, row.id, MessageKind.CANCEL, row.new.min_nonce))
        for row in witness.accounts
    ]
    return replace(witness, orders=tuple(orders), withdrawals=tuple(withdrawals), accounts=tuple(accounts))


def _digests(witness: Witness, _: ClosedBatch, how: Settling) -> Witness:
    rows = []
    for row in witness.accounts:
        held = [item for item in witness.positions if item.account == row.id]
        new = row.new._replace(positions_digest=positions_digest({item.instrument: item.new for item in held}))
        old = row.old._replace(positions_digest=positions_digest({item.instrument: item.old for item in held})) if how.old_side else row.old
        rows.append(replace(row, old=old, new=new))
    return replace(witness, accounts=tuple(rows))


def _order_chains(witness: Witness, closed: ClosedBatch, how: Settling) -> Witness:
    """Slot openings in row order over each account's tree, which in another world starts with the slots that the rows claim."""
    trees: dict[int, SparseMerkleTree] = {}
    starts: dict[int, int] = {}
    for row in witness.accounts:
        committed = closed.before.accounts.get(row.id) or empty_committed_account(row.id, PRESET.slot_depth)
        trees[row.id] = committed.orders.copy()
        claimed: dict[int, Slot] = {}
        for order in witness.orders:
            if order.account == row.id:
                claimed.setdefault(order.nonce % (1 << PRESET.slot_depth), order.slot_old)
        if how.old_side:
            for index, slot in claimed.items():
                trees[row.id].set(index, slot_leaf(slot))
        starts[row.id] = trees[row.id].root
    orders = []
    for order in witness.orders:
        tree = trees.get(order.account)
        if tree is not None:
            index = order.nonce % (1 << PRESET.slot_depth)
            opened = replace(order, slot_path=tree.path(index), orders_root_old=tree.root)
            tree.set(index, slot_leaf(order.slot_new))
            order = replace(opened, orders_root_new=tree.root)
        orders.append(order)
    rows = tuple(
        replace(row, old=row.old._replace(orders_root=starts[row.id]), new=row.new._replace(orders_root=trees[row.id].root)) for row in witness.accounts
    )
    return replace(witness, orders=tuple(orders), accounts=rows)


def _table_roots(witness: Witness, _: ClosedBatch, __: Settling) -> Witness:
    listings = extend_listings_root(witness.header.old_listings_root, [instrument_of(row) for row in witness.listings])
    risk = risk_root(listings, [risk_row_of(row) for row in witness.instruments])
    return replace(witness, header=replace(witness.header, new_listings_root=listings, risk_root=risk))


def _account_chain(witness: Witness, closed: ClosedBatch, how: Settling) -> Witness:
    tree, rows = closed.before.tree.copy(), []
    if how.old_side:
        for row in witness.accounts:
            tree.set(row.id, row.old.hash)
    start = tree.root
    for row in witness.accounts:
        rows.append(replace(row, path=tree.path(row.id)))
        tree.set(row.id, row.new.hash)
    return replace(witness, accounts=tuple(rows), header=replace(witness.header, old_accounts_root=start, new_accounts_root=tree.root))


def _sign_again(witness: Witness, closed: ClosedBatch, _: Settling) -> Witness:
    """A signature row of its own for every message whose row no longer fits, as long as rows last."""
    signatures = list(witness.signatures)
    accounts = {row.id: row for row in witness.accounts}

    def place(index: int, account: int, kind: MessageKind, payload: int) -> int:
        row = signatures[index] if 0 <= index < len(signatures) else None
        if row is not None and (row.account, row.kind, row.payload) == (account, kind, payload):
            return index
        secret = closed.secrets.get(PublicKey(accounts[account].old.key_x, accounts[account].old.key_y)) if account in accounts else None
        if secret is None or row is None:
            return index
        signature = secret.sign(signed_words(witness.header.domain, kind, account, accounts[account].old.key_epoch, payload))
        fresh = replace(row, account=account, kind=int(kind), payload=payload, r_x=signature.r_x, r_y=signature.r_y, s=signature.s)
        if len(signatures) < PRESET.signatures:
            signatures.append(fresh)
            return len(signatures) - 1
        signatures[index] = fresh
        return index

    orders = [replace(row, signature=place(row.signature, row.account, MessageKind.ORDER_SET, set_root_of(row))) for row in witness.orders]
    withdrawals = [
        replace(row, signature=place(row.signature, row.account, MessageKind.WITHDRAWAL, withdrawal_payload(row.nonce, row.amount)))
        for row in witness.withdrawals
    ]
    cancels = [
        replace(row, cancel_signature=place(row.cancel_signature, row.id, MessageKind.CANCEL, cancel_payload(row.new.min_nonce)))
        if row.cancel_signature >= 0
        else row
        for row in witness.accounts
    ]
    return replace(witness, signatures=tuple(signatures), orders=tuple(orders), withdrawals=tuple(withdrawals), accounts=tuple(cancels))


def order_of(row: OrderRow) -> Order:
    return Order(row.nonce, row.revision, row.expiry_ms, row.size, row.limit, row.instrument, Side(row.side), row.fee_cap, row.flags)


def set_root_of(row: OrderRow) -> int:
    return SparseMerkleTree.fold(order_leaf(order_of(row)), row.set_index, row.set_path)


def instrument_of(row: ListingRow) -> Instrument:
    return Instrument(row.id, Kind(row.kind), row.underlying, row.expiry_ms, row.strike_ticks, row.tick_ticks, row.min_lots, row.position_cap_lots)


def risk_row_of(row: InstrumentRow) -> RiskRow:
    charges = (row.long_im, row.long_mm, row.short_im, row.short_mm)
    return RiskRow(row.id, row.expiry_ms, bool(row.linear), row.value, row.funding, row.band, *charges, row.deltas)


# ---- random mutations


def mutate(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """One random change, and what it was."""
    kind = rng.choices(["field", "header", "public", "swap", "duplicate", "drop"], [14, 3, 1, 1, 1, 2])[0]
    if kind in ("header", "public"):
        part = getattr(witness, kind)
        name = rng.choice([field.name for field in fields(part)])
        value = _nudged(getattr(part, name), rng)
        return f"{kind}.{name} = {value}", replace(witness, **{kind: replace(part, **{name: value})})
    table = rng.choice([name for name in TABLES if getattr(witness, name)])
    rows = list(getattr(witness, table))
    index = rng.randrange(len(rows))
    if kind == "swap":
        other = rng.randrange(len(rows))
        rows[index], rows[other] = rows[other], rows[index]
        what = f"{table}: rows {index} and {other} swapped"
    elif kind == "duplicate":
        rows.insert(index, rows[index])
        what = f"{table}: row {index} twice"
    elif kind == "drop":
        del rows[index]
        what = f"{table}: row {index} dropped"
    else:
        name, rows[index] = _mutate_row(rows[index], rng)
        what = f"{table}[{index}].{name}"
    return what, replace(witness, **{table: tuple(rows)})


def _mutate_row(row: Any, rng: random.Random) -> tuple[str, Any]:
    derived = ("id", "underlying") if isinstance(row, ListingRow) else ()  # no cells of the circuit, which counts ids itself; the file's reader compares them
    name = rng.choice([field.name for field in fields(row) if field.name not in derived])
    if isinstance(row, AccountRow) and rng.random() < 0.8:
        name = rng.choice(["old", "new"])
    value = getattr(row, name)
    if isinstance(value, AccountLeaf | Slot):
        inner = rng.choice(value._fields)
        changed = _nudged(getattr(value, inner), rng)
        return f"{name}.{inner} = {changed}", replace(row, **{name: value._replace(**{inner: changed})})
    if isinstance(value, tuple):
        place = rng.randrange(len(value))
        changed = _nudged(value[place], rng)
        return f"{name}[{place}] = {changed}", replace(row, **{name: (*value[:place], changed, *value[place + 1 :])})
    changed = _nudged(value, rng)
    return f"{name} = {changed}", replace(row, **{name: changed})


def _nudged(value: int, rng: random.Random) -> int:
    """Another value: a neighbour, zero, the sign, something big. Field elements stay canonical: the file's reader refuses others anyway."""
    if value >= 1 << 200:
        return (value + rng.choice([1, -1, rng.getrandbits(200)])) % MODULUS
    return rng.choice([item for item in (value + 1, value - 1, value + 1, value - 1, 0, -value, value + 2 ** rng.randrange(36), value ^ 1) if item != value])
