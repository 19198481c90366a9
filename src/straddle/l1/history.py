"""The past of an exchange, read from layer 1: queue, epochs, batches, challenges, proofs, voids, in order.

What a log and a transaction say is checked against each other and against the specification's hashes, so a History is either what the contract executed
(as far as the node that answers can be believed) or a HistoryError. Bodies that lie in blobs or with a committee come from sources that the caller names; what
they give is checked against layer 1 too, and a body that none of them has is None (straddle.l1.data).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from eth_utils.address import to_checksum_address

from straddle.commitments.challenge import genesis_header_hash
from straddle.l1.contracts import Contract, ContractError, Log, load
from straddle.l1.data import BlobSource, BodySource, DataReader, HistoryError, TransactionSource, expect, place_of, words
from straddle.l1.deployment import Deployment
from straddle.l1.events import (
    BatchChallenged,
    BatchesVoided,
    BatchFinalised,
    BatchHeader,
    BatchProposed,
    BatchProven,
    Epoch,
    EpochRecorded,
    EpochSubmitted,
    Event,
    Frozen,
    Happening,
    QueueEntryAdded,
    SnapshotPosted,
)
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc

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
    "Outline",
    "QueueEntryAdded",
    "SnapshotPosted",
    "TransactionSource",
    "check_whole",
    "read_history",
    "words",
]

BLOCKS_PER_QUERY = 2000
AnyBatch = TypeVar("AnyBatch", bound=BatchHeader)
AnyEpoch = TypeVar("AnyEpoch", bound=Epoch)


@dataclass(slots=True)
class Chronicle(Generic[AnyBatch, AnyEpoch]):
    """All events in the order of the chain, and what they amount to."""

    to_block: int
    events: list[Event] = field(default_factory=list)
    queue: list[QueueEntryAdded] = field(default_factory=list)
    """By index."""
    epochs: dict[int, AnyEpoch] = field(default_factory=dict)
    newest_epochs: list[tuple[int, int]] = field(default_factory=list)
    """(block, highest epoch recorded up to it), block by block."""
    batches: list[AnyBatch] = field(default_factory=list)
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

    def newest_epoch(self, block: int) -> int:
        """The highest epoch that was recorded before a block; 0: none."""
        place = bisect_left(self.newest_epochs, (block, 0))
        return self.newest_epochs[place - 1][1] if place else 0


@dataclass(slots=True)
class History(Chronicle[BatchProposed, EpochSubmitted]):
    """With all data."""


@dataclass(slots=True)
class Outline(Chronicle[BatchHeader, EpochRecorded]):
    """As the logs alone tell it; snapshots are left empty."""


AnyChronicle = TypeVar("AnyChronicle", History, Outline)


def read_history(
    rpc: Rpc, deployment: Deployment, to_block: int | None = None, *, blobs: BlobSource | None = None, bodies: BodySource | None = None
) -> History:
    """Everything up to `to_block` (the newest block when None). HistoryError when it does not fit together."""
    last = rpc.block_number() if to_block is None else to_block
    reader = HistoryReader(deployment, History(last), DataReader(rpc, deployment, blobs=blobs, bodies=bodies))
    for start in range(deployment.start_block, last + 1, BLOCKS_PER_QUERY):
        for raw in rpc.logs(deployment.log_addresses, start, min(start + BLOCKS_PER_QUERY - 1, last)):
            reader.take(raw)
    if to_block is None:
        check_whole(reader.history, RollupClient(rpc, deployment, last))
    return reader.history


def check_whole(history: Chronicle[Any, Any], client: RollupClient) -> None:
    """No log was left out, as far as the contract's own counts tell; `client` reads at block `history.to_block`. HistoryError names what is not told."""
    try:
        _check_counts(history, client)
    except ContractError as error:
        raise HistoryError(f"block {history.to_block}: no rollup answers at {client.deployment.rollup}: {error}") from error


def _check_counts(history: Chronicle[Any, Any], client: RollupClient) -> None:
    proposed = client.proposed_batch()
    newest = history.batches[-1].header_hash if history.batches else genesis_header_hash(client.deployment.config.genesis_root)
    facts = (
        ("queue entries", len(history.queue), client.queue_length()),
        ("batches", len(history.batches), proposed),
        ("header of the newest batch", newest.hex(), client.header_hash(proposed).hex()),
        ("final batches", len(history.final), client.final_batch()),
        ("open challenges", len(history.challenges), client.open_challenges()),
        ("frozen", history.frozen, client.frozen()),
    )
    for name, told, expected in facts:
        if told != expected:
            raise HistoryError(f"block {history.to_block}: {name}: {told} by the logs, expected {expected}, the contract's: logs are left out")


