"""The commitment C to a batch's data, the challenge z, the evaluations at z and the header hash (docs/protocol/data.md, layer1.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.commitments.policy import Data
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import keccak256, sponge

CHALLENGE_TAGS = {Data.CALLDATA: b"straddle.z.calldata", Data.BLOB: b"straddle.z.blob", Data.COMMITTEE: b"straddle.z.committee"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch's body lies. `versioned_hash` is the blob's (32 bytes), and empty elsewhere."""

    data: Data
    versioned_hash: bytes = b""

    def __post_init__(self) -> None:
        expected = 32 if self.data is Data.BLOB else 0
        if len(self.versioned_hash) != expected:
            raise ValueError(f"versioned_hash: {len(self.versioned_hash)} bytes, expected {expected} with data {self.data.name.lower()}")

    def word(self, body_posted: Sequence[int]) -> bytes:
        """What z and the header hash take of the body."""
        match self.data:
            case Data.CALLDATA:
                return hash_words(body_posted)
            case Data.BLOB:
                return self.versioned_hash
            case Data.COMMITTEE:
                return bytes(32)


IN_CALLDATA = Place(Data.CALLDATA)
WITH_COMMITTEE = Place(Data.COMMITTEE)


def commitment(effects: Sequence[int], body: Sequence[int]) -> int:
    """C over the whole vector: `body` with its trailing zeros (the preset's full length)."""
    return sponge("straddle.data", [*effects, *body])


def challenge(
    chain_id: int,
    rollup: int,
    vk_id: bytes,
    batch_number: int,
    parent_header_hash: bytes,
    effects: Sequence[int],
    body_posted: Sequence[int],
    c: int,
    place: Place = IN_CALLDATA,
) -> int:
    """z. `rollup` is the contract's address as an integer; `body_posted` is the body exactly as it stands in the calldata."""
    items = [keccak256(CHALLENGE_TAGS[place.data]), _word(chain_id), _word(rollup), vk_id, _word(batch_number), parent_header_hash]
    items += [hash_words(effects), place.word(body_posted), _word(c)]
    for name, item in (("vk_id", vk_id), ("parent_header_hash", parent_header_hash)):
        if len(item) != 32:
            raise ValueError(f"{name}: {len(item)} bytes, expected 32")
    return int.from_bytes(keccak256(b"".join(items)), "big") % MODULUS


def evaluate(words: Sequence[int], z: int) -> int:
    """sum words[i] z^i mod r, by Horner's rule."""
    value = 0
    for word in reversed(words):
        value = (value * z + word) % MODULUS
    return value


def hash_words(words: Sequence[int]) -> bytes:
    """keccak256 of the words as 32-byte big-endian values."""
    return keccak256(b"".join(_word(word) for word in words))


def genesis_header_hash(genesis_root: int) -> bytes:
    """The parent of batch 1."""
    return keccak256(b"straddle.genesis" + _word(genesis_root))


def header_hash(
    parent: bytes,
    batch_number: int,
    effects: Sequence[int],
    body_posted: Sequence[int],
    c: int,
    z: int,
    y_effects: int,
    y_body: int,
    place: Place = IN_CALLDATA,
) -> bytes:
    """Hash of a proposed batch, parent of the next. Layer 1 does not know the y of a committee's body: it counts as 0 here."""
    known = 0 if place.data is Data.COMMITTEE else y_body
    return keccak256(b"".join([parent, _word(batch_number), hash_words(effects), place.word(body_posted), _word(c), _word(z), _word(y_effects), _word(known)]))


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
