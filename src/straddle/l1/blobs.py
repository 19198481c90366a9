"""Blobs on layer 1 (EIP-4844): transactions that carry them, where they are read while and after layer 1 has them, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any, Protocol, Self

import httpx
import rlp
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from straddle.commitments.blob import BLOB_BYTES, BlobError, blob_hash, cell_proofs, kzg_commitment, versioned_hash
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.primitives.files import write_atomically
from straddle.primitives.nesting import decode_json

MAX_BLOBS = 6
"""Of one transaction (EIP-7594)."""
BLOB_TRANSACTION = 3
WRAPPER_VERSION = 1
SLOT_SECONDS = 12

CALLDATA_GAS = {"zero": 4, "other": 16}
CALLDATA_FLOOR_GAS = {"zero": 10, "other": 40}
"""EIP-7623: what a transaction's calldata cost at least, all its execution included."""
TRANSACTION_GAS = 21_000
BLOB_GAS = 131_072


class BlobMissing(RuntimeError):
    """Nobody who was asked has the blob, or what they have is another."""


# ---- transactions


def sign_blob_transaction(account: LocalAccount, fields: dict[str, Any], blobs: Sequence[bytes]) -> bytes:
    """The signed transaction in the form in which it travels to layer 1: with blobs, commitments and cell proofs. BlobError: too many blobs, or none."""
    if not 1 <= len(blobs) <= MAX_BLOBS:
        raise BlobError(f"blobs: {len(blobs)}, expected 1 to {MAX_BLOBS} in a transaction")
    commitments = [kzg_commitment(blob) for blob in blobs]
    hashes = [versioned_hash(commitment) for commitment in commitments]
    # eth-account would read the trusted set-up twice for each blob; it signs here, and the sidecar is ours.
    transaction: dict[str, Any] = {**fields, "type": BLOB_TRANSACTION, "blobVersionedHashes": hashes}
    signed = bytes(account.sign_transaction(transaction).raw_transaction)
    proofs = [proof for blob in blobs for proof in cell_proofs(blob)]
    sidecar = [bytes([WRAPPER_VERSION]), list(blobs), commitments, proofs]
    return bytes([BLOB_TRANSACTION]) + bytes(rlp.encode([rlp.decode(signed[1:]), *sidecar]))


def blob_transaction_hash(signed: bytes) -> str:
    """The hash of a blob transaction in that form: blobs, commitments and proofs do not count."""
    return "0x" + bytes(keccak(signed[:1] + rlp.encode(rlp.decode(signed[1:])[0]))).hex()


# ---- sources


class BlobSource(Protocol):
    """Who has blobs."""

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """The blob with this hash, checked against it, of a transaction in this block; BlobMissing when it is not to be had."""


def checked(blob: bytes, wanted: bytes) -> bytes:
    """The blob, if it has the hash; BlobMissing otherwise."""
    try:
        found = blob_hash(blob)
    except BlobError as error:
        raise BlobMissing(f"blob 0x{wanted.hex()}: {error}") from error
    if found != wanted:
        raise BlobMissing(f"blob 0x{wanted.hex()}: the source gave another, 0x{found.hex()}")
    return blob


