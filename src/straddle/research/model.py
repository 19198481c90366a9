"""What a comparison found. Everything here was measured or follows by arithmetic from what was measured; docs/reference/compare.md names each field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from straddle.research.capital import Bonds
from straddle.research.prices import GAS_A_BLOB, GWEI_IN_ETHER, Prices


@dataclass(frozen=True, slots=True)
class BatchCost:
    """One batch on layer 1. Times are seconds of the simulated layer 1."""

    number: int
    trades: int
    hedges: int
    fills: int
    """Of all trades: one a leg."""
    hedge_fills: int
    begun_s: float
    """Time of its table."""
    closed_s: float
    data_s: float
    """When its data are out: in the block of the proposal, or with as many members as certify."""
    proposed_s: float
    final_s: float
    propose_gas: int
    final_gas: int
    """Of the proof, or of `finalise`."""
    calldata_bytes: int
    """Of the propose transaction, transcript included; the proof's transaction repeats the effects and is in its gas."""
    transcript_bytes: int
    body_cells: int
    """Posted, trailing zeros left out."""
    blobs: int
    prove_cpu_seconds: float
    """0 where nobody proved."""
    certify_seconds: float
    """Wall time until as many members had recomputed, stored and signed as layer 1 wants, each on a machine of its own; 0 without a committee."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from a trade to an event, over the trades of a run."""

    median: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits:
        """ValueError without one."""
        if not seconds:
            raise ValueError("waits: none, expected at least one")
        return cls(median(seconds), max(seconds))

    def later(self, seconds: float) -> Waits:
        """For what comes so much later."""
        return Waits(self.median + seconds, self.worst + seconds)


@dataclass(frozen=True, slots=True)
class Run:
    """One flow through one architecture."""

    name: str
    batches: tuple[BatchCost, ...]
    epochs: int
    epoch_gas: int
    trade_times_s: tuple[tuple[int, float], ...]
    """(batch, moment) of every trade, simulated seconds."""
    soft_seconds: tuple[float, ...]
    """Wall seconds from a command to its signed receipt on disk, each measured."""

    @property
    def trades(self) -> int:
        """Match events."""
        return sum(batch.trades for batch in self.batches)

    @property
    def hedges(self) -> int:
        """Trades by which a maker hedged its delta."""
        return sum(batch.hedges for batch in self.batches)

    @property
    def trading(self) -> tuple[BatchCost, ...]:
        """Batches that hold trades. The others list instruments and open accounts, once."""
        return tuple(batch for batch in self.batches if batch.trades)

    @property
    def hedge_share(self) -> float:
        """What one hedge takes of all: its fills over all fills. One fill where nobody hedged."""
        fills = sum(batch.fills for batch in self.batches)
        hedge_fills = sum(batch.hedge_fills for batch in self.batches)
        return (hedge_fills / self.hedges if self.hedges else 1) / fills

    @property
    def gas(self) -> int:
        """Of the batches that hold trades: proposals, proofs or finalisations."""
        return sum(batch.propose_gas + batch.final_gas for batch in self.trading)

    @property
    def blob_gas(self) -> int:
        """Of the batches that hold trades."""
        return GAS_A_BLOB * sum(batch.blobs for batch in self.trading)

    @property
    def posted_bytes(self) -> int:
        """Of the batches that hold trades: calldata of proposals, and the blobs' full size."""
        return sum(batch.calldata_bytes + GAS_A_BLOB * batch.blobs for batch in self.trading)

    @property
    def gas_per_trade(self) -> float:
        """Batches alone."""
        return self.gas / self.trades

    @property
    def epoch_gas_per_trade(self) -> float:
        """Tables' inputs, which every architecture publishes alike."""
        return self.epoch_gas / self.trades

    @property
    def bytes_per_trade(self) -> float:
        """Calldata of proposals, or the blobs' full size, a trade."""
        return self.posted_bytes / self.trades

    @property
    def prove_cpu_seconds_per_trade(self) -> float:
        """Of the batches that hold trades."""
        return sum(batch.prove_cpu_seconds for batch in self.trading) / self.trades

    @property
    def batch_interval_s(self) -> float:
        """Mean time that a batch with trades covers."""
        return (max(batch.closed_s for batch in self.trading) - min(batch.begun_s for batch in self.trading)) / len(self.trading)

    @property
    def to_data(self) -> Waits:
        """From a trade to its data, on layer 1 or with the members."""
        return self._waits({batch.number: batch.data_s for batch in self.batches})

    @property
    def to_final(self) -> Waits:
        """From a trade to finality; money withdrawn in the same batch is claimable in the same block."""
        return self._waits({batch.number: batch.final_s for batch in self.batches})

    @property
    def to_receipt(self) -> Waits:
        """From a command to the sequencer's signed receipt."""
        return Waits.of(self.soft_seconds)

    def _waits(self, at: dict[int, float]) -> Waits:
        return Waits.of([at[batch] - moment for batch, moment in self.trade_times_s])


