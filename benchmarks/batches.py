"""Full batches of real presets, proved and on layer 1: gas and bytes a trade, CPU seconds of the proof a trade, and how long a batch takes from its end."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import circuits
from benchmarks.full_batch import FullBatch
from benchmarks.measure import Results, cpu_seconds
from straddle.commitments.data import QueueEntry
from straddle.core.batch import OpenBatch
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.queue import queue_commands
from straddle.node.chain import QueueReader
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S
from straddle.node.exchange import Identity
from straddle.node.market import Market, load_market
from straddle.node.network import Network
from straddle.node.policy import circuit_keys
from straddle.node.traders import Trader, address_of
from straddle.node.version import exchange_params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.prover import Prover, ProverError
from straddle.proving.server import ProvingServer
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.sequencer.poster import SignedEpoch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.session import DOMAIN, LOG, OPERATOR, ORACLES, Queue

DEMO, STANDARD = "demo-batch", "standard"
GAS_PER_TRADE_BARS = {"demo": 20_000, "standard": 4_500}
CONSTRAINTS_PER_TRADE_BARS = {"standard": circuits.CONSTRAINTS_PER_TRADE_BAR}
PROOFS = 3
"""In a row, by one process."""


def run_demo(results: Results) -> None:
    """A full batch of the `demo` preset."""
    _run(results, DEMO, "demo")


def run_standard(results: Results) -> None:
    """A full batch of the `standard` preset."""
    _run(results, STANDARD, "standard")


def _run(results: Results, subject: str, preset: str) -> None:
    """The batch, its data, the solver's verdict; the proof and layer 1 unless keys would have to be made and may not."""
    config = DemoConfig.recorded(preset=preset)
    market = load_market(config)
    with tempfile.TemporaryDirectory() as folder:
        full = offline(config, market, Path(folder))
        full.open()
        batch, posted = full.fill(), posted_batch(full)
    _describe(results, subject, config, batch, posted, full.session.epochs[-1])
    try:
        prover = Prover()
    except ProverError as error:
        results.leave_out(subject, "proof and layer 1", str(error))
        return
    circuit = prover.circuit(preset)
    note = f"of the circuit, over the {len(batch.fills)} fills of this batch"
    constraints = circuit.constraints / len(batch.fills)
    results.fact(subject, "constraints a trade", constraints, "constraints", bar=CONSTRAINTS_PER_TRADE_BARS.get(preset), note=note)
    verdict = prover.check(posted.witness)
    results.fact(subject, "the solver accepts the batch", int(verdict.ok), "", note=verdict.error)
    if not prover.has_keys(circuit) and results.keys_missing(subject, preset):
        return
    try:
        binary = find_anvil()
    except AnvilError as error:
        results.leave_out(subject, "layer 1", str(error))
        return
    _prove(results, subject, config, market, prover, binary)


def offline(config: DemoConfig, market: Market, folder: Path) -> FullBatch:
    """Without layer 1: the queue is in memory."""
    identity = Identity(LOG, DOMAIN, exchange_params(config.circuit, market.parameters), address_of(OPERATOR), OPERATOR, ORACLES)
    return FullBatch(config, market, identity, Queue(), folder)


def posted_batch(full: FullBatch) -> PostedBatch:
    """The full batch as layer 1 would get it."""
    closed = full.closed[-1]
    chain = ChainFacts(LOG.chain_id, LOG.rollup, bytes(32), bytes(32), address_of(OPERATOR))
    return post_change(closed.change, closed.batch, full.identity.params, full.config.circuit, HeaderFacts(DOMAIN, closed.log_root), chain)


