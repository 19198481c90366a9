"""Accounts after a batch, from what layer 1 holds of it alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

from straddle.commitments.committed import CommittedAccount, LedgerError, SlotChain, SlotOpening, open_slots
from straddle.commitments.data import AccountData, AuctionCode, Body, Effects, PositionData, QueueEntry, SlotData
from straddle.commitments.listings import Listings
from straddle.core.accounts import Account, Auction, Slot
from straddle.core.commands import L1Deposit, L1ForceClose, L1SetKey
from straddle.core.params import Params


def updated_accounts(
    account_of: Callable[[int], CommittedAccount], params: Params, effects: Effects, body: Body, queue: Sequence[QueueEntry], listed: Listings
) -> tuple[list[CommittedAccount], list[SlotOpening]]:
    """The touched accounts' new values, ascending by id, and the slot updates, ascending by (account, step); `listed` are the listings after the batch.

    LedgerError when the effects contradict layer 1's `queue`, or when the rows contradict each other or the accounts before the batch.
    """
    if tuple(queue) != effects.queue:
        raise LedgerError(f"effects.queue: differs from layer 1's {len(queue)} entries from {effects.queue_first} on{_first_difference(effects.queue, queue)}")
    _check_references(effects, body, 1 << params.account_depth)
    positions = _positions(body.positions, listed)
    slot_rows = {account: list(rows) for account, rows in groupby(body.slots, key=lambda row: row.account)}
    updates: list[CommittedAccount] = []
    chains: list[SlotChain] = []
    for row in body.accounts:
        old = account_of(row.id)
        chain = SlotChain(old, params.slot_depth)
        for slot in slot_rows.get(row.id, ()):
            _advance(chain, slot)
        account = _new_values(old.account, row, effects, positions.get(row.id))
        account.slots = chain.slots
        updates.append(old.updated(account, chain.tree))
        chains.append(chain)
    _check_conservation(account_of, effects, updates, listed)
    return updates, open_slots(chains)


def _positions(rows: Sequence[PositionData], listed: Listings) -> dict[int, dict[int, int]]:
    """account -> instrument -> lots, zeros included, of the accounts that have rows."""
    table = listed.tabled
    sizes: dict[int, dict[int, int]] = {}
    for row in rows:
        if row.row > len(table):
            raise LedgerError(f"position of account {row.account}: row {row.row}, expected at most {len(table)} (rows of the risk table)")
        sizes.setdefault(row.account, {})[table[row.row - 1].id] = row.size_lots
    return sizes


def _new_values(old: Account, row: AccountData, effects: Effects, positions: dict[int, int] | None) -> Account:
    """The account's values: the row's, with owner and key from the queue; slots are still the old ones. Without `positions` it keeps its own."""
    account = old.copy()
    for entry in effects.queue:
        if entry.account == row.id:
            _apply_entry(account, entry, old.key_epoch)
    _check_nonces(old, row, effects, account.owner)
    if positions is not None:
        for instrument in sorted(old.positions.keys() - positions.keys()):
            raise LedgerError(f"account {row.id}: its position in instrument {instrument} is missing from the body")
        account.positions = {instrument: size for instrument, size in positions.items() if size}
    account.cash, account.min_nonce, account.action_nonce = row.cash, row.min_nonce, row.action_nonce
    account.auction = _auction(old, row, effects)
    return account


def _check_nonces(old: Account, row: AccountData, effects: Effects, owner: int) -> None:
    if row.min_nonce < old.min_nonce:
        raise LedgerError(f"account {row.id} min_nonce: {row.min_nonce}, expected {old.min_nonce} or more")
    if row.action_nonce < old.action_nonce:
        raise LedgerError(f"account {row.id} action_nonce: {row.action_nonce}, expected {old.action_nonce} or more")
    withdrawal = next((item for item in effects.withdrawals if item.account == row.id), None)
    if withdrawal is None:
        return
    if row.action_nonce == old.action_nonce:
        raise LedgerError(f"account {row.id} action_nonce: {row.action_nonce}, expected more than {old.action_nonce} with a withdrawal")
    if withdrawal.owner != owner:
        raise LedgerError(f"withdrawal of account {row.id} owner: {withdrawal.owner:#x}, expected the account's owner {owner:#x}")


def _auction(old: Account, row: AccountData, effects: Effects) -> Auction | None:
    match row.auction:
        case AuctionCode.UNCHANGED:
            return old.auction
        case AuctionCode.ENDED:
            return None
        case AuctionCode.BEGUN:
            return Auction(effects.time_ms, False, 0)
    entry = next((entry for entry in effects.queue if isinstance(entry, L1ForceClose) and entry.account == row.id), None)
    if entry is None:
        raise LedgerError(f"account {row.id} auction: {int(row.auction)} (forced close) without a queue entry that asks for it")
    return Auction(effects.time_ms, True, entry.limit_bps)


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
    if (row.nonce, row.revision) < (old.nonce, old.revision) or (row.nonce == old.nonce and row.filled <= old.filled):
        raise LedgerError(
            f"account {row.account} slot: nonce {row.nonce} revision {row.revision} filled {row.filled} after nonce {old.nonce} "
            f"revision {old.revision} filled {old.filled}"
        )
    chain.advance(Slot(row.nonce, row.revision, row.filled))


def _check_references(effects: Effects, body: Body, account_limit: int) -> None:
    """Every account of the effects has a row of the body, and every such account a place in the tree."""
    touched = {row.id for row in body.accounts}
    for row in body.accounts:
        if row.id >= account_limit:
            raise LedgerError(f"account {row.id}: expected less than {account_limit} (account_depth)")
    for name, accounts in (("queue entry", {entry.account for entry in effects.queue}), ("withdrawal", {item.account for item in effects.withdrawals})):
        for identifier in sorted(accounts - touched):
            raise LedgerError(f"{name} of account {identifier}: the account is missing from the body")
    entries = effects.last_sequence - effects.first_sequence
    for slot in body.slots:
        if slot.offset > entries:
            raise LedgerError(f"slot of account {slot.account} offset: {slot.offset}, expected at most {entries} (last_sequence - first_sequence)")


def _check_conservation(account_of: Callable[[int], CommittedAccount], effects: Effects, updates: Sequence[CommittedAccount], listed: Listings) -> None:
    """Cash changes by deposits less what leaves for layer 1, plus settled positions, which vanish; other positions sum to what they summed to."""
    deposits = sum(entry.amount for entry in effects.queue if isinstance(entry, L1Deposit))
    expected = deposits - sum(item.amount for item in effects.withdrawals) - sum(effects.paid)
    cash, sizes = 0, Counter[int]()
    for update in updates:
        old, new = account_of(update.account.id).account, update.account
        cash += new.cash - old.cash
        for instrument in sorted(old.positions.keys() | new.positions.keys()):
            change = new.positions.get(instrument, 0) - old.positions.get(instrument, 0)
            if instrument in listed.settled:
                expected -= change * listed.settled[instrument]
            else:
                sizes[instrument] += change
    if cash != expected:
        raise LedgerError(f"cash of all accounts changes by {cash}, expected {expected} (deposits less payments to layer 1, plus settled positions)")
    for instrument, change in sorted(sizes.items()):
        if change:
            raise LedgerError(f"positions in instrument {instrument}: their sum changes by {change}, expected 0")


def _first_difference(found: Sequence[QueueEntry], expected: Sequence[QueueEntry]) -> str:
    for i, (left, right) in enumerate(zip(found, expected, strict=False)):
        if left != right:
            return f": entry {i} is {left}, expected {right}"
    return ""
