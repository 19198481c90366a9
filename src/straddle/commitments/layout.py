"""Packed words: named fields from the least significant bit up, refused by name when a value or a spare bit is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.primitives.errors import Actionable


class DataError(Actionable, ValueError):
    """Data that is not what the protocol says; the message names the word, the field, the value and what was expected."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One field of a packed word: value + offset lies in `width` bits, of which only `bits` may be used when given."""

    name: str
    width: int
    offset: int = 0
    bits: int | None = None

    @property
    def low(self) -> int:
        """Lowest value. A signed field is symmetric: -2^(n-1) is not a value."""
        return 1 - self.offset if self.offset else 0

    @property
    def high(self) -> int:
        """Highest value."""
        return (1 << (self.width if self.bits is None else self.bits)) - 1 - self.offset


def unsigned(name: str, width: int, bits: int | None = None) -> Lane:
    """A field of `width` bits holding values below 2^bits (default: width)."""
    return Lane(name, width, bits=bits)


def signed(name: str, width: int) -> Lane:
    """A field of `width` bits holding value + 2^(width-1), |value| < 2^(width-1)."""
    return Lane(name, width, offset=1 << (width - 1))


class Layout:
    """A packed word of fixed fields."""

    def __init__(self, *lanes: Lane) -> None:
        self.lanes = lanes
        self.width = sum(lane.width for lane in lanes)

    def pack(self, where: str, values: Sequence[int]) -> int:
        """The word; DataError names `where` and the field that is out of range."""
        word = shift = 0
        for lane, value in zip(self.lanes, values, strict=True):
            _check(where, lane, value)
            word |= (value + lane.offset) << shift
            shift += lane.width
        return word

    def unpack(self, where: str, word: int) -> tuple[int, ...]:
        """The values; DataError names `where` and the field out of range, or the spare bits."""
        if word < 0 or word >> self.width:
            raise DataError(f"{where}: {word:#x}, expected spare bits from bit {self.width} on to be zero")
        values = []
        for lane in self.lanes:
            value = (word & ((1 << lane.width) - 1)) - lane.offset
            _check(where, lane, value)
            values.append(value)
            word >>= lane.width
        return tuple(values)


def _check(where: str, lane: Lane, value: int) -> None:
    if not lane.low <= value <= lane.high:
        raise DataError(f"{where}.{lane.name}: {value}, expected {lane.low} to {lane.high}")
