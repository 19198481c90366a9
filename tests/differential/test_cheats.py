"""Adversarial batches, each consistent but for one rule: the checker names that rule, and the circuit refuses too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from straddle.core.messages import MessageKind, signed_words, withdrawal_payload
from straddle.primitives.keys import PublicKey, SecretKey, key_multiple
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import AccountRow, QueueRow, SignatureRow, WithdrawalRow, Witness
from tests.differential.cheats import Settling, settle
from tests.differential.edges import with_row
from tests.differential.histories import PRESET, ClosedBatch

CHEATS: list[Cheat] = []
OWN_SIDE = Settling(old_side=False)
COLLUDING = Settling(old_side=False, resign=True)
FLOWING = Settling(old_side=False, flows=True)
CONSISTENT = Settling(old_side=False, flows=True, resign=True)
MALLORY = SecretKey.from_seed(b"mallory")


@dataclass(frozen=True, slots=True)
class Cheat:
    """`wants` chooses batches; `act` cheats, or gives None where the batch has nothing to cheat with."""

    name: str
    rule: str
    how: Settling
    act: Callable[[Witness, ClosedBatch], Witness | None]


def cheat(
    rule: str, how: Settling = OWN_SIDE
) -> Callable[[Callable[[Witness, ClosedBatch], Witness | None]], Callable[[Witness, ClosedBatch], Witness | None]]:
    def register(act: Callable[[Witness, ClosedBatch], Witness | None]) -> Callable[[Witness, ClosedBatch], Witness | None]:
        CHEATS.append(Cheat(act.__name__, rule, how, act))
        return act

    return register


def find(rows: tuple[Any, ...], wanted: Callable[[Any], bool]) -> int | None:
    return next((i for i, row in enumerate(rows) if wanted(row)), None)


def with_new(witness: Witness, index: int, **changes: int) -> Witness:
    return with_row(witness, "accounts", index, new=witness.accounts[index].new._replace(**changes))


# ---- accounts


@cheat("accounts.5")
def mint_a_micro_dollar(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_new(witness, 0, cash=witness.accounts[0].new.cash + 1) if witness.accounts else None


@cheat("accounts.5")
def move_cash_between_accounts(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.accounts) < 2:
        return None
    moved = with_new(witness, 0, cash=witness.accounts[0].new.cash + 50)
    return with_new(moved, 1, cash=witness.accounts[1].new.cash - 50)


@cheat("accounts.5")
def keep_the_fees(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills or witness.accounts[0].id != 1 or witness.accounts[0].new.cash == witness.accounts[0].old.cash:
        return None
    return with_new(witness, 0, cash=witness.accounts[0].new.cash - 1)


@cheat("accounts.5")
def burn_the_fees(witness: Witness, _: ClosedBatch) -> Witness | None:
    """Without a row of the fee account nobody gets them. The checker missed this once; the circuit did not."""
    if not witness.accounts or witness.accounts[0].id != 1 or any(row.account == 1 for row in (*witness.queue, *witness.positions)):
        return None
    return replace(witness, accounts=witness.accounts[1:]) if witness.fills else None


@cheat("accounts.2")
def set_a_key_without_a_queue_entry(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.accounts, lambda row: row.old.key_x != 0 and row.new.key_epoch == row.old.key_epoch)
    if index is None:
        return None
    key, multiple = MALLORY.public, key_multiple(MALLORY.public)
    epoch = witness.accounts[index].old.key_epoch + 1
    return with_new(witness, index, key_x=key.x, key_y=key.y, multiple_x=multiple.x, multiple_y=multiple.y, key_epoch=epoch)


@cheat("accounts.2")
def replace_a_multiple_alone(witness: Witness, _: ClosedBatch) -> Witness | None:
    """A free multiple forges signatures for any key."""
    multiple = key_multiple(MALLORY.public)
    index = find(witness.accounts, lambda row: row.new.multiple_x != 0)
    return None if index is None else with_new(witness, index, multiple_x=multiple.x, multiple_y=multiple.y)


@cheat("accounts.2")
def register_another_multiple(witness: Witness, _: ClosedBatch) -> Witness | None:
    entry = find(witness.queue, lambda row: row.kind == 2 and row.key_x != 0)
    if entry is None:
        return None
    multiple = key_multiple(MALLORY.public)
    index = find(witness.accounts, lambda row: row.id == witness.queue[entry].account)
    assert index is not None
    return with_new(witness, index, multiple_x=multiple.x, multiple_y=multiple.y)


@cheat("accounts.2")
def change_the_owner(witness: Witness, _: ClosedBatch) -> Witness | None:
    named = {row.account for row in (*witness.queue, *witness.withdrawals)}
    index = find(witness.accounts, lambda row: row.old.owner != 0 and row.id not in named)
    return None if index is None else with_new(witness, index, owner=0xBAD)


@cheat("accounts.2")
def take_over_by_a_deposit(witness: Witness, _: ClosedBatch) -> Witness | None:
    """A queue entry names another owner, and the account follows it."""
    entry = find(witness.queue, lambda row: any(item.id == row.account and item.old.owner != 0 for item in witness.accounts))
    if entry is None or sum(row.account == witness.queue[entry].account for row in witness.queue) > 1:
        return None
    index = find(witness.accounts, lambda row: row.id == witness.queue[entry].account)
    assert index is not None
    if any(row.account == witness.queue[entry].account for row in witness.withdrawals):
        return None
    return with_new(with_row(witness, "queue", entry, owner=0xBAD), index, owner=0xBAD)


@cheat("accounts.2")
def answer_two_keys_of_one_account(witness: Witness, _: ClosedBatch) -> Witness | None:
    entry = find(witness.queue, lambda row: row.kind == 2)
    if entry is None or len(witness.queue) == PRESET.queue:
        return None
    return replace(witness, queue=(*witness.queue, witness.queue[entry]))


@cheat("accounts.2")
def set_a_reserved_field(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_new(witness, 0, flags=1) if witness.accounts else None


@cheat("accounts.3")
def raise_min_nonce_without_a_cancel(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.accounts, lambda row: row.cancel_signature == -1)
    return None if index is None else with_new(witness, index, min_nonce=witness.accounts[index].new.min_nonce + 1)


@cheat("accounts.3", COLLUDING)
def lower_min_nonce(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.accounts, lambda row: row.cancel_signature >= 0 and row.old.min_nonce > 0)
    return None if index is None else with_new(witness, index, min_nonce=witness.accounts[index].old.min_nonce - 1)


@cheat("accounts.3")
def raise_min_nonce_further_than_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.accounts, lambda row: row.cancel_signature >= 0)
    return None if index is None else with_new(witness, index, min_nonce=witness.accounts[index].new.min_nonce + 1)


@cheat("accounts.keys")
def touch_the_null_account(witness: Witness, closed: ClosedBatch) -> Witness | None:
    leaf = closed.before.account(0).leaf
    if len(witness.accounts) == PRESET.accounts or not witness.accounts:
        return None
    return replace(witness, accounts=(AccountRow(0, leaf, leaf._replace(owner=0xBAD), witness.accounts[0].path), *witness.accounts))


@cheat("accounts.keys")
def open_an_account_twice(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The second row starts where the first one ended."""
    if not witness.accounts or len(witness.accounts) == PRESET.accounts:
        return None
    row = witness.accounts[-1]
    return replace(witness, accounts=(*witness.accounts, replace(row, old=row.new, new=row.new._replace(cash=row.new.cash + 1))))


