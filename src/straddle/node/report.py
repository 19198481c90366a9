"""What a demo run reports: plain values, the keys of its JSON (docs/reference/demo.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class MarketReport:
    """The recorded market and what was listed of it."""

    chain: str
    prices: str
    start_ms: int
    refused_rows: int
    refused_quotes: int
    refusals: list[str]
    """Each refused row and quote: file, line, column, value, reason."""
    instruments: int
    expiries: list[str]


@dataclass(slots=True)
class BatchReport:
    """One batch on layer 1. Transactions are hashes; empty when another process sent them."""

    number: int
    status: str
    trades: int
    header_hash: str
    state_root: str
    data_bytes: int
    propose_gas: int
    prove_gas: int
    prove_wall_seconds: float
    prove_cpu_seconds: float
    propose_transaction: str
    prove_transaction: str


@dataclass(slots=True)
class WithdrawalReport:
    """The withdrawal: what was asked, and what the owner's wallet received on layer 1."""

    account: int
    owner: str
    amount_micros: int
    paid_micros: int


@dataclass(slots=True)
class ConservationReport:
    """All money and all positions, from the rebuilt state and the vault."""

    cash_micros: int
    vault_row_micros: int
    queued_micros: int
    error_micros: int
    position_sums_not_zero: int


@dataclass(slots=True)
class RebuildReport:
    """The state from layer-1 data alone, and from the journal."""

    state_root: str
    state_root_on_layer_1: str
    equal: bool
    batches: int
    tables_recomputed: int
    replayed_root: str
    replayed_equal: bool
    mismatches: list[str]


@dataclass(slots=True)
class DemoReport:
    """Everything that a run shows."""

    preset: str
    seed: int
    market: MarketReport
    traders: int
    orders: int
    trades: int
    instruments_traded: int
    expiries_traded: int
    volume_lots: int
    premium_micros: int
    """Sum of price times size."""
    fees_micros: int
    batches: list[BatchReport]
    withdrawal: WithdrawalReport
    conservation: ConservationReport
    rebuild: RebuildReport
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage, and `total`."""

    @property
    def problems(self) -> list[str]:
        """What did not hold; empty after a good run."""
        found = [f"batch {batch.number} is {batch.status}" for batch in self.batches if batch.status != "verified"]
        if self.withdrawal.paid_micros != self.withdrawal.amount_micros or not self.withdrawal.amount_micros:
            found.append(f"withdrawal: {self.withdrawal.paid_micros} paid, expected {self.withdrawal.amount_micros}")
        if self.conservation.error_micros or self.conservation.position_sums_not_zero:
            found.append(f"conservation: {self.conservation.error_micros} micro-dollars, {self.conservation.position_sums_not_zero} instruments")
        if not self.rebuild.equal:
            found.append(f"rebuilt root {self.rebuild.state_root}, expected {self.rebuild.state_root_on_layer_1}")
        if not self.rebuild.replayed_equal:
            found.append(f"replayed root {self.rebuild.replayed_root}, expected {self.rebuild.state_root}")
        return found + self.rebuild.mismatches

    def to_json(self) -> str:
        """JSON with the fields' names as keys, and `ok`."""
        return json.dumps({"ok": not self.problems, **asdict(self)}, indent=2) + "\n"
