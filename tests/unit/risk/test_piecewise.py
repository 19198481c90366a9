from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straddle.risk.piecewise import check_piecewise, piecewise


@st.composite
def functions(draw):
    knots = draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True).map(sorted))
    return knots, draw(st.lists(st.integers(-(10**6), 10**6), min_size=len(knots), max_size=len(knots)))


@given(functions(), st.integers(-5, 2 * 10**6))
def test_straight_lines_rounded_down_and_flat_outside(function, x):
    knots, heights = function
    found = piecewise(knots, heights, x)
    if x <= knots[0] or x >= knots[-1]:
        assert found == (heights[0] if x <= knots[0] else heights[-1])
        return
    i = max(i for i, knot in enumerate(knots) if knot <= x)
    slope = Fraction(heights[i + 1] - heights[i], knots[i + 1] - knots[i])
    assert found == floor(heights[i] + slope * (x - knots[i]))


@given(functions())
def test_knots_are_met(function):
    check_piecewise("x", *function)
    assert [piecewise(*function, knot) for knot in function[0]] == function[1]


@pytest.mark.parametrize(("knots", "heights"), [((), ()), ((1, 1), (0, 0)), ((2, 1), (0, 0)), ((0, 1), (0, 0)), ((1, 2), (0,))])
def test_other_knots_are_refused(knots, heights):
    with pytest.raises(ValueError, match="name = "):
        check_piecewise("name", knots, heights)
