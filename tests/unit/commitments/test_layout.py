from __future__ import annotations

import pytest

from straddle.commitments.layout import DataError, Layout, signed, unsigned

LAYOUT = Layout(unsigned("count", 8), signed("size", 5), unsigned("band", 4, bits=3))


def test_a_field_of_no_bits_holds_only_zero() -> None:
    layout = Layout(unsigned("spare", 8, bits=0), unsigned("count", 8))
    assert layout.unpack("word", layout.pack("word", (0, 5))) == (0, 5)
    with pytest.raises(DataError, match=r"word\.spare: 1, expected 0 to 0"):
        layout.unpack("word", 1)


@pytest.mark.parametrize("values", [(0, 0, 0), (255, 15, 7), (3, -15, 1)])
def test_round_trip(values: tuple[int, ...]) -> None:
    assert LAYOUT.unpack("word", LAYOUT.pack("word", values)) == values


def test_fields_go_from_the_lowest_bit_and_signed_ones_are_shifted() -> None:
    assert LAYOUT.pack("word", (1, -2, 3)) == 1 | (16 - 2) << 8 | 3 << 13


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((256, 0, 0), r"word\.count: 256, expected 0 to 255"),
        ((-1, 0, 0), r"word\.count: -1"),
        ((0, 16, 0), r"word\.size: 16, expected -15 to 15"),
        ((0, -16, 0), r"word\.size: -16"),
        ((0, 0, 8), r"word\.band: 8, expected 0 to 7"),
    ],
)
def test_packing_names_the_field(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        LAYOUT.pack("word", values)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (1 << 17, "spare bits from bit 17"),
        (-1, "spare bits"),
        (0, r"word\.size: -16, expected -15 to 15"),
        (LAYOUT.pack("word", (0, 0, 0)) | 8 << 13, r"word\.band: 8"),
    ],
)
def test_unpacking_names_the_field(word: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LAYOUT.unpack("word", word)
