"""`straddle compare` on the smallest circuit: real contracts and members, every part of the report; real proofs where the command itself is run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.deserted import MOCK_VERIFIER, HashProof
from support.reference import documented, keys
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.core.orders import Side
from straddle.l1.anvil import Anvil
from straddle.l1.contracts import load_path
from straddle.l1.deploying import CircuitKeys
from straddle.l1.sender import Sender, TransactionFailed
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S
from straddle.node.market import Market, load_market
from straddle.node.network import Network
from straddle.node.terms import MEMBERS, PolicyTerms
from straddle.proving.prover import Prover, ProveResult
from straddle.proving.witness import Witness
from straddle.research.architectures import CHOICES
from straddle.research.committee import Committee
from straddle.research.compare import entry_costs, run_all
from straddle.research.conclusion import Found
from straddle.research.crossover import saving
from straddle.research.flow import Flow, trade
from straddle.research.layer_one import CASH_MICROS, FEE_PER_LOT
from straddle.research.replay import MAX_AGE_S, Replay
from straddle.research.settling import SLOT_S, Settler, SimulatedClock

WEEK_S, DAY_S = 7 * 86_400, 86_400


@pytest.mark.slow
def test_an_optimistic_rollup_against_layer_1(tmp_path: Path) -> None:
    files = {name: tmp_path / f"found.{name}" for name in ("json", "md")}
    arguments = ["compare", "--preset", "nano", "--only", "optimistic-calldata", "--rounds", "2", "--makers", "2", "--histories", "3"]
    outputs = ["--json", str(files["json"]), "--markdown", str(files["md"]), "--charts", str(tmp_path / "charts")]
    result = CliRunner().invoke(app, [*arguments, *outputs])
    assert result.exit_code == 0, result.output
    found = json.loads(files["json"].read_text())
    rollup, layer1 = found["architectures"]
    assert (rollup["name"], layer1["name"]) == ("optimistic-calldata", "layer-1")
    assert WEEK_S < rollup["final"]["median"] < WEEK_S + 3_600
    early, honest, fraud = found["disputes"]
    assert early["trades"] > 0 and early["prove_cpu_seconds"] > 0
    assert honest["challenger_wei"] == -honest["prover_wei"] < 0 == honest["proposer_wei"]
    assert 0 < fraud["challenger_wei"] < -fraud["proposer_wei"], "half of the proposer's bond is burnt"
    assert all(batch["transcript_bytes"] > 0 and batch["prove_cpu_seconds"] == 0 for batch in found["runs"]["optimistic-calldata"]["batches"])
    column, other = found["replays"]
    assert {each["tables_in_code"] for each in found["replays"]} == {True, False}
    assert column["fills"] == other["fills"] == found["flow"]["fills"] >= found["flow"]["trades"] == column["trades"]
    total, of_the_other = (each["gas_per_trade"] + each["table_gas_per_trade"] for each in found["replays"])
    assert layer1["trade"]["gas"] + layer1["trade"]["table_gas"] == total <= of_the_other
    assert sum(size["fills"] for size in column["sizes"]) == column["fills"]
    capital = found["margins_total"]
    assert 0 < capital["portfolio"] <= capital["isolated"]
    assert found["worst_queue"]["proof_seconds"] > 0 and found["worst_queue"]["costs"]["minimum_deposit_micros"] == 10**6
    assert len(list((tmp_path / "charts").iterdir())) == 4
    assert "| gas a trade |" in files["md"].read_text()
    here = {"seconds.optimistic-calldata", "seconds.layer-1"}
    assert keys(found, data=("optimistic-calldata", "layer-1")) | here <= set(documented("compare.md")) | here


@dataclass
class HashProver:
    """Makes at once what takes as long as it says."""

    wall_seconds: float = 30.0
    made: int = 0

    def prove(self, witness: Witness) -> ProveResult:
        public, self.made = witness.public, self.made + 1
        words = (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)
        return ProveResult(HashProof.of(words), 50.0, self.wall_seconds)  # type: ignore[arg-type]  # the mock verifier takes it


@dataclass
class Settled:
    """One flow through architectures whose batch proofs are hashes."""

    market: Market
    folder: Path
    stack: ExitStack
    found: Found = field(default_factory=Found)
    settlers: dict[str, Settler] = field(default_factory=dict)

    def settle(self, name: str) -> Settler:
        """Once."""
        if name not in self.settlers:
            (choice,) = (choice for choice in CHOICES if choice.name == name)
            config = replace(CONFIG, terms=PolicyTerms(choice.proofs, choice.data))
            anvil = self.stack.enter_context(Anvil(self.market.path.start_ms // 1_000 - CHAIN_LEAD_S))
            network = Network(config, self.market, anvil, CircuitKeys(Prover().setup("nano")))
            anvil.rpc.call("anvil_setCode", [network.deployment.verifier, "0x" + load_path(MOCK_VERIFIER).runtime.hex()])
            flow = trade(config, self.market, network, self.folder / name)
            committee = Committee(network, self.folder / name) if name == "validium" else None
            sender = Sender(anvil.rpc, bytes(network.sequencer.key))
            self.settlers[name] = Settler(network, flow, SimulatedClock(anvil.set_time_at_least, anvil.rpc), HashProver(), sender, committee)
            run_all(self.settlers[name], name, self.found, Silent())
        return self.settlers[name]


class Silent:
    def stage(self, name: str, detail: str = "") -> None: ...
    def progress(self, detail: str, done: float | None = None) -> None: ...


CONFIG = DemoConfig.recorded(preset="nano", rounds=2, hours=1, epoch_minutes=10, makers=2, takers=2, instruments=7)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settled]:
    with ExitStack() as stack:
        yield Settled(load_market(CONFIG), tmp_path_factory.mktemp("settled"), stack)


@pytest.mark.slow
def test_a_zk_rollup_is_final_when_its_proof_can_be_there(settled: Settled) -> None:
    settler = settled.settle("zk-calldata")
    batches = settled.found.runs["zk-calldata"].batches
    ready = 0.0
    for batch in batches:
        ready = max(ready, batch.closed_s) + 30.0
        assert batch.closed_s <= batch.data_s == batch.proposed_s < batch.final_s and ready <= batch.final_s < ready + len(batches) * SLOT_S
        assert batch.blobs == batch.transcript_bytes == 0 < batch.propose_gas and batch.prove_cpu_seconds == 50.0
    assert settler.network.client.final_batch() == len(batches)


@pytest.mark.slow
def test_the_same_batches_lie_in_blobs(settled: Settled) -> None:
    settled.settle("zk-calldata")
    settled.settle("zk-blob")
    calldata, blob = settled.found.runs["zk-calldata"], settled.found.runs["zk-blob"]
    assert all(batch.blobs == 1 and batch.calldata_bytes == blob.batches[0].calldata_bytes for batch in blob.batches)
    found = saving(calldata, blob)
    assert found is not None and found.fixed < 0 < found.a_cell
    largest, smallest = max(calldata.batches, key=lambda batch: batch.body_cells), min(calldata.batches, key=lambda batch: batch.body_cells)
    spread = [batch.propose_gas - other.propose_gas for batch in (largest, smallest) for other in blob.batches if other.number == batch.number]
    assert found.a_cell == pytest.approx((spread[0] - spread[1]) / (largest.body_cells - smallest.body_cells), rel=0.2)


@pytest.mark.slow
def test_members_recompute_store_and_sign_and_layer_1_does_without_them(settled: Settled) -> None:
    settler = settled.settle("validium")
    run, committee, away = settled.found.runs["validium"], settler.committee, settled.found.away
    assert committee is not None and away is not None
    last = settler.flow.closed[-1].change.after.root
    assert [(member.tip, member.state_root) for member in committee.members] == [(len(run.batches), last)] * MEMBERS
    assert all(batch.closed_s < batch.data_s == batch.closed_s + batch.certify_seconds <= batch.proposed_s for batch in run.batches)
    certified = run.trading[0]
    assert away.trades == certified.trades and away.calldata_bytes > 0 and away.snapshot_bytes > 100
    assert away.snapshot_gas > 16 * away.snapshot_bytes / 2 and away.final_gas == certified.final_gas
    assert not settler.network.client.has_snapshot(settler.sender.address, settler.flow.closed[certified.number - 1].change.before.root), "set back"


@pytest.mark.slow
def test_the_first_batch_with_trades_goes_every_way(settled: Settled) -> None:
    settler = settled.settle("optimistic-calldata")
    early, honest, fraud = settled.found.disputes
    run, clocks = settled.found.runs["optimistic-calldata"], settled.found.clocks
    assert clocks is not None and settler.flow.first_trading > 0
    assert early.trades == honest.trades == fraud.trades == run.trading[0].trades
    assert early.propose_gas == run.trading[0].propose_gas
    assert 30.0 - SLOT_S < early.seconds < 30.0 + 2 * SLOT_S, "not before its proof was made"
    assert abs(honest.seconds - clocks.wait_s(1)) <= 2 and clocks.wait_s(1) > WEEK_S + DAY_S, "the contract's own last moment"
    assert clocks.wait_s(clocks.proposals_most) == 22 * DAY_S
    assert (fraud.to_final, fraud.prove_cpu_seconds) == (None, 0.0) and early.to_final and early.to_final.worst < 3_600
    assert honest.challenger_wei == -honest.prover_wei < 0 == early.proposer_wei == early.prover_wei
    base_gwei = honest.prover_wei / 1e9  # at whatever base fee: never more than the bond, never less than the work
    assert clocks.proof_work_wei / 1e9 <= base_gwei <= clocks.challenger_bond_wei / 1e9
    assert all(batch.final_s - batch.proposed_s >= WEEK_S for batch in run.batches), "the disputes have left no trace"


@pytest.mark.slow
def test_entries_cost_what_layer_1_takes_for_them(settled: Settled) -> None:
    network = settled.settle("zk-calldata").network
    before, costs = network.client.queue_length(), entry_costs(network)
    assert network.client.queue_length() == before + 4
    assert 50_000 < costs.deposit_gas < costs.request_gas + 50_000 and costs.fee_wei == network.deployment.config.request_fee_wei
    assert (costs.minimum_deposit_micros, costs.waiting_most, costs.block_gas) == (10**6, 8_192, 30_000_000)


def test_what_cannot_be_compared_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments, said in (
        (["--only", "plasma"], "only: plasma"),
        (["--histories", "1"], "histories: 1"),
        (["--gas", "0"], "gas_gwei: 0"),
        (["--aversion", "-1"], "aversion: -1"),
        (["--rate", "10"], "rate: 10, expected 0 to 1, a share a year: 0.1 is 10 %"),
        (["--core-hour", "-1"], "core-hour: -1"),
        (["--chart-format", "gif"], "chart-format: gif"),
        (["--json", str(tmp_path / "nowhere" / "found.json")], "json:"),
        (["--markdown", str(tmp_path)], "markdown:"),
        (["--charts", str(tmp_path / "file")], "charts:"),
        (["--preset", "huge"], "huge"),
        (["--instruments", "3"], "instruments: 3"),
        (["--epoch-minutes", "15"], "epoch-minutes: 15, expected 1 to 12: layer 1 refuses"),
        (["--takers", "9"], "makers + takers: 3 + 9"),
    ):
        result = CliRunner().invoke(app, ["compare", "--preset", "nano", *arguments])
        assert result.exit_code == 2 and said in result.output, (arguments, result.output)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Market, Flow]:
    """A flow of the smallest circuit from the recorded snapshot to the first expiry, with its settlement."""
    config = DemoConfig.recorded(preset="nano", rounds=3, hours=24, makers=2, takers=2, epoch_minutes=15, instruments=7)
    market = load_market(config)
    with Anvil(market.path.start_ms // 1_000 - CHAIN_LEAD_S) as anvil:
        network = Network(config, market, anvil, CircuitKeys(Prover().setup("nano")))
        return market, trade(config, market, network, tmp_path_factory.mktemp("flow"))


@pytest.mark.slow
@pytest.mark.parametrize("tables_in_code", [False, True])
def test_layer_1_ends_with_what_the_flow_traded(traded: tuple[Market, Flow], tables_in_code: bool) -> None:
    """Cash and positions of everybody, from the fills and the tables alone; money and positions are conserved."""
    market, flow = traded
    with Anvil(market.path.start_ms // 1_000) as anvil:
        replay = Replay(anvil, flow, tables_in_code=tables_in_code, k_im_bps=10_000)
        found = replay.run()
        accounts = {account: replay.venue.read("account", who.address) for account, who in replay.traders.items()}
        fees = {account: replay.venue.read("fees", who.address) for account, who in replay.traders.items()}
        balance = replay.venue.token_balance()
    tables = {table.epoch: table for table in flow.tables}
    cash = dict.fromkeys(accounts, CASH_MICROS)
    paid = dict.fromkeys(accounts, 0)
    held: dict[int, Counter[int]] = {account: Counter() for account in accounts}
    for match in flow.matches:
        for fill in match.fills:
            bought = fill.size_lots * (1 if fill.taker_side is Side.BUY else -1)
            price = fill.price_ticks - tables[match.epoch][fill.instrument].funding
            cash[fill.taker] -= bought * price + fill.size_lots * FEE_PER_LOT
            cash[fill.maker] += bought * price
            paid[fill.taker] += fill.size_lots * FEE_PER_LOT
            held[fill.taker][fill.instrument] += bought
            held[fill.maker][fill.instrument] -= bought
    settled = {row.instrument: row.value for table in flow.tables for row in table if row.settled}
    assert settled.keys() & {instrument for lots in held.values() for instrument, size in lots.items() if size}, "nothing was delivered: expected some"
    for account, lots in held.items():
        cash[account] += sum(size * settled[instrument] for instrument, size in lots.items() if instrument in settled)
        expected = {replay.numbers[instrument]: size for instrument, size in lots.items() if size and instrument not in settled}
        assert (accounts[account][0], dict(zip(*accounts[account][1:], strict=True)), fees[account]) == (cash[account], expected, paid[account])
    assert balance == len(accounts) * CASH_MICROS == sum(cash.values()) + sum(paid.values())
    assert not any(sum(lots[instrument] for lots in held.values()) for instrument in replay.numbers)
    assert found.delivery_gas > 0 < found.table_gas
    assert (found.trades, len(found.fills)) == (len(flow.matches), sum(len(match.fills) for match in flow.matches))
    assert found.gas_per_trade >= found.gas_per_fill > 60_000


@pytest.mark.slow
def test_layer_1_refuses_what_its_margin_does_not_cover(traded: tuple[Market, Flow], monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay's margin is a real one, and its tables grow old."""
    market, flow = traded
    monkeypatch.setattr("straddle.research.layer_one.CASH_MICROS", 1_000)
    with Anvil(market.path.start_ms // 1_000) as anvil, pytest.raises(TransactionFailed, match=r"LayerOneOptions: (maker|taker)'s margin"):
        Replay(anvil, flow, tables_in_code=True, k_im_bps=10_000).run()
    monkeypatch.undo()
    late = replace(flow, matches=flow.matches[:1], tables=[table for table in flow.tables if table.epoch == flow.matches[0].epoch])
    with Anvil(late.tables[0].time_ms // 1_000 + MAX_AGE_S + 1) as anvil, pytest.raises(TransactionFailed, match="table is too old"):
        Replay(anvil, late, tables_in_code=False, k_im_bps=10_000).run()
    with Anvil(market.path.start_ms // 1_000) as anvil, pytest.raises(ValueError, match="tables: none of epoch"):
        Replay(anvil, replace(flow, tables=[]), tables_in_code=True, k_im_bps=10_000).run()
