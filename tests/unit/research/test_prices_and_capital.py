"""Prices of layer-1 resources and of waiting."""

from __future__ import annotations

import pytest

from straddle.node.config import ConfigError
from straddle.research.capital import Bonds, Transit
from straddle.research.prices import GAS_A_BLOB, QUOTATIONS, Prices, cpu_dollars, grid

WEEK_S = 7 * 86_400


def test_dollars_of_gas_and_blobs():
    prices = Prices(gas_gwei=10, blob_gwei=1, ether_usd=2_000)
    assert prices.dollars(21_000) == pytest.approx(0.42)
    assert prices.dollars(0, GAS_A_BLOB) == pytest.approx(0.262144)
    assert prices.dollars(21_000, GAS_A_BLOB) == pytest.approx(0.682144)


def test_the_grid_has_every_combination_once():
    cells = grid()
    assert len(set(cells)) == len(cells) == 36


@pytest.mark.parametrize("field", ["gas_gwei", "blob_gwei", "ether_usd"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), 1e9])
def test_a_price_that_is_none_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        Prices(**{"gas_gwei": 1, "blob_gwei": 1, "ether_usd": 1} | {field: value})


def test_a_week_of_waiting_costs_nineteen_basis_points_at_ten_per_cent():
    """The figure of research/rollup.md."""
    assert Transit(WEEK_S, rate_a_year=0.10).cost_of_one_move_bps == pytest.approx(19.18, abs=0.01)
    assert Transit(3_600, rate_a_year=0.10).cost_of_one_move_bps == pytest.approx(0.114, abs=0.001)


def test_what_is_locked_follows_from_flow_times_delay():
    week = Transit(WEEK_S, moves_a_day=1, share_moved=0.5)
    assert week.locked == pytest.approx(3.5)
    assert week.turnover_a_year == pytest.approx(365 * 0.5 / 4.5)
    none = Transit(0, moves_a_day=1, share_moved=0.5)
    assert (none.locked, none.yearly_cost, none.turnover_a_year) == (0, 0, 182.5)


@pytest.mark.parametrize(
    "changes", [{"delay_s": -1}, {"moves_a_day": 0}, {"share_moved": 0}, {"share_moved": 1.1}, {"rate_a_year": -0.1}, {"rate_a_year": 1.1}]
)
def test_senseless_transits_are_refused(changes):
    with pytest.raises(ValueError, match="transit"):
        Transit(**{"delay_s": 1.0} | changes)


def test_every_quotation_has_a_date_and_a_source():
    for each in QUOTATIONS:
        assert len(each.date.split("-")) in (2, 3) and 2020 < int(each.date[:4]) < 2027 and each.source, each


def test_a_core_hour_is_paid_by_the_second():
    assert cpu_dollars(1_800, 0.04) == pytest.approx(0.02)


def test_bonds_are_locked_for_every_proposal_of_a_window():
    bonds = Bonds(200.0, WEEK_S, 600.0, 50.0, 4_095, rate_a_year=0.10)
    assert (bonds.standing, bonds.locked_usd, bonds.yearly_cost_usd, bonds.most_usd) == (1_008, 201_600.0, pytest.approx(20_160.0), 819_000.0)
    trades_a_year = 365 * 86_400 / 600 * 50
    assert bonds.cost_a_trade_usd == pytest.approx(bonds.yearly_cost_usd / trades_a_year)


def test_no_more_bonds_than_layer_1_lets_stand():
    assert Bonds(200.0, WEEK_S, 1.0, 50.0, 4_095).standing == 4_095


@pytest.mark.parametrize("changes", [{"bond_usd": -1.0}, {"batch_interval_s": 0.0}, {"trades_a_batch": 0.0}, {"proposals_most": 0}])
def test_senseless_bonds_are_refused(changes):
    with pytest.raises(ValueError, match="bonds"):
        Bonds(**{"bond_usd": 1.0, "window_s": 1.0, "batch_interval_s": 1.0, "trades_a_batch": 1.0, "proposals_most": 1} | changes)
