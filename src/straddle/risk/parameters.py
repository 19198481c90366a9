"""Every number that the risk table is made with, as integers, each default with its reason (`REASONS`). Ranges: straddle.risk.parameter_keys."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.risk.parameter_keys import check_ranges
from straddle.risk.piecewise import check_piecewise
from straddle.risk.pricing import MAX_VOL_BPS, SHOCKED_VOL_LIMIT_BPS

BPS = 10_000


@dataclass(frozen=True, slots=True)
class RiskParameters:
    """Every number that the risk table is made with. Each default's reason is in `REASONS`."""

    range_bps: int = 1_600
    tail_moves_bps: tuple[int, ...] = (-6_600, -5_000, -3_300, -2_500, -2_000, 2_000, 2_500, 3_300, 5_000, 10_000, 20_000, 30_000, 40_000)
    vol_up_bps: int = 5_000
    vol_down_bps: int = 2_500
    vol_term_days: tuple[int, ...] = (1, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365, 730)
    vol_term_bps: tuple[int, ...] = (
        27_742,
        22_533,
        19_953,
        18_303,
        17_118,
        15_474,
        13_904,
        12_569,
        11_129,
        10_000,
        9_487,
        9_138,
        8_669,
        8_351,
        7_922,
        7_515,
        7_226,
        6_604,
    )
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
    short_floor_days: tuple[int, ...] = (2, 8, 15, 36)
    short_floor_im_bps: tuple[int, ...] = (150, 175, 245, 305)
    short_floor_mm_bps: tuple[int, ...] = (100, 117, 163, 203)
    """Short-option floor by days to expiry: basis points of the index, per short option."""
    linear_im_bps: int = 100
    linear_mm_bps: int = 50
    """Of the index, per perpetual or future held, long or short."""
    band_min_ticks: int = 2_000
    band_index_bps: int = 50
    band_vol_bps: int = 1_500
    linear_band_index_bps: int = 200
    averaging_minutes: int = 20
    """Before the settlement window the time to expiry is shorter by this: an average over 30 minutes has a third of the variance."""
    settlement_window_minutes: int = 30
    settlement_hold_seconds: int = 60
    """An index observation counts for no longer than this toward the settlement average."""
    scaling_vol_bps: tuple[int, ...] = (10_000, 20_000, 40_000)
    scaling_bps: tuple[int, ...] = (10_000, 17_500, 25_000)
    """Dynamic scaling of range and vol shocks by realised volatility; the first is the floor, the last the cap."""
    scaling_decay_bps: int = 1_000
    """The scaling falls by no more than this a day."""
    realised_hours: int = 24
    concentration_days_e2: tuple[int, ...] = (300, 1_000, 3_000)
    """Open interest in hundredths of a day's volume."""
    concentration_bps: tuple[int, ...] = (0, 1_000, 3_000)
    """Concentration charge: part of a unit's own worst loss over the scenarios."""
    concentration_mm_part_bps: int = 8_000
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
TAIL_MOVES = 13
"""So many make 48 scenarios with the others."""
FUNDING_A_DAY_BPS_E2 = 100_000
"""10 % of the index: a perpetual whose longs or shorts pay that without a break still takes more than a year to leave the exposure limit, where no table can be
made any more (`listing.EXPOSURE_HEADROOM`)."""
MINUTES_A_DAY = 1_440

PIECEWISE = (
    ("vol_term_days", "vol_term_bps"),
    ("profile_days", "profile_bps"),
    ("short_floor_days", "short_floor_im_bps", "short_floor_mm_bps"),
    ("scaling_vol_bps", "scaling_bps"),
    ("concentration_days_e2", "concentration_bps"),
)
"""Knots, and the heights over them."""

