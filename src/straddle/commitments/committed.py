"""An account with the trees under its leaf, and what a batch's proof needs to see of its updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.commitments.accounts import AccountLeaf, auction_word, empty_orders_tree, positions_digest, slot_leaves
from straddle.core.accounts import EMPTY_SLOT, NO_KEY, Account, PublicKey, Slot
from straddle.core.batch import OrderUse
from straddle.primitives.keys import key_multiple
from straddle.primitives.merkle import SparseMerkleTree, write_many


class LedgerError(ValueError):
    """A batch that does not continue this state; nothing was changed. The message names what differs."""


@dataclass(frozen=True, slots=True)
class CommittedAccount:
    """An account with its order-slot tree. Treated as immutable: an update is a new object."""

    account: Account
    multiple: PublicKey
    orders: SparseMerkleTree

    @property
    def leaf(self) -> AccountLeaf:
        """The values under its leaf."""
        return self.leaf_with(positions_digest(self.account.positions))

    def leaf_with(self, digest: int) -> AccountLeaf:
        """The values under its leaf; `digest` is that of its positions."""
        a = self.account
        return AccountLeaf(
            owner=a.owner,
            key_x=a.key.x,
            key_y=a.key.y,
            multiple_x=self.multiple.x,
            multiple_y=self.multiple.y,
            key_epoch=a.key_epoch,
            cash=a.cash,
            positions_digest=digest,
            orders_root=self.orders.root,
            min_nonce=a.min_nonce,
            action_nonce=a.action_nonce,
            auction=auction_word(a.auction),
        )

    def updated(self, account: Account, orders: SparseMerkleTree) -> CommittedAccount:
        """The account with new values and slots; the multiple follows the key."""
        return CommittedAccount(account, self.multiple if account.key == self.account.key else multiple_of(account.key), orders)


@dataclass(frozen=True, slots=True)
class SlotOpening:
    """One slot update: row `step` of its account's chain. `use` is the index of its order in the batch's `order_uses`."""

    use: int
    account: int
    step: int
    old: Slot
    new: Slot
    path: tuple[int, ...]
    root_old: int
    root_new: int


def empty_committed_account(identifier: int, slot_depth: int) -> CommittedAccount:
    """An account that does not exist."""
    return CommittedAccount(Account(identifier), NO_KEY, empty_orders_tree(slot_depth))


def multiple_of(key: PublicKey) -> PublicKey:
    """2^64 times the key; the unset key's is itself."""
    return NO_KEY if key == NO_KEY else PublicKey(*key_multiple(key))


def next_slot(slot: Slot, nonce: int, revision: int, fill: int) -> Slot:
    """The slot after an order (nonce, revision) filled `fill` more lots; LedgerError when the slot is past that order."""
    if (nonce, revision) < (slot.nonce, slot.revision):
        raise LedgerError(f"order nonce {nonce} revision {revision}: its slot already holds nonce {slot.nonce} revision {slot.revision}")
    return Slot(nonce, revision, fill + (slot.filled if nonce == slot.nonce else 0))


class SlotChain:
    """Updates of one account's slots in their order; `open_slots` writes them into its tree."""

    def __init__(self, old: CommittedAccount, slot_depth: int) -> None:
        self.account = old.account.id
        self.slots = dict(old.account.slots)
        self.tree = old.orders.copy()
        self.steps: list[tuple[int, int, Slot, Slot]] = []
        """Use, index, old and new slot of each update."""
        self._slot_count = 1 << slot_depth

    def slot(self, nonce: int) -> Slot:
        """What the nonce's slot holds now."""
        return self.slots.get(nonce % self._slot_count, EMPTY_SLOT)

    def advance(self, new: Slot, use: int = -1) -> None:
        """Write `new` into its slot."""
        index = new.nonce % self._slot_count
        self.steps.append((use, index, self.slots.get(index, EMPTY_SLOT), new))
        self.slots[index] = new


def open_slots(chains: Sequence[SlotChain]) -> list[SlotOpening]:
    """Writes the updates of several accounts into their trees, all of them hashed together; one opening for each, chain after chain."""
    steps = [(chain, step, *update) for chain in chains for step, update in enumerate(chain.steps)]
    leaves = slot_leaves([new for *_, new in steps])
    writes = write_many([(chain.tree, index, leaf) for (chain, _, _, index, _, _), leaf in zip(steps, leaves, strict=True)])
    return [SlotOpening(use, chain.account, step, old, new, *write) for (chain, step, use, _, old, new), write in zip(steps, writes, strict=True)]


def replay_slots(old: CommittedAccount, uses: Sequence[tuple[int, OrderUse]], slot_depth: int) -> SlotChain:
    """The updates of the account's slots by its order uses."""
    chain = SlotChain(old, slot_depth)
    for index, use in uses:
        slot = next_slot(chain.slot(use.order.nonce), use.order.nonce, use.order.revision, use.fill)
        if slot.filled > use.order.size_lots:
            raise LedgerError(f"account {use.account} order nonce {slot.nonce}: {slot.filled} lots filled, expected at most {use.order.size_lots}")
        chain.advance(slot, index)
    return chain
