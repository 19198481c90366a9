"""A batch's body in a blob (EIP-4844): cells to blob and back, KZG commitments and openings (docs/protocol/policies.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import ckzg
from eth_account.typed_transactions.base import TRUSTED_SETUP

from straddle.primitives.field import MODULUS

BLOB_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of BLS12-381's scalar field."""
POINTS = 4096
BLOB_BYTES = 32 * POINTS
MAX_CELLS = POINTS - 1
"""Coefficient 0 carries nothing: a proof leaves it open by multiples of BN254's r (native/circuit/batch/blob.go)."""
HASH_VERSION = b"\x01"

_GENERATOR = 7  # of the field's multiplicative group
_PLAIN_BYTES = 31  # of a field element, so that no element reaches the modulus
_LENGTH_BYTES = 4


class BlobError(ValueError):
    """What does not fit a blob, or a blob that holds no body."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A blob's value at a point, with what the point-evaluation precompile needs. `commitment` and `proof` are 48 bytes each; `y` is below BLOB_MODULUS."""

    commitment: bytes
    proof: bytes
    y: int

    @property
    def y_body(self) -> int:
        """Public input of the batch's proof."""
        return self.y % MODULUS


# ---- the body


def cells_blob(cells: Sequence[int]) -> bytes:
    """The blob of the polynomial with the cells as coefficients 1, 2, ...: its values at the 4096 roots of unity in bit-reversed order. BlobError."""
    if len(cells) > MAX_CELLS:
        raise BlobError(f"cells: {len(cells)}, expected at most {MAX_CELLS} in a blob")
    for index, cell in enumerate(cells):
        if not 0 <= cell < MODULUS:
            raise BlobError(f"cells[{index}]: {cell}, expected 0 to r - 1")
    values = _evaluate([0, *cells, *[0] * (MAX_CELLS - len(cells))])
    return b"".join(value.to_bytes(32, "big") for value in values)


def blob_cells(blob: bytes, count: int) -> tuple[int, ...]:
    """The cells of a blob that holds `count` of them, zeros included. BlobError: anything that is no such body."""
    if not 0 <= count <= MAX_CELLS:
        raise BlobError(f"count: {count}, expected 0 to {MAX_CELLS}")
    coefficients = _interpolate(_elements(blob))
    for index, coefficient in enumerate(coefficients[1:], start=1):
        if coefficient >= MODULUS:
            raise BlobError(f"blob: coefficient {index} is {coefficient}, expected less than r")
        if index > count and coefficient:
            raise BlobError(f"blob: coefficient {index} is {coefficient}, expected 0 after {count} cells")
    return tuple(coefficients[1 : count + 1])


# ---- anything else, such as a transcript


def bytes_blobs(data: bytes) -> tuple[bytes, ...]:
    """Bytes in as many blobs as they need, 31 of them a field element, after their length in 4 bytes; no blob for no bytes."""
    if not data:
        return ()
    plain = len(data).to_bytes(_LENGTH_BYTES, "big") + data
    elements = [b"\0" + plain[i : i + _PLAIN_BYTES].ljust(_PLAIN_BYTES, b"\0") for i in range(0, len(plain), _PLAIN_BYTES)]
    return tuple(b"".join(elements[i : i + POINTS]).ljust(BLOB_BYTES, b"\0") for i in range(0, len(elements), POINTS))


def blobs_bytes(blobs: Iterable[bytes]) -> bytes:
    """The bytes of `bytes_blobs`. BlobError: anything that it does not make."""
    joined = b"".join(blobs)
    if not joined:
        return b""
    if len(joined) % BLOB_BYTES or any(joined[::32]):
        raise BlobError(f"blobs: {len(joined)} bytes, expected whole blobs whose field elements start with a zero byte")
    plain = b"".join(joined[i + 1 : i + 32] for i in range(0, len(joined), 32))
    end = _LENGTH_BYTES + int.from_bytes(plain[:_LENGTH_BYTES], "big")
    data = plain[_LENGTH_BYTES:end]
    if bytes_blobs(data) != tuple(joined[i : i + BLOB_BYTES] for i in range(0, len(joined), BLOB_BYTES)):
        raise BlobError(f"blobs: a length of {end - _LENGTH_BYTES} bytes, expected one that fills {len(joined) // BLOB_BYTES} blobs, and zeros after it")
    return data


