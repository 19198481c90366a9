"""Order-set trees and signed sets against the shared vectors, plain Python and one-by-one verification."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.primitives import keys, native, order_sets
from straddle.primitives.field import MODULUS, encode_all
from straddle.primitives.hashing import compress
from straddle.primitives.keys import SecretKey, verify, verify_many
from straddle.primitives.order_sets import SignedSet, check_sets, fold_set, set_levels, set_path, set_root
from straddle.primitives.points import NO_KEY, Signature

from .reference import integers, vectors

KEY, OTHER = SecretKey.from_seed(b"one"), SecretKey.from_seed(b"other")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    keys.VALID.clear()
    yield
    keys.VALID.clear()


def plain_root(leaves: list[int]) -> int:
    nodes = leaves + [0] * (64 - len(leaves))
    while len(nodes) > 1:
        nodes = [compress(left, right) if right else left for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]


def words(*integers: int) -> bytes:
    return encode_all("words", integers)


def signed(orders: bytes, account: int = 3, key: SecretKey = KEY) -> SignedSet:
    head = (77, 1, account, 1)
    return SignedSet(key.public, head, orders, key.sign((*head, set_root(orders), 0)))


@pytest.mark.parametrize("position", range(len(vectors("hashing")["sets"])))
def test_vectors(position: int) -> None:
    v = vectors("hashing")["sets"][position]
    leaves, path = integers(v["leaves"]), integers(v["path"])
    assert plain_root(leaves) == int(v["root"])
    assert fold_set(leaves[v["index"]], v["index"], path) == int(v["root"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, MODULUS - 1), min_size=1, max_size=64), st.integers(0, 2**248))
def test_trees_agree_with_their_definition(terms: list[int], legs: int) -> None:
    orders = words(*(word for term in terms for word in (term, legs)))
    leaves = [compress(term, legs) for term in terms]
    levels = set_levels(orders)
    assert levels[0] == leaves
    assert [set_root(orders)] == levels[-1] == [plain_root(leaves)]
    assert all(fold_set(leaf, i, set_path(levels, i)) == levels[-1][0] for i, leaf in enumerate(leaves))


def test_one_order_is_its_own_root() -> None:
    assert set_root(words(5, 6)) == compress(5, 6)
    assert set_path(set_levels(words(5, 6)), 0) == (0,) * 6
    assert fold_set(9, 2, (0, 4)) == compress(4, 9), "an empty right side passes the left one through, an empty left side does not"
    assert fold_set(9, 1, (0,)) == compress(0, 9)


@pytest.mark.parametrize("count", [0, 65])
def test_a_set_has_1_to_64_orders(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64"):
        set_root(words(1, 2) * count)


def test_words_are_checked() -> None:
    with pytest.raises(ValueError, match="not below the field's modulus"):
        set_root(words(1) + MODULUS.to_bytes(32, "big"))
    with pytest.raises(ValueError, match="orders: 96 bytes, expected 64"):
        check_sets([signed(words(1, 2))._replace(orders=words(1, 2, 3))])
    with pytest.raises(ValueError, match="orders: 96 bytes"):
        native.order_set(bytes(96))
    with pytest.raises(IndexError, match="index: 1, expected 0 to 0"):
        set_path(set_levels(words(1, 2)), 1)


def test_sets_are_checked_together() -> None:
    good = [signed(words(i, i + 1) * (1 + 9 * i), account=i) for i in range(7)]
    wrong_key = good[1]._replace(key=OTHER.public)
    spoiled = [
        good[0]._replace(orders=words(1, 1)),
        good[2]._replace(head=(78, *good[2].head[1:])),
        wrong_key,
        good[3]._replace(signature=replace(good[3].signature, s=good[3].signature.s ^ 1)),
        good[3]._replace(signature=replace(good[3].signature, s=2**256)),
        good[3]._replace(signature=Signature(MODULUS, 1, 1)),
        good[4]._replace(key=NO_KEY),
    ]
    checked = check_sets([*good, *spoiled])
    assert [valid for _, valid in checked] == [True] * len(good) + [False] * len(spoiled)
    assert [root for root, _ in checked] == [set_root(item.orders) for item in (*good, *spoiled)]
    assert check_sets([]) == []


def test_what_is_valid_is_remembered_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    item, forged = signed(words(1, 2)), signed(words(3, 4))._replace(key=OTHER.public)
    check_sets([item, forged])
    monkeypatch.setattr(native, "verify_many", lambda *_: b"\0")  # from here on only what is remembered is valid
    message = (*item.head, set_root(item.orders), 0)
    assert verify(item.key, message, item.signature)
    for i in range(6):
        assert not verify(item.key, (*message[:i], message[i] + 1, *message[i + 1 :]), item.signature)
    assert not verify(OTHER.public, message, item.signature)
    assert not verify(item.key, message, replace(item.signature, s=item.signature.s + 1))
    assert not verify(forged.key, (*forged.head, set_root(forged.orders), 0), forged.signature)


def test_memory_is_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys.VALID, "capacity", 3)
    signatures = [(KEY.public, (1, 2, 3, 4, 5, i), KEY.sign((1, 2, 3, 4, 5, i))) for i in range(5)]
    assert all(verify_many(signatures))
    assert [i for i, (key, words, signature) in enumerate(signatures) if keys.VALID.get((*key, *words, *signature.integers))] == [2, 3, 4]
    assert all(verify(*item) for item in signatures)


def test_threads_check_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys.VALID, "capacity", 10)
    sets = [signed(words(i, 1), account=i) for i in range(20)]
    results: list[list[tuple[int, bool]]] = []
    threads = [threading.Thread(target=lambda: results.append(order_sets.check_sets(sets))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[(compress(i, 1), True) for i in range(20)]] * 4
    assert len(keys.VALID) == 10