def _describe(results: Results, subject: str, config: DemoConfig, batch: OpenBatch, posted: PostedBatch, signed: SignedEpoch) -> None:
    sizes, fills = config.circuit, len(batch.fills)
    used = {
        "fills": (fills, sizes.fills),
        "order rows": (len(batch.order_uses), sizes.orders),
        "leg rows": (len(posted.witness.legs), sizes.legs),
        "accounts": (len(batch.start), sizes.accounts),
        "position rows": (len(posted.witness.positions), sizes.positions),
        "signatures": (len(posted.witness.signatures), sizes.signatures),
    }
    for name, (count, room) in used.items():
        results.fact(subject, name, count, "rows", note=f"of {room}")
    traded = {fill.instrument for fill in batch.fills}
    results.fact(subject, "instruments traded", len(traded), "instruments", note=f"of {len(posted.witness.instruments)} in the table")
    combined = sum(len(use.order.legs) > 1 for use in batch.order_uses)
    outright = sum(len(batch.order_uses[fill.taker].order.legs) == 1 for fill in batch.fills)
    note = f"{combined} executions of combinations, {outright} of outrights"
    results.fact(subject, "multi-leg share of executions", combined / (combined + outright), "", note=note)
    effects, body = len(posted.effects_words), len(posted.body_words)
    table = len(signed.inputs)
    note = f"{effects} words of effects, {body} of body, {table} bytes of inputs of the one risk table that the batch is on"
    results.fact(subject, "bytes of data a trade", (32 * (effects + body) + table) / fills, "bytes", note=note)


@dataclass(slots=True)
class _OnChain:
    """Layer 1's queue, filled by the traders' owners."""

    network: Network
    reader: QueueReader

    def join(self, trader: Trader, account: int, amount: int) -> None:
        self.network.join(trader, amount)
        assert trader.account == account

    def pending(self, pointer: int) -> Sequence[QueueEntry]:
        self.reader.look()
        return queue_commands(self.reader.entries[pointer:])


def _prove(results: Results, subject: str, config: DemoConfig, market: Market, prover: Prover, binary: Any) -> None:
    """The same exchange on anvil: every batch proposed, proved and verified; the full one timed from its end."""
    begun = cpu_seconds()
    keys = circuit_keys(prover, config.preset, config.terms.data)
    results.note(subject, "keys made or loaded", 1, (cpu_seconds() - begun,), note="one run")
    with (
        tempfile.TemporaryDirectory() as folder,
        Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S, binary=binary) as anvil,
        ProvingServer(prover, config.preset) as server,
    ):
        network = Network(config, market, anvil, keys)
        identity = Identity(network.identity, network.domain, network.params, address_of(network.operator), network.sequencer, network.secrets)
        poster = network.poster(Path(folder) / "poster.sqlite", server, lambda record: None)
        try:
            full = FullBatch(config, market, identity, _OnChain(network, QueueReader(network.client, 0)), Path(folder), poster.add_epoch)
            full.open()
            for closed in full.closed:
                poster.add(closed)
            poster.post()
            batch, earlier = full.fill(), len(network.tables)
            started = time.perf_counter()
            poster.add(full.closed[-1])
            poster.post()
            lag = time.perf_counter() - started
            record = poster.records()[-1]
            witness = poster.posted(batch.number).witness
        finally:
            poster.close()
        fills = len(batch.fills)
        tables = network.tables[earlier:]
        table_gas = sum(table.gas for table in tables)
        gas = record.propose_gas + record.prove_gas + table_gas
        assert network.client.final_batch() == batch.number
        note = (
            f"{record.propose_gas:,} to propose, {record.data_bytes:,} bytes; {record.prove_gas:,} to prove; {table_gas:,} for {len(tables)} risk table, "
            f"{sum(table.data_bytes for table in tables):,} bytes; measured on anvil, a real proof verified"
        )
        results.fact(subject, "gas a trade", gas / fills, "gas", bar=GAS_PER_TRADE_BARS[config.preset], note=note)
        results.fact(subject, "from a batch's end to its verification", lag, "seconds", note="wall time, nothing else waiting")
        proofs = [server.prove(witness) for _ in range(PROOFS)]
    results.note(subject, "trades proved", fills, tuple(proof.cpu_seconds for proof in proofs), note="CPU seconds of the proof alone, the process kept")
    results.fact(subject, "CPU seconds a trade, proof", sorted(proof.cpu_seconds for proof in proofs)[PROOFS // 2] / fills, "seconds")
    rate = fills * PROOFS / sum(proof.wall_seconds for proof in proofs)
    results.fact(subject, "trades proved a second, sustained", rate, "a second", note=f"wall time, {PROOFS} full batches in a row, all cores")
