"""The recorded night in one process: a local layer 1 on the recorded clock, deposits, trading with proofs made behind it, settlement, withdrawals, and the
state rebuilt from layer 1."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from straddle.bots.pnl import FlowTrade, HedgePolicy, PnlStudy, replay
from straddle.commitments.data import QueueEntry
from straddle.commitments.policy import Data
from straddle.l1.anvil import Anvil
from straddle.l1.blobs import AnvilBlobs
from straddle.l1.queue import queue_commands
from straddle.l1.sender import Sender
from straddle.node.chain import QueueReader
from straddle.node.config import DemoConfig
from straddle.node.exchange import Exchange, Identity
from straddle.node.market import Market, load_market
from straddle.node.members import DevCommittee, MembersCertifier, connect
from straddle.node.network import Display, Network, shown
from straddle.node.night import Night, Schedule
from straddle.node.policy import circuit_keys
from straddle.node.posting import Posting, ProverPool
from straddle.node.report import DemoReport
from straddle.node.session import SessionError
from straddle.node.summary import Figures, flow_of, summarise
from straddle.node.traders import Trader, address_of
from straddle.node.verify import verify
from straddle.primitives.files import write_atomically
from straddle.proving.prover import Prover
from straddle.proving.vector import circuit_name
from straddle.sequencer.poster import BatchRecord, Poster, Status

DOLLAR = 10**6
DEPOSITS = {"maker": 5_000_000 * DOLLAR, "taker": 500_000 * DOLLAR, "thin": 200 * DOLLAR, "sub": 10 * DOLLAR, "insurance": 100_000 * DOLLAR}
SHOWN_REFUSALS = 20
"""Refused rows shown one by one."""
CHAIN_LEAD_S = 1_800
"""Layer 1 starts this long before the recording, for deployment and deposits."""
WAIT_S = 0.1


def deposit_of(exchange: Exchange, trader: Trader) -> int:
    """What a trader pays in, micro-dollars."""
    if trader is exchange.sub_account:
        return DEPOSITS["sub"]
    if any(taker.trader is trader and taker.thin for taker in exchange.crowd.takers):
        return DEPOSITS["thin"]
    return DEPOSITS[trader.name.split("-")[0]]


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


class Lags:
    """When batches were closed and verified."""

    def __init__(self) -> None:
        self._closed: dict[int, float] = {}
        self.seconds: dict[int, float] = {}
        """Batch -> from its closing to its verification."""

    def closed(self, number: int) -> None:
        """A batch was closed just now."""
        self._closed[number] = time.perf_counter()

    def reported(self, record: BatchRecord) -> None:
        """The poster's report."""
        if record.status is Status.VERIFIED and record.number not in self.seconds:
            self.seconds[record.number] = time.perf_counter() - self._closed[record.number]


@dataclass(slots=True)
class Owners:
    """The traders' way to layer 1."""

    network: Network
    reader: QueueReader

    def pending(self, pointer: int) -> Sequence[QueueEntry]:
        """Entries of the queue from `pointer` on."""
        self.reader.look()
        return queue_commands(self.reader.entries[pointer:])

    def force_withdraw(self, trader: Trader, amount_micros: int) -> None:
        """The trader's owner asks for money on layer 1."""
        self.network.client.force_withdraw(Sender(self.network.anvil.rpc, bytes(trader.wallet.key)), trader.account, amount_micros)


