"""Typed calls to the contract Solvency, and what was published through it, read back from layer 1 (docs/protocol/solvency.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from straddle.commitments.holdings import Holdings, decode
from straddle.commitments.layout import DataError
from straddle.l1.contracts import ContractError, Log, load
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.l1.exits import StatementProof, StatementWords, entry_words, statement_arguments
from straddle.l1.history import BLOCKS_PER_QUERY, HistoryError, QueueEntryAdded, words
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender


@dataclass(frozen=True, slots=True)
class Run:
    """A publisher's run that has not ended, field by field as the contract has it; amounts in micro-dollars."""

    batch_number: int
    epoch: int
    time_ms: int
    state_root: int
    risk_root: int
    row: int
    chunks: int
    published: int
    queue_counted: int
    queue_end: int
    deposits: int
    claims: int
    deficits: int
    below: int
    lacking_e4: int
    fund: int
    positions: int


@dataclass(frozen=True, slots=True)
class Solvent:
    """A run that was concluded, with all that was published in it."""

    publisher: str
    batch_number: int
    epoch: int
    time_ms: int
    liabilities: int
    below: int
    lacking_e4: int
    fund: int
    state_root: int
    risk_root: int
    block_number: int
    """In which the run was concluded."""
    begun_block: int
    chunks: tuple[Holdings, ...]
    """In order; each from the calldata of its transaction."""


class SolvencyClient:
    """Reads and writes a rollup's solvency contract."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        """DeploymentError: the record names no Solvency of this version."""
        if deployment.solvency is None:
            raise DeploymentError(
                f"--solvency: missing, expected the address of rollup {deployment.rollup}'s Solvency contract, or --deployment with a record that has it"
            )
        self.rpc = rpc
        self.statement = deployment.solvency
        self._start_block = deployment.start_block
        self._contract = load("Solvency")

    def run_of(self, publisher: str) -> Run | None:
        """The publisher's run, or None."""
        values = self._contract.decode_result("runs", self.rpc.eth_call(self.statement.address, self._contract.encode_call("runs", publisher)))
        run = Run(*values)
        return run if run.chunks else None

    def begin(self, sender: Sender, epoch: int, time_ms: int, risk_root: int) -> Receipt:
        """Starts the sender's run, on the newest final batch and a recorded table that is not older than the batch's."""
        return self._write(sender, "begin", epoch, time_ms, risk_root)

    def publish(self, sender: Sender, posted: StatementWords, proof: StatementProof) -> Receipt:
        """The next chunk of the sender's run."""
        return self._write(sender, "publish", *statement_arguments(posted, proof))

    def count_deposits(self, sender: Sender, entries: Sequence[QueueEntryAdded]) -> Receipt:
        """Counts the deposits among the next unanswered entries; at most exits.ENTRIES_MAX of them."""
        return self._write(sender, "count_deposits", [entry_words(entry) for entry in entries])

    def conclude(self, sender: Sender) -> Receipt:
        """Ends the sender's run: Solvent, or the contract's reason why not."""
        return self._write(sender, "conclude")

    def newest(self, publisher: str) -> tuple[int, int] | None:
        """(batch, time_ms) of the newest run that this publisher concluded; None when it never did."""
        for last in range(self.rpc.block_number(), self._start_block - 1, -BLOCKS_PER_QUERY):
            for raw in reversed(self.rpc.logs(self.statement.address, max(self._start_block, last - BLOCKS_PER_QUERY + 1), last)):
                log = self._decoded(raw)
                if log is not None and log.name == "Solvent" and to_checksum_address(log.fields["publisher"]) == publisher:
                    return int(log.fields["batch_number"]), int(log.fields["time_ms"])
        return None

    def published(self, to_block: int | None = None) -> list[Solvent]:
        """Every concluded run, oldest first. HistoryError when what a transaction carries is not what its log says."""
        last = self.rpc.block_number() if to_block is None else to_block
        begun: dict[str, tuple[int, Log]] = {}
        chunks: dict[str, list[Holdings]] = {}
        found: list[Solvent] = []
        for raw, log in self._logs(last):
            publisher, block = to_checksum_address(log.fields["publisher"]), int(raw["blockNumber"], 16)
            if log.name == "RunBegun":
                begun[publisher], chunks[publisher] = (block, log), []
            elif publisher not in begun:
                continue  # begun before the first block that is read
            elif log.name == "ChunkPublished":
                chunks[publisher].append(self._chunk(str(raw["transactionHash"]), log))
            elif log.name == "Solvent":
                start, run = begun.pop(publisher)
                roots = {name: run.fields[name] for name in ("state_root", "risk_root")}
                values = dict(log.fields) | roots | {"publisher": publisher, "block_number": block, "begun_block": start}
                found.append(Solvent(**values, chunks=tuple(chunks.pop(publisher))))
        return found

    def _logs(self, last_block: int) -> Iterator[tuple[dict[str, Any], Log]]:
        for start in range(self._start_block, last_block + 1, BLOCKS_PER_QUERY):
            for raw in self.rpc.logs(self.statement.address, start, min(start + BLOCKS_PER_QUERY - 1, last_block)):
                log = self._decoded(raw)
                if log is not None:
                    yield raw, log

    def _decoded(self, raw: dict[str, Any]) -> Log | None:
        return self._contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))

    def _chunk(self, transaction_hash: str, log: Log) -> Holdings:
        """The words of a published chunk, from its transaction: the contract insists on direct calls."""
        transaction = self.rpc.transaction(transaction_hash)
        try:
            name, arguments = self._contract.decode_call(bytes.fromhex(transaction["input"].removeprefix("0x")))
            if name != "publish" or str(transaction.get("to") or "").lower() != self.statement.address.lower():
                raise HistoryError(f"transaction {transaction_hash}: calls {name} at {transaction.get('to')}, expected publish at {self.statement.address}")
            holdings = decode(words(arguments["effects"]), words(arguments["body"]))
        except (ContractError, DataError) as error:
            raise HistoryError(f"transaction {transaction_hash}: {error}") from error
        if holdings.chunk != log.fields["chunk"]:
            raise HistoryError(f"transaction {transaction_hash}: chunk {holdings.chunk}, its log says {log.fields['chunk']}")
        return holdings

    def _write(self, sender: Sender, function: str, *args: Any) -> Receipt:
        return sender.transact(self.statement.address, self._contract, function, *args)
