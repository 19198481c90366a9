"""`straddle compare`: one trade flow through every architecture, and what the figures mean. Everything runs on local layer-1 chains of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from straddle.bots.pnl import HedgePolicy
from straddle.commitments.policy import Data, Proofs
from straddle.core.fees import FeeSchedule
from straddle.l1.anvil import Anvil
from straddle.l1.deploying import CircuitKeys
from straddle.l1.sender import Sender
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.demo import CHAIN_LEAD_S, Stopwatch
from straddle.node.market import Market, load_market
from straddle.node.network import Display, Network, shown
from straddle.node.terms import PolicyTerms
from straddle.node.version import exchange_params
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer
from straddle.proving.vector import circuit_name
from straddle.research import architectures, capital, hedging, margins
from straddle.research.baseline import BaselineGas, SwapGas, measure_baseline, measure_swap
from straddle.research.context import PUBLISHED
from straddle.research.crossover import crossovers
from straddle.research.disputes import Disputes
from straddle.research.flow import Flow, trade
from straddle.research.machine import describe
from straddle.research.model import Architecture, Dispute, Run, Waits
from straddle.research.prices import REFERENCE, Prices, grid
from straddle.research.queue_load import queue_load
from straddle.research.replay import Replay, Replayed
from straddle.research.report import Comparison
from straddle.research.settling import SLOT_S, Settler, SimulatedClock

BASELINE = "layer-1"
PORTFOLIOS = (1, 5, 10, 20, 40)
HEDGE_HALF_SPREAD_BPS = 1
"""Of the perpetual, as the recorded night's makers quote it."""


@dataclass(frozen=True)
class CompareConfig:
    """What is compared. `night` names market, preset, seed and traders."""

    night: DemoConfig
    only: tuple[str, ...] = tuple(choice.name for choice in architectures.CHOICES)
    histories: int = 200
    """Of the hedging study."""
    prices: Prices = REFERENCE
    aversion: float = hedging.AVERSION
    rate_a_year: float = capital.RATE_A_YEAR
    moves_a_day: float = capital.MOVES_A_DAY
    share_moved: float = capital.SHARE_MOVED
    command: str = "straddle compare"

    def __post_init__(self) -> None:
        known = [choice.name for choice in architectures.CHOICES]
        for name in self.only:
            if name not in known:
                raise ConfigError(f"only: {name}, expected some of {', '.join(known)}")
        if not self.only:
            raise ConfigError("only: nothing to compare, expected at least one architecture")
        if not 2 <= self.histories <= 10_000:
            raise ConfigError(f"histories: {self.histories}, expected 2 to 10000")
        if not self.aversion > 0:
            raise ConfigError(f"aversion: {self.aversion}, expected above 0")

    @property
    def choices(self) -> tuple[architectures.Choice, ...]:
        """In the order of the table."""
        return tuple(choice for choice in architectures.CHOICES if choice.name in self.only)


@dataclass(slots=True)
class _Found:
    """What is measured on the way."""

    runs: dict[str, Run] = field(default_factory=dict)
    disputes: tuple[Dispute, ...] = ()
    flow: Flow | None = None
    replays: tuple[Replayed, ...] = ()
    """The flow on layer 1: the cheaper way first."""
    window_s: int = 0
    answer_s: int = 0
    account_gas: int = 0
    request_gas: int = 0
    fee_wei: int = 0
    proof_seconds: list[float] = field(default_factory=list)
    watch: Stopwatch = field(default_factory=Stopwatch)


