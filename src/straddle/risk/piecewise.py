"""Piecewise linear functions of an integer, in integers: every term structure and scaling function of the risk table is one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence


def piecewise(knots: Sequence[int], heights: Sequence[int], x: int) -> int:
    """Height at x on straight lines through (knots, heights), flat outside, rounded down."""
    if x <= knots[0]:
        return heights[0]
    for (left, low), (right, high) in itertools.pairwise(zip(knots, heights, strict=True)):
        if x < right:
            return low + (high - low) * (x - left) // (right - left)
    return heights[-1]


def check_piecewise(name: str, knots: Sequence[int], heights: Sequence[int]) -> None:
    """Refuse knots that no such function has.

    Raises:
        ValueError: no knots, knots that do not ascend strictly from 1 or more, or another number of heights.
    """
    if len(knots) != len(heights) or not knots or knots[0] < 1 or any(a >= b for a, b in itertools.pairwise(knots)):
        raise ValueError(f"{name} = {tuple(knots)}: expected strictly ascending positive knots, one for each of {len(heights)} values")
