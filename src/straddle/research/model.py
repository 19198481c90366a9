"""What a comparison found. Everything here was measured or follows by arithmetic from what was measured; docs/reference/compare.md names each field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from straddle.research.prices import GAS_A_BLOB, Prices


@dataclass(frozen=True, slots=True)
class BatchCost:
    """One batch on layer 1. Times are seconds of the simulated layer 1."""

    number: int
    trades: int
    hedges: int
    closed_s: float
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
    def gas(self) -> int:
        """Of the batches that hold trades: proposals, proofs or finalisations."""
        return sum(batch.propose_gas + batch.final_gas for batch in self.trading)

    @property
    def blob_gas(self) -> int:
        """Of the batches that hold trades."""
        return GAS_A_BLOB * sum(batch.blobs for batch in self.trading)

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
        return sum(batch.calldata_bytes + 131_072 * batch.blobs for batch in self.trading) / self.trades

    def dollars_per_trade(self, prices: Prices) -> float:
        """Batches and tables' inputs."""
        return prices.dollars(self.gas + self.epoch_gas, self.blob_gas) / self.trades

    @property
    def to_data(self) -> Waits:
        """From a trade to its data on layer 1 (with a committee: to its certificates)."""
        return self._waits({batch.number: batch.proposed_s for batch in self.batches})

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
    """One batch under challenge, on an optimistic rollup."""

    name: str
    """`early proof`, `honest batch challenged` or `fraud challenged`."""
    gas: int
    """Of every transaction after the proposal: challenge, proof or voiding, payments."""
    seconds: float
    """From the proposal to finality, or to the voiding."""
    proposer_wei: int
    challenger_wei: int
    prover_wei: int
    """What each gained, gas left out."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One row of the comparison: what was measured, and what it means."""

    name: str
    trust: str
    """What must be trusted, in a sentence."""
    operator_gone: str
    """What happens when the operator disappears, in a sentence."""
    gas_per_trade: float
    gas_per_hedge: float
    table_gas_per_trade: float
    """What publishing the risk tables costs, over the trades."""
    blob_gas_per_trade: float
    bytes_per_trade: float
    dollars_per_trade: float
    dollars_per_hedge: float
    soft: Waits | None
    data: Waits
    final: Waits
    withdrawable: Waits
    under_challenge_s: float | None
    """Longest wait for money when every batch is challenged at the last moment and proved at the last moment."""
