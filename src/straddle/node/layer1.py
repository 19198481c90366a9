"""Layer 1 as the node uses it: the poster's chain, the queue as commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.l1.history import QueueEntryAdded
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.sequencer.poster import Landed, SignedEpoch

QueueCommand = L1Deposit | L1SetKey | L1ForceWithdraw | L1ForceClose


@dataclass(frozen=True, slots=True)
class PosterChain:
    """What the poster needs of layer 1, with the sequencer's wallet as the sender."""

    client: RollupClient
    sender: Sender
    before_time: Callable[[int], None] = lambda time_ms: None
    """Told of a table's time before it goes to layer 1, for a development chain whose clock somebody has to move."""

    def has_epoch(self, epoch: int) -> bool:
        """Whether the epoch is recorded."""
        return self.client.has_epoch(epoch)

    def submit_epoch(self, epoch: SignedEpoch) -> Landed:
        """Record a signed epoch."""
        self.before_time(epoch.time_ms)
        receipt = self.client.submit_epoch(self.sender, epoch.epoch, epoch.time_ms, epoch.risk_root, epoch.inputs, epoch.signatures)
        return Landed(receipt.transaction_hash, receipt.gas_used)

    def proposed_batch(self) -> int:
        """Number of the newest proposal."""
        return self.client.proposed_batch()

    def proven_batch(self) -> int:
        """Number of the newest proven batch."""
        return self.client.proven_batch()

    def header_hash(self, batch_number: int) -> bytes:
        """Header hash of the newest proven batch, or of a proposal after it."""
        return self.client.header_hash(batch_number)

    def propose(self, batch: PostedBatch) -> Landed:
        """Propose."""
        self.before_time(batch.effects.time_ms)
        receipt = self.client.propose(self.sender, batch, batch.witness.public.c)
        return Landed(receipt.transaction_hash, receipt.gas_used)

    def prove(self, batch: PostedBatch, proof: Proof) -> Landed:
        """Prove."""
        receipt = self.client.prove(self.sender, batch, proof)
        return Landed(receipt.transaction_hash, receipt.gas_used)


def queue_commands(entries: Iterable[QueueEntryAdded]) -> list[QueueCommand]:
    """The commands that answer queue entries, in order."""
    return [_command(entry) for entry in entries]


def _command(entry: QueueEntryAdded) -> QueueCommand:
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
