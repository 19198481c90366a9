"""The past of an exchange, read from layer 1 alone: queue, epochs with their inputs, batches with their data, proofs, voids, in order.

What a log and a transaction say is checked against each other and against the specification's hashes, so a History is either what the contract executed
(as far as the node that answers can be believed) or a HistoryError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.commitments.challenge import challenge, evaluate, genesis_header_hash, header_hash
from straddle.l1.contracts import Contract, ContractError, Log, load
from straddle.l1.deployment import Deployment
from straddle.l1.rpc import Rpc

BLOCKS_PER_QUERY = 2000


class HistoryError(RuntimeError):
    """Layer 1's logs, transactions and hashes contradict each other, or data is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Where something happened."""

    block_number: int
    log_index: int
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntryAdded(Happening):
    """An entry of the queue. Kind 1: deposit of word_1 micro-dollars; 2: key (word_1, word_2); 3: forced withdrawal of word_1 micro-dollars; 4: forced close at
    a discount of at most word_1 basis points. `owner` is the address as an integer."""

    index: int
    kind: int
    account: int
    owner: int
    word_1: int
    word_2: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSubmitted(Happening):
    """A recorded epoch with the published inputs and the oracles' signatures (v, r, s)."""

    epoch: int
    time_ms: int
    risk_root: int
    inputs: bytes
    signatures: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProposed(Happening):
    """A proposal with its data as posted; its header hash has been recomputed from them."""

    batch_number: int
    parent_header_hash: bytes
    header_hash: bytes
    state_root: int
    effects: tuple[int, ...]
    body: tuple[int, ...]
    data_commitment: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProven(Happening):
    """A batch became final."""

    batch_number: int
    header_hash: bytes
    state_root: int
    beneficiary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesVoided(Happening):
    """Proposals first..last were removed."""

    first: int
    last: int


Event = QueueEntryAdded | EpochSubmitted | BatchProposed | BatchProven | BatchesVoided


@dataclass(slots=True)
class History:
    """All events in the order of the chain, and what they amount to."""

    to_block: int
    events: list[Event] = field(default_factory=list)
    queue: list[QueueEntryAdded] = field(default_factory=list)
    """By index."""
    epochs: dict[int, EpochSubmitted] = field(default_factory=dict)
    batches: list[BatchProposed] = field(default_factory=list)
    """Batches 1, 2, ...: proven ones, then proposals that stand."""
    proven: list[BatchProven] = field(default_factory=list)
    """Batches 1, 2, ..."""


def read_history(rpc: Rpc, deployment: Deployment, to_block: int | None = None) -> History:
    """Everything up to `to_block` (the newest block when None). HistoryError when it does not fit together."""
    last = rpc.block_number() if to_block is None else to_block
    reader = _Reader(rpc, deployment, History(last))
    for event in reader.events(last):
        reader.add(event)
    return reader.history


