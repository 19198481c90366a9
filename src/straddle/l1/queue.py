"""Layer 1's queue as the commands that answer it."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.commitments.data import QueueEntry
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.l1.events import QueueEntryAdded


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