def compare(config: CompareConfig, display: Display) -> Comparison:
    """Measure and put together. Errors of any part go through."""
    found = _Found()
    display.stage("market", "reading the recordings, fitting the surface")
    market = load_market(config.night)
    prover = Prover()
    for choice in config.choices:
        _settle(config, choice, market, prover, found, display)
    assert found.flow is not None
    display.stage("layer 1", "the same trades on a contract of layer 1")
    with found.watch.time(BASELINE):
        found.replays = _replay(config, market, found.flow)
        with Anvil(market.path.start_ms // 1_000) as anvil:
            baselines = tuple(
                measure_baseline(anvil, scenarios=scenarios, tables_in_code=in_code, portfolios=PORTFOLIOS)
                for scenarios in (48, 16)
                for in_code in (True, False)
            )
            swap = measure_swap(anvil)
    display.stage("hedging", f"the maker's flow hedged at {len(hedging.INTERVALS_MINUTES)} intervals on {config.histories} histories")
    with found.watch.time("hedging"):
        fees = HedgePolicy(0, HEDGE_HALF_SPREAD_BPS, FeeSchedule().taker_bps)
        intervals = hedging.intervals(
            found.flow.maker,
            market.path,
            hedged_until(market, found.flow),
            fees,
            histories=config.histories,
            seed=config.night.seed,
            parameters=market.parameters,
        )
    return _conclude(config, market, found, baselines, swap, intervals)


def hedged_until(market: Market, flow: Flow) -> int:
    """The first expiry, if the candles reach it: a book is hedged for as long as it lives, not for as long as it was traded. Unix milliseconds."""
    expiry = next((moment for moment in market.expiries if moment > flow.end_ms), flow.end_ms)
    return expiry if expiry <= market.path.end_ms else flow.end_ms


def _settle(config: CompareConfig, choice: architectures.Choice, market: Market, prover: Prover, found: _Found, display: Display) -> None:
    """One architecture: its own layer 1, the flow, every batch to finality; on an optimistic rollup with calldata the disputes too."""
    night = replace(config.night, terms=PolicyTerms(choice.proofs, choice.data))
    circuit = circuit_name(night.preset, choice.data)
    display.stage(choice.name, f"proving keys of circuit {circuit} (made once, then kept)")
    with found.watch.time("keys"):
        key = prover.setup(circuit, shown(display, "set-up"))
    with (
        found.watch.time(choice.name),
        tempfile.TemporaryDirectory(prefix="straddle-compare-") as folder,
        Anvil(market.path.start_ms // 1_000 - CHAIN_LEAD_S) as anvil,
    ):
        network = Network(night, market, anvil, CircuitKeys(key))
        flow = trade(night, market, network, Path(folder))
        clock = SimulatedClock(anvil.set_time_at_least, anvil.rpc)
        with ProvingServer(prover, circuit) as server:
            settler = Settler(network, flow, clock, server, Sender(anvil.rpc, bytes(network.sequencer.key)))
            if choice.proofs is Proofs.WHEN_CHALLENGED and choice.data is Data.CALLDATA:
                _dispute(settler, found)
            found.runs[choice.name] = settler.run(choice.name, display.progress)
        found.proof_seconds += settler.proof_seconds
        if found.flow is None:
            found.flow = flow
            found.account_gas, found.request_gas = _queue_gas(network)
            found.fee_wei = network.deployment.config.request_fee_wei


def _dispute(settler: Settler, found: _Found) -> None:
    """The first batch's three other ways."""
    client, config = settler.network.client, settler.network.deployment.config
    found.window_s = config.challenge_window_s
    found.answer_s = client.clock("PROVING_WINDOW_S") + config.proving_allowance_s
    batch = settler.bind(0)
    settler.clock.reach(settler.flow.ends_ms[settler.flow.closed[0].batch.number] / 1_000)
    settler.submit_epochs(batch.effects.epoch)
    proof = settler.prover.prove(batch.witness).proof
    found.disputes = Disputes(settler, batch, proof).measure()


def _replay(config: CompareConfig, market: Market, flow: Flow) -> tuple[Replayed, ...]:
    """The flow on layer 1 with tables in code and in storage, each on a chain of its own; the one that costs less in total comes first."""
    rate, found = exchange_params(config.night.circuit, market.parameters).k_im_bps, []
    for in_code in (True, False):
        with Anvil(market.path.start_ms // 1_000) as anvil:
            found.append(Replay(anvil, flow, tables_in_code=in_code, k_im_bps=rate).run())
    return tuple(sorted(found, key=lambda each: each.gas_per_trade + each.table_gas_per_trade))


def _queue_gas(network: Network) -> tuple[int, int]:
    """Gas of opening an account, and of a forced request."""
    wallet = Sender(network.anvil.rpc, b"\x51" * 32)
    network.anvil.fund(wallet.address)
    network.client.mint(wallet, wallet.address, 2 * 10**6)
    opened = network.client.deposit(wallet, 10**6)
    return opened.receipt.gas_used, network.client.force_withdraw(wallet, opened.account, 1).receipt.gas_used


def _conclude(
    config: CompareConfig, market: Market, found: _Found, baselines: tuple[BaselineGas, ...], swap: SwapGas, intervals: tuple[hedging.Interval, ...]
) -> Comparison:
    flow = found.flow
    assert flow is not None and flow.table is not None
    rows = [*(_architecture(config, choice, found.runs[choice.name], found) for choice in config.choices), _layer_1(config, found.replays[0])]
    transits = {row.name: capital.Transit(row.withdrawable.median, config.rate_a_year, config.moves_a_day, config.share_moved) for row in rows}
    volume = hedging.volume_dollars(flow.maker, market.path.recording.index_ticks)
    hedge_dollars = {row.name: row.dollars_per_hedge for row in rows}
    listed = {instrument.id: instrument for instrument in market.instruments}
    params = exchange_params(config.night.circuit, market.parameters)
    books = tuple(margins.capital(book, listed, flow.table, params) for book in flow.books)
    prices = grid()
    return Comparison(
        command=config.command,
        commit=describe().commit,
        machine=describe().facts,
        flow=_flow_facts(config, flow, found.replays[0]),
        prices=config.prices,
        architectures=tuple(rows),
        runs=found.runs,
        disputes=found.disputes,
        baselines=baselines,
        swap=swap,
        replays=found.replays,
        grid={row.name: [_dollars(row, each) for each in prices] for row in rows},
        grid_prices=prices,
        blob_crossover=crossovers(found.runs["zk-calldata"], found.runs["zk-blob"]) if {"zk-calldata", "zk-blob"} <= found.runs.keys() else [],
        transits=transits,
        intervals=intervals,
        hedges=hedging.by_architecture(intervals, hedge_dollars, volume, config.aversion),
        hedges_by_aversion={each: hedging.by_architecture(intervals, hedge_dollars, volume, each) for each in hedging.AVERSIONS},
        margins=books,
        margins_total=margins.total(books),
        notional_usd=flow.notional_micros / 1e6,
        worst_queue=_worst_queue(config, found),
        context=PUBLISHED,
        seconds=found.watch.total(),
    )


def _architecture(config: CompareConfig, choice: architectures.Choice, run: Run, found: _Found) -> Architecture:
    """A rollup's row. A withdrawal is claimable in the block of finality and spent in the next."""
    final, optimistic = run.to_final, choice.proofs is Proofs.WHEN_CHALLENGED
    blob_gas = run.blob_gas / run.trades
    return Architecture(
        name=choice.name,
        trust=choice.trust,
        operator_gone=choice.operator_gone,
        gas_per_trade=run.gas_per_trade,
        gas_per_hedge=run.gas_per_trade,
        table_gas_per_trade=run.epoch_gas_per_trade,
        blob_gas_per_trade=blob_gas,
        bytes_per_trade=run.bytes_per_trade,
        dollars_per_trade=run.dollars_per_trade(config.prices),
        dollars_per_hedge=config.prices.dollars(run.gas_per_trade, blob_gas),
        soft=run.to_receipt,
        data=run.to_data,
        final=final,
        withdrawable=Waits(final.median + SLOT_S, final.worst + SLOT_S),
        under_challenge_s=run.to_data.worst + found.window_s + found.answer_s + SLOT_S if optimistic and found.window_s else None,
    )


def _layer_1(config: CompareConfig, replayed: Replayed) -> Architecture:
    """The flow on the contract of layer 1."""
    waits = Waits(SLOT_S / 2, SLOT_S)
    return Architecture(
        name=BASELINE,
        trust=architectures.BASELINE_TRUST,
        operator_gone=architectures.BASELINE_GONE,
        gas_per_trade=replayed.gas_per_trade,
        gas_per_hedge=replayed.gas_per_hedge,
        table_gas_per_trade=replayed.table_gas_per_trade,
        blob_gas_per_trade=0.0,
        bytes_per_trade=replayed.bytes_per_trade,
        dollars_per_trade=config.prices.dollars(replayed.gas_per_trade + replayed.table_gas_per_trade),
        dollars_per_hedge=config.prices.dollars(replayed.gas_per_hedge),
        soft=None,
        data=waits,
        final=waits,
        withdrawable=Waits(waits.median + SLOT_S, waits.worst + SLOT_S),
        under_challenge_s=None,
    )


def _dollars(row: Architecture, prices: Prices) -> float:
    return prices.dollars(row.gas_per_trade + row.table_gas_per_trade, row.blob_gas_per_trade)


def _flow_facts(config: CompareConfig, flow: Flow, replayed: Replayed) -> Mapping[str, Any]:
    night = config.night
    return {
        "trades": len(flow.matches),
        "hedges": sum(flow.hedges.values()),
        "batches": len(flow.closed),
        "epochs": len(flow.epochs),
        "epoch_minutes": night.epoch_minutes,
        "hours": night.hours,
        "preset": night.preset,
        "seed": night.seed,
        "makers": night.makers,
        "takers": night.takers,
        "accounts_with_positions": len(flow.books),
        "instruments_listed": len(flow.tables[-1].rows),
        "instruments_traded": replayed.instruments,
        "positions_a_side": replayed.positions_a_side,
        "chain": night.chain.name,
        "prices": night.prices.name,
        "fills": len(replayed.fills),
        "median_receipt_seconds": median(flow.soft_seconds),
    }


def _worst_queue(config: CompareConfig, found: _Found) -> Mapping[str, float]:
    """Empty where nothing was proved."""
    if not found.proof_seconds:
        return {}
    preset = config.night.circuit
    cap = preset.positions // 2
    return queue_load(preset, cap, median(found.proof_seconds), found.account_gas, found.request_gas, found.fee_wei, config.prices).figures()
