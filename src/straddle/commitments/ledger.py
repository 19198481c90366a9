"""The committed state: plain values and the trees over them, advanced by the sequencer's batches or rebuilt from layer-1 data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from straddle.commitments.accounts import AccountLeaf, empty_accounts_tree
from straddle.commitments.committed import CommittedAccount, LedgerError, SlotOpening, empty_committed_account, final_slots, replay_slots
from straddle.commitments.data import Body, Effects, QueueEntry
from straddle.commitments.listings import EMPTY_LISTINGS_ROOT, extend_listings_root
from straddle.commitments.params import params_hash
from straddle.commitments.rebuild import updated_accounts
from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, Account
from straddle.core.batch import OpenBatch
from straddle.core.instruments import Instrument
from straddle.core.params import Params
from straddle.primitives.hashing import sponge
from straddle.primitives.merkle import SparseMerkleTree

__all__ = ["AccountOpening", "CommittedState", "LedgerError", "PositionChange", "StateChange", "StateParts"]


class StateParts(NamedTuple):
    """What the state root is the sponge of."""

    accounts_root: int
    listings_root: int
    listing_count: int
    batch_number: int
    queue_pointer: int
    params_hash: int

    @property
    def root(self) -> int:
        """state_root."""
        return sponge("straddle.state", self)


@dataclass(frozen=True, slots=True)
class AccountOpening:
    """One touched account: values before and after, and its path after the updates of the lower ids."""

    id: int
    old: AccountLeaf
    new: AccountLeaf
    path: tuple[int, ...]


class PositionChange(NamedTuple):
    """A position of a touched account, in lots."""

    account: int
    instrument: int
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """What a batch did to the committed state: every opening that its proof needs."""

    before: StateParts
    after: StateParts
    accounts: tuple[AccountOpening, ...]
    """Ascending by id."""
    slots: tuple[SlotOpening, ...]
    """Ascending by (account, step)."""
    positions: tuple[PositionChange, ...]
    """Every position of these accounts that is not zero before or after, ascending."""


@dataclass(slots=True)
class CommittedState:
    """The state after a batch. `account(id)` gives values; `root` commits to them."""

    params: Params
    tree: SparseMerkleTree
    accounts: dict[int, CommittedAccount] = field(default_factory=dict)
    listings: list[Instrument] = field(default_factory=list)
    listings_root: int = EMPTY_LISTINGS_ROOT
    batch_number: int = 0
    queue_pointer: int = 0

    @classmethod
    def genesis(cls, params: Params, operator: int) -> CommittedState:
        """Batch 0: the fee and insurance accounts belong to `operator` (an Ethereum address as an integer), without keys."""
        state = cls(params, empty_accounts_tree(params.account_depth, params.slot_depth))
        for identifier in (FEE_ACCOUNT, INSURANCE_ACCOUNT):
            state._put(replace(state.account(identifier), account=Account(identifier, owner=operator)))
        return state

    @property
    def parts(self) -> StateParts:
        """What the root is made of."""
        return StateParts(self.tree.root, self.listings_root, len(self.listings), self.batch_number, self.queue_pointer, params_hash(self.params))

    @property
    def root(self) -> int:
        """state_root."""
        return self.parts.root

    def account(self, identifier: int) -> CommittedAccount:
        """The account, or the empty one when it does not exist."""
        return self.accounts.get(identifier) or empty_committed_account(identifier, self.params.slot_depth)

    def copy(self) -> CommittedState:
        """An independent copy."""
        return CommittedState(
            self.params, self.tree.copy(), dict(self.accounts), list(self.listings), self.listings_root, self.batch_number, self.queue_pointer
        )

    def apply_batch(self, batch: OpenBatch) -> StateChange:
        """Advance by a closed batch of the sequencer (its `end` is filled in).

        LedgerError when the batch does not start at this state, or when its order uses do not lead to the new slots.
        """
        self._check_continues(batch)
        updates: list[CommittedAccount] = []
        slots: list[SlotOpening] = []
        for identifier in _touched(batch):
            old, account = self.account(identifier), batch.end[identifier].copy()
            uses = [(index, use) for index, use in enumerate(batch.order_uses) if use.account == identifier]
            orders, openings = replay_slots(old, uses, self.params.slot_depth)
            if final_slots(old.account.slots, openings, self.params.slot_depth) != account.slots:
                raise LedgerError(f"account {identifier}: its order uses do not lead to its slots")
            updates.append(old.updated(account, orders))
            slots += openings
        return self._commit(updates, slots, batch.listings, len(batch.queue))

    def apply_data(self, effects: Effects, body: Body, queue: Sequence[QueueEntry]) -> StateChange:
        """Advance by what layer 1 holds of a batch alone; `queue` are the entries that layer 1 recorded for it.

        LedgerError at the first thing that does not fit; the state is then unchanged. The change's slot openings name no order (`use` is -1).
        """
        self._check_header(effects)
        updates, slots = updated_accounts(self.account, self.params, effects, body, queue)
        self._check_listings(body.listings)
        replaced = [self.account(update.account.id) for update in updates]
        change = self._commit(updates, slots, body.listings, len(effects.queue))
        if self.root != effects.new_state_root:
            self._revert(change.before, replaced)
            raise LedgerError(f"effects.new_state_root: {effects.new_state_root:#x}, rebuilt from the data {change.after.root:#x}")
        return change

    def _check_continues(self, batch: OpenBatch) -> None:
        _expect(
            ("batch.number", batch.number, self.batch_number + 1),
            ("batch.queue_pointer", batch.queue_pointer, self.queue_pointer),
            ("batch.listing_count", batch.listing_count, len(self.listings)),
        )
        for i, entry in enumerate(batch.queue):
            _expect((f"batch.queue[{i}].queue_index", entry.queue_index, self.queue_pointer + i))
        self._check_listings(batch.listings)
        if batch.start.keys() != batch.end.keys():
            raise LedgerError(f"batch.end: accounts {sorted(batch.start.keys() ^ batch.end.keys())} are missing at its start or end, expected a closed batch")
        for identifier, account in batch.start.items():
            if account != self.account(identifier).account:
                raise LedgerError(f"account {identifier}: the batch starts from values that are not the committed ones")

    def _check_header(self, effects: Effects) -> None:
        _expect(
            ("effects.batch_number", effects.batch_number, self.batch_number + 1),
            ("effects.old_state_root", effects.old_state_root, self.root),
            ("effects.params_hash", effects.params_hash, params_hash(self.params)),
            ("effects.queue_first", effects.queue_first, self.queue_pointer),
        )

    def _check_listings(self, listings: Sequence[Instrument]) -> None:
        for i, instrument in enumerate(listings):
            _expect((f"listings[{i}].id", instrument.id, len(self.listings) + i + 1))

    def _commit(self, updates: Sequence[CommittedAccount], slots: Sequence[SlotOpening], listings: Sequence[Instrument], queue_count: int) -> StateChange:
        """Write the new accounts, which ascend by id."""
        before = self.parts
        rows: list[AccountOpening] = []
        positions: list[PositionChange] = []
        for update in updates:
            identifier = update.account.id
            old = self.account(identifier)
            rows.append(AccountOpening(identifier, old.leaf, update.leaf, tuple(self.tree.path(identifier))))
            old_sizes, new_sizes = old.account.positions, update.account.positions
            positions += [PositionChange(identifier, i, old_sizes.get(i, 0), new_sizes.get(i, 0)) for i in sorted(old_sizes.keys() | new_sizes.keys())]
            self._put(update)
        self.listings_root = extend_listings_root(self.listings_root, listings)
        self.listings += listings
        self.batch_number += 1
        self.queue_pointer += queue_count
        return StateChange(before, self.parts, tuple(rows), tuple(slots), tuple(positions))

    def _revert(self, before: StateParts, accounts: Iterable[CommittedAccount]) -> None:
        for account in accounts:
            self._put(account)
        del self.listings[before.listing_count :]
        self.listings_root, self.batch_number, self.queue_pointer = before.listings_root, before.batch_number, before.queue_pointer

    def _put(self, account: CommittedAccount) -> None:
        self.accounts[account.account.id] = account
        self.tree.set(account.account.id, account.leaf.hash)


def _touched(batch: OpenBatch) -> list[int]:
    """Accounts that need a row: those that changed, and those that another row refers to."""
    named = {use.account for use in batch.order_uses} | {entry.account for entry in batch.queue} | batch.withdrawals.keys() | batch.cancels.keys()
    for identifier in sorted(named - batch.start.keys()):
        raise LedgerError(f"account {identifier}: in the batch's rows but not among its touched accounts")
    return [identifier for identifier in sorted(batch.start) if identifier in named or batch.end[identifier] != batch.start[identifier]]


def _expect(*checks: tuple[str, int, int]) -> None:
    for name, found, expected in checks:
        if found != expected:
            raise LedgerError(f"{name}: {found}, expected {expected}")