def run_demo(config: DemoConfig, display: Display) -> DemoReport:
    """Run everything. Errors of any part go through; a run that ended badly without one says so in `DemoReport.problems`."""
    watch = Stopwatch()
    with ExitStack() as stack:
        folder = config.workdir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="straddle-demo-")))
        prover = Prover()
        display.stage("market", "reading the recordings, fitting the surface")
        with watch.time("market"):
            market = load_market(config)
        show_refusals(market, display)
        display.stage("keys", f"proving keys of preset {config.preset} (made once, then kept)")
        with watch.time("keys"):
            keys = circuit_keys(prover, config.preset, config.terms.data, shown(display, "set-up"))
            circuit = prover.circuit(circuit_name(config.preset, config.terms.data))
        display.stage("layer 1", "anvil, contracts, deposits and keys")
        with watch.time("layer 1"):
            anvil = stack.enter_context(Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S))
            network = Network(config, market, anvil, keys)
        certifier = open_committee(stack, network, folder, display) if network.members else None
        run = NightRun(config, market, network, folder, display, certifier)
        pool = stack.enter_context(ProverPool(prover, circuit_name(config.preset, config.terms.data), config.workers))
        run.trade(pool, watch)
        display.stage("withdrawals", "owners pull what proved batches credited")
        with watch.time("withdrawals"):
            received = run.pull()
        display.stage("verification", "the state from layer-1 data alone, and from the journal")
        with watch.time("verification"):
            blobs = AnvilBlobs(anvil.rpc) if config.terms.data is Data.BLOB else None
            bodies = None if certifier is None else certifier.committee
            verified = verify(anvil.rpc, network.deployment, display.progress, blobs=blobs, bodies=bodies)
            replayed = run.exchange.replayed_root()
        display.stage("P&L", f"the hedging maker's flow on {config.paths} other histories")
        with watch.time("P&L"):
            study = run.study()
        figures = Figures(run.records, run.lags.seconds, circuit.constraints, received, verified, replayed, study, watch.total())
        return summarise(run.exchange, run.night, network, figures)


def open_committee(stack: ExitStack, network: Network, folder: Path, display: Display) -> MembersCertifier:
    """The members of the run's committee as processes, and the way to them."""
    display.stage("committee", f"{len(network.members)} members, each a process with its own storage")
    record = folder / "deployment.json"
    write_atomically(record, network.deployment.to_json().encode())
    processes = stack.enter_context(DevCommittee(folder / "members", len(network.members), network.members))
    client = stack.enter_context(connect(network.deployment, processes.start(record, network.anvil.url)))
    return MembersCertifier(network.deployment, client, network.sequencer)


def show_refusals(market: Market, display: Display) -> None:
    """Refused rows one by one; of refused quotes (a recording has hundreds below intrinsic value) only the number."""
    rows = [f"{name} {refusal}" for name, refusal in market.refusals if refusal.whole_row]
    for text in rows[:SHOWN_REFUSALS]:
        display.progress(text)
    if len(rows) > SHOWN_REFUSALS:
        display.progress(f"and {len(rows) - SHOWN_REFUSALS} more rows, listed in the report (--json)")
    if quotes := len(market.refusals) - len(rows):
        display.progress(f"{quotes} single quotes refused, listed in the report (--json)")


