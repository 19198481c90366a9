"""Table, page, JSON and charts of a comparison."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.console import Console
from support.reference import documented, keys

from straddle.research import charts
from straddle.research.baseline import BaselineGas, SwapGas, TradeGas
from straddle.research.capital import Bonds, Transit
from straddle.research.comparison import Comparison
from straddle.research.config import Parameter
from straddle.research.crossover import crossovers, saving
from straddle.research.hedging import HedgeChoice, Interval
from straddle.research.margins import Capital
from straddle.research.model import Architecture, BatchCost, Clocks, Dispute, QuorumAway, Run, Usage, Waits
from straddle.research.prices import QUOTATIONS, REFERENCE, grid
from straddle.research.queue_load import Attack, EntryCosts, QueueLoad
from straddle.research.replay import FillGas, Replayed
from straddle.research.report import as_json, markdown, show
from straddle.research.tables import Table, tables

BATCH = BatchCost(1, 40, 2, 50, 2, 0.0, 100.0, 112.0, 112.0, 172.0, 400_000, 360_000, 9_000, 0, 200, 0, 20.0, 0.0)
OTHER = replace(BATCH, number=2, trades=60, fills=70, hedges=1, hedge_fills=2, begun_s=100.0, closed_s=200.0, body_cells=300, propose_gas=480_000)
RUN = Run("zk-calldata", (BATCH, OTHER), 3, 300_000, ((1, 52.0), (2, 82.0)), (0.001, 0.003))
BLOB_RUN = replace(RUN, name="zk-blob", batches=tuple(replace(batch, blobs=1, propose_gas=250_000) for batch in RUN.batches))
TRADES = (TradeGas(1, 100_000, 90_000, 95_000), TradeGas(5, 150_000, 130_000, 135_000), TradeGas(20, 420_000, 400_000, 405_000))
BASE = BaselineGas(48, True, 3_000_000, 70_000, 120_000, 49_000, 50_000, 388, TRADES)
IN_CODE = Replayed(True, 2, (FillGas(0, False, 5, 200_000), FillGas(0, False, 6, 210_000), FillGas(1, True, 6, 90_000)), 972, 3, 2, 9, 40_000, 500_000, 0)
IN_STORAGE = replace(IN_CODE, tables_in_code=False, fills=tuple(replace(fill, gas=2 * fill.gas) for fill in IN_CODE.fills), table_gas=30_000)
WINDOW_S, DAY_S = 7 * 86_400, 86_400
CLOCKS = Clocks(WINDOW_S, DAY_S, 600, 14 * DAY_S, 4_095, 10**17, 5 * 10**16, 600_000, 5 * 10**14)
EARLY = Dispute("early proof", 40, 500_000, 400_000, 60.0, Waits(90.0, 120.0), 30.0, 0, 0, 0)
HONEST = Dispute("honest batch challenged", 40, 500_000, 520_000, 8.0 * DAY_S, Waits(8.1 * DAY_S, 8.2 * DAY_S), 30.0, 0, -(10**15), 10**15)
FRAUD = Dispute("fraud challenged", 40, 500_000, 150_000, 86_500.0, None, 0.0, -(10**17), 5 * 10**16, 0)
ATTACK = Attack(16, 90_000.0, 0.5, 30.0, 4_000.0, 160_000.0)
LOAD = QueueLoad(20.0, EntryCosts(90_000, 100_000, 10**12, 10**6, 8_192, 30_000_000), ATTACK, replace(ATTACK, entries_a_batch=2, hours_to_drain=200.0), 1_800.0)


ARCHITECTURES = ("zk-calldata", "optimistic-calldata", "layer-1")


def architecture(name: str, gas: float) -> Architecture:
    wait, usage = Waits(60.0, 120.0), Usage(gas, 3_000.0, 0.0, 150.0)
    return Architecture(name, "trust.", "gone.", usage, usage, 0.1, 0.05, 2.0, 0.001, wait, wait, wait, wait, None, None, None, None, None, None)


def optimistic(name: str) -> Architecture:
    away = QuorumAway(40, 5_000, 200_000, 600_000, 380_000, 9_000)
    bonds = Bonds(200.0, WINDOW_S, 600.0, 50.0, 4_095)
    changes = {"one_challenge_s": 8.0 * DAY_S, "all_challenged_s": 22.0 * DAY_S, "early_gas_per_trade": 22_500.0, "early_withdrawable": Waits(120.0, 150.0)}
    return replace(architecture(name, 10_000.0), away=away, bonds=bonds, **changes)


def comparison() -> Comparison:
    rows = (architecture("zk-calldata", RUN.gas_per_trade), optimistic("optimistic-calldata"), architecture("layer-1", IN_CODE.gas_per_trade))
    prices = grid()
    names = [row.name for row in rows]
    found = saving(RUN, BLOB_RUN)
    assert found is not None
    return Comparison(
        command="straddle compare",
        commit="abc",
        version="1.2.3",
        made_at="2026-11-23T07:00:00+00:00",
        machine={"cpu": "x", "cores": 2},
        flow={"trades": 100},
        parameters=(Parameter("core_hour_usd", 0.04, "An hour of a core."), Parameter("aversion", 1.0, "Dollars for a dollar.")),
        prices=REFERENCE,
        architectures=rows,
        runs={"zk-calldata": RUN},
        disputes=(EARLY, HONEST, FRAUD),
        clocks=CLOCKS,
        baselines=(BASE,),
        swap=SwapGas(500_000, 66_000, 100),
        replays=(IN_CODE, IN_STORAGE),
        grid={name: [float(i + 1) for i in range(len(prices))] for name in names},
        grid_prices=prices,
        blob_saving=found,
        blob_crossover=crossovers(found),
        transits={name: Transit(60.0) for name in names},
        intervals=(Interval(2, 100, 5.0, 3.0), Interval(60, 5, 20.0, 1.0)),
        hedges={name: HedgeChoice(60, 5, 20.0, 1.0, 2.5) for name in names},
        hedges_by_aversion={4.0: {name: HedgeChoice(10, 30, 12.0, 3.0, 7.25) for name in names}},
        margins=(Capital(3, 2, 300, 200, 100),),
        margins_total=Capital(0, 2, 300_000_000, 200_000_000, 100_000_000),
        notional_usd=500.0,
        worst_queue=LOAD,
        context=("Somebody: 1 gas.",),
        seconds={"total": 1.0},
    )


def shown(found: Comparison) -> str:
    console = Console(width=400, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(console, found)
    return console.export_text()


def table(found: Comparison, title: str) -> Table:
    return next(each for each in tables(found) if each.title.startswith(title))


def test_a_run_adds_up():
    assert RUN.trades == 100
    assert RUN.gas_per_trade == (400_000 + 480_000 + 2 * 360_000) / 100
    assert RUN.to_data == Waits((60.0 + 30.0) / 2, 60.0)
    assert RUN.to_final == Waits((120.0 + 90.0) / 2, 120.0)
    assert BLOB_RUN.blob_gas == 2 * 131_072
    assert RUN.bytes_per_trade == 18_000 / 100 and BLOB_RUN.bytes_per_trade == (18_000 + 2 * 131_072) / 100
    assert Usage(1.0, 2.0, 3.0, 4.0).dollars(REFERENCE) == REFERENCE.dollars(3.0, 3.0)


def test_batches_without_trades_are_not_charged_to_trades():
    opening = replace(BATCH, number=0, trades=0)
    assert replace(RUN, batches=(opening, *RUN.batches)).gas_per_trade == RUN.gas_per_trade


def test_every_row_explains_itself_and_has_a_cell_for_every_architecture():
    for row in comparison().rows():
        assert row.means.endswith(".") and len(row.cells) == 3, row.name
    cells = {row.name: row.cells for row in comparison().rows()}
    gas = RUN.gas_per_trade
    assert cells["layer-1 trade over this, code"] == (f"{250_000 / gas:,.1f} x", "25.0 x", None)
    assert cells["layer-1 trade over this, storage"] == (f"{500_000 / gas:,.1f} x", "50.0 x", None)
    assert cells["the same with tables, code"] == (f"{270_000 / (gas + 3_000):,.1f} x", f"{270 / 13:,.1f} x", None)
    assert cells["the same with tables, storage"] == (f"{515_000 / (gas + 3_000):,.1f} x", f"{515 / 13:,.1f} x", None)
    assert cells["to money, one challenge"] == (None, "8 d", None)
    assert cells["to money, all challenged"] == (None, "22 d", None)
    assert cells["operator's bonds"] == (None, "$201,600 (1,008 batches)", None)
    assert cells["gas a trade, quorum away"] == (None, "24,500", None)


def test_every_line_of_every_further_table_is_explained():
    found = tables(comparison())
    assert len(found) == 14
    for each in found:
        for line in each.lines:
            assert len(line.cells) == len(each.columns) and line.means.endswith((".", ",")) and line.means[0].isupper(), (each.title, line)
    grids = table(comparison(), "Dollars a trade by prices")
    assert [line.cells for line in grids.lines][1] == ("0.067", "1e-09", "$2,230", "$2", "$2", "$2") and len(grids.lines) == 36 and grids.shared
    assert {line.cells[:3] for line in table(comparison(), "Prices, dated").lines} == {(each.of, f"{each.value:g}", each.date) for each in QUOTATIONS}


def test_prices_of_an_option_are_shown_as_such():
    given = replace(comparison(), prices=replace(REFERENCE, gas_gwei=5.0))
    added = [line.cells for line in table(given, "Prices, dated").lines][len(QUOTATIONS) :]
    assert added == [("gas, gwei", "5", "2026-11-23", "option of this run")]


def test_what_answers_cost_is_set_against_what_pays_for_them():
    cells = dict(line.cells for line in table(comparison(), "What an answer").lines)
    gas, cpu = REFERENCE.dollars(EARLY.gas), 30.0 / 3_600 * 0.04
    paid = REFERENCE.dollars_of_wei(600_000 * REFERENCE.gas_gwei * 1e9 + 5 * 10**14)
    assert cells["paid over cost"] == f"{paid / (gas + cpu):,.1f} x"
    assert CLOCKS.reward_wei(10_000) == CLOCKS.challenger_bond_wei
    covered = float(cells["covers an answer up to"].split()[0].replace(",", ""))
    assert replace(REFERENCE, gas_gwei=covered).dollars(EARLY.gas) + cpu == pytest.approx(REFERENCE.dollars_of_wei(CLOCKS.challenger_bond_wei), rel=0.01)
    assert not table_titles(replace(comparison(), disputes=())) & {"What an answer to a challenge costs, and what pays for it"}


def table_titles(found: Comparison) -> set[str]:
    return {each.title for each in tables(found)}


def test_an_answer_has_the_contracts_time():
    """docs/protocol/policies.md: 24 h + min(open challenges x allowance, 14 days) after a challenge in the window's last second."""
    assert CLOCKS.wait_s(1) == WINDOW_S + DAY_S + 600
    assert CLOCKS.wait_s(1_000) == WINDOW_S + DAY_S + 600_000
    assert CLOCKS.wait_s(4_095) == 22 * DAY_S


