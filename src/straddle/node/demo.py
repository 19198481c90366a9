"""The whole loop in one process: a local layer 1 on the recorded clock, deposits, trading, proofs, a withdrawal, and the state rebuilt from layer 1."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from straddle.l1.anvil import Anvil
from straddle.l1.sender import Sender
from straddle.node.config import DemoConfig
from straddle.node.exchange import Exchange
from straddle.node.market import Market, load_market
from straddle.node.network import Display, Network, shown
from straddle.node.report import BatchReport, ConservationReport, DemoReport, MarketReport, RebuildReport, WithdrawalReport
from straddle.node.traders import Trader
from straddle.node.verify import VerifyReport, verify
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer
from straddle.risk.naming import instrument_name
from straddle.sequencer.poster import BatchRecord

MAKER_DEPOSIT_MICROS = 5_000_000 * 10**6
TAKER_DEPOSIT_MICROS = 500_000 * 10**6
SHOWN_REFUSALS = 20
"""Refused rows shown one by one."""
CHAIN_LEAD_S = 1_800
"""Layer 1 starts this long before the recording, for deployment and deposits."""


@dataclass(slots=True)
class Stopwatch:
    """Wall time by stage."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Adds the block's time to a stage."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun

    def total(self) -> dict[str, float]:
        """Seconds by stage, rounded, with the total since the start."""
        return {name: round(value, 3) for name, value in {**self.seconds, "total": time.perf_counter() - self.started}.items()}


def run_demo(config: DemoConfig, display: Display) -> DemoReport:
    """Run everything. Errors of any part go through; a run that ended badly without one says so in `DemoReport.problems`."""
    watch = Stopwatch()
    with ExitStack() as stack:
        folder = config.workdir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="straddle-demo-")))
        display.stage("market", "reading the recordings, fitting the surface")
        with watch.time("market"):
            market = load_market(config)
        show_refusals(market, display)
        display.stage("keys", f"proving keys of preset {config.preset} (made once, then kept)")
        with watch.time("keys"):
            prover = Prover()
            key = prover.setup(config.preset, shown(display, "set-up"))
        display.stage("layer 1", "anvil, contracts, deposits and keys")
        with watch.time("layer 1"):
            anvil = stack.enter_context(Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S))
            network = Network(config, market, anvil, key)
            server = stack.enter_context(ProvingServer(prover, config.preset))
            poster = network.poster(folder / "poster.sqlite", server, display)
            stack.callback(poster.close)
            exchange = Exchange(config, market, network, folder, poster)
            _join(exchange, display)
        trader, amount = _trade(exchange, display, watch)
        display.stage("withdrawal", f"{amount / 1e6:,.2f} USDC to {trader.name}'s owner")
        paid = _pull(network, trader)
        display.stage("verification", "the state from layer-1 data alone, and from the journal")
        with watch.time("verification"):
            verified = verify(anvil.rpc, network.deployment, display.progress)
            replayed = exchange.replayed_root()
        withdrawal = WithdrawalReport(trader.account, trader.wallet.address, amount, paid)
        return _report(exchange, withdrawal, verified, replayed, watch.total())


def show_refusals(market: Market, display: Display) -> None:
    """Refused rows one by one; of refused quotes (a recording has hundreds below intrinsic value) only the number."""
    rows = [f"{name} {refusal}" for name, refusal in market.refusals if refusal.whole_row]
    for text in rows[:SHOWN_REFUSALS]:
        display.progress(text)
    if len(rows) > SHOWN_REFUSALS:
        display.progress(f"and {len(rows) - SHOWN_REFUSALS} more rows, listed in the report (--json)")
    if quotes := len(market.refusals) - len(rows):
        display.progress(f"{quotes} single quotes refused, listed in the report (--json)")


def _join(exchange: Exchange, display: Display) -> None:
    makers = {trader.name for trader, _ in exchange.session.makers}
    for i, trader in enumerate(exchange.traders):
        display.progress(f"{trader.name} deposits", i / len(exchange.traders))
        exchange.network.join(trader, MAKER_DEPOSIT_MICROS if trader.name in makers else TAKER_DEPOSIT_MICROS)


