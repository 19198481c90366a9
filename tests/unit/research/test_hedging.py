"""The interval that an architecture can afford."""

from __future__ import annotations

import pytest

from straddle.research.hedging import Interval, by_architecture, choose

FOUND = (Interval(2, 250, 10.0, 30.0), Interval(10, 50, 25.0, 20.0), Interval(60, 8, 60.0, 10.0), Interval(240, 2, 120.0, 5.0))


def test_free_settlement_hedges_most_often_and_dear_settlement_least():
    choices = by_architecture(FOUND, {"free": 0.0, "cents": 0.5, "dear": 1_000.0}, volume=1e6)
    assert [choices[name].minutes for name in ("free", "cents", "dear")] == [2, 10, 240]
    errors = [choices[name].error for name in ("free", "cents", "dear")]
    assert errors == sorted(errors)


def test_the_spread_pays_for_costs_and_risk():
    choice = choose(FOUND, 0.5, volume_dollars=100_000, aversion=2.0)
    assert choice.minutes == 10
    assert choice.settlement_costs == pytest.approx(25.0)
    assert choice.spread_bps == pytest.approx(10_000 * (25.0 + 20.0 + 2 * 25.0) / 100_000)


@pytest.mark.parametrize("arguments", [((), 1.0, 1.0), (FOUND, -1.0, 1.0), (FOUND, 1.0, 0.0), (FOUND, float("nan"), 1.0)])
def test_senseless_questions_are_refused(arguments):
    with pytest.raises(ValueError, match="hedging"):
        choose(*arguments)