def test_a_hedge_takes_its_fills_of_everything():
    """3 hedges with 4 fills of 120: what a fill costs, times the fills of a hedge."""
    assert RUN.hedge_share == pytest.approx(4 / 3 / 120)
    assert replace(RUN, batches=(replace(BATCH, hedges=0, hedge_fills=0),)).hedge_share == pytest.approx(1 / 50)


def test_batches_are_as_far_apart_as_they_cover():
    assert RUN.batch_interval_s == 100.0


def test_the_worst_queue_says_whether_it_is_answered_in_time():
    lines = {line.cells[0]: line.cells[1:] for line in table(comparison(), "The worst queue").lines}
    assert lines["answered in time"] == ("after 24 h, within 7 d", "not within 7 d")
    assert lines["to drain them"] == ("1.25 d", "8.33 d")


def test_the_page_and_the_terminal_show_every_row_and_what_made_them():
    found = comparison()
    terminal, page = " ".join(shown(found).split()), markdown(found)
    for row in found.rows():
        assert row.name in terminal and f"| {row.name} |" in page and row.means in page and row.means in terminal
    for each in tables(found):
        assert each.title in terminal and f"## {each.title}" in page
        assert all(line.means in page and line.means in terminal for line in each.lines), each.title
    assert "10 min, 7.25 bp" in terminal and "| $4 | 10 min, 7.25 bp |" in page
    for text in (terminal, page):
        assert "`straddle compare` at 2026-11-23T07:00:00+00:00, commit abc, version 1.2.3" in text and "Somebody: 1 gas." in text


