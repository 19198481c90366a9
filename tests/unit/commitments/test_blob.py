"""Bodies in blobs: cells to blob and back, openings, and what is refused."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.commitments import blob as module
from straddle.commitments.blob import (
    BLOB_BYTES,
    BLOB_MODULUS,
    MAX_CELLS,
    POINTS,
    BlobError,
    blob_cells,
    blob_hash,
    blobs_bytes,
    bytes_blobs,
    cell_proofs,
    cells_blob,
    check_opening,
    kzg_commitment,
    open_blob,
    versioned_hash,
)
from straddle.primitives.field import MODULUS

CELLS = tuple(pow(3, 5 * i, 2**248) for i in range(422))


def value_at(cells, z: int) -> int:
    """The polynomial with the cells as coefficients 1, 2, ..., term by term."""
    return sum(cell * pow(z, i, BLOB_MODULUS) for i, cell in enumerate(cells, start=1)) % BLOB_MODULUS


def elements(blob: bytes) -> list[int]:
    return [int.from_bytes(blob[i : i + 32], "big") for i in range(0, len(blob), 32)]


def packed(values) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


def test_a_blob_holds_the_values_at_the_roots_of_unity_in_bit_reversed_order():
    root = pow(7, (BLOB_MODULUS - 1) // POINTS, BLOB_MODULUS)
    assert pow(root, POINTS // 2, BLOB_MODULUS) == BLOB_MODULUS - 1
    cells, values = CELLS[:5], elements(cells_blob(CELLS[:5]))
    for index in (0, 1, 2, 3, 5, 100, 2048, 4095):
        reversed_bits = int(f"{index:012b}"[::-1], 2)
        assert values[index] == value_at(cells, pow(root, reversed_bits, BLOB_MODULUS))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, MODULUS - 1), max_size=40), st.integers(0, 3))
def test_there_and_back(cells, more):
    assert blob_cells(cells_blob(cells), len(cells) + more) == (*cells, *[0] * more)


def test_the_fullest_blob():
    cells = [MODULUS - 1 - i for i in range(MAX_CELLS)]
    assert blob_cells(cells_blob(cells), MAX_CELLS) == tuple(cells)
    with pytest.raises(BlobError, match="cells: 4096, expected at most 4095"):
        cells_blob([*cells, 0])
    with pytest.raises(BlobError, match=r"cells\[1\]: .*, expected 0 to r - 1"):
        cells_blob([0, MODULUS])
    with pytest.raises(BlobError, match="count: 4096"):
        blob_cells(cells_blob([]), 4096)


def test_what_a_constant_adds_is_not_read():
    """A proof leaves the blob's polynomial open by a constant (native/circuit/batch/blob.go): that must change nothing that anybody reads."""
    for multiple in range(-2, 3):
        shifted = packed((value + multiple * MODULUS) % BLOB_MODULUS for value in elements(cells_blob(CELLS)))
        assert blob_cells(shifted, len(CELLS)) == CELLS


def test_what_is_no_body_is_refused():
    blob = cells_blob(CELLS)
    with pytest.raises(BlobError, match=r"coefficient 422 is .*, expected 0 after 421 cells"):
        blob_cells(blob, 421)
    values = module._evaluate([0, MODULUS] + [0] * (POINTS - 2))
    with pytest.raises(BlobError, match=r"coefficient 1 is .*, expected less than r"):
        blob_cells(packed(values), 1)
    for wrong in (b"", blob[:-1], blob + b"\0"):
        with pytest.raises(BlobError, match=f"expected {BLOB_BYTES}"):
            blob_cells(wrong, 422)
    with pytest.raises(BlobError, match=r"element 1 is .*, expected less than the modulus"):
        blob_cells(blob[:32] + BLOB_MODULUS.to_bytes(32, "big") + blob[64:], 422)
    with pytest.raises(BlobError, match="element 0"):
        kzg_commitment(b"\xff" * BLOB_BYTES)


@pytest.mark.parametrize("z", [0, 1, 2**250 + 12345, MODULUS - 1])
def test_openings(z):
    blob = cells_blob(CELLS)
    opening = open_blob(blob, z)
    assert opening.y == value_at(CELLS, z) and opening.y_body == opening.y % MODULUS
    assert opening.commitment == kzg_commitment(blob)
    assert check_opening(opening, z)
    assert not check_opening(opening, z + 1)


def test_a_point_is_below_r():
    for z in (-1, MODULUS):
        with pytest.raises(BlobError, match="z: "):
            open_blob(cells_blob(CELLS), z)


def test_hashes():
    blob = cells_blob([1, 2, 3])
    commitment = kzg_commitment(blob)
    assert versioned_hash(commitment) == blob_hash(blob) == b"\x01" + sha256(commitment).digest()[1:]
    assert blob_hash(bytes(BLOB_BYTES)).hex() == "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014"  # EIP-4844's empty blob
    assert len(cell_proofs(blob)) == 128


@pytest.mark.parametrize("length", [1, 27, 28, 31, 62, 31 * POINTS - 4, 31 * POINTS - 3, 200_000])
def test_bytes_there_and_back(length):
    data = bytes((i * 7 + 1) % 256 for i in range(length))
    blobs = bytes_blobs(data)
    assert len(blobs) == -(-(length + 4) // (31 * POINTS)) and {len(blob) for blob in blobs} == {BLOB_BYTES}
    assert max(max(elements(blob)) for blob in blobs) < BLOB_MODULUS
    assert blobs_bytes(blobs) == data


def test_no_bytes_need_no_blob():
    assert bytes_blobs(b"") == () and blobs_bytes(()) == b""


def test_other_blobs_hold_no_bytes():
    (blob,) = bytes_blobs(b"transcript")
    for wrong in ([blob[:-1]], [b"\x01" + blob[1:]], [blob, bytes(BLOB_BYTES)], [blob[:-1] + b"\1"], [bytes([0, 255]) + blob[2:]], [bytes(BLOB_BYTES)]):
        with pytest.raises(BlobError, match="blobs: "):
            blobs_bytes(wrong)
