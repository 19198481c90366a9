"""How proposals become final: proved always, or only when somebody challenges them (docs/protocol/policies.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.sequencer.batch_file import BatchFile, Status

ProofOf = Callable[[int], Proof | None]
"""The finished proof of a batch, by number."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction that layer 1 executed."""

    transaction_hash: str
    gas: int
    blob_gas: int = 0


class Pending(Protocol):
    """A batch that is not final."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def posted(self) -> PostedBatch:
        """As it is on layer 1."""


class ProvingLayer1(Protocol):
    """What proving needs of layer 1."""

    def prove(self, batch: PostedBatch, proof: Proof) -> Landed:
        """Prove the oldest proposal, which must be this batch; any proposal, where a proof is required when challenged."""


class ChallengeLayer1(ProvingLayer1, Protocol):
    """What settling without proofs needs of layer 1 besides."""

    def challenged(self, numbers: Sequence[int]) -> list[int]:
        """Those of some standing proposals that wait for an answer, the most urgent first."""

    def may_finalise(self, number: int) -> bool:
        """Whether the oldest proposal, `number`, is proven, or unchallenged and its window over."""

    def finalise(self, batch: PostedBatch) -> Landed:
        """Make the oldest proposal, which must be this batch, final."""

    def collect(self) -> None:
        """Draw the bonds that came back, when it pays."""


class Settling(Protocol):
    """One of the two ways."""

    slots: int
    """Proposals that layer 1 holds (Rollup.vy, SLOTS less the newest final batch)."""
    awaited: Status
    """A batch that is so far waits for nobody's work."""

    def wanted(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        """The proposals whose proofs ought to be made, the most urgent first."""

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf) -> bool:
        """Take the next step on layer 1, if there is one; whether there was."""


class ProveAlways:
    """Every batch is proved; its proof makes it final. In order."""

    slots = 255
    awaited = Status.VERIFIED

    def __init__(self, file: BatchFile, layer1: ProvingLayer1) -> None:
        self._file, self._layer1 = file, layer1

    def wanted(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        """All of them, in order."""
        return pending

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf) -> bool:
        """The oldest proposal's proof."""
        oldest = pending[0]
        proof = proof_of(oldest.number)
        if proof is None:
            return False
        landed = self._layer1.prove(oldest.posted, proof)
        self._file.update(oldest.number, status=Status.VERIFIED, prove_transaction=landed.transaction_hash, prove_gas=landed.gas)
        return True


class ProveWhenChallenged:
    """A batch is final when its window is over; proofs answer challenges. Early ones make room where more batches come than a window has slots."""

    slots = 4095
    awaited = Status.PROPOSED

    def __init__(self, file: BatchFile, layer1: ChallengeLayer1, *, early: bool = False, slots: int = slots) -> None:
        """`early`: every batch is proved without being asked for by a challenge. Otherwise the oldest are, as soon as seven eighths of the slots are taken."""
        self._file, self._layer1 = file, layer1
        self.slots = slots
        self._unproved = 0 if early else slots * 7 // 8

    def wanted(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        """Challenged ones by the date of their answer, then early ones in order."""
        by_number = {item.number: item for item in pending}
        challenged = self._layer1.challenged(list(by_number))
        early = pending[: max(0, len(pending) - self._unproved)]
        return [
            *(by_number[number] for number in challenged),
            *(item for item in early if item.number not in challenged and not self._on_layer1(item.number)),
        ]

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf) -> bool:
        """An answer that is ready goes before everything else; then the oldest proposal, when its time has come."""
        for item in self.wanted(pending):
            proof = proof_of(item.number)
            if proof is not None:
                landed = self._layer1.prove(item.posted, proof)
                self._file.update(item.number, status=Status.PROVED, prove_transaction=landed.transaction_hash, prove_gas=landed.gas)
                return True
        oldest = pending[0]
        if not self._layer1.may_finalise(oldest.number):
            return False
        landed = self._layer1.finalise(oldest.posted)
        self._file.update(oldest.number, status=Status.VERIFIED, finalise_transaction=landed.transaction_hash, finalise_gas=landed.gas)
        self._layer1.collect()
        return True

    def _on_layer1(self, number: int) -> bool:
        return bool(self._file.known(number).prove_transaction)
