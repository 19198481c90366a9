"""Layer 1's queue as the commands that answer it, and the entries of one owner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from straddle.commitments.data import QueueEntry
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment
from straddle.l1.events import QueueEntryAdded
from straddle.l1.history import BLOCKS_PER_QUERY
from straddle.l1.rpc import Rpc


def queue_commands(entries: Iterable[QueueEntryAdded]) -> list[QueueEntry]:
    """The commands that answer queue entries, in order. ValueError: an entry of a kind that the protocol does not know."""
    return [_command(entry) for entry in entries]


def _command(entry: QueueEntryAdded) -> QueueEntry:
    match entry.kind:
        case 1:
            return L1Deposit(entry.index, entry.account, entry.owner, entry.word_1)
        case 2:
            return L1SetKey(entry.index, entry.account, entry.owner, PublicKey(entry.word_1, entry.word_2))
        case 3:
            return L1ForceWithdraw(entry.index, entry.account, entry.owner, entry.word_1)
        case 4:
            return L1ForceClose(entry.index, entry.account, entry.owner, entry.word_1)
    raise ValueError(f"queue entry {entry.index} kind: {entry.kind}, expected 1 (deposit), 2 (key), 3 (forced withdrawal) or 4 (forced close)")


def owned_entries(rpc: Rpc, deployment: Deployment, owner: str) -> Iterator[QueueEntryAdded]:
    """The entries of all accounts of an address, in order. The node finds them by the owner's topic, so that nothing else of the past is read."""
    rollup, last = load("Rollup"), rpc.block_number()
    topics = ["0x" + rollup.event_topic("QueueEntryAdded").hex(), None, None, f"0x{int(owner, 16):064x}"]
    for start in range(deployment.start_block, last + 1, BLOCKS_PER_QUERY):
        for raw in rpc.logs(deployment.rollup, start, min(start + BLOCKS_PER_QUERY - 1, last), topics):
            yield _entry(raw)


def _entry(raw: dict[str, Any]) -> QueueEntryAdded:
    log = load("Rollup").decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
    assert log is not None
    values = dict(log.fields) | {"owner": int(log.fields["owner"], 16)}
    return QueueEntryAdded(block_number=int(raw["blockNumber"], 16), log_index=int(raw["logIndex"], 16), transaction_hash=str(raw["transactionHash"]), **values)
