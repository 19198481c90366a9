from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress, compress_many
from straddle.primitives.merkle import MAX_DEPTH, SparseMerkleTree, Write, write_many

from .reference import integers, vectors


@pytest.mark.parametrize("position", range(len(vectors("hashing")["trees"])))
def test_tree_vectors(position: int) -> None:
    v = vectors("hashing")["trees"][position]
    tree = SparseMerkleTree(v["depth"], int(v["default_leaf"]))
    assert tree.root == int(v["empty_root"])
    leaves = {leaf["index"]: int(leaf["leaf"]) for leaf in v["leaves"]}
    for leaf in v["leaves"]:
        tree.set(leaf["index"], int(leaf["leaf"]))
    assert tree.root == int(v["root"])
    assert tree.path(v["path_index"]) == tuple(integers(v["path"]))
    assert SparseMerkleTree.from_leaves(v["depth"], int(v["default_leaf"]), leaves).root == int(v["root"])
    assert SparseMerkleTree.fold(leaves[v["path_index"]], v["path_index"], integers(v["path"])) == int(v["root"])


def dense_root(leaves: list[int]) -> int:
    while len(leaves) > 1:
        leaves = compress_many(list(zip(leaves[::2], leaves[1::2], strict=True)))
    return leaves[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 5)), max_size=12))
def test_agrees_with_a_dense_tree(writes: list[tuple[int, int]]) -> None:
    default = 3  # which some writes put back
    tree, leaves = SparseMerkleTree(4, default), [default] * 16
    for index, leaf in writes:
        before, old_root = tree.copy(), tree.root
        tree.set(index, leaf)
        assert (before.root, before.get(index)) == (old_root, leaves[index])
        leaves[index] = leaf
        assert tree.root == dense_root(leaves)
    assert [tree.get(i) for i in range(16)] == leaves
    assert all(SparseMerkleTree.fold(leaves[i], i, tree.path(i)) == tree.root for i in range(16))
    assert SparseMerkleTree.from_leaves(4, default, dict(enumerate(leaves))).root == tree.root


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 63), st.integers(0, 5)), max_size=20),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 63), st.integers(0, 5)), max_size=40),
)
def test_many_writes_are_those_of_each(depth: int, before: list[tuple[int, int, int]], writes: list[tuple[int, int, int]]) -> None:
    trees = [SparseMerkleTree(depth, 3) for _ in range(3)]
    for which, index, leaf in before:
        trees[which].set(index % (1 << depth), leaf)
    trees[2] = trees[0].copy()  # shares nodes
    plain, expected = [tree.copy() for tree in trees], []
    for which, index, leaf in writes:
        tree, place = plain[which], index % (1 << depth)
        root_old, path = tree.root, tree.path(place)
        tree.set(place, leaf)
        expected.append(Write(path, root_old, tree.root))
    assert write_many([(trees[which], index % (1 << depth), leaf) for which, index, leaf in writes]) == expected
    for one, other in zip(trees, plain, strict=True):
        assert one.root == other.root
        assert [(one.get(i), one.path(i)) for i in range(1 << depth)] == [(other.get(i), other.path(i)) for i in range(1 << depth)]
        one.set(0, 9)  # the nodes fit together
        other.set(0, 9)
        assert one.root == other.root


def test_copies_are_independent_both_ways() -> None:
    tree = SparseMerkleTree(20, 0)
    tree.set(5, 1)
    twin = tree.copy()
    tree.set(6, 2)
    twin.set(6, 3)
    assert (tree.get(6), twin.get(6), tree.get(5), twin.get(5)) == (2, 3, 1, 1)
    twin.set(6, 2)
    assert twin.root == tree.root


def test_trees_from_leaves_can_be_written() -> None:
    tree = SparseMerkleTree.from_leaves(8, 0, {1: 10, 200: 20})
    assert tree.path(0)[0] == 10
    tree.set(1, 0)
    tree.set(200, 0)
    assert tree.root == SparseMerkleTree(8, 0).root == SparseMerkleTree.from_leaves(8, 0, {}).root


def test_lowest_bit_chooses_the_side_next_to_the_leaf() -> None:
    tree = SparseMerkleTree(2, 0)
    tree.set(1, 7)
    assert tree.root == compress(compress(0, 7), compress(0, 0))
    tree.set(2, 9)
    assert tree.root == compress(compress(0, 7), compress(9, 0))
    assert tree.path(2) == (0, compress(0, 7))


def test_bad_arguments() -> None:
    tree = SparseMerkleTree(3, 0)
    for depth in (-1, MAX_DEPTH + 1):
        with pytest.raises(ValueError, match="depth: "):
            SparseMerkleTree(depth, 0)
    for index in (-1, 8):
        for act in (tree.get, tree.path, lambda i: tree.set(i, 1), lambda i: SparseMerkleTree.fold(1, i, [0, 0, 0])):
            with pytest.raises(ValueError, match=f"index: {index}, expected 0 to 7"):
                act(index)
    with pytest.raises(ValueError, match=r"leaf: "):
        tree.set(0, MODULUS)
    with pytest.raises(ValueError, match=r"path\[1\]: "):
        SparseMerkleTree.fold(0, 0, [0, MODULUS])
    with pytest.raises(ValueError, match="path: 64 siblings"):
        SparseMerkleTree.fold(0, 0, [0] * 64)
    with pytest.raises(TypeError, match="index: "):
        tree.get("1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="index: 8, expected 0 to 7"):
        write_many([(tree, 0, 1), (tree, 8, 1)])
    with pytest.raises(ValueError, match=r"writes\[1\].leaf: "):
        write_many([(tree, 0, 1), (tree, 1, MODULUS)])
    with pytest.raises(ValueError, match="several depths or default leaves"):
        write_many([(tree, 0, 1), (SparseMerkleTree(3, 1), 0, 1)])
    assert tree.root == SparseMerkleTree(3, 0).root
