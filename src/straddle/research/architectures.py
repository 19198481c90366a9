"""The architectures that are compared: what each is deployed with, what has to be trusted, and what happens when its operator is gone."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.policy import Data, Proofs

ORACLES = "the oracle committee's tables (m of n signatures; anybody recomputes them from the published inputs)"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to settle."""

    name: str
    proofs: Proofs
    data: Data
    trust: str
    operator_gone: str


CHOICES = (
    Choice(
        "zk-calldata",
        Proofs.ALWAYS,
        Data.CALLDATA,
        f"Mathematics (Groth16, its set-up), layer 1, {ORACLES}.",
        "After 7 days anyone proposes and proves, after 10 anyone freezes; everyone exits with a proof made from layer-1 calldata.",
    ),
    Choice(
        "zk-blob",
        Proofs.ALWAYS,
        Data.BLOB,
        f"As zk-calldata, and that somebody kept the blobs, which layer 1 drops after 18 days; {ORACLES}.",
        "As zk-calldata, from whoever kept the blobs: one watcher is enough.",
    ),
    Choice(
        "optimistic-calldata",
        Proofs.WHEN_CHALLENGED,
        Data.CALLDATA,
        f"One honest watcher who checks every batch within 7 days and can reach layer 1; {ORACLES}.",
        "After 7 days anyone proposes with a bond, after 24 anyone freezes; everyone exits with a proof made from layer-1 calldata.",
    ),
    Choice(
        "optimistic-blob",
        Proofs.WHEN_CHALLENGED,
        Data.BLOB,
        f"As optimistic-calldata, and that somebody kept the blobs; {ORACLES}.",
        "As optimistic-calldata, from whoever kept the blobs.",
    ),
    Choice(
        "validium",
        Proofs.ALWAYS,
        Data.COMMITTEE,
        f"Mathematics as zk-calldata; that one of the members who signed keeps the data and gives them out (6 of 7 sign); {ORACLES}.",
        "As zk-calldata, from one honest member's data or the account's own saved path; with neither, the money stays where it is.",
    ),
)

BASELINE_TRUST = f"Layer 1 and its contract; {ORACLES} (posted on layer 1, dearly)."
BASELINE_GONE = "Nothing stops while the oracles post: makers and takers call the contract themselves."
