from __future__ import annotations

import dataclasses
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from straddle.core import accounts, orders
from straddle.primitives import keys
from straddle.primitives.field import MODULUS
from straddle.primitives.keys import NO_KEY, SUBGROUP_ORDER, PublicKey, SecretKey, Signature, is_valid_key, key_multiple, verify, verify_many

from . import reference
from .reference import GENERATOR, integers, vectors

WORDS = (11, 1, 3, 0, 12345, 0)
KEY = SecretKey.from_seed(b"test key")
SIGNATURE_VECTORS = vectors("signatures")["signatures"]


def arguments(v: Any) -> tuple[PublicKey, list[int], Signature]:
    return PublicKey(*integers(v["public"])), integers(v["words"]), Signature(*integers(v["signature"]))


def test_curve_constants() -> None:
    assert int(vectors("signatures")["order"]) == SUBGROUP_ORDER == reference.ORDER
    assert tuple(integers(vectors("signatures")["generator"])) == GENERATOR
    assert reference.multiply(GENERATOR, SUBGROUP_ORDER) == reference.IDENTITY


@pytest.mark.parametrize("v", vectors("signatures")["keys"], ids=lambda v: v["secret"])
def test_key_vectors(v: Any) -> None:
    key = SecretKey(int(v["secret"]))
    assert key.public == tuple(integers(v["public"])) == reference.multiply(GENERATOR, key.value)
    assert key.base == tuple(integers(v["base"]))
    assert reference.multiply(key.base, 8) == key.public
    assert key_multiple(key.public) == tuple(integers(v["multiple"])) == reference.multiply(key.public, 2**64)


@pytest.mark.parametrize("v", SIGNATURE_VECTORS, ids=lambda v: v["name"])
def test_signature_vectors(v: Any) -> None:
    public, words, signature = arguments(v)
    assert verify(public, words, signature) is v["valid"]
    if v["secret"]:
        assert SecretKey(int(v["secret"])).sign(words) == signature
        assert reference.sign(int(v["secret"]), words) == (signature.r_x, signature.r_y, signature.s)


def test_verify_many_agrees_with_the_vectors() -> None:
    assert verify_many([arguments(v) for v in SIGNATURE_VECTORS] * 3) == [v["valid"] for v in SIGNATURE_VECTORS] * 3
    assert verify_many([]) == []


def test_verification_does_not_depend_on_what_was_verified_before() -> None:
    """The library remembers keys and makes tables for those used often: every vector again and again, then after more keys than it remembers."""
    expected = [v["valid"] for v in SIGNATURE_VECTORS]
    for _ in range(6):
        assert [verify(*arguments(v)) for v in SIGNATURE_VECTORS] == expected
    flood = [SecretKey(1 + n) for n in range(1100)]  # MaxCachedKeys is 1,024
    signature = KEY.sign(WORDS)
    assert verify_many([(key.public, WORDS, signature) for key in flood]) == [False] * len(flood)
    assert [verify(*arguments(v)) for v in SIGNATURE_VECTORS] == expected


def test_verification_in_several_threads() -> None:
    items = [arguments(v) for v in SIGNATURE_VECTORS]
    expected = [v["valid"] for v in SIGNATURE_VECTORS]
    with ThreadPoolExecutor(4) as pool:
        single = [pool.submit(verify, *item) for item in items * 3]
        many = [pool.submit(verify_many, items) for _ in range(4)]
    assert [future.result() for future in single] == expected * 3
    assert [future.result() for future in many] == [expected] * 4


def test_a_signature_is_bound_to_key_and_words() -> None:
    signature = KEY.sign(WORDS)
    assert verify(KEY.public, WORDS, signature)
    assert KEY.sign(WORDS) == signature
    for i in range(6):
        assert not verify(KEY.public, [*WORDS[:i], WORDS[i] + 1, *WORDS[i + 1 :]], signature)
    assert not verify(SecretKey.from_seed(b"other").public, WORDS, signature)
    assert not verify(NO_KEY, WORDS, signature)


@pytest.mark.parametrize("change", [{"r_x": -1}, {"r_y": 1 << 256}, {"s": -1}, {"s": 1 << 256}])
def test_integers_of_any_size_are_refused(change: dict[str, int]) -> None:
    good = KEY.sign(WORDS)
    assert verify_many([(KEY.public, WORDS, good), (KEY.public, WORDS, dataclasses.replace(good, **change)), (KEY.public, WORDS, good)]) == [True, False, True]
    assert not verify(PublicKey(1 << 256, KEY.public.y), WORDS, good)