# ---- commitments


def kzg_commitment(blob: bytes) -> bytes:
    """KZG commitment of a blob, 48 bytes. BlobError: no blob."""
    _elements(blob)
    return bytes(ckzg.blob_to_kzg_commitment(blob, _trusted_setup()))


def versioned_hash(commitment: bytes) -> bytes:
    """The name of a blob on layer 1, 32 bytes."""
    return HASH_VERSION + sha256(commitment).digest()[1:]


def blob_hash(blob: bytes) -> bytes:
    """Versioned hash of a blob. BlobError: no blob."""
    return versioned_hash(kzg_commitment(blob))


def open_blob(blob: bytes, z: int) -> Opening:
    """The blob's value at z < r. BlobError: no blob, or no such point."""
    if not 0 <= z < MODULUS:
        raise BlobError(f"z: {z}, expected 0 to r - 1")
    commitment = kzg_commitment(blob)
    proof, y = ckzg.compute_kzg_proof(blob, z.to_bytes(32, "big"), _trusted_setup())
    return Opening(commitment, bytes(proof), int.from_bytes(y, "big"))


def check_opening(opening: Opening, z: int) -> bool:
    """What the point-evaluation precompile says."""
    points = (z.to_bytes(32, "big"), opening.y.to_bytes(32, "big"))
    return bool(ckzg.verify_kzg_proof(opening.commitment, *points, opening.proof, _trusted_setup()))


def cell_proofs(blob: bytes) -> tuple[bytes, ...]:
    """The 128 proofs that accompany a blob on its way to layer 1 (EIP-7594). BlobError: no blob."""
    _elements(blob)
    _, proofs = ckzg.compute_cells_and_kzg_proofs(blob, _trusted_setup())
    return tuple(bytes(proof) for proof in proofs)


@cache
def _trusted_setup() -> Any:
    """The ceremony's outcome, as eth-account carries it. Reading it takes two seconds, once."""
    return ckzg.load_trusted_setup(TRUSTED_SETUP, 0)


# ---- polynomials


def _elements(blob: bytes) -> list[int]:
    if len(blob) != BLOB_BYTES:
        raise BlobError(f"blob: {len(blob)} bytes, expected {BLOB_BYTES}")
    values = [int.from_bytes(blob[i : i + 32], "big") for i in range(0, BLOB_BYTES, 32)]
    for index, value in enumerate(values):
        if value >= BLOB_MODULUS:
            raise BlobError(f"blob: element {index} is {value}, expected less than the modulus")
    return values


@cache
def _roots(inverse: bool) -> tuple[int, ...]:
    """Powers of a 4096th root of unity, or of its inverse."""
    root = pow(_GENERATOR, (BLOB_MODULUS - 1) // POINTS, BLOB_MODULUS)
    root = pow(root, -1, BLOB_MODULUS) if inverse else root
    powers = [1]
    while len(powers) < POINTS // 2:
        powers.append(powers[-1] * root % BLOB_MODULUS)
    return tuple(powers)


def _evaluate(coefficients: list[int]) -> list[int]:
    """Values at the roots of unity in bit-reversed order, by decimation in frequency."""
    values, roots = list(coefficients), _roots(False)
    half = POINTS // 2
    while half:
        stride = POINTS // (2 * half)
        for start in range(0, POINTS, 2 * half):
            for i in range(start, start + half):
                upper, lower = values[i], values[i + half]
                values[i] = (upper + lower) % BLOB_MODULUS
                values[i + half] = (upper - lower) * roots[(i - start) * stride] % BLOB_MODULUS
        half //= 2
    return values


def _interpolate(values: list[int]) -> list[int]:
    """The inverse of `_evaluate`, by decimation in time."""
    coefficients, roots = list(values), _roots(True)
    half = 1
    while half < POINTS:
        stride = POINTS // (2 * half)
        for start in range(0, POINTS, 2 * half):
            for i in range(start, start + half):
                upper, lower = coefficients[i], coefficients[i + half] * roots[(i - start) * stride] % BLOB_MODULUS
                coefficients[i] = (upper + lower) % BLOB_MODULUS
                coefficients[i + half] = (upper - lower) % BLOB_MODULUS
        half *= 2
    scale = pow(POINTS, -1, BLOB_MODULUS)
    return [coefficient * scale % BLOB_MODULUS for coefficient in coefficients]
