"""Layer 1 as the node's poster uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from straddle.commitments.policy import Data
from straddle.l1.blobs import BlobArchive
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Receipt, Sender, Sending
from straddle.proving import transcript
from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.round import Landed, Sent

SNAPSHOT_PART_BYTES = 60_000
"""Of a posted copy of a state: below what the contract takes (65,536) and what nodes pass on (128 KiB a transaction)."""
BLOCK_S = 12.0
"""Of layer 1, from one block to the next."""
COLLECTED_BONDS = 16
"""So many bonds are drawn at a time."""


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A transaction of the sender's."""

    sending: Sending

    def landed(self) -> Landed:
        """When it is mined."""
        return _landed(self.sending.receipt())


@dataclass(frozen=True, slots=True)
class PosterChain:
    """What the poster needs of layer 1, with the sequencer's wallet as the sender."""

    client: RollupClient
    sender: Sender
    before_time: Callable[[int], None] = lambda time_ms: None
    """Told of a table's time before it goes to layer 1, for a development chain whose clock somebody has to move."""
    archive: BlobArchive | None = None
    """Keeps every blob that is proposed: layer 1 forgets them."""

    def head(self) -> str:
        """Hash of the newest block: another one after a reorg too."""
        return str(self.client.rpc.block("latest")["hash"])

    def epoch_hash(self, epoch: int) -> bytes | None:
        """Hash of the table that is recorded for an epoch; None: none is."""
        return self.client.epoch_hash(epoch)

    def submit_epoch(self, epoch: SignedEpoch) -> Sent:
        """Record a signed epoch."""
        self.before_time(epoch.time_ms)
        return OnItsWay(self.client.submit_epoch(self.sender.begin, epoch.epoch, epoch.time_ms, epoch.risk_root, epoch.inputs, epoch.signatures))

    def proposed_batch(self) -> int:
        """Number of the newest proposal."""
        return self.client.proposed_batch()

    def final_batch(self) -> int:
        """Number of the newest final batch."""
        return self.client.final_batch()

    def header_hash(self, batch_number: int) -> bytes:
        """Header hash of the newest final batch, or of a proposal after it."""
        return self.client.header_hash(batch_number)

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> Sent:
        """Propose; where a proof is required only when challenged, with what a watcher needs to check the batch without one."""
        self.before_time(batch.effects.time_ms)
        shown = transcript.encode(batch.witness) if self.client.deployment.config.optimistic else b""
        c = batch.witness.public.c
        if batch.place.data is Data.BLOB:
            return OnItsWay(self.client.propose(self.sender.begin, batch, c, opening=batch.opening, blobs=self._blobs(batch, shown)))
        return OnItsWay(self.client.propose(self.sender.begin, batch, c, certificates=certificates, transcript=shown))

    def propose_and_prove(self, batch: PostedBatch, proof: Proof) -> Landed:
        """Both at once, of a batch whose parent is final, on layer 1 itself: what others than the sequencer must do where a proof is required."""
        blobs = self._blobs(batch, b"") if batch.place.data is Data.BLOB else ()
        return _landed(self.client.propose_and_prove(self.sender, batch, proof, opening=batch.opening, blobs=blobs))

    def _blobs(self, batch: PostedBatch, shown: bytes) -> tuple[bytes, ...]:
        """The body's and the transcript's, kept."""
        from straddle.commitments.blob import bytes_blobs, cells_blob  # loads the ceremony's points: nobody else needs them

        blobs = (cells_blob(batch.body_words), *bytes_blobs(shown))
        if self.archive is not None:
            for blob in blobs:
                self.archive.keep(blob)
        return blobs

    def prove(self, batch: PostedBatch, proof: Proof) -> Sent:
        """Prove."""
        return OnItsWay(self.client.prove(self.sender.begin, batch, proof))

    def challenged(self, numbers: Sequence[int]) -> list[int]:
        """Those of some standing proposals that wait for an answer, the most urgent first."""
        count, due_s = self.client.open_challenges(), dict[int, int]()
        for number in reversed(numbers):  # a window holds thousands, and most challenges are of new ones
            if len(due_s) == count:
                break
            stake = self.client.stake(number)
            if stake.challenged:
                due_s[number] = stake.due_s
        return sorted(due_s, key=due_s.__getitem__)

    def may_finalise(self, number: int) -> bool:
        """Whether a proposal is proven, or unchallenged and its window over: when all before it are final, it may be."""
        over = self.client.batch(number).proposed_at_s + self.client.deployment.config.challenge_window_s
        stake = self.client.stake(number)
        return stake.proven or (not stake.challenged and self.client.rpc.time_s() > over)

    def finalise(self, batch: PostedBatch) -> Sent:
        """Make the oldest proposal, which must be this batch, final."""
        public = batch.witness.public
        words = (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)
        return OnItsWay(self.client.finalise(self.sender.begin, batch, words))

    def may_collect(self) -> bool:
        """Whether so many bonds came back that it pays to draw them."""
        return self.client.wei_owed(self.sender.address) >= COLLECTED_BONDS * self.client.deployment.config.proposer_bond_wei

    def collect(self) -> Sent:
        """Draw them."""
        return OnItsWay(self.client.collect_wei(self.sender.begin))

    def has_snapshot(self, state_root: int) -> bool:
        """Whether the copy of a state is there, whole."""
        return self.client.has_snapshot(self.sender.address, state_root)

    def snapshot_s(self, data: bytes) -> float:
        """Seconds that posting the copy of a state takes: a block for each part."""
        return BLOCK_S * -(-len(data) // SNAPSHOT_PART_BYTES)

    def post_snapshot(self, state_root: int, data: bytes) -> None:
        """Post the copy of a state, in as many parts as it takes: those that are not there yet."""
        if self.has_snapshot(state_root):
            return
        parts = [data[at : at + SNAPSHOT_PART_BYTES] for at in range(0, len(data), SNAPSHOT_PART_BYTES)]
        for i in range(self.client.snapshot_parts(self.sender.address, state_root, len(parts)), len(parts)):
            self.client.post_snapshot(self.sender, state_root, i, len(parts), parts[i])


def _landed(receipt: Receipt) -> Landed:
    return Landed(receipt.transaction_hash, receipt.gas_used, receipt.blob_gas_used)
