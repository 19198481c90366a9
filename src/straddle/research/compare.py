"""`straddle compare`: one trade flow through every architecture. Everything runs on local layer-1 chains of its own."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from straddle.bots.pnl import HedgePolicy
from straddle.commitments.policy import Data, Proofs
from straddle.l1.anvil import Anvil
from straddle.l1.deploying import CircuitKeys
from straddle.l1.sender import Sender
from straddle.node.demo import CHAIN_LEAD_S
from straddle.node.market import Market, load_market
from straddle.node.network import Display, Network, shown
from straddle.node.terms import PolicyTerms
from straddle.node.version import exchange_params
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer
from straddle.proving.vector import circuit_name
from straddle.research import architectures, hedging
from straddle.research.baseline import measure_baseline, measure_swap
from straddle.research.committee import Committee
from straddle.research.comparison import Comparison
from straddle.research.conclusion import Found, conclude
from straddle.research.config import BASELINE, HEDGE_HALF_SPREAD_BPS, CompareConfig
from straddle.research.contract_constants import contract_constant
from straddle.research.disputes import Disputes, clocks_of
from straddle.research.flow import Flow, trade
from straddle.research.queue_load import EntryCosts
from straddle.research.quorum import Posted, post_without_quorum
from straddle.research.replay import Replay, Replayed
from straddle.research.settling import Settler, SimulatedClock

PORTFOLIOS = (1, 5, 10, 20, 40)


def compare(config: CompareConfig, display: Display) -> Comparison:
    """Measure and put together. Errors of any part go through."""
    found = Found()
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
            found.baselines = tuple(
                measure_baseline(anvil, scenarios=scenarios, tables_in_code=in_code, portfolios=PORTFOLIOS)
                for scenarios in (48, 16)
                for in_code in (True, False)
            )
            found.swap = measure_swap(anvil)
    display.stage("hedging", f"the maker's flow hedged at {len(hedging.INTERVALS_MINUTES)} intervals on {config.histories} histories")
    with found.watch.time("hedging"):
        found.intervals = hedging.intervals(
            found.flow.maker,
            market.path,
            hedged_until(market, found.flow),
            HedgePolicy(0, HEDGE_HALF_SPREAD_BPS, market.parameters.fees.taker_bps),
            histories=config.histories,
            seed=config.night.seed,
            parameters=market.parameters.risk,
        )
    return conclude(config, market, found)


def hedged_until(market: Market, flow: Flow) -> int:
    """The first expiry, if the candles reach it: a book is hedged for as long as it lives, not for as long as it was traded. Unix milliseconds."""
    expiry = next((moment for moment in market.expiries if moment > flow.end_ms), flow.end_ms)
    return expiry if expiry <= market.path.end_ms else flow.end_ms


def _settle(config: CompareConfig, choice: architectures.Choice, market: Market, prover: Prover, found: Found, display: Display) -> None:
    """One architecture: its own layer 1, the flow, every batch to finality; and what may happen instead."""
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
        committee = Committee(network, Path(folder)) if choice.data is Data.COMMITTEE else None
        with ProvingServer(prover, circuit) as server:
            settler = Settler(network, flow, clock, server, Sender(anvil.rpc, bytes(network.sequencer.key)), committee)
            run_all(settler, choice.name, found, display)
        found.proof_seconds += settler.proof_seconds
        if found.flow is None:
            found.flow = flow
            found.entries = entry_costs(network)


def run_all(settler: Settler, name: str, found: Found, display: Display) -> None:
    """A rollup's ordinary course, into `found`; before it, on an optimistic rollup with calldata, the disputes, and under a committee on the way an absent
    quorum. These leave no trace on layer 1."""
    config, away = settler.network.deployment.config, list[Posted]()
    if config.proofs is Proofs.WHEN_CHALLENGED:
        found.clocks = clocks_of(settler.network.client)
        if config.data is Data.CALLDATA:
            display.progress(f"{name}: early proof, honest challenge, fraud")
            found.disputes = Disputes(settler).measure()

    def look(place: int) -> None:
        if settler.committee is not None and place == settler.flow.first_trading:
            away.append(post_without_quorum(settler, place))

    run = found.runs[name] = settler.run(name, display.progress, look)
    if away:
        found.away = away[0].settled(run.trading[0])


def _replay(config: CompareConfig, market: Market, flow: Flow) -> tuple[Replayed, ...]:
    """The flow on layer 1 with tables in code and in storage, each on a chain of its own; the one that costs less in total comes first."""
    rate, found = exchange_params(config.night.circuit, market.parameters).k_im_bps, []
    for in_code in (True, False):
        with Anvil(market.path.start_ms // 1_000) as anvil:
            found.append(Replay(anvil, flow, tables_in_code=in_code, k_im_bps=rate).run())
    return tuple(sorted(found, key=lambda each: each.gas_per_trade + each.table_gas_per_trade))


def entry_costs(network: Network) -> EntryCosts:
    """What entries of the queue cost, and what layer 1 says of it."""
    client, rpc = network.client, network.anvil.rpc
    wallet = Sender(rpc, b"\x51" * 32)
    network.anvil.fund(wallet.address)
    least = client.minimum_deposit()
    client.mint(wallet, wallet.address, 3 * least)
    account = client.deposit(wallet, least).account
    client.deposit(wallet, least, account)  # the attacker's wallet and the account's words are no longer new afterwards
    return EntryCosts(
        deposit_gas=client.deposit(wallet, least, account).receipt.gas_used,
        request_gas=client.force_withdraw(wallet, account, 1).receipt.gas_used,
        fee_wei=network.deployment.config.request_fee_wei,
        minimum_deposit_micros=least,
        waiting_most=contract_constant("modules/queue.vy", "MAX_WAITING"),
        block_gas=int(rpc.block("latest")["gasLimit"], 16),
    )