class _Reader:
    def __init__(self, rpc: Rpc, deployment: Deployment, history: History) -> None:
        self.history = history
        self._rpc = rpc
        self._deployment = deployment
        self._contract: Contract = load("Rollup")
        self._headers = [genesis_header_hash(deployment.config.genesis_root)]
        self._calls: dict[str, Callable[[Happening, Log], Event]] = {
            "QueueEntryAdded": self._queue_entry,
            "EpochSubmitted": self._epoch,
            "BatchProposed": self._proposed,
            "BatchProven": self._proven,
            "BatchesVoided": self._voided,
        }

    def events(self, last_block: int) -> Iterator[Event]:
        for start in range(self._deployment.start_block, last_block + 1, BLOCKS_PER_QUERY):
            for raw in self._rpc.logs(self._deployment.rollup, start, min(start + BLOCKS_PER_QUERY - 1, last_block)):
                log = self._contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
                if log is not None and log.name in self._calls:
                    place = Happening(
                        block_number=int(raw["blockNumber"], 16), log_index=int(raw["logIndex"], 16), transaction_hash=str(raw["transactionHash"])
                    )
                    yield self._calls[log.name](place, log)

    def add(self, event: Event) -> None:
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
            case BatchProven():
                history.proven.append(event)
            case BatchesVoided():
                known = (len(history.proven) + 1, len(history.batches))
                _expect((event.first, event.last) == known, event, f"batches {event.first} to {event.last} voided, expected {known[0]} to {known[1]}")
                del history.batches[event.first - 1 :], self._headers[event.first :]

    def _queue_entry(self, place: Happening, log: Log) -> Event:
        values = dict(log.fields) | {"owner": int(log.fields["owner"], 16)}
        return QueueEntryAdded(**_place(place), **values)

    def _epoch(self, place: Happening, log: Log) -> Event:
        _, arguments = self._calldata(place, {"submit_epoch"})
        said = {name: log.fields[name] for name in ("epoch", "time_ms", "risk_root")}
        _expect(all(arguments[name] == value for name, value in said.items()), place, f"log of epoch {said['epoch']} differs from its transaction")
        _expect(keccak(arguments["inputs"]) == log.fields["inputs_hash"], place, f"inputs of epoch {said['epoch']} do not match their hash")
        return EpochSubmitted(**_place(place), **said, inputs=arguments["inputs"], signatures=tuple(arguments["signatures"]))

    def _proposed(self, place: Happening, log: Log) -> Event:
        _, arguments = self._calldata(place, {"propose", "propose_and_prove"})
        number, effects, body = len(self._headers), words(arguments["effects"]), words(arguments["body"])
        c, parent, deployment = arguments["data_commitment"], self._headers[-1], self._deployment
        z = challenge(deployment.chain_id, deployment.rollup_number, deployment.vk_id, number, parent, effects, body, c)
        hashed = header_hash(parent, number, effects, body, c, z, evaluate(effects, z), evaluate(body, z))
        _expect(log.fields["batch_number"] == number, place, f"batch {log.fields['batch_number']} proposed, expected {number}")
        _expect(log.fields["header_hash"] == hashed, place, f"the calldata of batch {number} do not give its header hash")
        _expect(log.fields["state_root"] == effects[3], place, f"the new root of batch {number} differs from its effects")
        return BatchProposed(
            **_place(place),
            batch_number=number,
            parent_header_hash=parent,
            header_hash=hashed,
            state_root=effects[3],
            effects=effects,
            body=body,
            data_commitment=c,
        )

    def _proven(self, place: Happening, log: Log) -> Event:
        number = len(self.history.proven) + 1
        _expect(log.fields["batch_number"] == number <= len(self.history.batches), place, f"batch {log.fields['batch_number']} proven, expected {number}")
        batch = self.history.batches[number - 1]
        same = (log.fields["header_hash"], log.fields["state_root"]) == (batch.header_hash, batch.state_root)
        _expect(same, place, f"the proof of batch {number} is for another header than the proposal's")
        return BatchProven(**_place(place), **dict(log.fields) | {"beneficiary": to_checksum_address(log.fields["beneficiary"])})

    def _voided(self, place: Happening, log: Log) -> Event:
        return BatchesVoided(**_place(place), **log.fields)

    def _calldata(self, place: Happening, functions: set[str]) -> tuple[str, dict[str, Any]]:
        transaction = self._rpc.transaction(place.transaction_hash)
        to = str(transaction.get("to") or "")
        # The contract insists on direct calls; an account with delegated code could still hide one behind a call to itself.
        _expect(to.lower() == self._deployment.rollup.lower(), place, f"the transaction calls {to or 'nothing'}, expected the rollup")
        try:
            name, arguments = self._contract.decode_call(bytes.fromhex(transaction["input"][2:]))
        except ContractError as error:
            raise HistoryError(f"{_where(place)}: {error}") from error
        _expect(name in functions, place, f"the transaction calls {name}, expected {' or '.join(sorted(functions))}")
        return name, arguments


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
