"""Signatures, orders, legs and fills of the statement."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from straddle.commitments.accounts import slot_leaf
from straddle.core.accounts import NO_KEY, PublicKey
from straddle.core.messages import ORDER_SET_DEPTH, MessageKind, order_leaf
from straddle.core.orders import FLAG_REDUCE_ONLY, FLAGS_ALL, MAX_LEGS, RATIO_MAX, Leg, Order, Side, Signature
from straddle.primitives.keys import key_multiple, verify
from straddle.proving.checker_tables import Tables, elements, fail, fold, fold_set, require, width
from straddle.proving.witness import FillRow, InstrumentRow, LegRow, OrderRow, Witness


def check_signatures(tables: Tables) -> None:
    """Every row verifies under the old key and key_epoch of its account."""
    for index, row in enumerate(tables.witness.signatures):
        account = tables.accounts.get(row.account)
        if account is None:
            fail("signatures", f"row {index}: no account row {row.account}")
        width("signatures", f"row {index} kind", row.kind, 8)
        elements("signatures", f"row {index} payload", (row.payload,))
        words = (tables.header.domain, row.kind, row.account, account.old.key_epoch, row.payload, 0)
        key = PublicKey(account.old.key_x, account.old.key_y)
        valid = key != NO_KEY and verify(key, words, Signature(row.r_x, row.r_y, row.s))
        multiple = PublicKey(account.old.multiple_x, account.old.multiple_y)  # the circuit verifies with both, and relies on the state for their relation
        require(valid and multiple == key_multiple(key), "signatures", f"row {index} of account {row.account} does not verify")


def legs_of(witness: Witness, order: int) -> list[LegRow]:
    """The leg rows of an order row."""
    return [row for row in witness.legs if row.order == order]


def order_of(row: OrderRow, legs: list[LegRow]) -> Order:
    """The order as it was signed."""
    signed = tuple(Leg(leg.instrument, -leg.ratio if leg.sell else leg.ratio) for leg in legs)
    return Order(row.nonce, row.revision, row.expiry_ms, row.size, row.limit, signed, Side(row.side), row.fee_cap, row.flags)


def check_orders(tables: Tables) -> None:
    """Every order row but for rule 6, which needs the fills."""
    for index, row in enumerate(tables.witness.orders):
        _check_order(tables, index, row)


def _check_order(tables: Tables, index: int, row: OrderRow) -> None:
    """Rules 1, 2, 4 and 5."""
    keys = [(order.account, order.step) for order in tables.witness.orders]
    require(row.account > 0 and row.step >= 0, "orders.keys", f"row {index}: key {keys[index]}")
    require(index == 0 or keys[index - 1] < keys[index], "orders.keys", f"row {index}: {keys[index]} not above {keys[max(index - 1, 0)]}")
    account = tables.accounts.get(row.account)
    if account is None:
        fail("orders.1", f"row {index}: no account row {row.account}")
    legs = legs_of(tables.witness, index)
    require([leg.place for leg in legs] == list(range(len(legs))) and 1 <= len(legs) <= MAX_LEGS, "orders.5", f"row {index}: places of its {len(legs)} legs")
    require(0 <= row.set_index < 1 << ORDER_SET_DEPTH and len(row.set_path) == ORDER_SET_DEPTH, "orders.1", f"row {index}: place in the set")
    elements("orders.1", f"row {index}: a sibling in the set", row.set_path)
    require(row.side in (0, 1) and 0 <= row.flags <= FLAGS_ALL, "orders.1", f"row {index}: side {row.side}, flags {row.flags}")
    try:
        leaf = order_leaf(order_of(row, legs))
    except ValueError as error:
        fail("orders.1", f"row {index}: {error}")
    tables.signed("orders.1", row.account, MessageKind.ORDER_SET, fold_set(leaf, row.set_index, row.set_path))
    require(row.nonce >= account.old.min_nonce, "orders.2", f"row {index}: nonce {row.nonce} below {account.old.min_nonce}")
    require(row.expiry_ms > tables.header.time_ms, "orders.2", f"row {index}: expired at {row.expiry_ms}")
    _check_slot(tables, index, row)
    width("orders.4", f"row {index} fee", row.fee, 72)
    require(row.fill >= 1, "orders.4", f"row {index}: no fill")
    require(row.fee <= row.fee_cap * row.fill, "orders.4", f"row {index}: fee {row.fee} above {row.fee_cap} x {row.fill}")


def _check_slot(tables: Tables, index: int, row: OrderRow) -> None:
    """Rule 3."""
    slot, header = row.slot_old, tables.header
    for name, value, bits in (("nonce", slot.nonce, 64), ("revision", slot.revision, 16), ("filled", slot.filled, 40), ("fill", row.fill, 40)):
        width("orders.3", f"row {index} slot {name}", value, bits)
    require((row.nonce, row.revision) >= (slot.nonce, slot.revision), "orders.3", f"row {index}: its slot is past it")
    require(row.filled_before + row.fill <= row.size, "orders.3", f"row {index}: overfilled")
    place = row.nonce % (1 << tables.preset.slot_depth)
    require(len(row.slot_path) == tables.preset.slot_depth, "orders.3", f"row {index}: path of {len(row.slot_path)} siblings")
    elements("orders.3", f"row {index}: a sibling of the slot", row.slot_path)
    require(fold(slot_leaf(slot), place, row.slot_path) == row.orders_root_old, "orders.3", f"row {index}: the old slot does not open")
    require(fold(slot_leaf(row.slot_new), place, row.slot_path) == row.orders_root_new, "orders.3", f"row {index}: the new slot does not open")
    require(header.first_sequence <= row.sequence <= header.last_sequence, "orders.3", f"row {index}: sequence {row.sequence} outside the batch")
    width("orders.3", f"row {index} sequence offset", row.sequence - header.first_sequence, 24)


def check_legs(tables: Tables) -> None:
    """Keys, forms and instruments; reduce-only legs have a position row that is reduced."""
    witness = tables.witness
    keys = [(row.order, row.place) for row in witness.legs]
    require(all(a < b for a, b in pairwise(keys)), "legs.keys", f"{keys} not strictly ascending")
    for index, row in enumerate(witness.legs):
        require(0 <= row.order < len(witness.orders), "legs", f"row {index}: no order row {row.order}")
        require(1 <= row.ratio <= RATIO_MAX and row.sell in (0, 1), "legs", f"row {index}: ratio {row.ratio}, sell {row.sell}")
        order = witness.orders[row.order]
        if len(legs_of(witness, row.order)) == 1:
            require((row.ratio, row.sell) == (1, 0), "legs", f"row {index}: an outright's leg with ratio {row.ratio}, sell {row.sell}")
        if order.flags & FLAG_REDUCE_ONLY:
            check_reduced(tables, "legs", order.account, row.instrument)


def check_reduced(tables: Tables, rule: str, account: int, instrument: int) -> None:
    """The position row ends between 0 and where it started."""
    row = tables.positions.get((account, instrument))
    if row is None:
        fail(rule, f"reduced position of account {account} in instrument {instrument}: no row")
    require(min(0, row.old) <= row.new <= max(0, row.old), rule, f"position of account {account} in instrument {instrument}: {row.old} to {row.new}")


def check_price(tables: Tables, rule: str, where: str, identifier: int, price: int) -> InstrumentRow:
    """The price lies within the band of an instrument that has not expired."""
    instrument = tables.instruments.get(identifier)
    if instrument is None:
        fail(rule, f"{where}: no instrument row {identifier}")
    require(abs(price - instrument.mark) <= instrument.band, rule, f"{where}: price {price} outside {instrument.mark} +- {instrument.band}")
    require(instrument.expiry_ms > tables.header.time_ms, rule, f"{where}: instrument expired at {instrument.expiry_ms}")
    return instrument


def check_fills(tables: Tables) -> None:
    """Every fill, then the sums of legs and rule 6 of orders."""
    for row in tables.witness.fills:
        _check_fill(tables, row)
    _check_sums(tables)


def _check_fill(tables: Tables, row: FillRow) -> None:
    legs, orders = tables.witness.legs, tables.witness.orders
    for name, place in (("taker", row.taker), ("maker", row.maker)):
        require(0 <= place < len(legs), "fills", f"{name} {place} is not a leg row")
    taker, maker = legs[row.taker], legs[row.maker]
    require(taker.instrument == maker.instrument, "fills", f"{row}: instruments {taker.instrument} and {maker.instrument}")
    require(tables.side_of(taker) != tables.side_of(maker), "fills", f"{row}: both legs on side {tables.side_of(taker)}")
    for name, value, bits in (("size", row.size, 40), ("taker fee", row.taker_fee, 63), ("maker fee", row.maker_fee, 63)):
        width("fills", f"{row}: {name}", value, bits)
    for leg in (taker, maker):
        if len(legs_of(tables.witness, leg.order)) > 1:
            continue
        limit, buys = orders[leg.order].limit, tables.side_of(leg) is Side.BUY
        require(row.price <= limit if buys else row.price >= limit, "fills", f"{row}: price beyond the limit {limit} of order row {leg.order}")
    check_price(tables, "fills", str(row), taker.instrument, row.price)


def _check_sums(tables: Tables) -> None:
    """lots = ratio x fill, fees and costs of each leg; net cost of each order against its limit (rule 6)."""
    lots, costs, fees = Counter[int](), Counter[int](), Counter[int]()
    for row in tables.witness.fills:
        for leg, fee in ((row.taker, row.taker_fee), (row.maker, row.maker_fee)):
            lots[leg] += row.size
            costs[leg] += row.size * row.price
            fees[leg] += fee
    net, order_fees = Counter[int](), Counter[int]()
    for index, leg_row in enumerate(tables.witness.legs):
        order = tables.witness.orders[leg_row.order]
        require(lots[index] == leg_row.ratio * order.fill, "legs.sums", f"leg row {index}: {lots[index]} lots, expected {leg_row.ratio} x {order.fill}")
        net[leg_row.order] += -costs[index] if leg_row.sell else costs[index]
        order_fees[leg_row.order] += fees[index]
    for index, order in enumerate(tables.witness.orders):
        require(order.fee == order_fees[index], "legs.sums", f"order row {index}: fee {order.fee}, its fills say {order_fees[index]}")
        bound = order.limit * order.fill
        kept = net[index] <= bound if order.side else net[index] >= bound
        require(kept, "orders.6", f"order row {index}: net cost {net[index]} against {order.limit} x {order.fill}")
