"""What a demo run reports: plain values, the keys of its JSON (docs/reference/demo.md). Money is in USDC with six decimals, unless a name says micros."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

SYNTHETIC = (
    "the minutes inside each recorded hour: seeded, between its low and high, from its open to its close",
    "quotes of the futures and the perpetual, which the recording does not hold: around the mark, and around the index",
    "vols after the snapshot: the recorded smiles, sticky in moneyness",
    "traders and their choices: seeded",
    "the histories of the P&L study: recorded hours drawn with replacement, seeded; vols there follow the realised vol of the last 24 hours, with elasticities "
    "of 0.53 at a day to expiry and 0.17 at a month, measured on realised vol over the recording; nothing else moves their level",
)


@dataclass(slots=True)
class MarketReport:
    """The recorded market and what was listed of it."""

    chain: str
    prices: str
    start_ms: int
    end_ms: int
    refused_rows: int
    refused_quotes: int
    refusals: list[str]
    """Each refused row and quote: file, line, column, value, reason."""
    instruments: int
    options: int
    futures: int
    expiries: list[str]


@dataclass(slots=True)
class CadenceReport:
    """How often things happen, in market time."""

    epoch_minutes: int
    trading_rounds: int
    first_epoch_ms: int
    last_epoch_ms: int


@dataclass(slots=True)
class BatchReport:
    """One batch on layer 1. Transactions are hashes."""

    number: int
    status: str
    epoch: int
    time_ms: int
    trades: int
    legs: int
    accounts: int
    header_hash: str
    state_root: str
    data_bytes: int
    propose_gas: int
    prove_gas: int
    finalise_gas: int
    prove_wall_seconds: float
    prove_cpu_seconds: float
    lag_seconds: float
    """From its closing to its verification."""
    propose_transaction: str
    prove_transaction: str


@dataclass(slots=True)
class LiquidationReport:
    """An account whose portfolio went for sale."""

    account: int
    begun_ms: int
    forced: bool
    taken_by: int | None
    """The winner of its last takeover; 2 is the insurance fund."""
    payment_usdc: float | None
    """From the winner to the account."""
    instruments: int
    """Positions that the winner took."""
    ended: bool


@dataclass(slots=True)
class WithdrawalReport:
    """Money on its way to an owner: what was asked, and what the exchange paid of it."""

    account: int
    owner: str
    forced: bool
    asked_usdc: float
    paid_usdc: float


@dataclass(slots=True)
class PnlReport:
    """The hedging maker's flow of the night on other histories, unproved replays."""

    paths: int
    trades: int
    """Fills of the maker that are replayed, its hedges left out."""
    hedged_mean: float
    unhedged_mean: float
    attribution: dict[str, dict[str, float]]
    """Part -> mean and std, USDC: delta, gamma, vega, theta, spread, fees, hedge, hedge_costs."""


@dataclass(slots=True)
class RebuildReport:
    """The state from layer-1 data alone, and from the journal."""

    state_root: str
    state_root_on_layer_1: str
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
    synthetic: list[str]
    """What was not recorded, in words."""
    market: MarketReport
    cadence: CadenceReport
    trades: int
    """Match events: one order met what fills at once, whatever the number of its fills."""
    legs: int
    """Fills: one instrument, two orders."""
    multi_leg_trades: int
    quotes: int
    orders: int
    hedge_trades: int
    protections_tripped: int
    """Times that a maker's orders left the market because its protection's limit was used up."""
    liquidations: int
    liquidation_details: list[LiquidationReport]
    deleveraged: int
    accounts: int
    instruments_traded: int
    expiries_traded: int
    volume_lots: int
    fees_usdc: float
    transfers_usdc: list[float]
    epochs: int
    batches: int
    batches_verified_on_l1: int
    batch_details: list[BatchReport]
    constraints: int
    """Of the circuit: every batch costs as many."""
    constraints_per_trade: float
    prove_cpu_seconds_per_trade: float
    prove_lag_seconds: float
    prove_lag_seconds_max: float
    l1_gas_per_batch: float
    """Proposal with its data, and proof."""
    l1_gas_per_epoch: float
    """Of a risk table's inputs with the oracles' signatures."""
    l1_gas_per_trade: float
    """All that the run posted: batches and tables, also those of epochs without a trade."""
    l1_gas_per_trade_of_batches: float
    l1_gas_per_trade_of_tables: float
    l1_bytes_per_epoch: float
    l1_bytes_per_trade: float
    """Likewise both: effects and bodies, inputs of tables."""
    l1_bytes_per_trade_of_batches: float
    l1_bytes_per_trade_of_tables: float
    vault_balance_usdc: float
    sum_of_cash_usdc: float
    conservation_error: int
    """Micro-dollars: vault row less queued deposits less cash."""
    conservation_errors_by_batch: list[str]
    position_sums_not_zero: int
    rebuilt_root_matches: bool
    rebuild: RebuildReport
    settled_instruments: int
    retired_instruments: int
    settlement_price_usd: float | None
    withdrawal_paid_on_l1: bool
    withdrawals: list[WithdrawalReport]
    received_on_l1_usdc: float
    """What the owners' wallets received."""
    hedged_pnl_std: float | None
    unhedged_pnl_std: float | None
    pnl: PnlReport | None
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage, and `total`."""

    @property
    def problems(self) -> list[str]:
        """What did not hold; empty after a good run."""
        found = [f"batch {batch.number} is {batch.status}" for batch in self.batch_details if batch.status != "verified"]
        if not self.withdrawal_paid_on_l1:
            owed = sum(withdrawal.paid_usdc for withdrawal in self.withdrawals)
            found.append(f"withdrawals: {self.received_on_l1_usdc:,.6f} USDC received on layer 1, expected {owed:,.6f}, and more than none")
        if self.conservation_error or self.position_sums_not_zero:
            found.append(f"conservation: {self.conservation_error} micro-dollars, {self.position_sums_not_zero} instruments")
        if self.vault_balance_usdc != self.sum_of_cash_usdc:
            found.append(f"vault: {self.vault_balance_usdc:,.6f} USDC, expected all cash, {self.sum_of_cash_usdc:,.6f}")
        if not self.rebuilt_root_matches:
            found.append(f"rebuilt root {self.rebuild.state_root}, expected {self.rebuild.state_root_on_layer_1}")
        if not self.rebuild.replayed_equal:
            found.append(f"replayed root {self.rebuild.replayed_root}, expected {self.rebuild.state_root}")
        return found + self.conservation_errors_by_batch + self.rebuild.mismatches

    def to_json(self) -> str:
        """JSON with the fields' names as keys, and `ok`."""
        return json.dumps({"ok": not self.problems, **asdict(self)}, indent=2) + "\n"
