"""A layer 1 that only tells: blocks of raw logs of a rollup, and the contract's counts, without a chain behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from straddle.commitments.challenge import genesis_header_hash
from straddle.l1.contracts import load
from straddle.l1.rpc import NotFound

ROLLUP = "0x" + "22" * 20
GENESIS_ROOT = 999
DEPLOYMENT: Any = SimpleNamespace(
    chain_id=31_337,
    start_block=1,
    rollup=ROLLUP,
    rollup_number=int(ROLLUP, 16),
    committee="",
    log_addresses=(ROLLUP,),
    config=SimpleNamespace(genesis_root=GENESIS_ROOT, body_cells=10, optimistic=False),
)


def header_of(number: int, branch: str = "") -> bytes:
    """Made up; `branch` tells proposals of one number apart."""
    return bytes(keccak(f"{branch}{number}".encode())) if number else genesis_header_hash(GENESIS_ROOT)


@dataclass
class ToldChain:
    """An Rpc of a chain whose block n holds the events `blocks[n]`: (name, fields). Block 0 is before the rollup."""

    blocks: list[list[tuple[str, dict[str, Any]]]] = field(default_factory=lambda: [[]])
    branch: str = ""
    """Changes the hashes of all blocks."""
    hidden: set[int] = field(default_factory=set)
    """Blocks whose logs eth_getLogs leaves out."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of eth_getLogs."""

    def add(self, *events: tuple[str, dict[str, Any]]) -> None:
        """A block."""
        self.blocks.append(list(events))

    def block_number(self) -> int:
        return len(self.blocks) - 1

    def block(self, number: int) -> dict[str, Any]:
        if number >= len(self.blocks):
            raise NotFound("eth_getBlockByNumber", 0, f"no block {number}")
        return {"number": hex(number), "hash": keccak(repr((self.branch, number, self.blocks[number])).encode()).hex()}

    def logs(self, addresses: Sequence[str], first: int, last: int) -> list[dict[str, Any]]:
        self.asked.append((first, last))
        told = (number for number in range(first, min(last, self.block_number()) + 1) if number not in self.hidden)
        return [_raw(number, place, *event) for number in told for place, event in enumerate(self.blocks[number])]

    def eth_call(self, to: str, data: bytes, block: int) -> bytes:
        """The rollup's counts as of a block."""
        contract = load("Rollup")
        name, arguments = contract.decode_call(data)
        headers, entries, finals, challenges, frozen = [header_of(0)], 0, 0, set[int](), False
        for event, fields in (event for events in self.blocks[: block + 1] for event in events):
            entries, finals, frozen = entries + (event == "QueueEntryAdded"), finals + (event == "BatchFinalised"), frozen or event == "Frozen"
            if event == "BatchProposed":
                headers.append(fields["header_hash"])
            elif event == "BatchChallenged":
                challenges.add(fields["batch_number"])
            elif event == "BatchesVoided":
                del headers[fields["first"] :]
                challenges = {number for number in challenges if number < fields["first"]}
        numbers = {"queue_length": entries, "proposed_batch": len(headers) - 1, "final_batch": finals, "open_challenges": len(challenges), "frozen": frozen}
        if name == "batch":
            return encode(["bytes32", "uint256", "uint256"], [headers[next(iter(arguments.values()))], 0, 0])
        return encode(["uint256"], [int(numbers[name])])


def queue_entry(index: int) -> tuple[str, dict[str, Any]]:
    return "QueueEntryAdded", {"index": index, "kind": 1, "account": 3, "owner": "0x" + "11" * 20, "word_1": 5 * 10**6, "word_2": 0}


def epoch(number: int) -> tuple[str, dict[str, Any]]:
    return "EpochSubmitted", {"epoch": number, "time_ms": 1_000 * number, "risk_root": 7, "inputs_hash": bytes(32)}


def proposed(number: int, branch: str = "") -> tuple[str, dict[str, Any]]:
    return "BatchProposed", {"batch_number": number, "header_hash": header_of(number, branch), "state_root": number}


def final(number: int) -> tuple[str, dict[str, Any]]:
    return "BatchFinalised", {"batch_number": number, "header_hash": header_of(number), "state_root": number, "beneficiary": "0x" + "33" * 20}


def challenged(number: int) -> tuple[str, dict[str, Any]]:
    return "BatchChallenged", {"batch_number": number, "header_hash": header_of(number), "challenger": "0x" + "44" * 20, "due_s": 5}


def _raw(block: int, place: int, name: str, values: dict[str, Any]) -> dict[str, Any]:
    contract = load("Rollup")
    inputs = next(item["inputs"] for item in contract.abi if item["type"] == "event" and item["name"] == name)
    plain = [item for item in inputs if not item["indexed"]]
    indexed = [item for item in inputs if item["indexed"]]
    return {
        "address": ROLLUP,
        "blockNumber": hex(block),
        "logIndex": hex(place),
        "transactionHash": f"0x{block:062x}{place:02x}",
        "topics": [f"0x{contract.event_topic(name).hex()}", *(f"0x{encode([item['type']], [values[item['name']]]).hex()}" for item in indexed)],
        "data": "0x" + encode([item["type"] for item in plain], [values[item["name"]] for item in plain]).hex(),
    }


def voided(first: int, last: int) -> tuple[str, dict[str, Any]]:
    return "BatchesVoided", {"first": first, "last": last}
