"""Cheats with signatures, orders, legs and fills."""

from __future__ import annotations

from dataclasses import replace

from straddle.core.messages import MessageKind, signed_words
from straddle.primitives.keys import PublicKey, SecretKey
from straddle.proving.witness import Witness
from tests.differential.edges import with_row
from tests.differential.registry import COLLUDING, CONSISTENT, FLOWING, cheat, find, orders_of
from tests.differential.scenes import PRESET, ClosedBatch

MALLORY = SecretKey.from_seed(b"mallory")

# ---- signatures and orders


@cheat("signatures")
def sign_with_another_key(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.signatures:
        return None
    row = witness.signatures[0]
    epoch = next(item.old.key_epoch for item in witness.accounts if item.id == row.account)
    forged = MALLORY.sign(signed_words(witness.header.domain, MessageKind(row.kind), row.account, epoch, row.payload))
    return with_row(witness, "signatures", 0, r_x=forged.r_x, r_y=forged.r_y, s=forged.s)


@cheat("orders.1")
def let_another_account_sign(witness: Witness, closed: ClosedBatch) -> Witness | None:
    """A valid signature of the very set, by the key of an account that does not own the order."""
    if not witness.orders:
        return None
    order = witness.orders[-1]
    other = next((row for row in witness.accounts if row.id != order.account and PublicKey(row.old.key_x, row.old.key_y) in closed.secrets), None)
    if other is None:
        return None
    row = witness.signatures[order.signature]
    words = signed_words(witness.header.domain, MessageKind(row.kind), other.id, other.old.key_epoch, row.payload)
    signature = closed.secrets[PublicKey(other.old.key_x, other.old.key_y)].sign(words)
    return with_row(witness, "signatures", order.signature, account=other.id, r_x=signature.r_x, r_y=signature.r_y, s=signature.s)


@cheat("orders.1")
def sign_as_a_withdrawal(witness: Witness, closed: ClosedBatch) -> Witness | None:
    """The right key and payload under another kind."""
    if not witness.orders:
        return None
    row = witness.signatures[witness.orders[0].signature]
    leaf = next(item.old for item in witness.accounts if item.id == row.account)
    words = signed_words(witness.header.domain, MessageKind.WITHDRAWAL, row.account, leaf.key_epoch, row.payload)
    signature = closed.secrets[PublicKey(leaf.key_x, leaf.key_y)].sign(words)
    return with_row(witness, "signatures", witness.orders[0].signature, kind=2, r_x=signature.r_x, r_y=signature.r_y, s=signature.s)


@cheat("orders.1")
def change_a_limit_that_was_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "orders", 0, limit=witness.orders[0].limit + 1) if witness.orders else None


@cheat("orders.2", COLLUDING)
def fill_an_order_at_its_expiry(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "orders", 0, expiry_ms=witness.header.time_ms) if witness.orders else None


@cheat("orders.2", COLLUDING)
def fill_a_cancelled_order(witness: Witness, _: ClosedBatch) -> Witness | None:
    mins = {row.id: row.old.min_nonce for row in witness.accounts}
    index = find(witness.orders, lambda row: mins[row.account] > 0 and row.step == 0)
    return None if index is None else with_row(witness, "orders", index, nonce=mins[witness.orders[index].account] - 1)


