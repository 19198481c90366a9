from __future__ import annotations

from dataclasses import fields, replace

import pytest
from mpmath import mp, mpf

from straddle.core.risk_table import SCENARIOS
from straddle.risk.parameters import DEFAULT_PARAMETERS, REASONS
from straddle.risk.scenarios import Kind, Scenario, forward_multiplier, interpolate, moneyness_bps, scenarios, shocked_vol_bps, spot_multiplier

DAY = 1_440
MONTH = 30 * DAY


def test_forty_eight_in_their_order():
    shocks = scenarios(DEFAULT_PARAMETERS)
    assert len(shocks) == SCENARIOS == len(set(shocks))
    counts = {kind: sum(shock.kind is kind for shock in shocks) for kind in Kind}
    assert counts == {Kind.GRID: 27, Kind.TAIL: 13, Kind.CURVE: 4, Kind.TERM: 2, Kind.SKEW: 2}
    grid = {(shock.move_bps, shock.vol) for shock in shocks[:27]}
    assert grid == {(move, vol) for move in (0, 400, -400, 800, -800, 1_200, -1_200, 1_600, -1_600) for vol in (1, 0, -1)}
    assert shocks[1] == Scenario(Kind.GRID)


def test_tails_count_less_the_farther_they_are():
    tails = [shock for shock in scenarios(DEFAULT_PARAMETERS) if shock.kind is Kind.TAIL]
    assert {2_500, 3_300, 5_000, -2_500, -3_300, -5_000} <= {shock.move_bps for shock in tails}
    assert min(shock.move_bps for shock in tails) == -6_600 and max(shock.move_bps for shock in tails) == 40_000
    assert all(shock.vol == 1 for shock in tails)
    assert {shock.move_bps: shock.weight_bps for shock in tails}[5_000] == 3_200
    ordered = sorted(tails, key=lambda shock: abs(shock.move_bps))
    assert [shock.weight_bps for shock in ordered] == sorted((shock.weight_bps for shock in ordered), reverse=True)


def test_vol_term_knots_are_the_power_law():
    with mp.workprec(120):
        expected = tuple(
            int(mp.floor((mpf(30) / days) ** (mpf("0.3") if days < 30 else mpf("0.13")) * 10_000 + mpf(1) / 2)) for days in DEFAULT_PARAMETERS.vol_term_days
        )
    assert DEFAULT_PARAMETERS.vol_term_bps == expected


def test_interpolation():
    days, values = (1, 3), (100, 50)
    assert [interpolate(days, values, m) for m in (0, DAY, 2 * DAY, 3 * DAY - 1, 3 * DAY, 99 * DAY)] == [100, 100, 75, 50, 50, 50]
    assert interpolate((1, 2), (0, 10), DAY + DAY // 3) == 3


def test_forward_shifts():
    parallel = Scenario(Kind.CURVE, parallel_bps=450)
    assert forward_multiplier(parallel, DEFAULT_PARAMETERS, 0) == round(1.0225 * 2**14)
    year = 525_600
    assert (
        forward_multiplier(parallel, DEFAULT_PARAMETERS, year) == round((1 + 0.045 * 2.5) * 2**14) == forward_multiplier(parallel, DEFAULT_PARAMETERS, 2 * year)
    )
    tilt = Scenario(Kind.CURVE, tilt_bps=450)
    assert (
        forward_multiplier(tilt, DEFAULT_PARAMETERS, DAY)
        > 2**14
        == forward_multiplier(tilt, DEFAULT_PARAMETERS, MONTH)
        > forward_multiplier(tilt, DEFAULT_PARAMETERS, year)
    )
    assert forward_multiplier(Scenario(Kind.GRID, -1_600), DEFAULT_PARAMETERS, MONTH) == spot_multiplier(Scenario(Kind.GRID, -1_600)) == round(0.84 * 2**14)
    assert spot_multiplier(parallel) == 2**14


def test_vol_shocks():
    def vol(scenario, minutes, moneyness=0, base=8_000):
        return shocked_vol_bps(scenario, DEFAULT_PARAMETERS, base, minutes, moneyness)

    assert vol(Scenario(Kind.GRID, vol=1), MONTH) == 12_000
    assert vol(Scenario(Kind.GRID, vol=-1), MONTH) == 6_000
    assert vol(Scenario(Kind.GRID), DAY) == 8_000
    assert vol(Scenario(Kind.GRID, vol=1), DAY) == 8_000 * (10_000 + 13_871) // 10_000
    assert vol(Scenario(Kind.TERM, term_bps=2_500), DAY) == 10_000 and vol(Scenario(Kind.TERM, term_bps=2_500), MONTH) == 8_000
    assert vol(Scenario(Kind.TERM, term_bps=2_500), 365 * DAY) == 6_000
    assert vol(Scenario(Kind.SKEW, skew_bps=1_500), MONTH, 4_000) == 9_200 and vol(Scenario(Kind.SKEW, skew_bps=1_500), MONTH, -4_000) == 6_800
    assert vol(Scenario(Kind.GRID, vol=-1), DAY, base=600) == 500
    assert vol(Scenario(Kind.GRID, vol=-1), DAY, base=300) == 300


def test_moneyness():
    assert moneyness_bps(100_000, 100_000, MONTH, 4_000) == 0
    assert moneyness_bps(100_000, 110_517, MONTH, 4_000) in (999, 1_000)
    assert moneyness_bps(110_517, 100_000, MONTH, 4_000) in (-999, -1_000)
    assert moneyness_bps(100_000, 110_517, 4 * MONTH, 4_000) in (499, 500)
    assert moneyness_bps(100_000, 500_000, MONTH, 4_000) == 4_000
    assert moneyness_bps(100_000, 1, 0, 4_000) == -4_000


def test_every_default_has_a_reason():
    assert set(REASONS) == {field.name for field in fields(DEFAULT_PARAMETERS)}
    assert all(len(reason) > 20 for reason in REASONS.values())


def test_another_number_of_scenarios_is_refused():
    with pytest.raises(ValueError, match="expected 48"):
        scenarios(replace(DEFAULT_PARAMETERS, tail_moves_bps=(-5_000, 5_000)))
