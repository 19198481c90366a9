from __future__ import annotations

import json
from dataclasses import asdict, fields, replace

import pytest
from mpmath import mp, mpf

from straddle.core.risk_table import SCENARIOS
from straddle.risk.parameters import DEFAULT_PARAMETERS, REASONS, canonical_json, parameters_from_json, risk_digest
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


def test_digest_covers_every_parameter():
    base = risk_digest(DEFAULT_PARAMETERS)
    assert base < 2**248
    for field in fields(DEFAULT_PARAMETERS):
        value = getattr(DEFAULT_PARAMETERS, field.name)
        changed = (*value[:-1], value[-1] + 1) if isinstance(value, tuple) else value + 1
        assert risk_digest(replace(DEFAULT_PARAMETERS, **{field.name: changed})) != base


def test_json_round_trip():
    assert parameters_from_json(canonical_json(DEFAULT_PARAMETERS)) == DEFAULT_PARAMETERS
    assert b" " not in canonical_json(DEFAULT_PARAMETERS) and b"." not in canonical_json(DEFAULT_PARAMETERS)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"range_bps": 16.0}, "range_bps"),
        ({"range_bps": True}, "range_bps"),
        ({"range_bps": 0}, "range_bps"),
        ({"unknown": 1}, "unknown"),
        ({"tail_moves_bps": 3}, "tail_moves_bps"),
        ({"tail_moves_bps": [0] * 13}, "tail_moves_bps"),
        ({"profile_days": [3, 2, 1, 4, 5, 6]}, "profile_days"),
        ({"vol_term_days": [1]}, "vol_term_days"),
        ({"short_floor_days": [0, 8, 15, 36]}, "short_floor_days"),
        ({"short_floor_im_bps": [150, 175, 245, 10_001]}, "short_floor_im_bps"),
        ({"concentration_bps": [-1, 1_000, 3_000]}, "concentration_bps"),
        ({"concentration_bps": [0, 1_000, 10_001]}, "concentration_bps"),
        ({"scaling_bps": [10_000, 17_500, 63_000]}, "scaling_bps"),
        ({"scaling_bps": [999, 17_500, 25_000]}, "scaling_bps"),
        ({"vol_up_bps": 6_300}, "vol_up_bps = 6300: a volatility of"),
        ({"realised_hours": 0}, "realised_hours"),
        ({"settlement_hold_seconds": 0}, "settlement_hold_seconds"),
        ({"settlement_window_minutes": 0}, "settlement_window_minutes"),
        ({"concentration_mm_part_bps": 10_001}, "concentration_mm_part_bps"),
        ({"scaling_decay_bps": 0}, "scaling_decay_bps"),
    ],
)
def test_bad_parameters_are_refused(change, match):
    raw = {**asdict(DEFAULT_PARAMETERS), **change}
    with pytest.raises(ValueError, match=match):
        parameters_from_json(json.dumps(raw).encode())


def test_another_number_of_scenarios_is_refused():
    with pytest.raises(ValueError, match="expected 48"):
        scenarios(replace(DEFAULT_PARAMETERS, tail_moves_bps=(-5_000, 5_000)))
