"""Listing terms of recorded instruments, and the choice of a listable part of a chain."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.risk.recording import RecordedOption, Recording
from straddle.risk.table import EXPOSURE_LIMIT

OPTION_TICK_TICKS = 50
"""$0.50: a ninth of the recorded venue's 0.0005 BTC, so a recorded level moves by less than 6 % of its own step."""
OPTION_MIN_LOTS = 100
"""0.01 BTC, as the recorded venue's linear options."""
PERPETUAL_TICK_TICKS = 50
PERPETUAL_MIN_LOTS = 10
POSITION_CAP_LOTS = 10_000_000
"""1,000 BTC an account and instrument."""
EXPOSURE_HEADROOM = 64
"""The cap leaves room for values this many times the larger of index and strike at listing."""


def position_cap_lots(index_ticks: int, strike_ticks: int) -> int:
    """The cap of a new instrument: cap * 64 * max(index, strike) stays below 2^52, so no later table can reach the exposure limit
    before the index has risen more than 12-fold beyond the widest scenario."""
    return max(1, min(POSITION_CAP_LOTS, (EXPOSURE_LIMIT - 1) // (EXPOSURE_HEADROOM * max(index_ticks, strike_ticks))))


def option_terms(instrument_id: int, option: RecordedOption, index_ticks: int) -> Instrument:
    """The listing of a recorded option."""
    return Instrument(
        instrument_id,
        option.kind,
        BTC,
        option.expiry_ms,
        option.strike_ticks,
        OPTION_TICK_TICKS,
        OPTION_MIN_LOTS,
        position_cap_lots(index_ticks, option.strike_ticks),
    )


def perpetual_terms(instrument_id: int, index_ticks: int) -> Instrument:
    """The listing of the perpetual."""
    return Instrument(instrument_id, Kind.PERPETUAL, BTC, NEVER_MS, 0, PERPETUAL_TICK_TICKS, PERPETUAL_MIN_LOTS, position_cap_lots(index_ticks, 0))


def choose_options(recording: Recording, count: int, min_expiries: int = 2) -> tuple[RecordedOption, ...]:
    """At most `count` options for a market with room for no more: quoted ones first, then two-sided ones, then those nearest the money, taken in turn from
    each expiry so that every expiry is present; in the order of the recording.

    Raises:
        ValueError: count below min_expiries, or a recording with fewer expiries.
    """
    by_expiry: dict[int, list[RecordedOption]] = {}
    for option in recording.options:
        by_expiry.setdefault(option.expiry_ms, []).append(option)
    if count < min_expiries or len(by_expiry) < min_expiries:
        raise ValueError(f"count = {count} over {len(by_expiry)} recorded expiries: expected at least {min_expiries} of each")
    ranked = [sorted(options, key=_preference) for options in by_expiry.values()]
    chosen: set[str] = set()
    for rank in range(max(len(options) for options in ranked)):
        for options in ranked:
            if rank < len(options) and len(chosen) < count:
                chosen.add(options[rank].name)
    return tuple(option for option in recording.options if option.name in chosen)


def _preference(option: RecordedOption) -> tuple[int, int]:
    sides = bool(option.bids) + bool(option.asks)
    return -sides, abs(option.strike_ticks - option.underlying_ticks)


Listed = dict[int, tuple[Instrument, RecordedOption | None]]


def list_chain(recording: Recording, options: Iterable[RecordedOption], first_id: int = 1, perpetual: bool = True) -> Listed:
    """Instrument id -> (listing, its record), ids running from `first_id`; the perpetual, which the recording does not hold, comes first and has no record."""
    listed: Listed = {}
    next_id = first_id
    if perpetual:
        listed[next_id] = (perpetual_terms(next_id, recording.index_ticks), None)
        next_id += 1
    for option in options:
        listed[next_id] = (option_terms(next_id, option, recording.index_ticks), option)
        next_id += 1
    return listed
