"""Proofs and verifying keys as the prover prints them (docs/reference/witness.md): words are integers, points flat lists, G2 imaginary part first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from straddle.primitives.errors import Actionable
from straddle.primitives.hashing import keccak256

_PROOF_WORDS = {"a": 2, "b": 4, "c": 2, "commitment": 2, "pok": 2, "public": 5}
_KEY_WORDS = {"alpha": 2, "beta": 4, "gamma": 4, "delta": 4, "pedersen_g": 4, "pedersen_g_sigma_neg": 4}
_KEY_POINTS = 7
"""Points of `k`: constant, five public inputs, commitment."""


class ProverOutputError(Actionable):
    """The prover printed something that is not as specified."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A Groth16 proof with one Pedersen commitment, and the public inputs (c, z, y_effects, y_body, beneficiary) that it is for."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    c: tuple[int, ...]
    commitment: tuple[int, ...]
    pok: tuple[int, ...]
    public: tuple[int, ...]

    @property
    def words(self) -> tuple[int, ...]:
        """a, b, c, commitment, proof of knowledge: 12 words."""
        return self.a + self.b + self.c + self.commitment + self.pok

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Proof:
        """From the prover's object; ProverOutputError names a missing or malformed field."""
        return cls(**{name: _words(name, raw.get(name), count) for name, count in _PROOF_WORDS.items()})


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The key that the verifier contract is deployed with."""

    alpha: tuple[int, ...]
    beta: tuple[int, ...]
    gamma: tuple[int, ...]
    delta: tuple[int, ...]
    k: tuple[tuple[int, ...], ...]
    pedersen_g: tuple[int, ...]
    pedersen_g_sigma_neg: tuple[int, ...]

    @property
    def id(self) -> bytes:
        """vk_id: keccak256 of the words in the order of the fields."""
        words = [*self.alpha, *self.beta, *self.gamma, *self.delta, *(word for point in self.k for word in point), *self.pedersen_g, *self.pedersen_g_sigma_neg]
        return keccak256(b"".join(word.to_bytes(32, "big") for word in words))

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> VerifyingKey:
        """From the prover's object; ProverOutputError names a missing or malformed field."""
        points = raw.get("k")
        if not isinstance(points, list) or len(points) != _KEY_POINTS:
            raise ProverOutputError(f"k: {points!r}, expected {_KEY_POINTS} points")
        words = {name: _words(name, raw.get(name), count) for name, count in _KEY_WORDS.items()}
        return cls(k=tuple(_words(f"k[{i}]", point, 2) for i, point in enumerate(points)), **words)

    def to_json(self) -> dict[str, Any]:
        """The prover's form: 32-byte hex words."""
        plain = {field.name: [_hex(word) for word in getattr(self, field.name)] for field in fields(self) if field.name != "k"}
        return {**plain, "k": [[_hex(word) for word in point] for point in self.k]}


def _words(name: str, raw: object, count: int) -> tuple[int, ...]:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or len(raw) != count:
        raise ProverOutputError(f"{name}: {raw!r}, expected {count} words")
    try:
        words = tuple(int(word, 16) for word in raw)
    except (TypeError, ValueError):
        words = (-1,)
    if not all(0 <= word < 1 << 256 for word in words):
        raise ProverOutputError(f"{name}: {str(raw)[:400]}, expected {count} hex words of at most 256 bits")
    return words


def _hex(word: int) -> str:
    return f"0x{word:064x}"
