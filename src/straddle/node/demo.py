"""The whole loop in one process: a local layer 1 on the recorded clock, deposits, trading, proofs, a withdrawal, and the state rebuilt from layer 1."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from straddle.bots.market_maker import MakerProfile
from straddle.bots.taker import TakerProfile
from straddle.commitments.params import params_hash
from straddle.core import messages
from straddle.l1.anvil import Anvil
from straddle.l1.deployment import Deployment, RollupConfig, deploy
from straddle.l1.history import read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.config import DemoConfig
from straddle.node.layer1 import PosterChain, queue_commands
from straddle.node.market import Market, exchange_params, genesis, load_market
from straddle.node.report import BatchReport, ConservationReport, DemoReport, MarketReport, RebuildReport, WithdrawalReport
from straddle.node.session import Committee, MarketSession, SessionError
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.node.verify import VerifyReport, verify
from straddle.proving.keys import VerifyingKey
from straddle.proving.prover import Progress, Prover, ProveResult
from straddle.proving.server import ProvingServer
from straddle.proving.witness import Witness
from straddle.risk.naming import instrument_name
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import BatchRecord, Facts, Poster
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

MAKER_DEPOSIT_MICROS = 5_000_000 * 10**6
TAKER_DEPOSIT_MICROS = 500_000 * 10**6
INCLUSION_MS = 600_000
"""Receipts promise inclusion within ten minutes of market time."""
SHOWN_REFUSALS = 20
"""Refused rows shown one by one."""
CHAIN_LEAD_S = 1_800
"""Layer 1 starts this long before the recording, for deployment and deposits."""


class Display(Protocol):
    """Who is told how far the run is."""

    def stage(self, name: str, detail: str = "") -> None:
        """A new stage begins."""

    def progress(self, detail: str, done: float | None = None) -> None:
        """Within the stage; `done` from 0 to 1 where it is known."""


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


@dataclass(slots=True)
class _ShownProver:
    """The prover with its progress on the display."""

    prover: Prover | ProvingServer
    display: Display

    def prove(self, witness: Witness) -> ProveResult:
        """Prove and show how far it is."""
        return self.prover.prove(witness, _shown(self.display, f"proving batch {witness.header.batch_number}"))


class Network:
    """Layer 1 of a run: anvil, contracts, wallets."""

    def __init__(self, config: DemoConfig, market: Market, anvil: Anvil, key: VerifyingKey) -> None:
        self.config = config
        self.anvil = anvil
        self.operator = wallet_of(config.seed, "operator")
        self.sequencer = wallet_of(config.seed, "sequencer")
        self.params = exchange_params(config.circuit, market.parameters)
        oracles = sorted((wallet_of(config.seed, f"oracle-{i}") for i in range(config.oracles)), key=address_of)
        self.committee = Committee(tuple(bytes(wallet.key) for wallet in oracles[: config.threshold]))
        for wallet in (self.operator, self.sequencer):
            anvil.fund(wallet.address)
        self.deployment = self._deploy(key, tuple(wallet.address for wallet in oracles))
        self.client = RollupClient(anvil.rpc, self.deployment)
        self.identity = LogIdentity(self.deployment.chain_id, self.deployment.rollup_number)

    @property
    def domain(self) -> int:
        """What every signature is bound to."""
        return messages.domain(self.identity.chain_id, self.identity.rollup)

    def join(self, trader: Trader, amount_micros: int) -> None:
        """A trader deposits, which opens an account, and sets its key."""
        self.anvil.fund(trader.wallet.address)
        self.client.mint(Sender(self.anvil.rpc, bytes(self.operator.key)), trader.wallet.address, amount_micros)
        sender = Sender(self.anvil.rpc, bytes(trader.wallet.key))
        trader.account = self.client.deposit(sender, amount_micros).account
        self.client.set_key(sender, trader.account, trader.key.public, trader.key.base)

    def poster(self, path: Path, prover: Prover | ProvingServer, display: Display) -> Poster:
        """The poster of this rollup, paid by the sequencer's wallet."""
        chain = PosterChain(self.client, Sender(self.anvil.rpc, bytes(self.sequencer.key)), self._reach)
        return Poster(path, self._facts(), chain, _ShownProver(prover, display), lambda record: display.progress(_status(record)))

    def _reach(self, time_ms: int) -> None:
        """Layer 1's clock has passed a table's time."""
        self.anvil.set_time_at_least(-(-time_ms // 1000) + 1)

    def _facts(self) -> Facts:
        deployment = self.deployment
        return Facts(
            params=self.params,
            preset=self.config.circuit,
            domain=self.domain,
            chain_id=deployment.chain_id,
            rollup=deployment.rollup_number,
            vk_id=deployment.vk_id,
            genesis_root=deployment.config.genesis_root,
            beneficiary=address_of(self.sequencer),
        )

    def _deploy(self, key: VerifyingKey, oracles: tuple[str, ...]) -> Deployment:
        preset = self.config.circuit
        _, committed = genesis(preset, self.params, 0, address_of(self.operator))
        config = RollupConfig(
            sequencer=self.sequencer.address,
            operator=self.operator.address,
            oracles=oracles,
            threshold=self.config.threshold,
            genesis_root=committed.root,
            params_hash=params_hash(self.params),
            account_depth=preset.account_depth,
            queue_rows=preset.queue,
            withdrawal_rows=preset.withdrawals,
            body_cells=preset.body_words,
        )
        return deploy(self.anvil.rpc, Sender(self.anvil.rpc, bytes(self.operator.key)), key, config)


class Exchange:
    """Layer 2 of a run: sequencer, poster, market session."""

    def __init__(self, config: DemoConfig, market: Market, network: Network, folder: Path, poster: Poster) -> None:
        self.config = config
        self.market = market
        self.network = network
        self.poster = poster
        self.journal_path = folder / "journal.sqlite"
        self.closed: list[ClosedBatch] = []
        self.orders = 0
        self.sequencer = self._open_sequencer(self._batch_closed)
        makers = [Trader.create(config.seed, f"maker-{i + 1}", network.domain) for i in range(config.makers)]
        takers = [Trader.create(config.seed, f"taker-{i + 1}", network.domain) for i in range(config.takers)]
        share_bps = 10_000 // config.makers
        self.session = MarketSession(
            self.sequencer,
            network.identity,
            market.path,
            market.listed,
            [(trader, MakerProfile(share_bps=share_bps, width_vol_bps=50 * i)) for i, trader in enumerate(makers)],
            [(trader, TakerProfile()) for trader in takers],
            network.committee,
            market.parameters,
            config.seed,
            poster.add_epoch,
        )

    @property
    def traders(self) -> list[Trader]:
        """Makers, then takers."""
        return [trader for trader, _ in (*self.session.makers, *self.session.takers)]

    def open_market(self) -> None:
        """Listing, the first table, and everything that waits in layer 1's queue. Keys act from the next batch."""
        self.session.list_instruments()
        self._open_epoch(0)
        for command in queue_commands(read_history(self.network.anvil.rpc, self.network.deployment).queue):
            self.session.submit(command)
        self.sequencer.close_batch()

    def trade(self, epoch: int) -> None:
        """One epoch: a new table, quotes, takers."""
        self._open_epoch(epoch)
        self.orders += self.session.quote()
        before = self.sequencer.sequence
        self.session.trade(-(-self.config.trades // self.config.epochs))
        self.orders += self.sequencer.sequence - before

    def withdraw(self) -> tuple[Trader, int]:
        """The taker who can withdraw most takes half of it; account and micro-dollars."""
        trader = max((trader for trader, _ in self.session.takers), key=self.session.withdrawable)
        amount = self.session.withdrawable(trader) // 2
        if not amount:
            raise SessionError("withdrawal: no taker has anything to withdraw")
        self.session.submit(trader.sign_withdrawal(amount))
        return trader, amount

    def finish_batch(self) -> None:
        """End the open batch, if anything is in it."""
        open_batch = self.sequencer.exchange.open_batch
        if open_batch.first_sequence < self.sequencer.exchange.next_sequence:
            self.sequencer.close_batch()

    def replayed_root(self) -> int:
        """The root that a restart reaches: the journal replayed from genesis. The sequencer is closed for it."""
        self.sequencer.close()
        replayed = self._open_sequencer(lambda closed: None)
        root = replayed.state_root
        replayed.close()
        return root

    def _open_epoch(self, epoch: int) -> None:
        self.session.open_epoch(self.market.path.start_ms + epoch * self.config.epoch_minutes * 60_000)

    def _batch_closed(self, closed: ClosedBatch) -> None:
        self.closed.append(closed)
        self.poster.add(closed)

    def _open_sequencer(self, on_batch: Callable[[ClosedBatch], None]) -> Sequencer:
        network = self.network
        engine, committed = genesis(self.config.circuit, network.params, network.domain, address_of(network.operator))
        journal = Journal(self.journal_path, network.identity)
        market_time = self.market.path.start_ms
        return Sequencer(
            engine,
            committed,
            journal,
            network.sequencer,
            clock_ms=lambda: engine.table.time_ms if engine.table else market_time,
            inclusion_ms=INCLUSION_MS,
            on_batch=on_batch,
        )


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
            key = prover.setup(config.preset, _shown(display, "set-up"))
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


def _shown(display: Display, what: str) -> Callable[[Progress], None]:
    return lambda progress: display.progress(f"{what}: {progress.stage}", progress.done)


def _status(record: BatchRecord) -> str:
    return f"batch {record.number} {record.status.value}"


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
