"""How proposals become final: proved always, or only when somebody challenges them (docs/protocol/policies.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.sequencer.batch_file import BatchFile, Status
from straddle.sequencer.round import Landed, Round, Sent

ProofOf = Callable[[int], Proof | None]
"""The finished proof of a batch, by number."""


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

    def prove(self, batch: PostedBatch, proof: Proof) -> Sent:
        """Prove the oldest proposal, which must be this batch; any proposal, where a proof is required when challenged."""


class ChallengeLayer1(ProvingLayer1, Protocol):
    """What settling without proofs needs of layer 1 besides."""

    def challenged(self, numbers: Sequence[int]) -> list[int]:
        """Those of some standing proposals that wait for an answer, the most urgent first."""

    def may_finalise(self, number: int) -> bool:
        """Whether a proposal is proven, or unchallenged and its window over: when all before it are final, it may be."""

    def finalise(self, batch: PostedBatch) -> Sent:
        """Make the oldest proposal, which must be this batch, final."""

    def may_collect(self) -> bool:
        """Whether so many bonds came back that it pays to draw them."""

    def collect(self) -> Sent:
        """Draw them."""


class Settling(Protocol):
    """One of the two ways."""

    slots: int
    """Proposals that layer 1 holds (Rollup.vy, SLOTS less the newest final batch)."""
    awaited: Status
    """A batch that is so far waits for nobody's work."""

    def wanted(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        """The proposals whose proofs ought to be made, the most urgent first."""

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf, sent: Round) -> None:
        """Send whatever makes the proposals final, as far as it goes by now."""


class ProveAlways:
    """Every batch is proved; its proof makes it final. In order."""

    slots = 255
    awaited = Status.VERIFIED

    def __init__(self, file: BatchFile, layer1: ProvingLayer1) -> None:
        self._file, self._layer1 = file, layer1

    def wanted(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        """All of them, in order."""
        return pending

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf, sent: Round) -> None:
        """The proofs of the oldest proposals, in order."""
        for item in pending:
            proof = proof_of(item.number)
            if proof is None:
                return
            sent.send(partial(_prove, self._layer1, item, proof), partial(_note_proof, self._file, item.number, Status.VERIFIED))


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
            *(item for item in early if item.number not in challenged),
        ]

    def settle(self, pending: Sequence[Pending], proof_of: ProofOf, sent: Round) -> None:
        """Answers that are ready go before everything else; then the oldest proposals whose time has come."""
        answered = set()
        for item in self.wanted(pending):
            proof = proof_of(item.number)
            if proof is not None and not self._layer1.may_finalise(item.number):  # proven: by us before a crash, or by another
                sent.send(partial(_prove, self._layer1, item, proof), partial(_note_proof, self._file, item.number, Status.PROVED))
                answered.add(item.number)
        for item in pending:
            if item.number in answered or not self._layer1.may_finalise(item.number):
                break
            sent.send(partial(self._finalise, item), partial(self._note_finality, item.number))
        if sent.count > len(answered) and self._layer1.may_collect():
            sent.send(self._layer1.collect)

    def _finalise(self, item: Pending) -> Sent:
        return self._layer1.finalise(item.posted)

    def _note_finality(self, number: int, landed: Landed) -> None:
        self._file.update(number, status=Status.VERIFIED, finalise_transaction=landed.transaction_hash, finalise_gas=landed.gas)


def _prove(layer1: ProvingLayer1, item: Pending, proof: Proof) -> Sent:
    return layer1.prove(item.posted, proof)


def _note_proof(file: BatchFile, number: int, status: Status, landed: Landed) -> None:
    file.update(number, status=status, prove_transaction=landed.transaction_hash, prove_gas=landed.gas)