@pytest.mark.parametrize("words", [WORDS[:5], (*WORDS, 0), (*WORDS[:5], MODULUS), (*WORDS[:5], -1)])
def test_bad_words(words: tuple[int, ...]) -> None:
    good = KEY.sign(WORDS)
    with pytest.raises(ValueError, match="words"):
        KEY.sign(words)
    with pytest.raises(ValueError, match="words"):
        verify(KEY.public, words, good)


def test_bad_words_are_named() -> None:
    good, bad = KEY.sign(WORDS), (*WORDS[:2], "3", *WORDS[3:])
    with pytest.raises(TypeError, match=r"^words\[2\]: '3', expected an integer"):
        verify(KEY.public, bad, good)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^items\[1\]\.words\[5\]: -1, expected a field element"):
        verify_many([(KEY.public, WORDS, good), (KEY.public, (*WORDS[:5], -1), good)])
    with pytest.raises(ValueError, match=r"^items\[1\]\.words: 7 words, expected 6"):
        verify_many([(KEY.public, WORDS, good), (KEY.public, (*WORDS, 0), good)])


def test_bad_types() -> None:
    good = KEY.sign(WORDS)
    with pytest.raises(TypeError, match="signature: "):
        verify(KEY.public, WORDS, Signature("1", 2, 3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="public_key: "):
        verify(PublicKey(1.0, 2), WORDS, good)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, SUBGROUP_ORDER, "7"])
def test_bad_secrets_are_not_shown(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        SecretKey(value)
    assert str(caught.value) == "secret: expected an integer in [1, l)"


def test_secret_never_appears() -> None:
    for text in (repr(KEY), str(KEY), f"{KEY}", repr([KEY]), repr(KEY.sign(WORDS))):
        assert str(KEY.value) not in text
        assert f"{KEY.value:x}" not in text.lower()
    assert str(KEY.public.x) in repr(KEY)


def test_keys_are_values() -> None:
    assert SecretKey(KEY.value) == KEY
    assert {KEY: 1}[SecretKey(KEY.value)] == 1
    assert pickle.loads(pickle.dumps(KEY)).public == KEY.public
    with pytest.raises(AttributeError):
        KEY.value = 3  # type: ignore[misc]


def test_generation() -> None:
    assert SecretKey.from_seed(b"a") == SecretKey.from_seed(b"a") != SecretKey.from_seed(b"b")
    assert SecretKey.generate(os.urandom) != SecretKey.generate(os.urandom)
    assert SecretKey.generate(lambda n: b"\x01" * n) == SecretKey.from_seed(b"\x01" * 32)
    with pytest.raises(ValueError, match="seed: "):
        SecretKey.from_seed(b"")
    with pytest.raises(ValueError, match="entropy: 3 bytes, expected 32"):
        SecretKey.generate(lambda n: b"abc")


def torsion() -> PublicKey:
    """(0, -1), the point of order 2."""
    return PublicKey(0, MODULUS - 1)


NO_KEYS = {
    "the identity": PublicKey(0, 1),
    "torsion": torsion(),
    "a key plus torsion": PublicKey(*reference.add(KEY.public, torsion())),
    "off the curve": PublicKey(KEY.public.x, KEY.public.y + 1),
    "not canonical": PublicKey(KEY.public.x + MODULUS, KEY.public.y),
    "negative": PublicKey(-1, 0),
    "too long": PublicKey(1 << 256, 0),
}


@pytest.mark.parametrize("point", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_points_that_are_no_keys(point: PublicKey) -> None:
    assert not is_valid_key(point)
    with pytest.raises(ValueError, match="public_key: "):
        key_multiple(point)


def test_unset_key() -> None:
    assert key_multiple(NO_KEY) == NO_KEY == (0, 0)
    assert not is_valid_key(NO_KEY)
    assert is_valid_key(KEY.public)
    assert is_valid_key(KEY.base)


def test_core_exports_the_same_types() -> None:
    assert accounts.PublicKey is keys.PublicKey
    assert accounts.NO_KEY is keys.NO_KEY
    assert orders.Signature is keys.Signature