class NightRun:
    """A run from the deposits on: the night on layer 2, and behind it the poster's thread."""

    def __init__(self, config: DemoConfig, market: Market, network: Network, folder: Path, display: Display, certifier: MembersCertifier | None = None) -> None:
        self.certifier = certifier
        self.config, self.market, self.network, self.folder, self.display = config, market, network, folder, display
        self.lags = Lags()
        self.failed: list[BaseException] = []
        self.records: list[BatchRecord] = []
        self.posting = Posting(self.failed.append, self._reported, lambda: None)
        self._verified = 0
        self._lock = threading.Lock()

    def trade(self, pool: ProverPool, watch: Stopwatch) -> None:
        """Deposits, the night, and all its proofs."""
        network, config = self.network, self.config
        poster = network.poster(self.folder / "poster.sqlite", pool, self.posting.report, config.workers, self.certifier)
        try:
            self._set_up(poster)
            with watch.time("layer 1"):
                self._join()
            self.posting.open(poster)
            self.posting.start()
            try:
                self.display.stage("night", f"{len(self.night.schedule.epochs)} risk epochs, one every {config.epoch_minutes} minutes of market time")
                with watch.time("trading"):
                    for place in self.night.run():
                        self._check()
                        self._progress(f"epoch {place + 1}", place / len(self.night.schedule.epochs))
                if self.network.deployment.config.optimistic:
                    self.display.stage("window", "layer 1's clock goes on until nobody may challenge any more")
                    self._wait_until(Status.PROPOSED)
                    self.network.anvil.set_time(self.network.anvil.time_s() + config.terms.challenge_window_s + 1)
                self.display.stage("proofs", "what is not final yet")
                with watch.time("proofs after trading"):
                    self._wait()
            finally:
                self.posting.stop()
            self.records = poster.records()
        finally:
            pool.__exit__(None, None, None)
            poster.close()

    def _set_up(self, poster: Poster) -> None:
        network, config = self.network, self.config
        identity = Identity(network.identity, network.domain, network.params, address_of(network.operator), network.sequencer, network.secrets)
        self.exchange = Exchange(config, self.market, identity, self.folder, self._closed, poster.add_epoch)
        schedule = Schedule.plan(self.market, epoch_minutes=config.epoch_minutes, rounds=config.rounds, hours=config.hours)
        owners = Owners(network, QueueReader(network.client, 0))
        self.night = Night(self.market, self.exchange.session, self.exchange.crowd, owners, schedule, self.exchange.sub_account, self.display.progress)

    def _join(self) -> None:
        traders = (*self.exchange.traders, self.exchange.sub_account)
        self.network.insure(DEPOSITS["insurance"])
        for i, trader in enumerate(traders):
            self.display.progress(f"{trader.name} deposits", i / len(traders))
            self.network.join(trader, deposit_of(self.exchange, trader))

    def _closed(self, closed: Any) -> None:
        self.lags.closed(closed.batch.number)
        self.posting.add(closed)

    def _reported(self, record: BatchRecord) -> None:
        """From the poster's threads."""
        self.lags.reported(record)
        self._verified = max(self._verified, record.number if record.status is Status.VERIFIED else 0)

    def _check(self) -> None:
        """On a chain of our own nothing fails for a while only: what goes wrong ends the run."""
        if self.failed:
            raise self.failed[0]
        if self.posting.problem:
            raise SessionError(f"posting: {self.posting.problem}")

    def _progress(self, detail: str, done: float) -> None:
        session = self.exchange.session
        self.display.progress(f"{detail}: {len(session.matches)} trades, {len(self.exchange.closed)} batches closed, {self._verified} verified", done)

    def _wait_until(self, status: Status) -> None:
        while self.posting.reached(status) < len(self.exchange.closed):
            self._check()
            time.sleep(WAIT_S)

    def _wait(self) -> None:
        while self._verified < len(self.exchange.closed):
            self._check()
            self._progress("proving", self._verified / len(self.exchange.closed))
            time.sleep(WAIT_S)

    def pull(self) -> int:
        """Owners pull what proved batches credited; micro-dollars that arrived in their wallets."""
        received = 0
        happened, client = self.night.happened, self.network.client
        for wallet in {trader.wallet.address: trader.wallet for trader in happened.payees}.values():
            before = client.token_balance(wallet.address)
            client.pull(Sender(self.network.anvil.rpc, bytes(wallet.key)))
            received += client.token_balance(wallet.address) - before
        return received

    def study(self) -> PnlStudy | None:
        """The hedging maker's flow on other histories; None when it had none."""
        flow: list[FlowTrade] = flow_of(self.exchange)
        if not flow:
            return None
        schedule, fees = self.night.schedule, self.exchange.session.exchange.fees
        maker = next(maker for maker in self.exchange.crowd.makers if maker.hedge is not None)
        assert maker.hedge is not None
        policy = HedgePolicy(maker.hedge.band_lots, maker.profile.linear_half_spread_bps, fees.taker_bps)
        end = schedule.expiry_ms or schedule.epochs[-1]
        return replay(flow, self.market.path, end, policy, paths=self.config.paths, seed=self.config.seed, parameters=self.market.parameters.risk)
