"""The data that layer 1's logs announce: from transactions, and for bodies and transcripts that are not in calldata from blobs or a committee.

Whatever a source gives is checked against the log, by the specification's hashes; only a transcript is bound by nothing but its transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

from eth_utils.crypto import keccak

from straddle.commitments.cells import padded
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place, challenge, commitment, evaluate, header_hash
from straddle.commitments.policy import Data
from straddle.l1.contracts import Contract, ContractError, load
from straddle.l1.deployment import Deployment
from straddle.l1.events import BatchHeader, BatchProposed, EpochRecorded, EpochSubmitted, Happening, SnapshotPosted
from straddle.primitives.errors import Actionable
from straddle.primitives.field import MODULUS

PROPOSING = ("propose", "propose_blob", "propose_certified", "propose_and_prove", "propose_blob_and_prove", "propose_certified_and_prove")
"""Functions that propose a batch."""


class HistoryError(Actionable):
    """Layer 1's logs, transactions and hashes contradict each other, or data is missing."""


class TransactionSource(Protocol):
    """Who has transactions: a node (straddle.l1.rpc.Rpc), or who keeps what one said."""

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """A mined transaction, as eth_getTransactionByHash gives it."""


class BodySource(Protocol):
    """Who has bodies that are not on layer 1, such as a committee's members."""

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """The body of the batch with that header; None when it is not to be had. It is checked by the caller."""


class BlobSource(Protocol):
    """Who has blobs (straddle.l1.blobs)."""

    def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
        """The blob, checked against its hash; straddle.l1.blobs.BlobMissing when it is gone."""


