"""The 48 scenarios, as integers.

A scenario moves the whole underlying, its volatility surface and its forward curve at once; the same scenario is applied to every instrument, so
losses and gains net inside it. Order of the 48: the grid (27, move by move, vol up, same, down), the larger moves (13), the forward curve (4), the
term structure of volatility (2), the skew (2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isqrt

from straddle.core.risk_table import SCENARIOS
from straddle.risk.parameters import BPS, RiskParameters
from straddle.risk.piecewise import piecewise
from straddle.risk.pricing import MINUTES_PER_YEAR, ln_q35

MULTIPLIER_BITS = 14
"""Forward multipliers are in Q14: 2^14 leaves the forward unchanged."""
MINUTES_PER_DAY = 1_440


class Kind(StrEnum):
    """What a scenario does besides moving the underlying."""

    GRID = "grid"
    TAIL = "tail"
    CURVE = "curve"
    TERM = "term"
    SKEW = "skew"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. Shifts are in basis points; `weight_bps` is the part of its gain or loss that counts."""

    kind: Kind
    move_bps: int = 0
    vol: int = 0
    """+1 vol up, 0 same, -1 down."""
    parallel_bps: int = 0
    """Shift of the forward curve, times 0.5 + 2 tau."""
    tilt_bps: int = 0
    """Likewise, with the sign of the term profile: near expiries one way, far ones the other."""
    term_bps: int = 0
    """Relative vol change times the term profile."""
    skew_bps: int = 0
    """Relative vol change at the skew's full moneyness on the upside; the opposite on the downside."""
    weight_bps: int = BPS


def scenarios(parameters: RiskParameters) -> tuple[Scenario, ...]:
    """The scenarios in their order, exactly 48.

    Raises:
        ValueError: the parameters make another number.
    """
    r = parameters.range_bps
    grid_moves = (0, r // 4, -(r // 4), r // 2, -(r // 2), 3 * r // 4, -(3 * r // 4), r, -r)
    grid = [Scenario(Kind.GRID, move, vol) for move in grid_moves for vol in (1, 0, -1)]
    tails = [Scenario(Kind.TAIL, move, 1, weight_bps=min(BPS, (r * BPS + abs(move) // 2) // abs(move))) for move in parameters.tail_moves_bps]
    curve = [Scenario(Kind.CURVE, parallel_bps=sign * parameters.curve_bps) for sign in (1, -1)]
    curve += [Scenario(Kind.CURVE, tilt_bps=sign * parameters.curve_bps) for sign in (1, -1)]
    term = [Scenario(Kind.TERM, term_bps=sign * parameters.twist_bps) for sign in (1, -1)]
    skew = [Scenario(Kind.SKEW, skew_bps=sign * parameters.skew_bps) for sign in (1, -1)]
    result = tuple(grid + tails + curve + term + skew)
    if len(result) != SCENARIOS:
        raise ValueError(f"tail_moves_bps: {len(result)} scenarios, expected {SCENARIOS}")
    return result


def interpolate(days: tuple[int, ...], values: tuple[int, ...], minutes: int) -> int:
    """Value at `minutes` on straight lines through (days, values), flat outside, rounded down."""
    return piecewise([day * MINUTES_PER_DAY for day in days], values, minutes)


def forward_multiplier(scenario: Scenario, parameters: RiskParameters, minutes: int) -> int:
    """What the forward of an expiry `minutes` away is multiplied by, Q14. Curve shifts grow with time as 0.5 + 2 tau, tau at most a year."""
    tau_minutes = min(minutes, MINUTES_PER_YEAR)
    profile = interpolate(parameters.profile_days, parameters.profile_bps, minutes)
    slope = scenario.parallel_bps * BPS + scenario.tilt_bps * profile
    curve_bps = slope * (MINUTES_PER_YEAR + 4 * tau_minutes) // (2 * BPS * MINUTES_PER_YEAR)
    return ((BPS + scenario.move_bps + curve_bps) * (1 << MULTIPLIER_BITS) + BPS // 2) // BPS


def spot_multiplier(scenario: Scenario) -> int:
    """What the perpetual's mark is multiplied by, Q14: it follows the index; its basis is covered by the linear charge."""
    return ((BPS + scenario.move_bps) * (1 << MULTIPLIER_BITS) + BPS // 2) // BPS


def moneyness_bps(forward_ticks: int, strike_ticks: int, minutes: int, full_bps: int) -> int:
    """ln(K/F) / sqrt(time / 30 days) in basis points, clipped to +-full_bps, rounded toward zero."""
    log_q35 = ln_q35(strike_ticks) - ln_q35(forward_ticks)
    scaled = abs(log_q35) * BPS * isqrt((30 * MINUTES_PER_DAY) << 40) // (isqrt(max(minutes, 1) << 40) << 35)
    return min(scaled, full_bps) * (1 if log_q35 >= 0 else -1)


def shocked_vol_bps(scenario: Scenario, parameters: RiskParameters, vol_bps: int, minutes: int, moneyness: int) -> int:
    """The instrument's volatility under the scenario, at least min(vol, vol_floor); `moneyness` is that of `moneyness_bps`. Rounded down."""
    term = interpolate(parameters.vol_term_days, parameters.vol_term_bps, minutes)
    relative = {1: parameters.vol_up_bps * term // BPS, 0: 0, -1: -(parameters.vol_down_bps * term // BPS)}[scenario.vol]
    relative += scenario.term_bps * interpolate(parameters.profile_days, parameters.profile_bps, minutes) // BPS
    relative += scenario.skew_bps * moneyness // parameters.skew_full_moneyness_bps
    return max(vol_bps * (BPS + relative) // BPS, min(vol_bps, parameters.vol_floor_bps))