REASONS = {
    "range_bps": "16 %: Deribit's price range for BTC; about four standard deviations of a day at 75 % volatility.",
    "tail_moves_bps": "From -66 % (12-13 March 2020: -51 %) to +400 %; near ones close the gap to the grid. Each counts range / |move|, as Deribit's.",
    "vol_up_bps": "+50 % of the vol 30 days out, Deribit's for BTC.",
    "vol_down_bps": "-25 %, Deribit's for BTC: vol falls slower than it rises.",
    "vol_term_days": "Knots dense where the power law bends.",
    "vol_term_bps": "(30 days / days)^0.30 below 30 days, ^0.13 above: the exponents that Deribit and Derive publish. Short vols move more.",
    "vol_floor_bps": "No scenario takes vol below 5 %; lower vols are not lowered further.",
    "curve_bps": "4.5 % times 0.5 + 2 tau, Derive's forward contingency: 2.3 % at the front, 11 % a year out.",
    "profile_days": "Front, a week, a month, a quarter, half a year, a year.",
    "profile_bps": "One sign at the front, the other at the back, zero where vol shocks are anchored (30 days).",
    "twist_bps": "25 % front against back: half of a parallel vol shock, so that calendars do not scan to nothing.",
    "skew_bps": "15 % of vol at full moneyness on each side, opposite ways: risk reversals do not scan to nothing.",
    "skew_full_moneyness_bps": "0.4 in ln(K/F) at 30 days, about two standard deviations at 75 % volatility.",
    "short_floor_days": "Two days, and the recorded weeks and month in which the search looks (docs/reference/risk-table.md).",
    "short_floor_im_bps": "From the search in worst_loss over the recorded chain: no vertical, butterfly, strangle, risk reversal or calendar that expires "
    "within a day loses more at expiry within the range than its margin, none within 15 days more than 1.5 times, none within 36 days more than twice. "
    "Flat from there on: what expires later loses slowly, margin follows every epoch, and a higher floor would make spreads cost as much as naked options.",
    "short_floor_mm_bps": "Two thirds of it, near Derive's 0.3 % against 0.5 %.",
    "linear_im_bps": "Twice linear_mm_bps: the mark may go from one end of its clamp to the other.",
    "linear_mm_bps": "The most that the mark may leave the index by (premium_clamp_bps); the 16 % range is in the scenarios.",
    "band_min_ticks": "$20: four steps of the recorded venue's price grid.",
    "band_index_bps": "0.5 % of the index, the clamp of the perpetual's premium.",
    "band_vol_bps": "15 vol points up: with it four fifths of the recorded best quotes lie inside the band; the rest stand far from any price.",
    "linear_band_index_bps": "2 % of the index: room for the move inside one epoch of a minute, even on 12 March 2020.",
    "averaging_minutes": "An average over 30 minutes has a third of their variance: 20 minutes less.",
    "settlement_window_minutes": "Deribit's delivery price: the average of the last 30 minutes.",
    "settlement_hold_seconds": "Twice the 30 s at which a slow index feed still publishes; a longer silence is a gap.",
    "scaling_vol_bps": "100 % is the 92nd percentile of 24-hour realised volatility from September 2019 to October 2020, 200 % the 99th; 400 % was exceeded "
    "only from 13 to 16 March 2020.",
    "scaling_bps": "Floor 1: calm does not lower margin, or it would have to rise most when it hurts. The range is then three standard deviations of a day at "
    "100 %, nearly three at 200 %, two at 400 %. Cap 2.5: a 40 % range, the fall of 12 March 2020.",
    "scaling_decay_bps": "From the cap to the floor in 15 days.",
    "realised_hours": "A day: shorter is noise, longer rises too late.",
    "concentration_days_e2": "Up to three days of volume a position is closed within a few days; from 30 days on, the rate is the cap.",
    "concentration_bps": "Nothing, 10 % at ten days, 30 % at thirty: liquidation impact grows like the root of the days that it takes, and 30 % is what "
    "the range itself would lose in one more standard deviation.",
    "concentration_mm_part_bps": "0.8, as k_mm to k_im.",
    "funding_interval_minutes": "8 hours, the usual unit of funding rates.",
    "funding_dampener_bps_e2": "0.05 % of premium costs nothing, as Deribit's.",
    "funding_cap_bps_e2": "0.5 % an interval, as Deribit's for BTC.",
    "premium_clamp_bps": "0.5 %, as Deribit's mark: one that is made from our own book cannot be pushed further.",
    "funding_max_gap_minutes": "60 epochs of the default length.",
}
"""Why each default is what it is. Changing a default means changing its reason."""


def check_parameters(parameters: RiskParameters) -> None:
    """Refuse parameters that the rules cannot use.

    Raises:
        ValueError: naming the parameter, its value and what was expected.
    """
    check_ranges("risk", parameters)
    for knots, *names in PIECEWISE:
        for name in names:
            check_piecewise(knots, getattr(parameters, knots), getattr(parameters, name))
    for im, mm in zip(parameters.short_floor_im_bps, parameters.short_floor_mm_bps, strict=True):
        if mm > im:
            raise ValueError(f"short_floor_mm_bps = {parameters.short_floor_mm_bps}: expected at most short_floor_im_bps, {parameters.short_floor_im_bps}")
    for name, least in (("linear_mm_bps", "linear_im_bps"), ("averaging_minutes", "settlement_window_minutes")):
        if getattr(parameters, name) > getattr(parameters, least):
            raise ValueError(f"{name} = {getattr(parameters, name)}: expected at most {least}, {getattr(parameters, least)}")
    if len(parameters.tail_moves_bps) != TAIL_MOVES or 0 in parameters.tail_moves_bps:
        raise ValueError(f"tail_moves_bps = {parameters.tail_moves_bps}: expected {TAIL_MOVES} moves, none 0")
    most = FUNDING_A_DAY_BPS_E2 * parameters.funding_interval_minutes // MINUTES_A_DAY
    if parameters.funding_cap_bps_e2 > most:
        raise ValueError(f"funding_cap_bps_e2 = {parameters.funding_cap_bps_e2}: expected at most {most}, 10 % of the index a day")
    _check_scaling(parameters)


def _check_scaling(parameters: RiskParameters) -> None:
    """At the cap, the range stays below the whole price and vols below what the pricing takes."""
    cap = max(parameters.scaling_bps)
    if list(parameters.scaling_bps) != sorted(parameters.scaling_bps) or parameters.range_bps * cap >= BPS * BPS:
        raise ValueError(f"scaling_bps = {parameters.scaling_bps}: expected no fall, and range_bps times the largest below 100 %")
    highest = MAX_VOL_BPS * (BPS + parameters.vol_up_bps * cap * max(parameters.vol_term_bps) // BPS**2) // BPS
    if highest >= SHOCKED_VOL_LIMIT_BPS:
        raise ValueError(f"vol_up_bps = {parameters.vol_up_bps}: a volatility of {highest} in a scenario, expected below {SHOCKED_VOL_LIMIT_BPS}")