class HistoryReader(Generic[AnyChronicle]):
    """Reads log after log into `history`, which may be read between any two of them."""

    def __init__(self, deployment: Deployment, history: AnyChronicle, data: DataReader | None = None) -> None:
        """`data` completes a History's events; an Outline needs none."""
        self.history: AnyChronicle = history
        self._data = data
        self._genesis = genesis_header_hash(deployment.config.genesis_root)
        self._contracts: dict[str, Contract] = {deployment.rollup.lower(): load("Rollup")}
        if deployment.committee:
            self._contracts[deployment.committee.lower()] = load("Committee")
        self._parts: dict[tuple[str, int], list[bytes]] = {}
        """(poster, state root) -> the parts of a snapshot so far."""
        self._calls: dict[str, Callable[[Happening, Log], Event]] = {
            "QueueEntryAdded": self._queue_entry,
            "EpochSubmitted": lambda place, log: EpochRecorded(**place_of(place), **log.fields),
            "BatchProposed": self._proposed,
            "BatchChallenged": lambda place, log: BatchChallenged(**place_of(place), **_addressed(log)),
            "BatchProven": lambda place, log: BatchProven(**place_of(place), **_addressed(log)),
            "BatchFinalised": lambda place, log: BatchFinalised(**place_of(place), **_addressed(log)),
            "BatchesVoided": lambda place, log: BatchesVoided(**place_of(place), **log.fields),
            "SnapshotPosted": lambda place, log: SnapshotPosted(**place_of(place), **_addressed(log)),
            "Frozen": lambda place, log: Frozen(**place_of(place)),
        }

    def take(self, raw: dict[str, Any]) -> Event | None:
        """The next raw log of Deployment.log_addresses, as eth_getLogs gives it, in the order of the chain: read, and added to the history.

        None for one that says nothing of interest. HistoryError: it does not fit what came before, which may have been changed: `undo` it.
        """
        place = Happening(block_number=int(raw["blockNumber"], 16), log_index=int(raw["logIndex"], 16), transaction_hash=str(raw["transactionHash"]))
        contract = self._contracts.get(str(raw["address"]).lower())
        if contract is None:
            raise HistoryError(f"block {place.block_number}: a log of {raw['address']}, expected one of {', '.join(self._contracts)}")
        try:
            log = contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
        except (ContractError, ValueError) as error:
            raise HistoryError(f"block {place.block_number}, log {place.log_index}: {error}") from error
        if log is None or log.name not in self._calls:
            return None
        event = self._completed(self._calls[log.name](place, log))
        self._add(event)
        return event

    def undo(self, block: int) -> int:
        """Take back what happened after a block: the history begins anew with the events up to it, whose number is returned."""
        events = self.history.events
        kept = bisect_right(events, block, key=lambda event: event.block_number)
        if kept < len(events):
            self.history, self._parts = type(self.history)(block), {}
            for event in events[:kept]:
                self._add(event)
        self.history.to_block = block
        return kept

    def _completed(self, event: Event) -> Event:
        """With its data, in a History."""
        if self._data is None:
            return event
        match event:
            case EpochRecorded():
                return self._data.epoch(event)
            case SnapshotPosted():
                return self._data.snapshot(event)
            case BatchHeader():
                return self._data.batch(event)
        return event

    def _add(self, event: Event) -> None:
        history: Chronicle[Any, Any] = self.history
        history.events.append(event)
        match event:
            case QueueEntryAdded():
                expect(event.index == len(history.queue), event, f"queue entry {event.index}, expected {len(history.queue)}")
                history.queue.append(event)
            case Epoch():
                expect(event.epoch not in history.epochs, event, f"epoch {event.epoch} recorded twice")
                history.epochs[event.epoch] = event
                history.newest_epochs.append((event.block_number, max(event.epoch, history.newest_epoch(event.block_number + 1))))
            case BatchHeader():
                history.batches.append(event)
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

    def _expect_standing(self, event: BatchChallenged | BatchProven | BatchFinalised) -> BatchHeader:
        """The event is about a proposal that stands."""
        batches: Sequence[BatchHeader] = self.history.batches
        number = event.batch_number
        known = len(self.history.final) < number <= len(batches)
        expect(known, event, f"{type(event).__name__} of batch {number}, expected one of {len(self.history.final) + 1} to {len(batches)}")
        expect(event.header_hash == batches[number - 1].header_hash, event, f"{type(event).__name__} of batch {number} is of another header")
        return batches[number - 1]

    def _finalised(self, event: BatchFinalised) -> None:
        history, number = self.history, len(self.history.final) + 1
        expect(event.batch_number == number, event, f"batch {event.batch_number} final, expected {number}")
        expect(event.state_root == self._expect_standing(event).state_root, event, f"the final root of batch {number} is not the proposal's")
        history.final.append(event)
        history.challenges.pop(number, None)
        history.proven.pop(number, None)

    def _void(self, event: BatchesVoided) -> None:
        history = self.history
        low, last = len(history.final) + 1, len(history.batches)
        fits = low <= event.first <= event.last == last
        expect(fits, event, f"batches {event.first} to {event.last} voided, expected the last of {low} to {last}")
        del history.batches[event.first - 1 :]
        for open_ in (history.challenges, history.proven):
            for number in [number for number in open_ if number >= event.first]:
                del open_[number]

    def _take_part(self, event: SnapshotPosted) -> None:
        """Parts come in order; part 0 begins again."""
        key = (event.poster, event.state_root)
        parts = self._parts.setdefault(key, [])
        if event.part == 0:
            parts.clear()
        expect(event.part == len(parts), event, f"part {event.part} of a snapshot, expected {len(parts)}")
        parts.append(event.data)
        if len(parts) == event.parts and self._data is not None:
            self.history.snapshots.setdefault(event.state_root, []).append(b"".join(parts))

    def _queue_entry(self, place: Happening, log: Log) -> Event:
        values = dict(log.fields) | {"owner": int(log.fields["owner"], 16)}
        return QueueEntryAdded(**place_of(place), **values)

    def _proposed(self, place: Happening, log: Log) -> Event:
        batches: Sequence[BatchHeader] = self.history.batches
        number = len(batches) + 1
        expect(log.fields["batch_number"] == number, place, f"batch {log.fields['batch_number']} proposed, expected {number}")
        parent = batches[-1].header_hash if batches else self._genesis
        return BatchHeader(**place_of(place), **log.fields, parent_header_hash=parent)


def _addressed(log: Log) -> dict[str, Any]:
    """The fields, addresses checksummed."""
    return {name: to_checksum_address(value) if name in ("challenger", "beneficiary", "poster") else value for name, value in log.fields.items()}
