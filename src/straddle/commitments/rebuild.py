"""Accounts after a batch, from what layer 1 holds of it alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from straddle.commitments.committed import CommittedAccount, LedgerError, SlotChain, SlotOpening
from straddle.commitments.data import AccountData, Body, Effects, PositionData, QueueEntry, SlotData
from straddle.core.accounts import Account, Slot
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.params import Params


def updated_accounts(
    account_of: Callable[[int], CommittedAccount], params: Params, effects: Effects, body: Body, queue: Sequence[QueueEntry]
) -> tuple[list[CommittedAccount], list[SlotOpening]]:
    """The touched accounts' new values, ascending by id, and the slot updates, ascending by (account, step).

    LedgerError when the effects contradict layer 1's `queue`, or when the rows contradict each other or the accounts before the batch.
    """
    if tuple(queue) != effects.queue:
        raise LedgerError(f"effects.queue: differs from layer 1's {len(queue)} entries from {effects.queue_first} on{_first_difference(effects.queue, queue)}")
    _check_references(effects, body, 1 << params.account_depth)
    updates: list[CommittedAccount] = []
    slots: list[SlotOpening] = []
    for row in body.accounts:
        old = account_of(row.id)
        chain = SlotChain(old, params.slot_depth)
        for slot in body.slots:
            if slot.account == row.id:
                _advance(chain, slot)
        account = _new_values(old.account, row, effects, [position for position in body.positions if position.account == row.id])
        account.slots = chain.slots
        updates.append(old.updated(account, chain.tree))
        slots += chain.openings
    _check_conservation(account_of, effects, updates)
    return updates, slots


def _new_values(old: Account, row: AccountData, effects: Effects, positions: Sequence[PositionData]) -> Account:
    """The account's values: the row's, with owner and key from the queue; slots are still the old ones."""
    account = old.copy()
    for entry in effects.queue:
        if entry.account == row.id:
            _apply_entry(account, entry, old.key_epoch)
    if row.min_nonce < old.min_nonce:
        raise LedgerError(f"account {row.id} min_nonce: {row.min_nonce}, expected {old.min_nonce} or more")
    withdrawal = next((item for item in effects.withdrawals if item.account == row.id), None)
    if withdrawal is None and row.withdrawal_nonce != old.withdrawal_nonce:
        raise LedgerError(f"account {row.id} withdrawal_nonce: {row.withdrawal_nonce}, expected {old.withdrawal_nonce} without a withdrawal")
    if withdrawal is not None and row.withdrawal_nonce <= old.withdrawal_nonce:
        raise LedgerError(f"account {row.id} withdrawal_nonce: {row.withdrawal_nonce}, expected more than {old.withdrawal_nonce} with a withdrawal")
    if withdrawal is not None and withdrawal.owner != account.owner:
        raise LedgerError(f"withdrawal of account {row.id} owner: {withdrawal.owner:#x}, expected the account's owner {account.owner:#x}")
    for instrument in sorted(old.positions.keys() - {position.instrument for position in positions}):
        raise LedgerError(f"account {row.id}: its position in instrument {instrument} is missing from the body")
    account.positions = {position.instrument: position.size_lots for position in positions if position.size_lots}
    account.cash, account.min_nonce, account.withdrawal_nonce = row.cash, row.min_nonce, row.withdrawal_nonce
    return account


def _apply_entry(account: Account, entry: QueueEntry, old_key_epoch: int) -> None:
    if account.owner not in (0, entry.owner):
        raise LedgerError(f"queue entry {entry.queue_index} owner: {entry.owner:#x}, expected account {account.id}'s owner {account.owner:#x}")
    account.owner = entry.owner
    if isinstance(entry, L1SetKey):
        if account.key_epoch != old_key_epoch:
            raise LedgerError(f"queue entry {entry.queue_index}: second key of account {account.id} in one batch, expected at most one")
        account.key, account.key_epoch = entry.key, old_key_epoch + 1


def _advance(chain: SlotChain, row: SlotData) -> None:
    old = chain.slot(row.nonce)
    if (row.nonce, row.revision) < (old.nonce, old.revision) or (row.nonce == old.nonce and row.filled < old.filled):
        raise LedgerError(
            f"account {row.account} slot: nonce {row.nonce} revision {row.revision} filled {row.filled} after nonce {old.nonce} "
            f"revision {old.revision} filled {old.filled}"
        )
    chain.advance(Slot(row.nonce, row.revision, row.filled))


def _check_references(effects: Effects, body: Body, account_limit: int) -> None:
    """Every row belongs to an account of the body, and every such account has a place in the tree."""
    touched = {row.id for row in body.accounts}
    for row in body.accounts:
        if row.id >= account_limit:
            raise LedgerError(f"account {row.id}: expected less than {account_limit} (account_depth)")
    rows: tuple[tuple[str, set[int]], ...] = (
        ("slot", {slot.account for slot in body.slots}),
        ("position", {position.account for position in body.positions}),
        ("queue entry", {entry.account for entry in effects.queue}),
        ("withdrawal", {item.account for item in effects.withdrawals}),
    )
    for name, accounts in rows:
        for identifier in sorted(accounts - touched):
            raise LedgerError(f"{name} of account {identifier}: the account is missing from the body")
    for slot in body.slots:
        if not effects.first_sequence <= slot.sequence <= effects.last_sequence:
            raise LedgerError(f"slot of account {slot.account} sequence: {slot.sequence}, expected {effects.first_sequence} to {effects.last_sequence}")


def _check_conservation(account_of: Callable[[int], CommittedAccount], effects: Effects, updates: Sequence[CommittedAccount]) -> None:
    """Cash changes by deposits less withdrawals; positions of an instrument sum to what they summed to."""
    deposits = sum(entry.amount for entry in effects.queue if isinstance(entry, L1Deposit))
    expected = deposits - sum(item.amount for item in effects.withdrawals)
    cash, sizes = 0, dict[int, int]()
    for update in updates:
        old = account_of(update.account.id).account
        cash += update.account.cash - old.cash
        for sign, positions in ((1, update.account.positions), (-1, old.positions)):
            for instrument, size in positions.items():
                sizes[instrument] = sizes.get(instrument, 0) + sign * size
    if cash != expected:
        raise LedgerError(f"cash of all accounts changes by {cash}, expected {expected} (deposits less withdrawals)")
    for instrument, change in sorted(sizes.items()):
        if change:
            raise LedgerError(f"positions in instrument {instrument}: their sum changes by {change}, expected 0")


def _first_difference(found: Sequence[QueueEntry], expected: Sequence[QueueEntry]) -> str:
    for i, (left, right) in enumerate(zip(found, expected, strict=False)):
        if left != right:
            return f": entry {i} is {left}, expected {right}"
    return ""
