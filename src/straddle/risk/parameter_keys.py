"""What an operator may choose of a market's numbers, as data: each key's unit, range and meaning, by section of the file (docs/reference/parameters.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Key:
    """A number, or a list of numbers that each lie in the range."""

    unit: str
    low: int
    high: int
    means: str


_BPS = "basis points"
_INDEX = "basis points of the index"
_DAYS = "days to expiry"

KEYS: Mapping[str, Mapping[str, Key]] = {
    "margin": {
        "k_im_bps": Key(
            _BPS, 1, 2**16 - 1, "IM: this part of the worst scenario's loss (below 10,000: less than it), charges besides. Orders, withdrawals need it."
        ),
        "k_mm_bps": Key(_BPS, 1, 2**16 - 1, "Maintenance margin, likewise; at most k_im_bps. Below it an account is put up for sale."),
    },
    "auction": {
        "discount_bps": Key(_BPS, 1, 10_000, "What an auction's discount rises to: a part of the MM that the sale frees; at 10,000 all of it."),
        "auction_ms": Key("milliseconds", 1, 86_400_000, "How long it rises: a day at most, what margins are made for."),
    },
    "fees": {
        "taker_bps": Key(_INDEX, 0, 10_000, "Fee of a fill for who takes, each unit of the underlying."),
        "maker_bps": Key(_INDEX, 0, 10_000, "Likewise for who makes."),
        "option_cap_bps": Key("basis points of the price", 0, 10_000, "The most that either pays on an option."),
    },
    "risk": {
        "range_bps": Key(_BPS, 100, 9_999, "The grid's largest move of the underlying, before scaling."),
        "tail_moves_bps": Key(_BPS, -9_900, 60_000, "Larger moves, 13 of them, none 0; each counts range_bps / its size."),
        "vol_up_bps": Key(_BPS, 0, 1_000_000, "Relative rise of vol in a scenario, 30 days out, before scaling."),
        "vol_down_bps": Key(_BPS, 0, 10_000, "Relative fall, likewise."),
        "vol_term_days": Key(_DAYS, 1, 3_650, "Knots of vol_term_bps."),
        "vol_term_bps": Key(_BPS, 0, 1_000_000, "What vol shocks are multiplied by."),
        "vol_floor_bps": Key("vol, basis points", 1, 50_000, "No scenario takes vol below it; lower vols stay."),
        "curve_bps": Key(_BPS, 0, 3_000, "Shift of the forward curve, times 0.5 + 2 years to expiry, at most a year."),
        "profile_days": Key(_DAYS, 1, 3_650, "Knots of profile_bps."),
        "profile_bps": Key(_BPS, -10_000, 10_000, "Profile by time to expiry of tilts of the curve and twists of vol."),
        "twist_bps": Key(_BPS, 0, 10_000, "Relative change of vol, times the profile."),
        "skew_bps": Key(_BPS, 0, 10_000, "Relative change of vol at full moneyness, opposite ways above and below."),
        "skew_full_moneyness_bps": Key("ln(K/F) at 30 days, basis points", 1, 100_000, "Where the skew shock is full."),
        "short_floor_days": Key(_DAYS, 1, 3_650, "Knots of the floor of short options."),
        "short_floor_im_bps": Key(_INDEX, 0, 10_000, "Charge of each short option, IM."),
        "short_floor_mm_bps": Key(_INDEX, 0, 10_000, "Likewise, MM; at most the IM."),
        "linear_im_bps": Key(_INDEX, 0, 10_000, "Charge of each future and perpetual, long or short, IM."),
        "linear_mm_bps": Key(_INDEX, 0, 10_000, "Likewise, MM; at most the IM."),
        "band_min_ticks": Key("ticks", 1, 10_000_000, "Fills lie within the band around the mark; it is no narrower than this."),
        "band_index_bps": Key(_INDEX, 1, 10_000, "Nor, on options, than this; at least tick_bps_e1, ten ticks."),
        "band_vol_bps": Key("vol, basis points", 0, 50_000, "Nor, on options, than this change of vol moves the price."),
        "linear_band_index_bps": Key(_INDEX, 1, 10_000, "Nor, on futures and the perpetual, than this; likewise."),
        "averaging_minutes": Key("minutes", 0, 1_440, "Time to expiry is shorter by this before the settlement window; at most the window."),
        "settlement_window_minutes": Key("minutes", 1, 1_440, "The settlement price is the index's average over them."),
        "settlement_hold_seconds": Key("seconds", 1, 3_600, "An observation of the index counts for no longer."),
        "scaling_vol_bps": Key("vol, basis points", 1, 1_000_000, "Realised vol: knots of scaling_bps."),
        "scaling_bps": Key(_BPS, 1_000, 100_000, "What range and vol shocks are multiplied by; never falls with vol."),
        "scaling_decay_bps": Key("basis points a day", 1, 1_000_000, "The scaling falls no faster."),
        "realised_hours": Key("hours", 1, 1_000, "Vol is realised over so many."),
        "concentration_days_e2": Key("hundredths of a day's volume", 1, 10**9, "Open interest of an expiry: knots of concentration_bps."),
        "concentration_bps": Key(_BPS, 0, 10_000, "Concentration charge: this part of a unit's own worst loss."),
        "concentration_mm_part_bps": Key(_BPS, 0, 10_000, "This part of it counts for MM."),
        "funding_interval_minutes": Key("minutes", 1, 10_080, "Funding rates are for so long."),
        "funding_dampener_bps_e2": Key("hundredths of a basis point", 0, 100_000, "A premium of the perpetual that costs nothing."),
        "funding_cap_bps_e2": Key("hundredths of a basis point", 0, 700_000, "Highest funding rate, either way; at most 10 % of the index a day."),
        "premium_clamp_bps": Key(_INDEX, 0, 5_000, "The perpetual's mark stays so near to the index."),
        "funding_max_gap_minutes": Key("minutes", 1, 1_440, "No more accrues at one epoch."),
    },
    "instruments": {
        "tick_bps_e1": Key("tenths of a basis point of the index", 1, 1_000, "A price tick is the largest of 1, 2 and 5 times a power of ten up to this."),
        "option_min_ticks": Key("ticks", 1, 400_000, "A minimum size of options and futures is worth about so much of the underlying."),
        "perpetual_min_ticks": Key("ticks", 1, 400_000, "Likewise of the perpetual."),
        "position_cap_lots": Key("lots", 1, 2**40 - 1, "Largest position of an account in an instrument; lower where a dear underlying needs it."),
    },
    "listing": {
        "days": Key("expiries", 0, 31, "Expiries at 08:00 UTC of the next days."),
        "weeks": Key("expiries", 0, 52, "Of the next Fridays."),
        "months": Key("expiries", 0, 24, "Of the last Fridays of the next months."),
        "quarters": Key("expiries", 0, 8, "And of the next quarters."),
        "term_days": Key(_DAYS, 1, 3_650, "Knots of what follows."),
        "step_bps": Key(_INDEX, 1, 10_000, "From one strike to the next: the largest nice number up to this."),
        "down_bps": Key(_INDEX, 1, 9_999, "Strikes reach so far down."),
        "up_bps": Key(_INDEX, 1, 150_000, "And so far up."),
        "max_strikes": Key("strikes", 1, 1_000, "An expiry's; the nearest to the money first."),
        "quiet_ms": Key("milliseconds", 0, 86_400_000, "Nothing is added to an expiry that is nearer."),
    },
}
"""Section -> key -> what it is. Defaults are those of the sections' classes."""


def check_ranges(section: str, values: Any) -> None:
    """Refuse a number of a section's object outside its key's range.

    Raises:
        ValueError: naming the key, its value and what was expected.
    """
    for name, key in KEYS[section].items():
        value = getattr(values, name)
        if not all(key.low <= number <= key.high for number in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} = {value}: expected {key.low} to {key.high}")