class AnvilBlobs:
    """The blobs of a local anvil, which keeps all of them while it lives."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """As BlobSource."""
        name = f"0x{versioned_hash.hex()}"
        try:
            found = self._rpc.call("anvil_getBlobByHash", [name])
        except (RpcError, ConnectionFailed) as error:
            raise BlobMissing(f"blob {name}: {error}") from error
        if found is None:
            raise BlobMissing(f"blob {name} of block {block_number}: anvil does not have it")
        return checked(_blob_bytes(found, name), versioned_hash)


class BeaconBlobs:
    """The blobs of a beacon node, which keeps them for about 18 days. `rpc` tells a block's time, and so its slot."""

    def __init__(self, url: str, rpc: Rpc, *, timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        self._url, self._rpc = url.rstrip("/"), rpc
        self._client = httpx.Client(timeout=timeout_s, transport=transport, trust_env=False)
        self._genesis_s: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """As BlobSource."""
        name = f"0x{versioned_hash.hex()}"
        try:
            time_s = self._rpc.time_s(block_number)
        except (RpcError, ConnectionFailed) as error:
            raise BlobMissing(f"blob {name}: {error}") from error
        if self._genesis_s is None:
            self._genesis_s = self._genesis(name)
        slot = (time_s - self._genesis_s) // SLOT_SECONDS
        found = self._get(f"/eth/v1/beacon/blobs/{slot}?versioned_hashes={name}", name)
        if not isinstance(found, list) or not found:
            raise BlobMissing(f"blob {name}: the beacon node has none in slot {slot}")
        return checked(_blob_bytes(found[0], name), versioned_hash)

    def _genesis(self, name: str) -> int:
        found = self._get("/eth/v1/beacon/genesis", name)
        try:
            return int(found["genesis_time"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BlobMissing(f"blob {name}: the beacon node answered {found!r}, expected genesis_time in seconds") from error

    def _get(self, path: str, name: str) -> Any:
        try:
            response = self._client.get(self._url + path)
            answer = decode_json(response.content)
        except (httpx.RequestError, ValueError) as error:
            raise BlobMissing(f"blob {name}: no answer from the beacon node: {type(error).__name__} {error}") from error
        if response.status_code != httpx.codes.OK or not isinstance(answer, dict) or "data" not in answer:
            raise BlobMissing(f"blob {name}: the beacon node answered with status {response.status_code}")
        return answer["data"]


class BlobArchive:
    """A directory of blobs, one file each, named by their hash. Layer 1 forgets blobs after about 18 days: whoever may need one later keeps it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keep(self, blob: bytes) -> bytes:
        """Stores a blob, once; returns its hash. BlobError: no blob."""
        name = blob_hash(blob)
        path = self._path(name)
        if not path.exists():
            write_atomically(path, blob)
        return name

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """As BlobSource."""
        try:
            found = self._path(versioned_hash).read_bytes()
        except FileNotFoundError as error:
            raise BlobMissing(f"blob 0x{versioned_hash.hex()} of block {block_number}: not in {self.directory}") from error
        return checked(found, versioned_hash)

    def _path(self, name: bytes) -> Path:
        return self.directory / f"{name.hex()}.blob"


class FirstOf:
    """Asks one source after another; what a later one gives is kept in the archive, if there is one."""

    def __init__(self, *sources: BlobSource, archive: BlobArchive | None = None) -> None:
        self._sources, self._archive = sources, archive

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """As BlobSource."""
        said: list[str] = []
        for source in (self._archive, *self._sources):
            if source is None:
                continue
            try:
                found = source.blob(versioned_hash, block_number)
            except BlobMissing as error:
                said.append(str(error))
                continue
            if self._archive is not None and source is not self._archive:
                self._archive.keep(found)
            return found
        raise BlobMissing("; ".join(said) or f"blob 0x{versioned_hash.hex()}: nobody to ask")


def _blob_bytes(text: object, name: str) -> bytes:
    if not isinstance(text, str) or len(text) != 2 + 2 * BLOB_BYTES:
        raise BlobMissing(f"blob {name}: the source gave no blob of {BLOB_BYTES} bytes in hex")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise BlobMissing(f"blob {name}: the source gave no blob of {BLOB_BYTES} bytes in hex") from error


# ---- costs


def calldata_gas(data: bytes) -> int:
    """Gas of calldata apart from what is done with them."""
    return _gas(data, CALLDATA_GAS)


def transaction_gas(data: bytes, execution_gas: int) -> int:
    """Gas of a transaction with these calldata whose execution takes so much: at least the floor of EIP-7623."""
    return TRANSACTION_GAS + max(calldata_gas(data) + execution_gas, _gas(data, CALLDATA_FLOOR_GAS))


@dataclass(frozen=True, slots=True)
class ProposalGas:
    """Gas of a proposal, as measured for one preset."""

    empty: int
    """With a body of no cells in calldata."""
    cell: Fraction
    """What each cell in calldata adds."""
    empty_floor: int
    """What EIP-7623 asks at least with a body of no cells."""
    cell_floor: Fraction
    """What each cell adds to that."""
    blob: int
    """With the body in a blob, however long; blob gas not included."""

    def calldata(self, cells: int) -> Fraction:
        """Gas with so many cells in calldata."""
        return max(self.empty + self.cell * cells, self.empty_floor + self.cell_floor * cells)


def cheapest_blob_cells(gas: ProposalGas, gas_price_wei: int, blob_gas_price_wei: int) -> int:
    """The number of posted cells from which on a blob costs less than calldata. ValueError: a price, or the gas of a cell, that is not positive."""
    for name, value in (("cell", gas.cell), ("cell_floor", gas.cell_floor), ("gas_price_wei", gas_price_wei)):
        if value <= 0:
            raise ValueError(f"{name}: {value}, expected more than 0")
    blob = gas.blob + Fraction(BLOB_GAS * blob_gas_price_wei, gas_price_wei)
    # Calldata cost the greater of two lines: a blob is cheaper as soon as one of them is above it.
    lines = ((gas.empty, gas.cell), (gas.empty_floor, gas.cell_floor))
    return max(0, min(floor((blob - start) / slope) + 1 for start, slope in lines))


def _gas(data: bytes, prices: dict[str, int]) -> int:
    zeros = data.count(0)
    return prices["zero"] * zeros + prices["other"] * (len(data) - zeros)
