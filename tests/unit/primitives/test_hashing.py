from __future__ import annotations

import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import ascii_element, compress, compress_many, keccak256, keccak256_many, keccak_mod_248, sponge, sponge_many

from . import reference
from .reference import integers, vectors

elements = st.integers(0, MODULUS - 1)


def test_compress_vectors() -> None:
    pairs = [(int(v["left"]), int(v["right"])) for v in vectors("hashing")["compress"]]
    expected = [int(v["out"]) for v in vectors("hashing")["compress"]]
    assert [compress(*pair) for pair in pairs] == expected
    assert compress_many(pairs * 9) == expected * 9  # enough for several threads
    assert compress_many([]) == []


def test_sponge_vectors() -> None:
    for v in vectors("hashing")["sponge"]:
        assert sponge(v["tag"], integers(v["words"])) == int(v["out"]), (v["tag"], len(v["words"]))


@settings(max_examples=20, deadline=None)
@given(elements, elements)
def test_compress_agrees_with_a_plain_one(left: int, right: int) -> None:
    assert compress(left, right) == reference.compress(left, right)


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24), st.lists(elements, min_size=1, max_size=47))
def test_sponge_agrees_with_a_plain_one(tag: str, words: list[int]) -> None:
    assert sponge(tag, words) == reference.sponge(tag, words)


def test_order_tag_and_length_matter() -> None:
    assert compress(1, 2) != compress(2, 1)
    assert len({sponge("a", [1, 2]), sponge("a", [2, 1]), sponge("b", [1, 2]), sponge("a", [1, 2, 0]), sponge("a", [0, 1, 2]), sponge("a", [1])}) == 6


def test_negative_integers_stand_for_their_elements() -> None:
    assert sponge("a", [-5, 3]) == sponge("a", [MODULUS - 5, 3])
    assert compress(-1, 0) == compress(MODULUS - 1, 0)


@pytest.mark.parametrize("tag", ["", "x" * 25, "café", "a\x00", "a\n"])
def test_bad_tags(tag: str) -> None:
    with pytest.raises(ValueError, match="tag: "):
        sponge(tag, [1])
    with pytest.raises(ValueError, match="tag: "):
        ascii_element(tag)


def test_bad_words() -> None:
    with pytest.raises(ValueError, match="words: none"):
        sponge("a", [])
    with pytest.raises(ValueError, match=r"words\[2\]: "):
        sponge("a", [0, 1, MODULUS])
    with pytest.raises(ValueError, match="right: "):
        compress(0, MODULUS)
    with pytest.raises(TypeError, match="left: "):
        compress("0", 0)  # type: ignore[arg-type]


def test_ascii_element() -> None:
    assert ascii_element("straddle.positions") == int.from_bytes(b"straddle.positions", "big")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 34), st.integers(0, 70), st.data())
def test_sponges_of_many_rows_are_those_of_each(width: int, count: int, data: st.DataObject) -> None:
    first = data.draw(elements)
    rows = [[(first + 7 * i * j) % MODULUS for j in range(width)] for i in range(count)]
    assert sponge_many("rows", rows) == [sponge("rows", row) for row in rows]


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows\[1\]: 1 words, expected 2"):
        sponge_many("a", [[1, 2], [3]])
    with pytest.raises(ValueError, match="words: none under tag 'a'"):
        sponge_many("a", [[]])
    with pytest.raises(ValueError, match=r"rows\[1\]\[0\]: "):
        sponge_many("a", [[1], [MODULUS]])


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=9))
def test_keccak_of_many(pieces: list[bytes]) -> None:
    assert keccak256_many(pieces) == [keccak(piece) for piece in pieces]


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_keccak(data: bytes) -> None:
    assert keccak256(data) == keccak(data)
    assert keccak_mod_248(data) == int.from_bytes(keccak(data), "big") % 2**248


def test_keccak_of_nothing() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
