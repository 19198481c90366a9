"""The committed state: plain values and the trees over them, advanced by the sequencer's batches or rebuilt from layer-1 data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from straddle.commitments.accounts import AccountLeaf, empty_accounts_tree, leaf_hashes, positions_digests
from straddle.commitments.committed import CommittedAccount, LedgerError, SlotChain, SlotOpening, empty_committed_account, open_slots, replay_slots
from straddle.commitments.data import Body, Effects, QueueEntry
from straddle.commitments.layout import DataError
from straddle.commitments.listings import Listing, Listings
from straddle.commitments.params import params_hash
from straddle.commitments.rebuild import updated_accounts
from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, Account
from straddle.core.batch import OpenBatch, OrderUse
from straddle.core.instruments import Instrument
from straddle.core.params import Params
from straddle.primitives.hashing import sponge
from straddle.primitives.merkle import SparseMerkleTree, write_many

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
    """Every position, not zero before or after, of those accounts whose positions the batch opens, ascending."""


@dataclass(slots=True)
class CommittedState:
    """The state after a batch. `account(id)` gives values; `root` commits to them."""

    params: Params
    tree: SparseMerkleTree
    accounts: dict[int, CommittedAccount] = field(default_factory=dict)
    listed: Listings = field(default_factory=Listings)
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
    def listings(self) -> list[Instrument]:
        """Every instrument ever listed, by id: 1, 2, 3, ..."""
        return self.listed.instruments

    @property
    def listings_root(self) -> int:
        """Value of the listings chain."""
        return self.listed.root

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
        return CommittedState(self.params, self.tree.copy(), dict(self.accounts), self.listed.copy(), self.batch_number, self.queue_pointer)

    def apply_batch(self, batch: OpenBatch) -> StateChange:
        """Advance by a closed batch of the sequencer (its `end` is filled in).

        LedgerError when the batch does not start at this state, or when its order uses do not lead to the new slots.
        """
        self._check_continues(batch)
        listed = self._extended(batch.listings)
        uses: dict[int, list[tuple[int, OrderUse]]] = {}
        for index, use in enumerate(batch.order_uses):
            uses.setdefault(use.account, []).append((index, use))
        updates: list[CommittedAccount] = []
        chains: list[SlotChain] = []
        for identifier in _touched(batch):
            old, account = self.account(identifier), batch.end[identifier].copy()
            chain = replay_slots(old, uses.get(identifier, ()), self.params.slot_depth)
            if chain.slots != account.slots:
                raise LedgerError(f"account {identifier}: its order uses do not lead to its slots")
            if identifier not in batch.opened and account.positions != old.account.positions:
                raise LedgerError(f"account {identifier}: its positions change but the batch does not open them")
            updates.append(old.updated(account, chain.tree))
            chains.append(chain)
        return self._commit(updates, batch.opened, open_slots(chains), listed, len(batch.queue))

    def apply_data(self, effects: Effects, body: Body, queue: Sequence[QueueEntry]) -> StateChange:
        """Advance by what layer 1 holds of a batch alone; `queue` are the entries that layer 1 recorded for it.

        LedgerError at the first thing that does not fit; the state is then unchanged. The change's slot openings name no order (`use` is -1).
        """
        self._check_header(effects)
        listed, listed_before = self._extended(body.listings), self.listed
        updates, slots = updated_accounts(self.account, self.params, effects, body, queue, listed)
        replaced = [self.account(update.account.id) for update in updates]
        opened = {row.id for row in body.accounts if row.has_positions}
        change = self._commit(updates, opened, slots, listed, len(effects.queue))
        if self.root != effects.new_state_root:
            self._revert(change.before, listed_before, replaced)
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

    def _extended(self, words: Sequence[Listing]) -> Listings:
        try:
            return self.listed.extended(words)
        except DataError as error:
            raise LedgerError(str(error)) from error

    def _commit(
        self, updates: Sequence[CommittedAccount], opened: Collection[int], slots: Sequence[SlotOpening], listed: Listings, queue_count: int
    ) -> StateChange:
        """Write the new accounts, which ascend by id; their slots are in their trees."""
        before, identifiers = self.parts, [update.account.id for update in updates]
        accounts = [*map(self.account, identifiers), *updates]
        digests = positions_digests([item.account.positions for item in accounts])
        leaves = [item.leaf_with(digest) for item, digest in zip(accounts, digests, strict=True)]
        old, new = leaves[: len(updates)], leaves[len(updates) :]
        writes = write_many([(self.tree, identifier, leaf) for identifier, leaf in zip(identifiers, leaf_hashes(new), strict=True)])
        rows = [AccountOpening(identifiers[i], old[i], new[i], write.path) for i, write in enumerate(writes)]
        positions: list[PositionChange] = []
        for update in updates:
            if update.account.id in opened:
                positions += _position_changes(self.account(update.account.id).account, update.account)
        self.accounts.update(zip(identifiers, updates, strict=True))
        self.listed = listed
        self.batch_number += 1
        self.queue_pointer += queue_count
        return StateChange(before, self.parts, tuple(rows), tuple(slots), tuple(positions))

    def _revert(self, before: StateParts, listed: Listings, accounts: Iterable[CommittedAccount]) -> None:
        for account in accounts:
            self._put(account)
        self.listed, self.batch_number, self.queue_pointer = listed, before.batch_number, before.queue_pointer

    def _put(self, account: CommittedAccount) -> None:
        self.accounts[account.account.id] = account
        self.tree.set(account.account.id, account.leaf.hash)


def _position_changes(old: Account, new: Account) -> list[PositionChange]:
    instruments = sorted(old.positions.keys() | new.positions.keys())
    return [PositionChange(old.id, instrument, old.positions.get(instrument, 0), new.positions.get(instrument, 0)) for instrument in instruments]


def _touched(batch: OpenBatch) -> list[int]:
    """Accounts that need a row: those that changed, and those that another row refers to."""
    named = {use.account for use in batch.order_uses} | {entry.account for entry in batch.queue} | batch.withdrawals.keys() | batch.cancels.keys()
    named |= batch.transfers.keys() | {command.to for command in batch.transfers.values()} | batch.auctions.keys() | batch.forced.keys()
    named |= {id_ for takeover in batch.takeovers for id_ in (takeover.account, takeover.winner)}
    named |= {id_ for deleverage in batch.deleverages for id_ in (deleverage.account, deleverage.winner)}
    for identifier in sorted(named - batch.start.keys()):
        raise LedgerError(f"account {identifier}: in the batch's rows but not among its touched accounts")
    return [identifier for identifier in sorted(batch.start) if identifier in named or batch.end[identifier] != batch.start[identifier]]


def _expect(*checks: tuple[str, int, int]) -> None:
    for name, found, expected in checks:
        if found != expected:
            raise LedgerError(f"{name}: {found}, expected {expected}")
