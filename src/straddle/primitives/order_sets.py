"""Trees of order sets, and signed sets checked many at once (docs/protocol/hashing.md). An order is its two words (terms, legs)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from straddle.primitives import keys, native
from straddle.primitives.field import WORD_BYTES, check_element, decode, decode_all, encode_all
from straddle.primitives.hashing import compress
from straddle.primitives.points import PublicKey, Signature

DEPTH = 6
ORDER_BYTES = 2 * WORD_BYTES


class SignedSet(NamedTuple):
    """A set as its owner signed it."""

    key: PublicKey
    head: tuple[int, int, int, int]
    """The message before the set's root: domain, kind, account, key epoch. After the root there is a 0."""
    orders: bytes
    """terms and legs of one order after the other, encoded."""
    signature: Signature


def set_root(orders: bytes) -> int:
    """The root of the tree over 1 to 64 orders, given as (terms, legs) of one after the other, encoded. ValueError for a word that is no field element."""
    return decode(native.order_set(orders)[-WORD_BYTES:])


def set_levels(orders: bytes) -> list[list[int]]:
    """The nodes of a set's tree, from the leaves (the orders' ids) to the root, without the empty nodes to their right."""
    nodes = decode_all(native.order_set(orders))
    levels, size = [], len(orders) // ORDER_BYTES
    for _ in range(DEPTH + 1):
        levels.append(nodes[:size])
        del nodes[:size]
        size = (size + 1) // 2
    return levels


def set_path(levels: Sequence[Sequence[int]], index: int) -> tuple[int, ...]:
    """The 6 siblings of order `index`, from the leaf up; 0 where there is none."""
    if not 0 <= index < len(levels[0]):
        raise IndexError(f"index: {index}, expected 0 to {len(levels[0]) - 1}")
    siblings = []
    for level in range(DEPTH):
        sibling = index >> level ^ 1
        siblings.append(levels[level][sibling] if sibling < len(levels[level]) else 0)
    return tuple(siblings)


def fold_set(leaf: int, index: int, path: Sequence[int]) -> int:
    """The root that a leaf at `index` has under a path of siblings: an empty right side, 0, passes the left one through."""
    node = leaf
    check_element("leaf", leaf)
    for level, sibling in enumerate(path):
        left, right = (sibling, node) if index >> level & 1 else (node, sibling)
        node = compress(left, right) if right else left
    return node


def check_sets(sets: Sequence[SignedSet]) -> list[tuple[int, bool]]:
    """The root of each set and whether its signature is valid, in one native call on all cores without the interpreter's lock.

    What is valid is remembered: `keys.verify` of the same message is a look-up then. ValueError for a word that is no field element.
    """
    points, heads, signatures = [], [], []
    encodable = []
    for i, item in enumerate(sets):
        point, signature = keys.encode_integers("key", item.key), keys.encode_integers("signature", item.signature.integers)
        encodable.append(point is not None and signature is not None)
        points.append(point or bytes(native.POINT_BYTES))
        signatures.append(signature or bytes(native.SIGNATURE_BYTES))
        heads.append(encode_all(f"sets[{i}].head", item.head))
    sizes, orders = [len(item.orders) // ORDER_BYTES for item in sets], b"".join([item.orders for item in sets])
    roots, valid = native.check_sets(sizes, b"".join(points), b"".join(heads), orders, b"".join(signatures))
    checked = []
    for item, root, flag, encoded in zip(sets, decode_all(roots), valid, encodable, strict=True):
        checked.append((root, flag == 1 and encoded))
        if checked[-1][1]:
            keys.remember_valid(item.key, (*item.head, root, 0), item.signature)
    return checked
