"""Integers as bytes, short where they are small (LEB128): seven bits a byte, the lowest first; the highest bit of a byte says that more follow.

Every integer has one form, its shortest; any other is refused. A signed one is written as a natural one with its sign in the lowest bit (zigzag)."""

from __future__ import annotations


class VarintError(ValueError):
    """Bytes that are no integer in its shortest form."""


def put_varint(out: bytearray, value: int) -> None:
    """Append a natural number. ValueError: it is negative."""
    if value < 0:
        raise ValueError(f"varint: {value}, expected 0 or more")
    while value >> 7:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def get_varint(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """The natural number of at most `bits` bits that begins at byte `at`, and where it ends. VarintError: there is none in its shortest form."""
    value = shift = 0
    for place in range(at, min(len(data), at + -(-bits // 7))):
        value |= (data[place] & 127) << shift
        shift += 7
        if data[place] < 128:
            if (data[place] == 0 and place > at) or value >> bits:
                break
            return value, place + 1
    raise VarintError(f"no number of {bits} bits in its shortest form at byte {at} of {len(data)}")


def zigzag(value: int) -> int:
    """0, -1, 1, -2, ... as 0, 1, 2, 3, ..."""
    return (-value << 1) - 1 if value < 0 else value << 1


def unzigzag(written: int) -> int:
    """The inverse of `zigzag`."""
    return -((written + 1) >> 1) if written & 1 else written >> 1
