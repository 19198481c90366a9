"""Prices of layer-1 resources and of waiting."""

from __future__ import annotations

import pytest

from straddle.research.capital import Transit
from straddle.research.prices import GAS_A_BLOB, Prices, grid

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
    with pytest.raises(ValueError, match=field):
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


@pytest.mark.parametrize("changes", [{"delay_s": -1}, {"moves_a_day": 0}, {"share_moved": 0}, {"share_moved": 1.1}, {"rate_a_year": -0.1}])
def test_senseless_transits_are_refused(changes):
    with pytest.raises(ValueError, match="transit"):
        Transit(**{"delay_s": 1.0} | changes)
