"""Hashes: Poseidon2 compression and sponge over field elements, keccak over bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from straddle.primitives import native
from straddle.primitives.field import WORD_BYTES, decode, decode_all, encode, encode_all

MAX_TAG_BYTES = 24


def compress(left: int, right: int) -> int:
    """Poseidon2 compression of two field elements. Negative integers stand for their field elements."""
    return decode(native.compress_many(encode("left", left) + encode("right", right)))


def compress_many(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """`compress` of each pair, in one native call on all cores."""
    return decode_all(native.compress_many(b"".join([encode("left", left) + encode("right", right) for left, right in pairs])))


def sponge(tag: str, words: Iterable[int]) -> int:
    """Poseidon2 sponge of one or more field elements under a tag of 1 to 24 printable ASCII characters. Negative integers stand for their field elements."""
    encoded_tag = _check_tag(tag)
    encoded = encode_all("words", words)
    if not encoded:
        raise ValueError(f"words: none under tag {tag!r}, expected at least one")
    return decode(native.sponge(encoded_tag, encoded))


def sponge_many(tag: str, rows: Sequence[Sequence[int]]) -> list[int]:
    """`sponge` of each row, all of one length, in one native call on all cores."""
    encoded_tag, width = _check_tag(tag), len(rows[0]) if rows else 1
    if not width:
        raise ValueError(f"words: none under tag {tag!r}, expected at least one")
    for i, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"rows[{i}]: {len(row)} words, expected {width}")
    return decode_all(native.sponge(encoded_tag, b"".join([encode_all(f"rows[{i}]", row) for i, row in enumerate(rows)]), width))


def ascii_element(tag: str) -> int:
    """The tag's bytes as a big-endian integer: the start of a hash chain."""
    return decode(_check_tag(tag))


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash: 32 bytes."""
    return native.keccak256(data)


def keccak256_many(pieces: Sequence[bytes]) -> list[bytes]:
    """`keccak256` of each piece, in one native call."""
    hashes = native.keccak256_many(pieces)
    return [hashes[i : i + WORD_BYTES] for i in range(0, len(hashes), WORD_BYTES)]


def keccak_mod_248(data: bytes) -> int:
    """The lowest 248 bits of keccak256 as an integer: a field element."""
    return int.from_bytes(native.keccak256(data)[1:], "big")


def _check_tag(tag: str) -> bytes:
    if not 1 <= len(tag) <= MAX_TAG_BYTES or not tag.isascii() or not tag.isprintable():
        raise ValueError(f"tag: {tag!r}, expected 1 to {MAX_TAG_BYTES} printable ASCII characters")
    return tag.encode("ascii")
