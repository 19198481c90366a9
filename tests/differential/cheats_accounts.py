"""Cheats with accounts, positions, requests, listings, header and vector."""

from __future__ import annotations

from dataclasses import replace

from straddle.core.messages import MessageKind, withdrawal_payload
from straddle.primitives.keys import SecretKey, key_multiple
from straddle.proving.witness import AccountRow, QueueRow, SignatureRow, WithdrawalRow, Witness
from tests.differential.cheats import Settling
from tests.differential.edges import with_row
from tests.differential.registry import COLLUDING, CONSISTENT, FLOWING, cheat, find, orders_of, with_new
from tests.differential.scenes import PRESET, ClosedBatch

MALLORY = SecretKey.from_seed(b"mallory")

# ---- accounts


@cheat("accounts.4")
def mint_a_micro_dollar(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_new(witness, 0, cash=witness.accounts[0].new.cash + 1) if witness.accounts else None


@cheat("accounts.4")
def move_cash_between_accounts(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.accounts) < 2:
        return None
    moved = with_new(witness, 0, cash=witness.accounts[0].new.cash + 50)
    return with_new(moved, 1, cash=witness.accounts[1].new.cash - 50)


@cheat("accounts.4")
def keep_the_fees(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills or witness.accounts[0].id != 1 or witness.accounts[0].new.cash == witness.accounts[0].old.cash:
        return None
    return with_new(witness, 0, cash=witness.accounts[0].new.cash - 1)


@cheat("accounts.4")
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


@cheat("positions.5")
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


@cheat("accounts.5", CONSISTENT)
def withdraw_more_than_the_margin_leaves(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.withdrawals, lambda row: any(item.account == row.account and item.new for item in witness.positions))
    if index is None:
        return None
    account = next(row for row in witness.accounts if row.id == witness.withdrawals[index].account)
    return with_row(witness, "withdrawals", index, amount=max(1, witness.withdrawals[index].amount + account.new.cash + 10**9))


@cheat("accounts.5", CONSISTENT)
def trade_far_beyond_the_margin(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.fills:
        return None
    size = witness.fills[0].size + 5 * 10**5
    larger = with_row(witness, "fills", 0, size=size)
    for order in orders_of(witness, 0):
        larger = with_row(larger, "orders", order, size=witness.orders[order].size + size)
    return larger


# ---- withdrawals


@cheat("withdrawals")
def pay_another_owner(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "withdrawals", 0, owner=0xBAD) if witness.withdrawals else None


@cheat("withdrawals", FLOWING)
def withdraw_more_than_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "withdrawals", 0, amount=witness.withdrawals[0].amount + 1) if witness.withdrawals else None


@cheat("accounts.3", CONSISTENT)
def replay_an_action(witness: Witness, _: ClosedBatch) -> Witness | None:
    """With a nonce that is not above the last one."""
    if not witness.withdrawals:
        return None
    row = witness.withdrawals[0]
    index = find(witness.accounts, lambda item: item.id == row.account)
    assert index is not None
    nonce = witness.accounts[index].old.action_nonce
    return with_new(with_row(witness, "withdrawals", 0, nonce=nonce), index, action_nonce=nonce)


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
    return with_new(stolen, index, action_nonce=1)


# ---- chains, positions, header, vector


@cheat("accounts.1", Settling(roots=False))
def end_at_another_root(witness: Witness, _: ClosedBatch) -> Witness | None:
    return replace(witness, header=replace(witness.header, new_accounts_root=witness.header.new_accounts_root ^ 1)) if witness.accounts else None


@cheat("accounts.8", Settling(roots=False))
def forget_a_slot_update(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The order's slot stays as it was: it could fill again."""
    index = find(witness.accounts, lambda row: row.old.orders_root != row.new.orders_root)
    if index is None:
        return None
    row = witness.accounts[index]
    kept = row.new._replace(orders_root=row.old.orders_root)
    rows, root, folded = [], witness.header.old_accounts_root, with_row(witness, "accounts", index, new=kept)
    tree = _.before.tree.copy()
    for item in folded.accounts:
        rows.append(replace(item, path=tree.path(item.id)))
        tree.set(item.id, item.new.hash)
    assert root == _.before.tree.root
    return replace(folded, accounts=tuple(rows), header=replace(folded.header, new_accounts_root=tree.root))


@cheat("positions.1")
def hold_more_than_a_size_can_be(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "positions", 0, new=2**40) if witness.positions else None


@cheat("positions.3")
def hold_what_has_no_row_in_the_table(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.positions or any(row.id > 900 for row in witness.instruments):
        return None
    return with_row(witness, "positions", len(witness.positions) - 1, instrument=901)


@cheat("positions.7")
def list_a_position_of_nobody(witness: Witness, _: ClosedBatch) -> Witness | None:
    if not witness.positions or len(witness.positions) == PRESET.positions:
        return None
    return replace(witness, positions=(*witness.positions, replace(witness.positions[-1], account=200, old=1, new=1)))


@cheat("header.3")
def let_an_auction_take_no_time(witness: Witness, _: ClosedBatch) -> Witness | None:
    return replace(witness, header=replace(witness.header, auction_ms=0))


@cheat("vector", Settling(roots=False))
def post_other_data(witness: Witness, _: ClosedBatch) -> Witness | None:
    return replace(witness, public=replace(witness.public, y_body=witness.public.y_body ^ 1))


# ---- queue and listings


@cheat("queue")
def deposit_to_an_account_that_no_row_opens(witness: Witness, _: ClosedBatch) -> Witness | None:
    if len(witness.queue) == PRESET.queue:
        return None
    return replace(witness, queue=(*witness.queue, QueueRow(1, 200, 0xBAD, 5, 0, 0, 0)))


@cheat("listings")
def skip_a_listing_id(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "listings", 0, id=witness.listings[0].id + 1) if witness.listings else None


@cheat("listings")
def retire_what_was_never_listed(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.listings, lambda row: row.kind == 6)
    return None if index is None else with_row(witness, "listings", index, id=witness.header.old_listing_count + 1)


@cheat("listings")
def write_something_into_a_retirement(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.listings, lambda row: row.kind == 6)
    return None if index is None else with_row(witness, "listings", index, tick_ticks=1)


@cheat("queue")
def pay_a_deposit_out(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.queue, lambda row: row.kind == 1)
    return None if index is None else with_row(witness, "queue", index, paid=1)


@cheat("transfers", CONSISTENT)
def transfer_nothing(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "transfers", 0, amount=0) if witness.transfers else None


@cheat("transfers", FLOWING)
def transfer_more_than_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    return with_row(witness, "transfers", 0, amount=witness.transfers[0].amount + 1) if witness.transfers else None


@cheat("takeovers", FLOWING)
def take_another_fraction_than_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    index = find(witness.takeovers, lambda row: row.signature != -1 and row.fraction_bps < 10_000)
    return None if index is None else with_row(witness, "takeovers", index, fraction_bps=witness.takeovers[index].fraction_bps + 1)


@cheat("instruments")
def use_a_table_that_was_not_signed(witness: Witness, _: ClosedBatch) -> Witness | None:
    """The header keeps the risk root that the oracles signed."""
    return with_row(witness, "instruments", 0, value=witness.instruments[0].value + 1) if witness.instruments else None
