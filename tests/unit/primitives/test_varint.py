"""Varints: one form each, the shortest."""

from __future__ import annotations

import pytest

from straddle.primitives.varint import VarintError, get_varint, put_varint, unzigzag, zigzag


def written(value: int) -> bytes:
    out = bytearray()
    put_varint(out, value)
    return bytes(out)


@pytest.mark.parametrize(("value", "data"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02"), (2**64 - 1, b"\xff" * 9 + b"\x01")])
def test_known_forms(value, data):
    assert written(value) == data
    assert get_varint(b"\x55" + data + b"\x55", 1, 64) == (value, 1 + len(data))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x00",  # 0 in two bytes
        b"\xff\x80\x00",
        b"\xff" * 9 + b"\x02",  # 2^64 and more
        b"\xff" * 10 + b"\x01",
        b"\xff" * 1_000,
    ],
)
def test_what_is_none_is_refused(data):
    with pytest.raises(VarintError, match=f"no number of 64 bits in its shortest form at byte 0 of {len(data)}"):
        get_varint(data, 0, 64)


def test_a_number_has_at_most_its_bits():
    assert get_varint(written(2**32 - 1), 0, 32) == (2**32 - 1, 5)
    with pytest.raises(VarintError, match="no number of 32 bits"):
        get_varint(written(2**32), 0, 32)


def test_negative_numbers_are_refused_unless_zigzag():
    with pytest.raises(ValueError, match="varint: -1, expected 0 or more"):
        written(-1)
    assert [zigzag(value) for value in (0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4]
    assert all(unzigzag(zigzag(value)) == value for value in (*range(-300, 300), -(2**63), 2**63))
