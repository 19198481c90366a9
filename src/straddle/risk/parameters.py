"""Every number that the risk table is made with, as integers, each default with its reason (`REASONS`)."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from typing import Any

from eth_utils.crypto import keccak

BPS = 10_000


@dataclass(frozen=True, slots=True)
class RiskParameters:
    """Every number that the risk table is made with. Each default's reason is in `REASONS`."""

    range_bps: int = 1_600
    tail_moves_bps: tuple[int, ...] = (-6_600, -5_000, -3_300, -2_500, -2_000, 2_000, 2_500, 3_300, 5_000, 10_000, 20_000, 30_000, 40_000)
    vol_up_bps: int = 5_000
    vol_down_bps: int = 2_500
    vol_term_days: tuple[int, ...] = (1, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 730)
    vol_term_bps: tuple[int, ...] = (27_742, 22_533, 19_953, 18_303, 17_118, 15_474, 13_904, 12_569, 11_129, 10_000,
                                     9_487, 9_138, 8_669, 8_351, 7_922, 7_515, 7_226, 6_604)
    """(30 days / days to expiry)^p with p = 0.30 below 30 days and 0.13 above, rounded; straight lines between."""
    vol_floor_bps: int = 500
    curve_bps: int = 450
    profile_days: tuple[int, ...] = (1, 7, 30, 90, 180, 365)
    profile_bps: tuple[int, ...] = (10_000, 6_000, 0, -5_000, -7_500, -10_000)
    """Term profile of the tilts and twists: +1 at the front, 0 at 30 days, -1 at a year."""
    twist_bps: int = 2_500
    skew_bps: int = 1_500
    skew_full_moneyness_bps: int = 4_000
    """|ln(K/F)| / sqrt(time / 30 days) at which the skew shock is full."""
    short_option_floor_im_bps: int = 150
    short_option_floor_mm_bps: int = 100
    """Of the index, per short option."""
    linear_im_bps: int = 100
    linear_mm_bps: int = 50
    """Of the index, per perpetual held, long or short."""
    band_min_ticks: int = 2_000
    band_index_bps: int = 50
    band_vol_bps: int = 1_500
    linear_band_index_bps: int = 200
    averaging_minutes: int = 20
    """Before the settlement window the time to expiry is shorter by this: an average over 30 minutes has a third of the variance."""
    settlement_window_minutes: int = 30
    funding_interval_minutes: int = 480
    funding_dampener_bps_e2: int = 500
    """Hundredths of a basis point of premium that cost nothing (0.05 %)."""
    funding_cap_bps_e2: int = 5_000
    """Highest funding rate an interval, either way (0.5 %)."""
    premium_clamp_bps: int = 50
    """The perpetual's mark stays within this of the index."""
    funding_max_gap_minutes: int = 60
    """No more than this accrues at one epoch boundary: an outage is not charged for."""


DEFAULT_PARAMETERS = RiskParameters()


def canonical_json(parameters: RiskParameters) -> bytes:
    """Keys sorted, no spaces, integers only: the preimage of the risk digest."""
    return json.dumps(asdict(parameters), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def risk_digest(parameters: RiskParameters) -> int:
    """keccak256 of the canonical JSON, lowest 248 bits: the `risk_digest` of docs/protocol/state.md."""
    return int.from_bytes(keccak(canonical_json(parameters)), "big") % 2**248


def parameters_from_json(data: bytes) -> RiskParameters:
    """Parameters from JSON with exactly the known keys.

    Raises:
        ValueError: naming unknown or missing keys and values that are not integers or lists of integers.
    """
    raw: Any = json.loads(data)
    known = asdict(DEFAULT_PARAMETERS)
    if not isinstance(raw, dict) or set(raw) != set(known):
        wrong = sorted(set(raw) ^ set(known)) if isinstance(raw, dict) else [type(raw).__name__]
        raise ValueError(f"risk parameters: unknown or missing keys {wrong}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    for key, value in values.items():
        parts = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) != isinstance(known[key], tuple) or not all(type(part) is int for part in parts):
            raise ValueError(f"risk parameters: {key} = {value!r}: expected {'a list of integers' if isinstance(known[key], tuple) else 'an integer'}")
    parameters = RiskParameters(**values)
    check_parameters(parameters)
    return parameters


def check_parameters(parameters: RiskParameters) -> None:
    """Refuse parameters that the rules cannot use.

    Raises:
        ValueError: naming the parameter, its value and what was expected.
    """
    for days, values in (("vol_term_days", "vol_term_bps"), ("profile_days", "profile_bps")):
        knots, heights = getattr(parameters, days), getattr(parameters, values)
        if len(knots) != len(heights) or not knots or knots[0] < 1 or any(a >= b for a, b in itertools.pairwise(knots)):
            raise ValueError(f"{days} = {knots}: expected as many strictly ascending days as {values} has values")
    if not 0 < parameters.range_bps < BPS:
        raise ValueError(f"range_bps = {parameters.range_bps}: expected 1 to {BPS - 1}")
    for move in parameters.tail_moves_bps:
        if not -9_900 <= move <= 60_000 or move == 0:
            raise ValueError(f"tail_moves_bps: {move}: expected -9900 to 60000, not 0")


