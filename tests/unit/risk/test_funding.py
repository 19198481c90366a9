from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.risk.funding import accrue, funding_rate, perpetual_mark
from straddle.risk.inputs import MAX_FUNDING_TICKS, RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS as PARAMETERS

HOUR = 3_600_000
BASE = RiskInputs(1, 1_000_000, 1_000_000, 1_000_000, 0, 0, (), ())


@pytest.mark.parametrize(
    ("mark", "rate"),
    [(1_000_000, 0), (1_000_500, 0), (999_500, 0), (1_001_000, 500), (999_000, -500), (1_004_000, 3_500), (1_100_000, 5_000), (900_000, -5_000)],
)
def test_rate(mark, rate):
    assert funding_rate(1_000_000, mark, PARAMETERS) == rate


def test_an_hour_of_funding():
    """0.1 % of premium less 0.05 % of dampener is 0.05 % in 8 hours: 62.5 ticks of a million in an hour, the half tick kept."""
    cumulative, remainder = accrue(replace(BASE, perpetual_mark_ticks=1_001_000), BASE.time_ms + HOUR, PARAMETERS)
    assert cumulative == 62 and remainder == 10**6 * 8 * HOUR // 2


def test_negative_funding_rounds_down_and_keeps_the_fraction():
    cumulative, remainder = accrue(replace(BASE, perpetual_mark_ticks=999_000), BASE.time_ms + HOUR, PARAMETERS)
    assert (cumulative, remainder) == (-63, 10**6 * 8 * HOUR // 2)


@settings(max_examples=100, deadline=None)
@given(st.integers(900_000, 1_100_000), st.lists(st.integers(0, HOUR), min_size=1, max_size=6))
def test_funding_does_not_depend_on_how_time_is_cut(mark, cuts):
    whole_ms = min(sum(cuts), HOUR)
    inputs = replace(BASE, perpetual_mark_ticks=mark)
    expected = accrue(inputs, BASE.time_ms + whole_ms, PARAMETERS)
    moments = sorted({min(BASE.time_ms + whole_ms, BASE.time_ms + cut) for cut in cuts} | {BASE.time_ms + whole_ms})
    for moment in moments:
        cumulative, remainder = accrue(inputs, moment, PARAMETERS)
        inputs = replace(inputs, time_ms=moment, cumulative_funding=cumulative, funding_remainder=remainder)
    assert (inputs.cumulative_funding, inputs.funding_remainder) == expected


def test_a_gap_is_not_charged_for():
    inputs = replace(BASE, perpetual_mark_ticks=1_004_000)
    assert accrue(inputs, BASE.time_ms + 100 * HOUR, PARAMETERS) == accrue(inputs, BASE.time_ms + HOUR, PARAMETERS)


def test_cumulative_funding_is_clamped():
    for sign in (1, -1):
        inputs = replace(BASE, perpetual_mark_ticks=1_000_000 + sign * 50_000, cumulative_funding=sign * MAX_FUNDING_TICKS)
        assert accrue(inputs, BASE.time_ms + HOUR, PARAMETERS) == (sign * MAX_FUNDING_TICKS, 0)


def test_perpetual_mark():
    def mark(bids, asks, previous=(), quoted=1_000_000):
        return perpetual_mark(1_000_000, quoted, bids, asks, previous, PARAMETERS, impact_lots=100)

    assert mark([(999_000, 100)], [(1_003_000, 100)]) == 1_001_000
    assert mark([(999_000, 99)], [(1_003_000, 100)]) == 1_000_000
    assert mark([], []) == 1_000_000
    assert mark([(999_000, 100)], [(1_002_000, 50), (1_004_000, 50)]) == 1_001_000
    assert mark([(2_000_000, 100)], [(3_000_000, 100)]) == 1_005_000
    assert mark([(1, 100)], [(2, 100)]) == 995_000
    assert mark([(999_000, 100)], [(1_003_000, 100)], [(1_000_000, 999_000)]) == 1_000_000
    assert mark([(1_998_000, 100)], [(2_006_000, 100)], quoted=2_000_000) == 1_001_000  # the index has halved since: the premium is the book's