@dataclass(frozen=True, slots=True)
class Dispute:
    """One batch with trades under another course than waiting, on an optimistic rollup."""

    name: str
    """`early proof`, `honest batch challenged` or `fraud challenged`."""
    trades: int
    propose_gas: int
    gas: int
    """Of every transaction after the proposal: challenge, proof or voiding."""
    seconds: float
    """From the proposal to finality, or to the voiding."""
    to_final: Waits | None
    """From its trades; None where it was voided."""
    prove_cpu_seconds: float
    """Of the proof, 0 without one."""
    proposer_wei: int
    challenger_wei: int
    prover_wei: int
    """What each gained, gas left out."""

    @property
    def gas_per_trade(self) -> float:
        """Proposal and all after it."""
        return (self.propose_gas + self.gas) / self.trades


@dataclass(frozen=True, slots=True)
class Clocks:
    """The optimistic contract's periods and bonds."""

    window_s: int
    answer_s: int
    """That every answer has, however few challenges are open."""
    allowance_s: int
    """That each open challenge adds to it."""
    allowance_most_s: int
    proposals_most: int
    proposer_bond_wei: int
    challenger_bond_wei: int
    proof_gas: int
    """That an answer is paid for, at the block's base fee."""
    proof_work_wei: int
    """And for making the proof."""

    def reward_wei(self, gas_gwei: float) -> float:
        """What the prover of a challenged batch is paid from the challenger's bond."""
        return min(self.challenger_bond_wei, self.proof_gas * gas_gwei * GWEI_IN_ETHER + self.proof_work_wei)

    def wait_s(self, challenges: int) -> int:
        """From the proposal to the last moment of an answer, challenged in the window's last second as one of so many."""
        return self.window_s + self.answer_s + min(challenges * self.allowance_s, self.allowance_most_s)


@dataclass(frozen=True, slots=True)
class QuorumAway:
    """The first batch with trades of a validium whose members do not answer: a copy of the state before it, and its body in calldata."""

    trades: int
    snapshot_bytes: int
    snapshot_gas: int
    """Once for as long as they are away."""
    propose_gas: int
    final_gas: int
    """Of the same batch's proof when it was certified."""
    calldata_bytes: int

    @property
    def gas_per_trade(self) -> float:
        """Without the copy."""
        return (self.propose_gas + self.final_gas) / self.trades


@dataclass(frozen=True, slots=True)
class Usage:
    """What one trade, or one hedge, takes of layer 1: means over a run."""

    gas: float
    """Of batches, or of fills on layer 1; no tables."""
    table_gas: float
    """Its share of the risk tables."""
    blob_gas: float
    posted_bytes: float

    def dollars(self, prices: Prices) -> float:
        """Tables included."""
        return prices.dollars(self.gas + self.table_gas, self.blob_gas)


@dataclass(frozen=True, slots=True)
class Architecture:
    """One column of the comparison: what was measured, and what it means. None where it does not apply."""

    name: str
    trust: str
    """What must be trusted, in a sentence."""
    operator_gone: str
    """What happens when the operator disappears, in a sentence."""
    trade: Usage
    hedge: Usage
    dollars_per_trade: float
    dollars_per_hedge: float
    prove_cpu_seconds_per_trade: float | None
    proving_dollars_per_trade: float | None
    soft: Waits | None
    data: Waits
    final: Waits
    withdrawable: Waits
    one_challenge_s: float | None
    """Longest wait for money when the batch alone is challenged in its window's last second, and proved in the answer's last."""
    all_challenged_s: float | None
    """The same when as many are challenged as may stand."""
    early_gas_per_trade: float | None
    early_withdrawable: Waits | None
    """With a proof made at once."""
    away: QuorumAway | None
    bonds: Bonds | None
