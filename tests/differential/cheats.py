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
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.risk import risk_root
from straddle.core.accounts import PublicKey, Slot
from straddle.core.messages import MessageKind, bid_payload, cancel_payload, order_leaf, signed_words, transfer_payload, withdrawal_payload
from straddle.primitives.field import MODULUS
from straddle.primitives.merkle import SparseMerkleTree
from straddle.proving.checker_positions import risk_row_of
from straddle.proving.checker_tables import Tables, fold_set
from straddle.proving.checker_trades import legs_of, order_of
from straddle.proving.vector import bind, listing_of
from straddle.proving.witness import TABLES, AccountRow, OrderRow, Witness
from tests.differential.scenes import PRESET, ClosedBatch


@dataclass(frozen=True, slots=True)
class Settling:
    """How far the prover goes to make its cheat consistent."""

    flows: bool = False
    """Fills of orders, new positions and new cash, from all rows that move lots and money."""
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
        except (ValueError, LookupError, ArithmeticError):
            continue  # out of range: neither side can accept it
    return witness


def _bind(witness: Witness, closed: ClosedBatch, _: Settling) -> Witness:
    return bind(witness, PRESET, closed.chain).witness


def _flows(witness: Witness, _: ClosedBatch, __: Settling) -> Witness:
    lots, fees = Counter[int](), Counter[int]()
    for fill in witness.fills:
        for leg, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
            lots[leg] += fill.size
            fees[witness.legs[leg].order] += fee
    units = {row.order: lots[i] // row.ratio for i, row in enumerate(witness.legs) if row.place == 0}
    orders = tuple(replace(row, fill=units[i], fee=fees[i]) for i, row in enumerate(witness.orders))
    tables, settled = Tables(witness, PRESET), {row.id: row.settled for row in witness.instruments}
    positions = tuple(replace(row, new=row.old * (1 - settled[row.instrument]) + tables.moves[row.account, row.instrument]) for row in witness.positions)
    accounts = tuple(replace(row, new=row.new._replace(cash=row.old.cash + tables.cash[row.id])) for row in witness.accounts)
    return replace(witness, orders=orders, positions=positions, accounts=accounts)


@dataclass(frozen=True, slots=True)
class Message:
    """What a row needs signed: `table` and `index` of the row, and the field that points at the signature."""

    table: str
    index: int
    field: str
    account: int
    kind: MessageKind
    payload: int


def messages_of(witness: Witness) -> list[Message]:
    """Everything that the rows need signed."""
    found = [Message("orders", i, "signature", row.account, MessageKind.ORDER_SET, set_root_of(witness, i)) for i, row in enumerate(witness.orders)]
    for i, withdrawal in enumerate(witness.withdrawals):
        payload = withdrawal_payload(withdrawal.nonce, withdrawal.amount)
        found.append(Message("withdrawals", i, "signature", withdrawal.account, MessageKind.WITHDRAWAL, payload))
    for i, transfer in enumerate(witness.transfers):
        payload = transfer_payload(transfer.nonce, transfer.amount, transfer.to)
        found.append(Message("transfers", i, "signature", transfer.account, MessageKind.TRANSFER, payload))
    for i, takeover in enumerate(witness.takeovers):
        if takeover.signature != -1:
            payload = bid_payload(takeover.nonce, takeover.account, takeover.fraction_bps, takeover.limit, takeover.expiry_ms)
            found.append(Message("takeovers", i, "signature", takeover.winner, MessageKind.BID, payload))
    for i, account in enumerate(witness.accounts):
        if account.cancel_signature != -1:
            found.append(Message("accounts", i, "cancel_signature", account.id, MessageKind.CANCEL, cancel_payload(account.new.min_nonce)))
    return found


def _pointed(witness: Witness, place_of: Callable[[Message, int], int]) -> Witness:
    """The witness with every message's index replaced by `place_of` (message, index so far)."""
    for message in messages_of(witness):
        rows = getattr(witness, message.table)
        row = rows[message.index]
        place = place_of(message, getattr(row, message.field))
        witness = replace(witness, **{message.table: (*rows[: message.index], replace(row, **{message.field: place}), *rows[message.index + 1 :])})
    return witness


def _point(witness: Witness, _: ClosedBatch, __: Settling) -> Witness:
    """Indices of signature rows are no part of the statement, only hints to whoever fills its tables: point them at rows that fit, if there are any."""
    places = {(row.account, row.kind, row.payload): i for i, row in reversed(list(enumerate(witness.signatures)))}
    count = len(witness.signatures)

    def place_of(message: Message, index: int) -> int:
        return places.get((message.account, message.kind, message.payload), index if 0 <= index < count else 0)

    return _pointed(witness, place_of)


def _digests(witness: Witness, _: ClosedBatch, how: Settling) -> Witness:
    rows = []
    for row in witness.accounts:
        held = [item for item in witness.positions if item.account == row.id]
        if not held:  # its digests say what nobody opens
            rows.append(row)
            continue
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
    listings = extend_listings_root(witness.header.old_listings_root, [listing_of(row) for row in witness.listings])
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

    def place_of(message: Message, index: int) -> int:
        row = signatures[index] if 0 <= index < len(signatures) else None
        if row is not None and (row.account, row.kind, row.payload) == (message.account, message.kind, message.payload):
            return index
        leaf = accounts[message.account].old if message.account in accounts else None
        secret = closed.secrets.get(PublicKey(leaf.key_x, leaf.key_y)) if leaf else None
        if secret is None or row is None or leaf is None:
            return index
        signature = secret.sign(signed_words(witness.header.domain, message.kind, message.account, leaf.key_epoch, message.payload))
        fresh = replace(row, account=message.account, kind=int(message.kind), payload=message.payload, r_x=signature.r_x, r_y=signature.r_y, s=signature.s)
        if len(signatures) < PRESET.signatures:
            signatures.append(fresh)
            return len(signatures) - 1
        signatures[index] = fresh
        return index

    pointed = _pointed(witness, place_of)
    return replace(pointed, signatures=tuple(signatures))


def set_root_of(witness: Witness, index: int) -> int:
    """Root of the set that an order row claims to stand in."""
    row: OrderRow = witness.orders[index]
    return fold_set(order_leaf(order_of(row, legs_of(witness, index))), row.set_index, row.set_path)


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
    name = rng.choice([field.name for field in fields(row)])
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