@cheat("orders.3", COLLUDING)
def overfill_by_one_lot(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.orders:
        return None
    return with_row(witness, "orders", 0, size=witness.orders[0].filled_before + witness.orders[0].fill - 1)


@cheat("orders.3")
def forget_what_was_filled(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.orders, lambda row: row.filled_before > 0)
    if index is None:
        return None
    return with_row(witness, "orders", index, slot_old=witness.orders[index].slot_old._replace(filled=0))


@cheat("orders.3", COLLUDING)
def fill_below_the_slot(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.orders, lambda row: row.slot_old.revision > 0 and row.nonce == row.slot_old.nonce)
    return None if index is None else with_row(witness, "orders", index, revision=witness.orders[index].slot_old.revision - 1)


@cheat("orders.3")
def date_a_fill_before_the_batch(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "orders", 0, sequence=witness.header.first_sequence - 1) if witness.orders else None


@cheat("orders.4", FLOWING)
def charge_more_than_the_cap(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills or not any(row.id == 1 for row in witness.accounts):
        return None
    order = witness.orders[orders_of(witness, 0)[0]]
    return with_row(witness, "fills", 0, taker_fee=witness.fills[0].taker_fee + order.fee_cap * order.fill)


# ---- fills


@cheat("fills", FLOWING)
def fill_outside_a_limit(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    taker = witness.orders[orders_of(witness, 0)[0]]
    return with_row(witness, "fills", 0, price=taker.limit + (1 if taker.side else -1))


@cheat("fills", CONSISTENT)
def fill_outside_the_band(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    table = next(row for row in witness.instruments if row.id == witness.legs[witness.fills[0].taker].instrument)
    price = table.value + table.funding + table.band + 1
    cheat_ = witness
    for place in orders_of(witness, 0):
        order = witness.orders[place]
        cheat_ = with_row(cheat_, "orders", place, limit=price if order.side else min(order.limit, price))
    return with_row(cheat_, "fills", 0, price=price)


@cheat("fills", CONSISTENT)
def match_two_buyers(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    taker, maker = orders_of(witness, 0)
    place = taker if witness.orders[maker].side else maker
    return with_row(witness, "orders", place, side=1, limit=witness.fills[0].price)


@cheat("fills", CONSISTENT)
def match_two_instruments(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    leg = witness.fills[0].taker
    other = next(row.id for row in witness.instruments if row.id != witness.legs[leg].instrument)
    return with_row(witness, "legs", leg, instrument=other)


@cheat("fills", FLOWING)
def fill_a_negative_size(witness: Witness, _: ClosedBatch) -> Witness | None:
    """Two fills whose sizes add up to the order's, at two prices: cash moves for nothing."""
    return split_fill(witness, {"size": 7}, {"size": -7})


@cheat("fills", FLOWING)
def charge_a_negative_fee(witness: Witness, _: ClosedBatch) -> Witness | None:
    return split_fill(witness, {"maker_fee": 1}, {"size": 0, "maker_fee": -1})


def split_fill(witness: Witness, more: dict[str, int], less: dict[str, int]) -> Witness | None:
    """The last fill with `more` added, and one with the values `less` in the same orders."""
    if not witness.fills or len(witness.fills) == PRESET.fills:
        return None
    fill = witness.fills[-1]
    larger = replace(fill, **{name: getattr(fill, name) + value for name, value in more.items()})
    smaller = replace(fill, **({"taker_fee": 0, "maker_fee": 0} | less))
    return replace(witness, fills=(*witness.fills[:-1], larger, smaller))


@cheat("legs.sums")
def report_a_smaller_fill(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.orders, lambda row: row.fill > 1)
    return None if index is None else with_row(witness, "orders", index, fill=witness.orders[index].fill - 1)


@cheat("fills", CONSISTENT)
def fill_an_expired_instrument(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The oracles did sign the table; the engine ought to have stopped."""
    if not witness.fills:
        return None
    identifier = witness.legs[witness.fills[0].taker].instrument
    index = find(witness.instruments, lambda row: row.id == identifier)
    assert index is not None
    return with_row(witness, "instruments", index, expiry_ms=witness.header.time_ms)


# ---- combinations


@cheat("orders.6", CONSISTENT)
def fill_a_combination_beyond_its_net_limit(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.legs, lambda row: row.place == 1)
    if index is None:
        return None
    place = witness.legs[index].order
    order = witness.orders[place]
    return with_row(witness, "orders", place, limit=order.limit - 10**5 if order.side else order.limit + 10**5)


@cheat("legs.sums", CONSISTENT)
def fill_one_leg_of_a_combination_alone(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The other leg would have cost money."""
    index = find(witness.fills, lambda row: witness.legs[row.taker].place == 1 and row.size > 1)
    return None if index is None else with_row(witness, "fills", index, size=witness.fills[index].size - 1)


@cheat("legs", CONSISTENT)
def sell_an_outright_bought(witness: Witness, _: ClosedBatch) -> Witness | None:
    """One leg, turned over: its limit would bind the wrong way."""
    index = find(witness.legs, lambda row: True)
    return None if index is None else with_row(witness, "legs", index, sell=1)


@cheat("legs", CONSISTENT)
def fill_an_outright_twice_over(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.legs, lambda row: True)
    return None if index is None else with_row(witness, "legs", index, ratio=2)


@cheat("orders.1")
def turn_a_leg_that_was_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.legs, lambda row: row.place == 1)
    return None if index is None else with_row(witness, "legs", index, sell=1 - witness.legs[index].sell)


@cheat("orders.1")
def leave_a_leg_out(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The last leg of the last order, and its fills with it."""
    if not witness.legs or witness.legs[-1].place == 0:
        return None
    last = len(witness.legs) - 1
    kept = tuple(row for row in witness.fills if last not in (row.taker, row.maker))
    return replace(witness, legs=witness.legs[:-1], fills=kept)


@cheat("orders.5")
def fill_an_order_without_legs(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.legs:
        return None
    return replace(witness, legs=tuple(row for row in witness.legs if row.order != 0), fills=())


@cheat("legs.keys")
def list_two_legs_in_another_order(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.legs) < 2:
        return None
    return replace(witness, legs=(witness.legs[1], witness.legs[0], *witness.legs[2:]))


@cheat("orders.keys")
def list_an_order_twice(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.orders) < 2:
        return None
    return with_row(witness, "orders", 1, account=witness.orders[0].account, step=witness.orders[0].step)
