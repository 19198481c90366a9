"""Sparse Merkle trees of field elements. Bit k of an index (k = 0 lowest) says whether the node at level k is a right child.

One write after the other hashes `depth` nodes that wait for each other. `write_many` gives the same paths and roots, but hashes level by level: what a write
finds beside its path is either untouched or comes from an earlier write's nodes at the same level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from straddle.primitives import native
from straddle.primitives.field import WORD_BYTES, decode, decode_all, encode, encode_all

MAX_DEPTH = 63


class _Node(NamedTuple):
    """Immutable, so that copies of a tree share what they have in common. A missing child is an untouched subtree."""

    hash: bytes
    left: _Node | None = None
    right: _Node | None = None


class SparseMerkleTree:
    """A tree of 2^depth leaves, `default_leaf` where nothing was set. Memory: about `depth` nodes for a leaf set; a copy costs nothing."""

    __slots__ = ("_defaults", "_root", "depth")

    def __init__(self, depth: int, default_leaf: int) -> None:
        if not 0 <= depth <= MAX_DEPTH:
            raise ValueError(f"depth: {depth}, expected 0 to {MAX_DEPTH}")
        self.depth = depth
        self._defaults = _default_hashes(depth, encode("default_leaf", default_leaf))
        self._root: _Node | None = None

    @classmethod
    def from_leaves(cls, depth: int, default_leaf: int, leaves: Mapping[int, int]) -> SparseMerkleTree:
        """The tree with these leaves (index -> leaf) set, hashing each node once and each level in one native call."""
        tree = cls(depth, default_leaf)
        nodes: dict[int, _Node] = {}
        for index, leaf in leaves.items():
            tree._check_index(index)
            nodes[index] = _Node(encode(f"leaves[{index}]", leaf))
        for level in range(depth if nodes else 0):
            default = tree._defaults[level]
            parents = sorted({index >> 1 for index in nodes})
            children = [(nodes.get(2 * parent), nodes.get(2 * parent + 1)) for parent in parents]
            hashes = native.compress_many(b"".join([_hash(child, default) for pair in children for child in pair]))
            nodes = {
                parent: _Node(hashes[i * WORD_BYTES : (i + 1) * WORD_BYTES], left, right)
                for i, (parent, (left, right)) in enumerate(zip(parents, children, strict=True))
            }
        tree._root = nodes.get(0)
        return tree

    @property
    def root(self) -> int:
        """The root."""
        return decode(_hash(self._root, self._defaults[self.depth]))

    def get(self, index: int) -> int:
        """The leaf at `index`."""
        return decode(_hash(self._descend(index)[-1], self._defaults[0]))

    def path(self, index: int) -> tuple[int, ...]:
        """The `depth` siblings of the leaf at `index`, from the leaf up."""
        siblings = self._siblings(index, self._descend(index))
        return tuple(decode(_hash(node, self._defaults[level])) for level, node in enumerate(siblings))

    def set(self, index: int, leaf: int) -> None:
        """Write a leaf and the nodes above it."""
        encoded = encode("leaf", leaf)
        siblings = self._siblings(index, self._descend(index))
        hashes = native.merkle_path(encoded, index, b"".join([_hash(node, self._defaults[level]) for level, node in enumerate(siblings)]))
        node = _Node(hashes[:WORD_BYTES])
        for level, sibling in enumerate(siblings):
            own = hashes[(level + 1) * WORD_BYTES : (level + 2) * WORD_BYTES]
            node = _Node(own, sibling, node) if index >> level & 1 else _Node(own, node, sibling)
        self._root = node

    def copy(self) -> SparseMerkleTree:
        """An independent copy, in constant time."""
        twin = SparseMerkleTree.__new__(SparseMerkleTree)
        twin.depth, twin._defaults, twin._root = self.depth, self._defaults, self._root
        return twin

    @staticmethod
    def fold(leaf: int, index: int, path: Sequence[int]) -> int:
        """The root that a leaf at `index` has under a path of siblings."""
        if len(path) > MAX_DEPTH:
            raise ValueError(f"path: {len(path)} siblings, expected at most {MAX_DEPTH}")
        return decode(native.merkle_path(encode("leaf", leaf), index, encode_all("path", path))[-WORD_BYTES:])

    def _descend(self, index: int) -> list[_Node | None]:
        """The nodes from the root down to the leaf at `index`."""
        self._check_index(index)
        node = self._root
        nodes = [node]
        for level in reversed(range(self.depth)):
            if node is not None:
                node = node.right if index >> level & 1 else node.left
            nodes.append(node)
        return nodes

    def _siblings(self, index: int, nodes: list[_Node | None]) -> list[_Node | None]:
        """The siblings along a descent, from the leaf up."""
        siblings: list[_Node | None] = []
        for child_level, parent in enumerate(reversed(nodes[:-1])):
            siblings.append(None if parent is None else parent.left if index >> child_level & 1 else parent.right)
        return siblings

    def _check_index(self, index: int) -> None:
        if not isinstance(index, int):
            raise TypeError(f"index: {index!r}, expected an integer")
        if not 0 <= index < 1 << self.depth:
            raise ValueError(f"index: {index}, expected 0 to {(1 << self.depth) - 1}")


class Write(NamedTuple):
    """What one write to a tree met: the siblings of its leaf from the leaf up, and the roots before and after it."""

    path: tuple[int, ...]
    root_old: int
    root_new: int


def write_many(writes: Sequence[tuple[SparseMerkleTree, int, int]]) -> list[Write]:
    """Writes leaves, (tree, index, leaf) each, in order; all trees have one depth and one default leaf, and a tree may come several times.

    As `path` and `set` of each in turn, but each level of all of them is hashed in one native call.
    """
    if not writes:
        return []
    depth, defaults = writes[0][0].depth, writes[0][0]._defaults
    if any(tree._defaults != defaults for tree, _, _ in writes):
        raise ValueError("writes: to trees of several depths or default leaves, expected one")
    trees = {id(tree): i << depth for i, (tree, _, _) in enumerate(writes)}  # told apart above the bits of an index
    keys = [trees[id(tree)] | index for tree, index, _ in writes]
    untouched = [tree._siblings(index, tree._descend(index)) for tree, index, _ in writes]
    roots = {id(tree): _hash(tree._root, defaults[depth]) for tree, _, _ in writes}
    hashes = [encode(f"writes[{i}].leaf", leaf) for i, (_, _, leaf) in enumerate(writes)]
    nodes = {key: _Node(own) for key, own in zip(keys, hashes, strict=True)}  # the last at its place
    paths = []
    for level in range(depth):
        latest: dict[int, bytes] = {}
        siblings, pairs = [], []
        for key, own, beside in zip(keys, hashes, untouched, strict=True):
            sibling = latest.get(key ^ 1)
            if sibling is None:
                sibling = _hash(beside[level], defaults[level])
            latest[key] = own
            siblings.append(sibling)
            pairs.append(sibling + own if key & 1 else own + sibling)
        paths.append(decode_all(b"".join(siblings)))
        above = native.compress_many(b"".join(pairs))
        hashes = [above[i : i + WORD_BYTES] for i in range(0, len(above), WORD_BYTES)]
        nodes = _parents(level, keys, hashes, nodes, untouched)
        keys = [key >> 1 for key in keys]
    return _written(writes, paths, hashes, roots, nodes)


def _parents(
    level: int, keys: Sequence[int], hashes: Sequence[bytes], nodes: Mapping[int, _Node], untouched: Sequence[Sequence[_Node | None]]
) -> dict[int, _Node]:
    """The last node at each place above: its children are the last ones there, or what was there before."""
    last = {key >> 1: i for i, key in enumerate(keys)}
    parents = {}
    for place, i in last.items():
        key = keys[i]
        sibling = nodes.get(key ^ 1, untouched[i][level])
        parents[place] = _Node(hashes[i], sibling, nodes[key]) if key & 1 else _Node(hashes[i], nodes[key], sibling)
    return parents


def _written(
    writes: Sequence[tuple[SparseMerkleTree, int, int]],
    paths: Sequence[Sequence[int]],
    hashes: Sequence[bytes],
    roots: dict[int, bytes],
    nodes: Mapping[int, _Node],
) -> list[Write]:
    """Puts the new roots, which are all that is left of `nodes`, into the trees."""
    results = []
    for i, ((tree, _, _), root) in enumerate(zip(writes, hashes, strict=True)):
        results.append(Write(tuple([level[i] for level in paths]), decode(roots[id(tree)]), decode(root)))
        roots[id(tree)] = root
    for tree, place in {id(tree): (tree, i) for i, (tree, _, _) in enumerate(writes)}.values():
        tree._root = nodes[place]
    return results


def _hash(node: _Node | None, default: bytes) -> bytes:
    return default if node is None else node.hash


@lru_cache(maxsize=64)
def _default_hashes(depth: int, default_leaf: bytes) -> tuple[bytes, ...]:
    """By level: the root of an untouched subtree."""
    hashes = [default_leaf]
    for _ in range(depth):
        hashes.append(native.compress_many(hashes[-1] * 2))
    return tuple(hashes)
