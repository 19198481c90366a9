"""Elements of the scalar field of BN254 as plain integers, and packed words."""

from __future__ import annotations

from collections.abc import Iterable

MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
HALF = (MODULUS - 1) // 2
"""Largest magnitude of a signed integer that a field element stands for."""
MAX_PACKED_BITS = 253
"""Every integer of so many bits is below the modulus."""

WORD_BYTES = 32


def to_field(value: int) -> int:
    """The field element of a signed integer: value mod r. ValueError beyond +-(r-1)/2, where it would not be unique."""
    if not isinstance(value, int):
        raise TypeError(f"value: {value!r}, expected an integer")
    if not -HALF <= value <= HALF:
        raise ValueError(f"value: {value}, expected a signed integer of magnitude at most (r-1)/2")
    return value % MODULUS


def from_field_signed(element: int) -> int:
    """The signed integer, of magnitude at most (r-1)/2, that an element stands for."""
    check_element("element", element)
    return element if element <= HALF else element - MODULUS


def pack(*fields: tuple[str, int, int]) -> int:
    """One word from (name, value, bits) fields, the first in the lowest bits. ValueError names a field whose value does not fit, or more than 253 bits."""
    word = shift = 0
    for name, value, bits in fields:
        if not isinstance(value, int):
            raise TypeError(f"{name}: {value!r}, expected an integer")
        if value < 0 or value >> bits:
            raise ValueError(f"{name}: {value}, expected 0 to 2^{bits} - 1")
        word |= value << shift
        shift += bits
    if shift > MAX_PACKED_BITS:
        raise ValueError(f"{', '.join(name for name, _, _ in fields)}: {shift} bits in one word, expected at most {MAX_PACKED_BITS}")
    return word


def unpack(word: int, *fields: tuple[str, int]) -> tuple[int, ...]:
    """The values of (name, bits) fields, the first in the lowest bits. ValueError if bits beyond the last field are set."""
    values = []
    rest = word
    for _, bits in fields:
        values.append(rest & ((1 << bits) - 1))
        rest >>= bits
    if rest:  # a negative word leaves -1
        raise ValueError(f"{', '.join(name for name, _ in fields)}: word {word:#x} has bits beyond {sum(bits for _, bits in fields)}")
    return tuple(values)


def check_element(name: str, value: int) -> None:
    """TypeError or ValueError unless `value` is an integer in [0, r)."""
    if not isinstance(value, int):
        raise TypeError(f"{name}: {value!r}, expected an integer")
    if not 0 <= value < MODULUS:
        raise ValueError(f"{name}: {value}, expected a field element, 0 to r - 1")


def encode(name: str, value: int) -> bytes:
    """32 big-endian bytes of an element; of a negative integer, of the element that it stands for."""
    if not isinstance(value, int):
        raise TypeError(f"{name}: {value!r}, expected an integer")
    if 0 <= value < MODULUS:
        return value.to_bytes(WORD_BYTES, "big")
    if -HALF <= value < 0:
        return (value + MODULUS).to_bytes(WORD_BYTES, "big")
    raise ValueError(f"{name}: {value}, expected a field element (0 to r - 1) or a negative integer of magnitude at most (r-1)/2")


def encode_all(name: str, values: Iterable[int]) -> bytes:
    """`encode` of each value in turn."""
    words = list(values)
    try:
        if not words or (min(words) >= 0 and max(words) < MODULUS):  # the common case, without making names
            return b"".join([value.to_bytes(WORD_BYTES, "big") for value in words])
    except (TypeError, AttributeError):  # no integers: said below
        pass
    return b"".join([encode(f"{name}[{i}]", value) for i, value in enumerate(words)])


def decode(word: bytes) -> int:
    """The integer of big-endian bytes."""
    return int.from_bytes(word, "big")


def decode_all(words: bytes) -> list[int]:
    """The integers of consecutive 32-byte words."""
    return [int.from_bytes(words[i : i + WORD_BYTES], "big") for i in range(0, len(words), WORD_BYTES)]
