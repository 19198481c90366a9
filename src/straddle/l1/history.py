"""The past of an exchange, read from layer 1: queue, epochs with their inputs, batches with their data, challenges, proofs, voids, in order.

What a log and a transaction say is checked against each other and against the specification's hashes, so a History is either what the contract executed
(as far as the node that answers can be believed) or a HistoryError. Bodies that lie in blobs or with a committee come from sources that the caller names; what
they give is checked against layer 1 too, and a body that none of them has is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.commitments.cells import padded
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place, challenge, commitment, evaluate, genesis_header_hash, header_hash
from straddle.commitments.policy import Data
from straddle.l1.contracts import Contract, ContractError, Log, load
from straddle.l1.deployment import Deployment
from straddle.l1.events import (
    BatchChallenged,
    BatchesVoided,
    BatchFinalised,
    BatchProposed,
    BatchProven,
    EpochSubmitted,
    Event,
    Frozen,
    Happening,
    QueueEntryAdded,
    SnapshotPosted,
)
from straddle.l1.rpc import Rpc
from straddle.primitives.errors import Actionable
from straddle.primitives.field import MODULUS

__all__ = [
    "BatchChallenged",
    "BatchFinalised",
    "BatchProposed",
    "BatchProven",
    "BatchesVoided",
    "BlobSource",
    "BodySource",
    "EpochSubmitted",
    "Event",
    "Frozen",
    "Happening",
    "History",
    "HistoryError",
    "HistoryReader",
    "QueueEntryAdded",
    "SnapshotPosted",
    "TransactionSource",
    "read_history",
]

BLOCKS_PER_QUERY = 2000
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


@dataclass(slots=True)
class History:
    """All events in the order of the chain, and what they amount to."""

    to_block: int
    events: list[Event] = field(default_factory=list)
    queue: list[QueueEntryAdded] = field(default_factory=list)
    """By index."""
    epochs: dict[int, EpochSubmitted] = field(default_factory=dict)
    batches: list[BatchProposed] = field(default_factory=list)
    """Batches 1, 2, ...: final ones, then proposals that stand."""
    final: list[BatchFinalised] = field(default_factory=list)
    """Batches 1, 2, ..."""
    challenges: dict[int, BatchChallenged] = field(default_factory=dict)
    """Standing proposal -> the challenge that waits for its proof."""
    proven: dict[int, BatchProven] = field(default_factory=dict)
    """Standing proposal -> the proof that came before its turn."""
    snapshots: dict[int, list[bytes]] = field(default_factory=dict)
    """State root -> the whole copies that were posted for it, by anybody, whatever they hold (straddle.commitments.state_copy reads one)."""
    frozen: bool = False


def read_history(
    rpc: Rpc, deployment: Deployment, to_block: int | None = None, *, blobs: BlobSource | None = None, bodies: BodySource | None = None
) -> History:
    """Everything up to `to_block` (the newest block when None). HistoryError when it does not fit together."""
    last = rpc.block_number() if to_block is None else to_block
    reader = HistoryReader(rpc, deployment, History(last), blobs=blobs, bodies=bodies)
    for start in range(deployment.start_block, last + 1, BLOCKS_PER_QUERY):
        for raw in rpc.logs(deployment.log_addresses, start, min(start + BLOCKS_PER_QUERY - 1, last)):
            reader.take(raw)
    return reader.history


class _Bodies:
    """Bodies and transcripts that are not in the calldata."""

    def __init__(self, source: TransactionSource, deployment: Deployment, blobs: BlobSource | None, bodies: BodySource | None) -> None:
        self._source, self._cells, self._optimistic = source, deployment.config.body_cells, deployment.config.optimistic
        self._blobs, self._bodies = blobs, bodies

    def of_blob(self, place: Happening, versioned_hash: bytes) -> tuple[int, ...] | None:
        """The cells of a blob; None when it is gone, and none at all when it holds no body, which C then contradicts."""
        from straddle.commitments.blob import BlobError, blob_cells  # loads the ceremony's points: nobody else needs them

        blob = self._blob(versioned_hash, place.block_number)
        try:
            return None if blob is None else tuple(blob_cells(blob, self._cells))
        except BlobError:
            return ()

    def further_blobs(self, place: Happening) -> bytes:
        """The transcript in blobs 1, 2, ...; empty when there is none, or one of them is gone."""
        from straddle.commitments.blob import BlobError, blobs_bytes

        hashes = self._source.transaction(place.transaction_hash).get("blobVersionedHashes") or []
        found = [self._blob(bytes.fromhex(text.removeprefix("0x")), place.block_number) for text in hashes[1:] if self._optimistic]
        try:
            return blobs_bytes([blob for blob in found if blob is not None]) if found and None not in found else b""
        except BlobError:
            return b""

    def of_committee(self, number: int, header: bytes, effects: tuple[int, ...], c: int) -> tuple[int, ...] | None:
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


class HistoryReader:
    """Reads log after log into `history`, which may be read between any two of them."""

    def __init__(
        self, source: TransactionSource, deployment: Deployment, history: History, *, blobs: BlobSource | None = None, bodies: BodySource | None = None
    ) -> None:
        self.history = history
        self._source = source
        self._deployment = deployment
        self._bodies = _Bodies(source, deployment, blobs, bodies)
        self._contracts: dict[str, Contract] = {deployment.rollup.lower(): load("Rollup")}
        if deployment.committee:
            self._contracts[deployment.committee.lower()] = load("Committee")
        self._headers = [genesis_header_hash(deployment.config.genesis_root)]
        self._parts: dict[tuple[str, int], list[bytes]] = {}
        """(poster, state root) -> the parts of a snapshot so far."""
        self._calls: dict[str, Callable[[Happening, Log], Event]] = {
            "QueueEntryAdded": self._queue_entry,
            "EpochSubmitted": self._epoch,
            "BatchProposed": self._proposed,
            "BatchChallenged": lambda place, log: BatchChallenged(**_place(place), **_addressed(log)),
            "BatchProven": lambda place, log: BatchProven(**_place(place), **_addressed(log)),
            "BatchFinalised": lambda place, log: BatchFinalised(**_place(place), **_addressed(log)),
            "BatchesVoided": lambda place, log: BatchesVoided(**_place(place), **log.fields),
            "SnapshotPosted": self._snapshot,
            "Frozen": lambda place, log: Frozen(**_place(place)),
        }

    def take(self, raw: dict[str, Any]) -> Event | None:
        """The next raw log of Deployment.log_addresses, as eth_getLogs gives it, in the order of the chain: read, and added to the history.

        None for one that says nothing of interest.
        """
        contract = self._contracts[str(raw["address"]).lower()]
        log = contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
        if log is None or log.name not in self._calls:
            return None
        place = Happening(block_number=int(raw["blockNumber"], 16), log_index=int(raw["logIndex"], 16), transaction_hash=str(raw["transactionHash"]))
        event = self._calls[log.name](place, log)
        self._add(event)
        return event

    def _add(self, event: Event) -> None:
        history = self.history
        history.events.append(event)
        match event:
            case QueueEntryAdded():
                _expect(event.index == len(history.queue), event, f"queue entry {event.index}, expected {len(history.queue)}")
                history.queue.append(event)
            case EpochSubmitted():
                _expect(event.epoch not in history.epochs, event, f"epoch {event.epoch} recorded twice")
                history.epochs[event.epoch] = event
            case BatchProposed():
                history.batches.append(event)
                self._headers.append(event.header_hash)
            case BatchChallenged():
                self._expect_standing(event)
                history.challenges[event.batch_number] = event
            case BatchProven():
                self._expect_standing(event)
                history.challenges.pop(event.batch_number, None)
                history.proven[event.batch_number] = event
            case BatchFinalised():
                self._finalised(event)
            case BatchesVoided():
                self._void(event)
            case SnapshotPosted():
                self._take_part(event)
            case Frozen():
                history.frozen = True

    def _expect_standing(self, event: BatchChallenged | BatchProven | BatchFinalised) -> BatchProposed:
        """The event is about a proposal that stands."""
        number, batches = event.batch_number, self.history.batches
        known = len(self.history.final) < number <= len(batches)
        _expect(known, event, f"{type(event).__name__} of batch {number}, expected one of {len(self.history.final) + 1} to {len(batches)}")
        _expect(event.header_hash == batches[number - 1].header_hash, event, f"{type(event).__name__} of batch {number} is of another header")
        return batches[number - 1]

    def _finalised(self, event: BatchFinalised) -> None:
        history, number = self.history, len(self.history.final) + 1
        _expect(event.batch_number == number, event, f"batch {event.batch_number} final, expected {number}")
        _expect(event.state_root == self._expect_standing(event).state_root, event, f"the final root of batch {number} is not the proposal's")
        history.final.append(event)
        history.challenges.pop(number, None)
        history.proven.pop(number, None)

    def _void(self, event: BatchesVoided) -> None:
        history = self.history
        low, last = len(history.final) + 1, len(history.batches)
        fits = low <= event.first <= event.last == last
        _expect(fits, event, f"batches {event.first} to {event.last} voided, expected the last of {low} to {last}")
        del history.batches[event.first - 1 :], self._headers[event.first :]
        for open_ in (history.challenges, history.proven):
            for number in [number for number in open_ if number >= event.first]:
                del open_[number]

    def _take_part(self, event: SnapshotPosted) -> None:
        """Parts come in order; part 0 begins again."""
        key = (event.poster, event.state_root)
        parts = self._parts.setdefault(key, [])
        if event.part == 0:
            parts.clear()
        _expect(event.part == len(parts), event, f"part {event.part} of a snapshot, expected {len(parts)}")
        parts.append(event.data)
        if len(parts) == event.parts:
            self.history.snapshots.setdefault(event.state_root, []).append(b"".join(parts))

    def _queue_entry(self, place: Happening, log: Log) -> Event:
        values = dict(log.fields) | {"owner": int(log.fields["owner"], 16)}
        return QueueEntryAdded(**_place(place), **values)

    def _epoch(self, place: Happening, log: Log) -> Event:
        _, arguments, _ = self._calldata(place, ("submit_epoch",))
        said = {name: log.fields[name] for name in ("epoch", "time_ms", "risk_root")}
        _expect(all(arguments[name] == value for name, value in said.items()), place, f"log of epoch {said['epoch']} differs from its transaction")
        _expect(keccak(arguments["inputs"]) == log.fields["inputs_hash"], place, f"inputs of epoch {said['epoch']} do not match their hash")
        return EpochSubmitted(**_place(place), **said, inputs=arguments["inputs"], signatures=tuple(arguments["signatures"]))

    def _snapshot(self, place: Happening, log: Log) -> Event:
        _, arguments, _ = self._calldata(place, ("post_snapshot",), self._deployment.committee)
        return SnapshotPosted(**_place(place), **_addressed(log), data=arguments["data"])

    def _proposed(self, place: Happening, log: Log) -> Event:
        _, arguments, rest = self._calldata(place, PROPOSING)
        number, effects, c, parent = len(self._headers), words(arguments["effects"]), arguments["data_commitment"], self._headers[-1]
        where, body, y_body = IN_CALLDATA, words(arguments.get("body", b"")), None
        if "opening" in arguments:
            where, y_body = _in_blob(arguments["opening"]), arguments["opening"][2] % MODULUS
        elif "certificates" in arguments:
            where, y_body = WITH_COMMITTEE, 0
        deployment = self._deployment
        z = challenge(deployment.chain_id, deployment.rollup_number, deployment.vk_id, number, parent, effects, body, c, where)
        y_body = evaluate(body, z) if y_body is None else y_body
        hashed = header_hash(parent, number, effects, body, c, z, evaluate(effects, z), y_body, where)
        _expect(log.fields["batch_number"] == number, place, f"batch {log.fields['batch_number']} proposed, expected {number}")
        _expect(log.fields["header_hash"] == hashed, place, f"the calldata of batch {number} do not give its header hash")
        _expect(log.fields["state_root"] == effects[3], place, f"the new root of batch {number} differs from its effects")
        found: tuple[int, ...] | None = body
        if where.data is Data.BLOB:
            found, rest = self._bodies.of_blob(place, where.versioned_hash), self._bodies.further_blobs(place)
        elif where.data is Data.COMMITTEE:
            found = self._bodies.of_committee(number, hashed, effects, c)
        return BatchProposed(
            **_place(place),
            batch_number=number,
            parent_header_hash=parent,
            header_hash=hashed,
            state_root=effects[3],
            effects=effects,
            body=found,
            data_commitment=c,
            place=where,
            y_body=y_body,
            transcript=rest,
        )

    def _calldata(self, place: Happening, functions: Sequence[str], address: str = "") -> tuple[str, dict[str, Any], bytes]:
        """The function of the rollup (or of the contract at `address`) that the transaction calls, its arguments, and what follows them."""
        transaction, address = self._source.transaction(place.transaction_hash), address or self._deployment.rollup
        to = str(transaction.get("to") or "")
        # The contracts insist on direct calls; an account with delegated code could still hide one behind a call to itself.
        _expect(to.lower() == address.lower(), place, f"the transaction calls {to or 'nothing'}, expected {address}")
        calldata, contract = bytes.fromhex(transaction["input"][2:]), self._contracts[address.lower()]
        try:
            name, arguments = contract.decode_call(calldata)
        except ContractError as error:
            raise HistoryError(f"{_where(place)}: {error}") from error
        _expect(name in functions, place, f"the transaction calls {name}, expected {' or '.join(sorted(functions))}")
        return name, arguments, calldata[len(contract.encode_call(name, *arguments.values())) :]


def _in_blob(opening: Sequence[Any]) -> Place:
    """A versioned hash is 1 and the end of sha256 of the commitment (EIP-4844); that it is the transaction's first blob the contract has checked."""
    return Place(Data.BLOB, b"\x01" + hashlib.sha256(opening[0]).digest()[1:])


def _addressed(log: Log) -> dict[str, Any]:
    """The fields, addresses checksummed."""
    return {name: to_checksum_address(value) if name in ("challenger", "beneficiary", "poster") else value for name, value in log.fields.items()}


def words(data: bytes) -> tuple[int, ...]:
    """Calldata of effects or body as words."""
    if len(data) % 32:
        raise HistoryError(f"{len(data)} bytes of data are not whole words")
    return tuple(int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32))


def _place(place: Happening) -> dict[str, Any]:
    return {"block_number": place.block_number, "log_index": place.log_index, "transaction_hash": place.transaction_hash}


def _where(place: Happening) -> str:
    return f"block {place.block_number}, transaction {place.transaction_hash}"


def _expect(condition: bool, place: Happening, message: str) -> None:
    if not condition:
        raise HistoryError(f"{_where(place)}: {message}")
