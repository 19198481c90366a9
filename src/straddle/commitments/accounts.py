"""Account leaves, positions digests and order-slot trees (docs/protocol/state.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from straddle.commitments.layout import Layout, signed, unsigned
from straddle.core.accounts import Auction, Slot
from straddle.primitives.hashing import ascii_element, compress, compress_many, sponge, sponge_many
from straddle.primitives.merkle import SparseMerkleTree

EMPTY_POSITIONS_DIGEST = ascii_element("straddle.positions")
CASH_LIMIT = 1 << 63

POSITION_ITEM = Layout(unsigned("instrument", 32), signed("size", 41))
SLOT_NONCE = Layout(unsigned("nonce", 64), unsigned("revision", 16))
SLOT_FILLED = Layout(unsigned("filled", 40))
AUCTION = Layout(unsigned("start_ms", 48), unsigned("forced", 1), unsigned("limit_bps", 14))


class AccountLeaf(NamedTuple):
    """The thirteen values under an account's leaf, in their order."""

    owner: int = 0
    key_x: int = 0
    key_y: int = 0
    multiple_x: int = 0
    multiple_y: int = 0
    key_epoch: int = 0
    cash: int = 0
    positions_digest: int = EMPTY_POSITIONS_DIGEST
    orders_root: int = 0
    min_nonce: int = 0
    action_nonce: int = 0
    flags: int = 0
    auction: int = 0

    @property
    def hash(self) -> int:
        """The leaf (a negative cash is its field element)."""
        return sponge("straddle.account", self)


def positions_digest(positions: Mapping[int, int]) -> int:
    """Fold over the non-zero positions (instrument -> signed lots) by ascending instrument."""
    digest = EMPTY_POSITIONS_DIGEST
    for instrument in sorted(positions):
        if positions[instrument]:
            digest = compress(digest, POSITION_ITEM.pack("position", (instrument, positions[instrument])))
    return digest


def positions_digests(holdings: Sequence[Mapping[int, int]]) -> list[int]:
    """`positions_digest` of each, the first position of all of them hashed in one native call, then the second, and so on."""
    words = [[POSITION_ITEM.pack("position", item) for item in sorted(positions.items()) if item[1]] for positions in holdings]
    digests = [EMPTY_POSITIONS_DIGEST] * len(words)
    for place in range(max(map(len, words), default=0)):
        folded = [i for i, items in enumerate(words) if place < len(items)]
        for i, digest in zip(folded, compress_many([(digests[i], words[i][place]) for i in folded]), strict=True):
            digests[i] = digest
    return digests


def leaf_hashes(leaves: Sequence[AccountLeaf]) -> list[int]:
    """`hash` of each leaf, in one native call."""
    return sponge_many("straddle.account", leaves)


def slot_leaf(slot: Slot) -> int:
    """Leaf of an order slot; (0, 0, 0) is the untouched slot."""
    return compress(*_slot_words(slot))


def slot_leaves(slots: Sequence[Slot]) -> list[int]:
    """`slot_leaf` of each slot, in one native call."""
    return compress_many([_slot_words(slot) for slot in slots])


def _slot_words(slot: Slot) -> tuple[int, int]:
    return SLOT_NONCE.pack("slot", (slot.nonce, slot.revision)), SLOT_FILLED.pack("slot", (slot.filled,))


def auction_word(auction: Auction | None) -> int:
    """The auction field of a leaf; 0 while the portfolio is not for sale."""
    return 0 if auction is None else AUCTION.pack("auction", (auction.start_ms, int(auction.forced), auction.limit_bps))


def empty_orders_tree(slot_depth: int) -> SparseMerkleTree:
    """A fresh tree of untouched slots."""
    return SparseMerkleTree(slot_depth, slot_leaf(Slot(0, 0, 0)))


@cache
def empty_account(slot_depth: int) -> AccountLeaf:
    """Values of an account that does not exist."""
    return AccountLeaf(orders_root=empty_orders_tree(slot_depth).root)


def empty_accounts_tree(account_depth: int, slot_depth: int) -> SparseMerkleTree:
    """A fresh tree of accounts that do not exist."""
    return SparseMerkleTree(account_depth, empty_account(slot_depth).hash)
