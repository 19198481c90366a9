"""`straddle compare` on the smallest circuit: real contracts, a real proof, every part of the report."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.core.orders import Side
from straddle.l1.anvil import Anvil
from straddle.l1.deploying import CircuitKeys
from straddle.l1.sender import TransactionFailed
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S
from straddle.node.market import Market, load_market
from straddle.node.network import Network
from straddle.proving.prover import Prover
from straddle.research.flow import Flow, trade
from straddle.research.layer_one import CASH_MICROS, FEE_PER_LOT
from straddle.research.replay import MAX_AGE_S, Replay


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
    week_s = 7 * 86_400
    assert week_s < rollup["final"]["median"] < week_s + 3_600
    assert rollup["under_challenge_s"] > week_s + 86_400
    early, honest, fraud = found["disputes"]
    assert early["seconds"] < 3_600 and week_s < honest["seconds"] and fraud["seconds"] > 86_400
    assert honest["challenger_wei"] == -honest["prover_wei"] < 0 == honest["proposer_wei"]
    assert 0 < fraud["challenger_wei"] < -fraud["proposer_wei"], "half of the proposer's bond is burnt"
    assert all(batch["transcript_bytes"] > 0 and batch["prove_cpu_seconds"] == 0 for batch in found["runs"]["optimistic-calldata"]["batches"])
    column, other = found["replays"]
    assert {each["tables_in_code"] for each in found["replays"]} == {True, False}
    assert column["fills"] == other["fills"] == found["flow"]["fills"] >= found["flow"]["trades"] == column["trades"]
    total, of_the_other = (each["gas_per_trade"] + each["table_gas_per_trade"] for each in found["replays"])
    assert layer1["gas_per_trade"] + layer1["table_gas_per_trade"] == total <= of_the_other
    assert sum(size["fills"] for size in column["sizes"]) == column["fills"]
    capital = found["margins_total"]
    assert 0 < capital["portfolio"] <= capital["isolated"]
    assert len(list((tmp_path / "charts").iterdir())) == 4
    assert "| gas a trade |" in files["md"].read_text()


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    for arguments, said in (
        (["--only", "plasma"], "only: plasma"),
        (["--histories", "1"], "histories: 1"),
        (["--gas", "0"], "gas_gwei: 0"),
        (["--aversion", "-1"], "aversion: -1"),
        (["--chart-format", "gif"], "chart-format: gif"),
        (["--preset", "huge"], "huge"),
        (["--instruments", "3"], "instruments: 3"),
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
