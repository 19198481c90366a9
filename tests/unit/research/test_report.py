"""Table, page, JSON and charts of a comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from straddle.research import charts
from straddle.research.baseline import BaselineGas, SwapGas, TradeGas
from straddle.research.capital import Transit
from straddle.research.crossover import crossovers, gas_line
from straddle.research.hedging import HedgeChoice, Interval
from straddle.research.margins import Capital
from straddle.research.model import Architecture, BatchCost, Dispute, Run, Waits
from straddle.research.prices import REFERENCE, grid
from straddle.research.replay import FillGas, Replayed
from straddle.research.report import Comparison, as_json, markdown, show

BATCH = BatchCost(1, 40, 2, 100.0, 112.0, 172.0, 400_000, 360_000, 9_000, 0, 200, 0, 20.0)
RUN = Run("zk-calldata", (BATCH, replace(BATCH, number=2, trades=60, body_cells=300, propose_gas=480_000)), 3, 300_000, ((1, 52.0), (2, 82.0)), (0.001, 0.003))
BLOB_RUN = replace(RUN, name="zk-blob", batches=tuple(replace(batch, blobs=1, propose_gas=250_000) for batch in RUN.batches))
TRADES = (TradeGas(1, 100_000, 90_000, 95_000), TradeGas(5, 150_000, 130_000, 135_000), TradeGas(20, 420_000, 400_000, 405_000))
BASE = BaselineGas(48, True, 3_000_000, 70_000, 120_000, 49_000, 50_000, 388, TRADES)
IN_CODE = Replayed(True, 2, (FillGas(0, False, 5, 200_000), FillGas(0, False, 6, 210_000), FillGas(1, True, 6, 90_000)), 972, 3, 2, 9, 40_000, 500_000, 0)
IN_STORAGE = replace(IN_CODE, tables_in_code=False, fills=tuple(replace(fill, gas=2 * fill.gas) for fill in IN_CODE.fills), table_gas=30_000)


def architecture(name: str, gas: float) -> Architecture:
    wait = Waits(60.0, 120.0)
    return Architecture(name, "trust.", "gone.", gas, gas, 3_000.0, 0.0, 150.0, 0.1, 0.05, wait, wait, wait, wait, None)


def comparison() -> Comparison:
    rows = (architecture("zk-calldata", RUN.gas_per_trade), architecture("layer-1", IN_CODE.gas_per_trade))
    prices = grid()
    names = [row.name for row in rows]
    return Comparison(
        command="straddle compare",
        commit="abc",
        machine={"cpu": "x", "cores": 2},
        flow={"trades": 100},
        prices=REFERENCE,
        architectures=rows,
        runs={"zk-calldata": RUN},
        disputes=(Dispute("fraud challenged", 150_000, 86_500.0, -(10**18), 10**18, 0),),
        baselines=(BASE,),
        swap=SwapGas(500_000, 66_000, 100),
        replays=(IN_CODE, IN_STORAGE),
        grid={name: [float(i + 1) for i in range(len(prices))] for name in names},
        grid_prices=prices,
        blob_crossover=crossovers(RUN, BLOB_RUN),
        transits={name: Transit(60.0) for name in names},
        intervals=(Interval(2, 100, 5.0, 3.0), Interval(60, 5, 20.0, 1.0)),
        hedges={name: HedgeChoice(60, 5, 20.0, 1.0, 2.5) for name in names},
        hedges_by_aversion={4.0: {name: HedgeChoice(10, 30, 12.0, 3.0, 7.25) for name in names}},
        margins=(Capital(3, 2, 300, 200, 100),),
        margins_total=Capital(0, 2, 300_000_000, 200_000_000, 100_000_000),
        notional_usd=500.0,
        worst_queue={"entries_a_day": 1_000.0},
        context=("Somebody: 1 gas.",),
        seconds={"total": 1.0},
    )


def test_a_run_adds_up():
    assert RUN.trades == 100
    assert RUN.gas_per_trade == (400_000 + 480_000 + 2 * 360_000) / 100
    assert RUN.to_data == Waits((60.0 + 30.0) / 2, 60.0)
    assert RUN.to_final == Waits((120.0 + 90.0) / 2, 120.0)
    assert BLOB_RUN.blob_gas == 2 * 131_072
    assert BLOB_RUN.dollars_per_trade(REFERENCE) == pytest.approx(REFERENCE.dollars(BLOB_RUN.gas + 300_000, 262_144) / 100)


def test_batches_without_trades_are_not_charged_to_trades():
    opening = replace(BATCH, number=0, trades=0)
    assert replace(RUN, batches=(opening, *RUN.batches)).gas_per_trade == RUN.gas_per_trade


def test_every_row_explains_itself_and_has_a_cell_for_every_architecture():
    for row in comparison().rows():
        assert row.means.endswith(".") and len(row.cells) == 2, row.name
    cells = {row.name: row.cells for row in comparison().rows()}
    gas = RUN.gas_per_trade
    assert cells["layer-1 trade over this, code"] == (f"{250_000 / gas:,.1f} x", None)
    assert cells["layer-1 trade over this, storage"] == (f"{500_000 / gas:,.1f} x", None)
    assert cells["the same with tables, code"] == (f"{270_000 / (gas + 3_000):,.1f} x", None)
    assert cells["the same with tables, storage"] == (f"{515_000 / (gas + 3_000):,.1f} x", None)


def test_the_page_and_the_terminal_show_every_row_and_what_made_them():
    found = comparison()
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(console, found)
    shown, page = console.export_text(), markdown(found)
    for row in found.rows():
        assert row.name in shown and f"| {row.name} |" in page and row.means in page
    assert "10 min, 7.25 bp" in shown and "| $4 | 10 min, 7.25 bp |" in page
    assert "straddle compare" in shown and "commit abc" in page and "Somebody: 1 gas." in page


def test_json_is_complete_and_plain():
    found = json.loads(json.dumps(as_json(comparison())))
    assert found["schema"] == 2
    assert set(found) >= {
        "command",
        "rows",
        "architectures",
        "runs",
        "disputes",
        "baselines",
        "replays",
        "swap",
        "grid",
        "grid_prices",
        "transits",
        "hedges",
        "hedges_by_aversion",
        "margins",
    }
    assert found["runs"]["zk-calldata"]["gas_per_trade"] == RUN.gas_per_trade
    code, storage = found["replays"]
    assert (code["tables_in_code"], code["fills"], code["gas_per_trade"], code["table_gas"]) == (True, 3, 250_000, 40_000)
    assert storage["sizes"] == [{"positions_a_side": 2, "fills": 1, "gas": 400_000}, {"positions_a_side": 3, "fills": 2, "gas": 300_000}]
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "compare.md").read_text()
    assert all(f"`{key}`" in reference or f"`{key}[]`" in reference for key in found), "a key that the reference does not name"


def test_charts_are_written_in_both_formats(tmp_path):
    found = comparison()
    for ending in ("svg", "png"):
        charts.waits(tmp_path / f"waits.{ending}", {row.name: {"data": row.data.median, "money": row.final.median} for row in found.architectures})
        charts.hedging(tmp_path / f"hedging.{ending}", found.intervals, found.hedges)
        charts.margins(tmp_path / f"margins.{ending}", {"static": 3.0, "portfolio": 1.0})
        charts.cost_per_trade(tmp_path / f"cost.{ending}", {"a": [1.0, 2.0]}, found.grid_prices[:2])
    assert len(list(tmp_path.iterdir())) == 8 and all(file.stat().st_size > 1_000 for file in tmp_path.iterdir())
    assert "<svg" in (tmp_path / "waits.svg").read_text()


def test_a_chart_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(charts.ChartError, match="expected a name that ends"):
        charts.margins(tmp_path / "margins.pdf", {"static": 3.0})
    with pytest.raises(charts.ChartError, match="No such file"):
        charts.margins(tmp_path / "nowhere" / "margins.svg", {"static": 3.0})


def test_the_crossover_follows_from_the_measured_line():
    fixed, a_cell = gas_line(RUN.batches)
    assert (fixed, a_cell) == (pytest.approx(240_000), pytest.approx(800))
    found = {(each["gas_gwei"], each["blob_gwei"]): each["cells"] for each in crossovers(RUN, BLOB_RUN)}
    assert found[2.0, 0.5] == pytest.approx((10_000 + 131_072 * 0.25) / 800, abs=1.5)
    assert found[100.0, 1e-9] < found[2.0, 0.5] < found[0.2, 10.0]
    with pytest.raises(ValueError, match="at least two different sizes"):
        gas_line(RUN.batches[:1])
