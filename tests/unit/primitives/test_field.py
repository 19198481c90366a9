from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.primitives import field
from straddle.primitives.field import HALF, MODULUS, check_element, from_field_signed, pack, to_field, unpack


def test_modulus() -> None:
    assert MODULUS == 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001
    assert (1 << field.MAX_PACKED_BITS) < MODULUS < (1 << field.MAX_PACKED_BITS + 1)


@settings(deadline=None)
@given(st.integers(-HALF, HALF))
def test_signed_integers_come_back(value: int) -> None:
    element = to_field(value)
    assert 0 <= element < MODULUS
    assert (element - value) % MODULUS == 0
    assert from_field_signed(element) == value


@pytest.mark.parametrize("value", [HALF + 1, -HALF - 1, MODULUS, 1 << 300])
def test_to_field_refuses_ambiguous_values(value: int) -> None:
    with pytest.raises(ValueError, match="magnitude"):
        to_field(value)


@pytest.mark.parametrize("value", [-1, MODULUS])
def test_elements_are_canonical(value: int) -> None:
    with pytest.raises(ValueError, match=r"^root: .*expected a field element"):
        check_element("root", value)
    with pytest.raises(ValueError):
        from_field_signed(value)


@pytest.mark.parametrize("value", ["1", 1.0, None, b"\x01"])
def test_only_integers(value: object) -> None:
    with pytest.raises(TypeError, match="expected an integer"):
        to_field(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="nonce"):
        pack(("nonce", value, 64))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="leaf"):
        field.encode("leaf", value)  # type: ignore[arg-type]


def test_pack_puts_the_first_field_lowest() -> None:
    assert pack(("a", 0xAB, 8), ("b", 0x1, 4), ("c", 0xCDE, 12)) == 0xCDE1AB
    assert pack() == 0


@settings(deadline=None)
@given(st.lists(st.integers(1, 40).flatmap(lambda bits: st.tuples(st.integers(0, 2**bits - 1), st.just(bits))), max_size=6))
def test_unpack_inverts_pack(fields: list[tuple[int, int]]) -> None:
    word = pack(*((f"f{i}", value, bits) for i, (value, bits) in enumerate(fields)))
    assert unpack(word, *((f"f{i}", bits) for i, (_, bits) in enumerate(fields))) == tuple(value for value, _ in fields)


@pytest.mark.parametrize("value", [-1, 256])
def test_pack_names_the_field_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^side: {value}, expected 0 to 2\^8 - 1$"):
        pack(("instrument", 1, 32), ("side", value, 8))


def test_pack_refuses_words_that_may_exceed_the_modulus() -> None:
    assert pack(("low", 2**253 - 1, 253)) == 2**253 - 1
    with pytest.raises(ValueError, match="low, high: 254 bits"):
        pack(("low", 0, 253), ("high", 0, 1))


@pytest.mark.parametrize("word", [1 << 12, -1])
def test_unpack_refuses_spare_bits(word: int) -> None:
    with pytest.raises(ValueError, match="bits beyond 12"):
        unpack(word, ("a", 8), ("b", 4))


def test_encode_takes_negative_integers_as_their_elements() -> None:
    assert field.encode("cash", -1) == (MODULUS - 1).to_bytes(32, "big")
    assert field.encode_all("words", [1, -1]) == field.encode("", 1) + field.encode("", -1)
    assert field.decode_all(field.encode_all("words", [7, MODULUS - 1, 0])) == [7, MODULUS - 1, 0]


@pytest.mark.parametrize("value", [MODULUS, -HALF - 1, 1 << 256])
def test_encode_refuses_what_is_no_element(value: int) -> None:
    with pytest.raises(ValueError, match=r"^words\[1\]: "):
        field.encode_all("words", [0, value])