class DataReader:
    """Completes what logs say. HistoryError: the data are not those of the log."""

    def __init__(self, source: TransactionSource, deployment: Deployment, *, blobs: BlobSource | None = None, bodies: BodySource | None = None) -> None:
        self._source, self._deployment, self._blobs, self._bodies = source, deployment, blobs, bodies
        self._cells = deployment.config.body_cells

    def epoch(self, recorded: EpochRecorded) -> EpochSubmitted:
        """With the published inputs and the oracles' signatures."""
        _, arguments, _ = self._calldata(recorded, ("submit_epoch",))
        said = {name: getattr(recorded, name) for name in ("epoch", "time_ms", "risk_root")}
        expect(all(arguments[name] == value for name, value in said.items()), recorded, f"log of epoch {recorded.epoch} differs from its transaction")
        expect(keccak(arguments["inputs"]) == recorded.inputs_hash, recorded, f"inputs of epoch {recorded.epoch} do not match their hash")
        return EpochSubmitted(**place_of(recorded), **said, inputs=arguments["inputs"], signatures=tuple(arguments["signatures"]))

    def snapshot(self, posted: SnapshotPosted) -> SnapshotPosted:
        """With the part's bytes."""
        _, arguments, _ = self._calldata(posted, ("post_snapshot",), self._deployment.committee, "Committee")
        return replace(posted, data=arguments["data"])

    def batch(self, header: BatchHeader) -> BatchProposed:
        """With effects, body and transcript; the last two are None when no source has them."""
        _, arguments, rest = self._calldata(header, PROPOSING)
        number, parent = header.batch_number, header.parent_header_hash
        effects, c = words(arguments["effects"]), arguments["data_commitment"]
        where, body, y_body = IN_CALLDATA, words(arguments.get("body", b"")), None
        if "opening" in arguments:
            where, y_body = _in_blob(arguments["opening"]), arguments["opening"][2] % MODULUS
        elif "certificates" in arguments:
            where, y_body = WITH_COMMITTEE, 0
        deployment = self._deployment
        z = challenge(deployment.chain_id, deployment.rollup_number, deployment.vk_id, number, parent, effects, body, c, where)
        y_body = evaluate(body, z) if y_body is None else y_body
        hashed = header_hash(parent, number, effects, body, c, z, evaluate(effects, z), y_body, where)
        expect(header.header_hash == hashed, header, f"the calldata of batch {number} do not give its header hash")
        expect(header.state_root == effects[3], header, f"the new root of batch {number} differs from its effects")
        found: tuple[int, ...] | None = body
        transcript: bytes | None = rest
        if where.data is Data.BLOB:
            found, transcript = self._in_first_blob(header, where.versioned_hash), self._in_further_blobs(header)
        elif where.data is Data.COMMITTEE:
            found = self._with_committee(number, hashed, effects, c)
        said = {item.name: getattr(header, item.name) for item in fields(BatchHeader)}
        return BatchProposed(**said, effects=effects, body=found, data_commitment=c, place=where, y_body=y_body, transcript=transcript)

    # ---- transactions

    def _calldata(self, place: Happening, functions: Sequence[str], address: str = "", name: str = "Rollup") -> tuple[str, dict[str, Any], bytes]:
        """The function of the rollup (or of the contract at `address`) that the transaction calls, its arguments, and what follows them."""
        transaction, address, contract = self._source.transaction(place.transaction_hash), address or self._deployment.rollup, load(name)
        to = str(transaction.get("to") or "")
        # The contracts insist on direct calls; an account with delegated code could still hide one behind a call to itself.
        expect(to.lower() == address.lower(), place, f"the transaction calls {to or 'nothing'}, expected {address}")
        function, arguments, rest = _decoded(contract, transaction, place)
        expect(function in functions, place, f"the transaction calls {function}, expected {' or '.join(sorted(functions))}")
        return function, arguments, rest

    # ---- bodies and transcripts that are not in the calldata

    def _in_first_blob(self, place: Happening, versioned_hash: bytes) -> tuple[int, ...] | None:
        """The cells of a blob; None when it is not to be had, and none at all when it holds no body, which C then contradicts."""
        from straddle.commitments.blob import BlobError, blob_cells  # loads the ceremony's points: nobody else needs them

        blob = self._blob(versioned_hash, place.block_number)
        try:
            return None if blob is None else tuple(blob_cells(blob, self._cells))
        except BlobError:
            return ()

    def _in_further_blobs(self, place: Happening) -> bytes | None:
        """The transcript in blobs 1, 2, ...; empty when there is none, or they hold none; None when one of them is not to be had."""
        from straddle.commitments.blob import BlobError, blobs_bytes

        hashes = self._source.transaction(place.transaction_hash).get("blobVersionedHashes") or []
        wanted = hashes[1:] if self._deployment.config.optimistic else []
        found = [self._blob(bytes.fromhex(text.removeprefix("0x")), place.block_number) for text in wanted]
        blobs = [blob for blob in found if blob is not None]
        if len(blobs) < len(found):
            return None
        try:
            return blobs_bytes(blobs)
        except BlobError:
            return b""

    def _with_committee(self, number: int, header: bytes, effects: tuple[int, ...], c: int) -> tuple[int, ...] | None:
        """A body that the proposal's C binds, or None."""
        body = self._bodies.body(number, header) if self._bodies else None
        if body is None or len(body) > self._cells or any(not 0 <= cell < MODULUS for cell in body):
            return None
        return body if commitment(effects, padded(body, self._cells)) == c else None

    def _blob(self, versioned_hash: bytes, block_number: int) -> bytes | None:
        from straddle.l1.blobs import BlobMissing

        try:
            return self._blobs.blob(versioned_hash, block_number) if self._blobs else None
        except BlobMissing:
            return None


def _decoded(contract: Contract, transaction: dict[str, Any], place: Happening) -> tuple[str, dict[str, Any], bytes]:
    """Function, arguments, and what follows them."""
    try:
        calldata = bytes.fromhex(str(transaction["input"])[2:])
        function, arguments = contract.decode_call(calldata)
        return function, arguments, calldata[len(contract.encode_call(function, *arguments.values())) :]
    except (ContractError, KeyError, ValueError) as error:
        raise HistoryError(f"{_where(place)}: {error}") from error


def _in_blob(opening: Sequence[Any]) -> Place:
    """A versioned hash is 1 and the end of sha256 of the commitment (EIP-4844); that it is the transaction's first blob the contract has checked."""
    return Place(Data.BLOB, b"\x01" + hashlib.sha256(opening[0]).digest()[1:])


def words(data: bytes) -> tuple[int, ...]:
    """Calldata of effects or body as words."""
    if len(data) % 32:
        raise HistoryError(f"{len(data)} bytes of data are not whole words")
    return tuple(int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32))


def place_of(happening: Happening) -> dict[str, Any]:
    """Where something happened, as an event's fields."""
    return {"block_number": happening.block_number, "log_index": happening.log_index, "transaction_hash": happening.transaction_hash}


def expect(condition: bool, place: Happening, message: str) -> None:
    """HistoryError names the place unless the condition holds."""
    if not condition:
        raise HistoryError(f"{_where(place)}: {message}")


def _where(place: Happening) -> str:
    return f"block {place.block_number}, transaction {place.transaction_hash}"