def test_every_key_of_the_report_is_documented():
    """What a real run has in `open_`, tests/integration/test_compare.py looks up."""
    open_ = ("machine.", "flow.", "parameters.", "seconds.")
    found, named = keys(json.loads(json.dumps(as_json(comparison()))), data=ARCHITECTURES), documented("compare.md")
    assert len(named) == len(set(named))
    assert {name for name in named if not name.startswith(open_)} == {name for name in found if not name.startswith(open_)}


def test_json_is_complete_and_plain():
    found = json.loads(json.dumps(as_json(comparison())))
    assert found["schema"] == 3
    assert found["parameters"] == {"core_hour_usd": 0.04, "aversion": 1.0}
    assert found["runs"]["zk-calldata"]["batches"][0]["propose_gas"] == BATCH.propose_gas
    code, storage = found["replays"]
    assert (code["tables_in_code"], code["fills"], code["gas_per_trade"], code["table_gas"]) == (True, 3, 250_000, 40_000)
    assert storage["sizes"] == [{"positions_a_side": 2, "fills": 1, "gas": 400_000}, {"positions_a_side": 3, "fills": 2, "gas": 300_000}]
    without = json.loads(json.dumps(as_json(replace(comparison(), worst_queue=None, clocks=None, blob_saving=None))))
    assert (without["worst_queue"], without["clocks"], without["blob_saving"]) == (None, None, None)


def test_charts_are_written_in_both_formats_and_say_what_made_them(tmp_path):
    found = comparison()
    for ending in ("svg", "png"):
        charts.waits(tmp_path / f"waits.{ending}", {row.name: {"data": row.data.median, "money": row.final.median} for row in found.architectures}, found.made)
        charts.hedging(tmp_path / f"hedging.{ending}", found.intervals, found.hedges, found.made)
        charts.margins(tmp_path / f"margins.{ending}", {"static": 3.0, "portfolio": 1.0}, found.made)
        charts.cost_per_trade(tmp_path / f"cost.{ending}", {"a": [1.0, 2.0]}, found.grid_prices[:2], found.made)
    assert len(list(tmp_path.iterdir())) == 8 and all(file.stat().st_size > 1_000 for file in tmp_path.iterdir())
    for file in tmp_path.glob("*.svg"):
        assert "<svg" in file.read_text() and "commit abc" in file.read_text(), file.name


def test_a_chart_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(charts.ChartError, match="expected a name that ends"):
        charts.margins(tmp_path / "margins.pdf", {"static": 3.0}, "made")
    with pytest.raises(charts.ChartError, match="No such file"):
        charts.margins(tmp_path / "nowhere" / "margins.svg", {"static": 3.0}, "made")
