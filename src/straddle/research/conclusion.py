"""From what was measured to what is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from straddle import __version__
from straddle.commitments.policy import Proofs
from straddle.node.demo import Stopwatch
from straddle.node.market import Market
from straddle.node.version import exchange_params
from straddle.research import architectures, capital, hedging, margins
from straddle.research.baseline import BaselineGas, SwapGas
from straddle.research.comparison import Comparison
from straddle.research.config import BASELINE, CompareConfig
from straddle.research.context import PUBLISHED
from straddle.research.crossover import crossovers, saving
from straddle.research.flow import Flow
from straddle.research.machine import describe
from straddle.research.model import Architecture, Clocks, Dispute, QuorumAway, Run, Usage, Waits
from straddle.research.prices import cpu_dollars, grid
from straddle.research.queue_load import EntryCosts, QueueLoad, queue_load
from straddle.research.replay import Replayed
from straddle.research.settling import SLOT_S


@dataclass(slots=True)
class Found:
    """What is measured on the way."""

    runs: dict[str, Run] = field(default_factory=dict)
    disputes: tuple[Dispute, ...] = ()
    clocks: Clocks | None = None
    """None without an optimistic rollup."""
    away: QuorumAway | None = None
    flow: Flow | None = None
    replays: tuple[Replayed, ...] = ()
    """The flow on layer 1: the cheaper way first."""
    entries: EntryCosts | None = None
    proof_seconds: list[float] = field(default_factory=list)
    baselines: tuple[BaselineGas, ...] = ()
    swap: SwapGas | None = None
    intervals: tuple[hedging.Interval, ...] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)


def conclude(config: CompareConfig, market: Market, found: Found) -> Comparison:
    """The comparison; nothing is measured any more."""
    flow, swap = found.flow, found.swap
    assert flow is not None and flow.table is not None and swap is not None
    rows = [*(_architecture(config, choice, found.runs[choice.name], found) for choice in config.choices), _layer_1(config, found.replays[0])]
    transits = {row.name: capital.Transit(row.withdrawable.median, config.rate_a_year, config.moves_a_day, config.share_moved) for row in rows}
    volume = hedging.volume_dollars(flow.maker, market.path.recording.index_ticks)
    hedge_dollars = {row.name: row.dollars_per_hedge for row in rows}
    listed = {instrument.id: instrument for instrument in market.instruments}
    params = exchange_params(config.night.circuit, market.parameters)
    books = tuple(margins.capital(book, listed, flow.table, params) for book in flow.books)
    both = {"zk-calldata", "zk-blob"} <= found.runs.keys()
    blob_saving = saving(found.runs["zk-calldata"], found.runs["zk-blob"]) if both else None
    prices, machine = grid(), describe()
    return Comparison(
        command=config.command,
        commit=machine.commit,
        version=__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.facts,
        flow=_flow_facts(config, flow, found.replays[0]),
        parameters=config.parameters,
        prices=config.prices,
        architectures=tuple(rows),
        runs=found.runs,
        disputes=found.disputes,
        clocks=found.clocks,
        baselines=found.baselines,
        swap=swap,
        replays=found.replays,
        grid={row.name: [row.trade.dollars(each) for each in prices] for row in rows},
        grid_prices=prices,
        blob_saving=blob_saving,
        blob_crossover=crossovers(blob_saving) if blob_saving else (),
        transits=transits,
        intervals=found.intervals,
        hedges=hedging.by_architecture(found.intervals, hedge_dollars, volume, config.aversion),
        hedges_by_aversion={each: hedging.by_architecture(found.intervals, hedge_dollars, volume, each) for each in hedging.AVERSIONS},
        margins=books,
        margins_total=margins.total(books),
        notional_usd=flow.notional_micros / 1e6,
        worst_queue=_worst_queue(config, found),
        context=PUBLISHED,
        seconds=found.watch.total(),
    )


def _architecture(config: CompareConfig, choice: architectures.Choice, run: Run, found: Found) -> Architecture:
    """A rollup's column. A withdrawal is claimable in the block of finality and spent in the next."""
    clocks = found.clocks if choice.proofs is Proofs.WHEN_CHALLENGED else None
    early = next((each for each in found.disputes if each.name == "early proof"), None) if run.name == "optimistic-calldata" else None
    trade = Usage(run.gas_per_trade, run.epoch_gas_per_trade, run.blob_gas / run.trades, run.bytes_per_trade)
    hedge = Usage(*(each * run.hedge_share for each in (run.gas, run.epoch_gas, run.blob_gas, run.posted_bytes)))
    cpu = run.prove_cpu_seconds_per_trade
    return Architecture(
        name=choice.name,
        trust=choice.trust,
        operator_gone=choice.operator_gone,
        trade=trade,
        hedge=hedge,
        dollars_per_trade=trade.dollars(config.prices),
        dollars_per_hedge=hedge.dollars(config.prices),
        prove_cpu_seconds_per_trade=cpu,
        proving_dollars_per_trade=cpu_dollars(cpu, config.core_hour_usd),
        soft=run.to_receipt,
        data=run.to_data,
        final=run.to_final,
        withdrawable=run.to_final.later(SLOT_S),
        one_challenge_s=run.to_data.worst + clocks.wait_s(1) + SLOT_S if clocks else None,
        all_challenged_s=run.to_data.worst + clocks.wait_s(clocks.proposals_most) + SLOT_S if clocks else None,
        early_gas_per_trade=early.gas_per_trade if early else None,
        early_withdrawable=early.to_final.later(SLOT_S) if early and early.to_final else None,
        away=found.away if run.name == "validium" else None,
        bonds=_bonds(config, clocks, run) if clocks else None,
    )


def _bonds(config: CompareConfig, clocks: Clocks, run: Run) -> capital.Bonds:
    return capital.Bonds(
        config.prices.dollars_of_wei(clocks.proposer_bond_wei),
        clocks.window_s,
        run.batch_interval_s,
        run.trades / len(run.trading),
        clocks.proposals_most,
        config.rate_a_year,
    )


def _layer_1(config: CompareConfig, replayed: Replayed) -> Architecture:
    """The flow on the contract of layer 1."""
    waits = Waits(SLOT_S / 2, SLOT_S)
    fills = replayed.fills_per_hedge / len(replayed.fills)
    trade = Usage(replayed.gas_per_trade, replayed.table_gas_per_trade, 0.0, replayed.bytes_per_trade)
    hedge = Usage(replayed.gas_per_hedge, replayed.table_gas * fills, 0.0, replayed.fill_bytes * fills)
    return Architecture(
        name=BASELINE,
        trust=architectures.BASELINE_TRUST,
        operator_gone=architectures.BASELINE_GONE,
        trade=trade,
        hedge=hedge,
        dollars_per_trade=trade.dollars(config.prices),
        dollars_per_hedge=hedge.dollars(config.prices),
        prove_cpu_seconds_per_trade=None,
        proving_dollars_per_trade=None,
        soft=None,
        data=waits,
        final=waits,
        withdrawable=waits.later(SLOT_S),
        one_challenge_s=None,
        all_challenged_s=None,
        early_gas_per_trade=None,
        early_withdrawable=None,
        away=None,
        bonds=None,
    )


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


def _worst_queue(config: CompareConfig, found: Found) -> QueueLoad | None:
    """None where nothing was proved."""
    if not found.proof_seconds or found.entries is None:
        return None
    preset = config.night.circuit
    return queue_load(preset, preset.positions // 2, median(found.proof_seconds), found.entries, config.prices)
