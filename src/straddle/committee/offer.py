"""A batch as the sequencer offers it to the members, and as members give it to anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from straddle.commitments.cells import padded
from straddle.commitments.challenge import Place, challenge, commitment, evaluate, header_hash
from straddle.commitments.policy import Data
from straddle.l1.certificates import offer_digest, signer_of
from straddle.l1.deployment import Deployment
from straddle.primitives.field import MODULUS

EFFECTS_WORDS_MAX = 1 << 10
BODY_CELLS_MAX = 1 << 12
INPUTS_BYTES_MAX = 32_768
_KEYS = ("number", "parent_header_hash", "data", "effects", "body", "inputs", "signature")


class OfferError(ValueError):
    """An offer that is malformed, or not the sequencer's. The message names the field."""


@dataclass(frozen=True)
class Offer:
    """A batch with its place in the chain of headers. What it says is checked by whoever takes it."""

    number: int
    parent_header_hash: bytes
    data: Data
    """With the committee, or in calldata while the quorum was away."""
    effects: tuple[int, ...]
    body: tuple[int, ...]
    """As posted: trailing zeros left out."""
    inputs: bytes
    """Of its risk epoch, as published on layer 1."""
    signature: bytes
    """The sequencer's, over the header."""

    def header_of(self, deployment: Deployment) -> bytes:
        """Its header hash on a rollup; OfferError: too many cells."""
        cells = deployment.config.body_cells
        if len(self.body) > cells:
            raise OfferError(f"body: {len(self.body)} cells, expected at most {cells}")
        c, place = commitment(self.effects, padded(self.body, cells)), Place(self.data)
        facts = (deployment.chain_id, deployment.rollup_number, deployment.vk_id, self.number, self.parent_header_hash, self.effects, self.body, c)
        z = challenge(*facts, place)
        y_effects, y_body = evaluate(self.effects, z), evaluate(self.body, z)
        return header_hash(self.parent_header_hash, self.number, self.effects, self.body, c, z, y_effects, y_body, place)

    def check_signature(self, deployment: Deployment, header: bytes) -> None:
        """OfferError unless the sequencer vouches for this header."""
        digest = offer_digest(deployment.chain_id, deployment.rollup_number, self.number, header)
        if signer_of(digest, self.signature) != deployment.config.sequencer:
            raise OfferError(f"signature: not the sequencer's ({deployment.config.sequencer}) over the header {header.hex()} of batch {self.number}")

    @cached_property
    def plain(self) -> dict[str, Any]:
        """As JSON: words and byte strings in hex."""
        return {
            "number": self.number,
            "parent_header_hash": self.parent_header_hash.hex(),
            "data": self.data.name.lower(),
            "effects": [f"{word:x}" for word in self.effects],
            "body": [f"{word:x}" for word in self.body],
            "inputs": self.inputs.hex(),
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_plain(cls, raw: object) -> Offer:
        """From `plain`; OfferError names a missing or malformed field."""
        if not isinstance(raw, Mapping) or set(raw) != set(_KEYS):
            raise OfferError(f"offer: {sorted(raw) if isinstance(raw, Mapping) else type(raw).__name__}, expected an object with the keys {sorted(_KEYS)}")
        number = raw["number"]
        if type(number) is not int or not 1 <= number < 2**64:
            raise OfferError(f"number: {number!r}, expected an integer from 1 to 2^64 - 1")
        if raw["data"] not in ("committee", "calldata"):
            raise OfferError(f"data: {raw['data']!r}, expected committee or calldata")
        return cls(
            number=number,
            parent_header_hash=_bytes("parent_header_hash", raw["parent_header_hash"], 32, 32),
            data=Data[raw["data"].upper()],
            effects=_words("effects", raw["effects"], EFFECTS_WORDS_MAX),
            body=_words("body", raw["body"], BODY_CELLS_MAX),
            inputs=_bytes("inputs", raw["inputs"], 0, INPUTS_BYTES_MAX),
            signature=_bytes("signature", raw["signature"], 65, 65),
        )


def _words(name: str, raw: object, most: int) -> tuple[int, ...]:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or len(raw) > most:
        raise OfferError(f"{name}: expected a list of at most {most} hex words")
    words = []
    for i, text in enumerate(raw):
        try:
            word = int(text, 16) if isinstance(text, str) and len(text) <= 64 else -1
        except ValueError:
            word = -1
        if not 0 <= word < MODULUS:
            raise OfferError(f"{name}[{i}]: {str(text)[:80]!r}, expected a field element in hex")
        words.append(word)
    return tuple(words)


def _bytes(name: str, raw: object, least: int, most: int) -> bytes:
    try:
        found = bytes.fromhex(raw.removeprefix("0x")) if isinstance(raw, str) and len(raw) <= 2 * most + 2 else None
    except ValueError:
        found = None
    if found is None or not least <= len(found) <= most:
        raise OfferError(f"{name}: {str(raw)[:80]!r}, expected {least if least == most else f'{least} to {most}'} bytes in hex")
    return found