def _trade(exchange: Exchange, display: Display, watch: Stopwatch) -> tuple[Trader, int]:
    """All epochs, each posted and proved before the next; the last one with a withdrawal."""
    display.stage("batches", "trading, proving, verifying")
    with watch.time("trading"):
        exchange.open_market()
    _post(exchange, watch)
    for epoch in range(1, exchange.config.epochs + 1):
        display.progress(f"epoch {epoch + 1}: trading")
        with watch.time("trading"):
            exchange.trade(epoch)
            withdrawn = exchange.withdraw() if epoch == exchange.config.epochs else None
            exchange.finish_batch()
        _post(exchange, watch)
    assert withdrawn is not None  # the configuration has at least one epoch
    return withdrawn


def _post(exchange: Exchange, watch: Stopwatch) -> None:
    with watch.time("proving and posting"):
        exchange.poster.post()


def _pull(network: Network, trader: Trader) -> int:
    """The owner pulls what proved batches credited; micro-dollars that arrived in the wallet."""
    before = network.client.token_balance(trader.wallet.address)
    network.client.pull(Sender(network.anvil.rpc, bytes(trader.wallet.key)))
    return network.client.token_balance(trader.wallet.address) - before


def _report(exchange: Exchange, withdrawal: WithdrawalReport, verified: VerifyReport, replayed: int, seconds: dict[str, float]) -> DemoReport:
    config, market, trades = exchange.config, exchange.market, exchange.session.trades
    fills = {closed.batch.number: len(closed.batch.fills) for closed in exchange.closed}
    traded = {trade.instrument for trade in trades}
    option_expiries = {market.listed[number][0].expiry_ms for number in traded} & set(market.expiries)
    return DemoReport(
        preset=config.preset,
        seed=config.seed,
        market=MarketReport(
            chain=config.chain.name,
            prices=config.prices.name,
            start_ms=market.path.start_ms,
            refused_rows=sum(refusal.whole_row for _, refusal in market.refusals),
            refused_quotes=sum(not refusal.whole_row for _, refusal in market.refusals),
            refusals=[f"{name} {refusal}" for name, refusal in market.refusals],
            instruments=len(market.listed),
            expiries=_expiry_names(market),
        ),
        traders=len(exchange.traders),
        orders=exchange.orders,
        trades=len(trades),
        instruments_traded=len(traded),
        expiries_traded=len(option_expiries),
        volume_lots=sum(trade.size_lots for trade in trades),
        premium_micros=sum(trade.price_ticks * trade.size_lots for trade in trades),
        fees_micros=sum(trade.taker_fee + trade.maker_fee for trade in trades),
        batches=[_batch_report(record, fills.get(record.number, 0)) for record in exchange.poster.records()],
        withdrawal=withdrawal,
        conservation=ConservationReport(
            cash_micros=verified.cash_micros,
            vault_row_micros=verified.vault_row_micros,
            queued_micros=verified.queued_micros,
            error_micros=verified.conservation_error_micros,
            position_sums_not_zero=verified.position_sums_not_zero,
        ),
        rebuild=RebuildReport(
            state_root=f"{verified.state_root:#066x}",
            state_root_on_layer_1=f"{verified.state_root_on_layer_1:#066x}",
            equal=verified.state_root == verified.state_root_on_layer_1,
            batches=verified.batches,
            tables_recomputed=verified.tables,
            replayed_root=f"{replayed:#066x}",
            replayed_equal=replayed == verified.state_root,
            mismatches=verified.mismatches,
        ),
        seconds=seconds,
    )


def _batch_report(record: BatchRecord, trades: int) -> BatchReport:
    return BatchReport(
        number=record.number,
        status=record.status.value,
        trades=trades,
        header_hash="0x" + record.header_hash,
        state_root=record.state_root,
        data_bytes=record.data_bytes,
        propose_gas=record.propose_gas,
        prove_gas=record.prove_gas,
        prove_wall_seconds=record.prove_wall_seconds,
        prove_cpu_seconds=record.prove_cpu_seconds,
        propose_transaction=record.propose_transaction,
        prove_transaction=record.prove_transaction,
    )


def _expiry_names(market: Market) -> list[str]:
    """Expiries as the venue names them (22MAY20), ascending."""
    names = {instrument.expiry_ms: instrument_name(instrument).split("-")[1] for instrument, record in market.listed.values() if record is not None}
    return [names[expiry] for expiry in market.expiries]