# ---- positions and margin


@cheat("positions.4")
def move_a_position_without_a_fill(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.positions:
        return None
    return with_row(witness, "positions", 0, new=witness.positions[0].new + 1)


@cheat("accounts.7")
def hide_an_untouched_position(witness: Witness, _: ClosedBatch) -> Witness | None:
    """Its loss would not count; its account has others, so the digest of the new side can be made to fit."""
    index = find(witness.positions, lambda row: row.old == row.new and any(item.account == row.account and item != row for item in witness.positions))
    return None if index is None else replace(witness, positions=witness.positions[:index] + witness.positions[index + 1 :])


@cheat("positions.keys")
def list_a_position_twice(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.positions or len(witness.positions) == PRESET.positions:
        return None
    return replace(witness, positions=(witness.positions[0], *witness.positions))


@cheat("accounts.6", CONSISTENT)
def withdraw_more_than_the_margin_leaves(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.withdrawals, lambda row: any(item.account == row.account and item.new for item in witness.positions))
    if index is None:
        return None
    account = next(row for row in witness.accounts if row.id == witness.withdrawals[index].account)
    return with_row(witness, "withdrawals", index, amount=max(1, witness.withdrawals[index].amount + account.new.cash + 10**9))


@cheat("accounts.6", CONSISTENT)
def trade_far_beyond_the_margin(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    size = witness.fills[0].size + 5 * 10**5
    larger = with_row(witness, "fills", 0, size=size)
    for order in (witness.fills[0].taker, witness.fills[0].maker):
        larger = with_row(larger, "orders", order, size=witness.orders[order].size + size)
    return larger


# ---- withdrawals


@cheat("withdrawals")
def pay_another_owner(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "withdrawals", 0, owner=0xBAD) if witness.withdrawals else None


@cheat("withdrawals", FLOWING)
def withdraw_more_than_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "withdrawals", 0, amount=witness.withdrawals[0].amount + 1) if witness.withdrawals else None


@cheat("accounts.4", CONSISTENT)
def replay_a_withdrawal(witness: Witness, _: ClosedBatch) -> Witness | None:
    """With a nonce that is not above the last one."""
    if not witness.withdrawals:
        return None
    row = witness.withdrawals[0]
    index = find(witness.accounts, lambda item: item.id == row.account)
    assert index is not None
    nonce = witness.accounts[index].old.withdrawal_nonce
    return with_new(with_row(witness, "withdrawals", 0, nonce=nonce), index, withdrawal_nonce=nonce)


@cheat("withdrawals", CONSISTENT)
def withdraw_twice_from_one_account(witness: Witness, _: ClosedBatch) -> Witness | None:
    return replace(witness, withdrawals=witness.withdrawals * 2) if len(witness.withdrawals) == 1 else None


@cheat("signatures", FLOWING)
def withdraw_from_an_account_without_a_key(witness: Witness, closed: ClosedBatch) -> Witness | None:
    """The unset key (0, 0) must verify nothing, not even a signature with R at the identity."""
    index = find(witness.accounts, lambda row: row.id == 1 and row.old.cash > 10 and row.old.key_x == 0)
    if index is None or len(witness.signatures) == PRESET.signatures or witness.withdrawals:
        return None
    signature = SignatureRow(1, int(MessageKind.WITHDRAWAL), withdrawal_payload(1, 10), 0, 1, 0)
    row = WithdrawalRow(1, witness.accounts[index].old.owner, 10, 1, len(witness.signatures))
    stolen = replace(witness, signatures=(*witness.signatures, signature), withdrawals=(row,))
    return with_new(stolen, index, withdrawal_nonce=1)


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
    order = witness.orders[witness.fills[0].taker]
    return with_row(witness, "fills", 0, taker_fee=witness.fills[0].taker_fee + order.fee_cap * order.fill)


# ---- fills


@cheat("fills", FLOWING)
def fill_outside_a_limit(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    taker = witness.orders[witness.fills[0].taker]
    return with_row(witness, "fills", 0, price=taker.limit + (1 if taker.side else -1))


@cheat("fills", CONSISTENT)
def fill_outside_the_band(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    fill = witness.fills[0]
    taker = witness.orders[fill.taker]
    table = next(row for row in witness.instruments if row.id == taker.instrument)
    price = table.value + table.funding + table.band + 1
    cheat_ = witness
    for place in (fill.taker, fill.maker):
        order = witness.orders[place]
        cheat_ = with_row(cheat_, "orders", place, limit=price if order.side else min(order.limit, price))
    return with_row(cheat_, "fills", 0, price=price)


@cheat("fills", CONSISTENT)
def match_two_buyers(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    fill = witness.fills[0]
    place = fill.taker if witness.orders[fill.maker].side else fill.maker
    return with_row(witness, "orders", place, side=1, limit=fill.price)


@cheat("fills", CONSISTENT)
def match_two_instruments(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    order = witness.orders[witness.fills[0].taker]
    other = next(row.id for row in witness.instruments if row.id != order.instrument)
    return with_row(witness, "orders", witness.fills[0].taker, instrument=other)


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


@cheat("fills.sums")
def report_a_smaller_fill(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.orders, lambda row: row.fill > 1)
    return None if index is None else with_row(witness, "orders", index, fill=witness.orders[index].fill - 1)


@cheat("fills", CONSISTENT)
def fill_an_expired_instrument(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The oracles did sign the table; the engine ought to have stopped."""
    if not witness.fills:
        return None
    identifier = witness.orders[witness.fills[0].taker].instrument
    index = find(witness.instruments, lambda row: row.id == identifier)
    assert index is not None
    return with_row(witness, "instruments", index, expiry_ms=witness.header.time_ms)


# ---- queue and listings


@cheat("queue")
def deposit_to_an_account_that_no_row_opens(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.queue) == PRESET.queue:
        return None
    return replace(witness, queue=(*witness.queue, QueueRow(1, 200, 0xBAD, 5, 0, 0)))


@cheat("listings")
def skip_a_listing_id(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "listings", 0, id=witness.listings[0].id + 1) if witness.listings else None


@cheat("instruments")
def use_a_table_that_was_not_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The header keeps the risk root that the oracles signed."""
    return with_row(witness, "instruments", 0, value=witness.instruments[0].value + 1) if witness.instruments else None


CASES = {item.name: item for item in CHEATS}


def cheated(item: Cheat, closed: list[ClosedBatch]) -> Witness:
    """The first batch, later ones first since they hold more, in which the cheat has something to cheat with."""
    for batch in reversed(closed):
        honest = batch.posted.witness
        changed = item.act(honest, batch)
        if changed is None:
            continue
        settled = settle(changed, batch, item.how)
        if item.rule == "instruments":
            settled = replace(settled, header=replace(settled.header, risk_root=honest.header.risk_root))
        assert settled.header.old_accounts_root == honest.header.old_accounts_root, "a cheat starts from the real state"
        return settled
    raise AssertionError(f"{item.name}: no batch of the histories has what it needs")


@pytest.mark.parametrize("name", CASES)
def test_the_checker_names_the_rule(name: str, closed_batches: list[ClosedBatch]) -> None:
    failure = check(cheated(CASES[name], closed_batches), PRESET)
    assert failure is not None
    assert failure.rule == CASES[name].rule, failure


@pytest.mark.slow
def test_the_circuit_refuses_every_cheat(closed_batches: list[ClosedBatch], prover: Prover) -> None:
    results = dict(zip(CASES, prover.check_many([cheated(item, closed_batches) for item in CASES.values()]), strict=True))
    assert not {name: result for name, result in results.items() if result.ok or result.solver}
    assert sum(result.solver is None for result in results.values()) <= 3, "nearly all cheats must reach the solver itself"
