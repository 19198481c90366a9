"""Listing terms: ticks, minimum sizes and position caps of every kind; and the listing of a recorded chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.risk.recording import LOTS_PER_COIN, RecordedOption, Recording
from straddle.risk.table import EXPOSURE_LIMIT

TICK_SCALE = 100_000
"""Tenths of a basis point in one."""
EXPOSURE_HEADROOM = 64
"""The cap leaves room for values this many times the larger of index and strike at listing."""


@dataclass(frozen=True, slots=True)
class InstrumentSizes:
    """Ticks, minimum sizes and caps of what is listed."""

    tick_bps_e1: int = 6
    option_min_ticks: int = 10_000
    perpetual_min_ticks: int = 1_000
    position_cap_lots: int = 10_000_000


DEFAULT_SIZES = InstrumentSizes()
SIZE_REASONS = {
    "tick_bps_e1": "0.6 basis points: a ninth of the recorded venue's 0.0005 coins, so a recorded level moves by less than 6 % of its own step.",
    "option_min_ticks": "$100, 0.01 BTC at the recording, as the recorded venue's linear options.",
    "perpetual_min_ticks": "$10.",
    "position_cap_lots": "1,000 BTC.",
}
"""Why each default is what it is."""


def nice_number(limit: int) -> int:
    """The largest of 1, 2 and 5 times a power of ten that is at most `limit`; 1 below 2."""
    power = int(10 ** (len(str(max(limit, 1))) - 1))
    return max(step * power for step in (1, 2, 5) if step * power <= max(limit, 1))


def position_cap_lots(index_ticks: int, strike_ticks: int, most_lots: int = DEFAULT_SIZES.position_cap_lots) -> int:
    """The cap of a new instrument: cap * 64 * max(index, strike) stays below 2^52, so no later table can reach the exposure limit
    before the index has risen more than 12-fold beyond the widest scenario."""
    return max(1, min(most_lots, (EXPOSURE_LIMIT - 1) // (EXPOSURE_HEADROOM * max(index_ticks, strike_ticks))))


def terms(instrument_id: int, kind: Kind, expiry_ms: int, strike_ticks: int, index_ticks: int, sizes: InstrumentSizes = DEFAULT_SIZES) -> Instrument:
    """The listing of an instrument at an index: a nice tick and minimum size. Strike 0 for futures and the perpetual, NEVER_MS for the perpetual."""
    tick = nice_number(index_ticks * sizes.tick_bps_e1 // TICK_SCALE)
    worth = sizes.perpetual_min_ticks if kind is Kind.PERPETUAL else sizes.option_min_ticks
    lots = nice_number(worth * LOTS_PER_COIN // index_ticks)
    cap = position_cap_lots(index_ticks, strike_ticks, sizes.position_cap_lots)
    return Instrument(instrument_id, kind, BTC, expiry_ms, strike_ticks, tick, min(lots, cap), cap)


def perpetual_terms(instrument_id: int, index_ticks: int, sizes: InstrumentSizes = DEFAULT_SIZES) -> Instrument:
    """The listing of the perpetual."""
    return terms(instrument_id, Kind.PERPETUAL, NEVER_MS, 0, index_ticks, sizes)


Listed = dict[int, tuple[Instrument, RecordedOption | None]]


def list_chain(
    recording: Recording,
    options: Iterable[RecordedOption],
    first_id: int = 1,
    perpetual: bool = True,
    futures: bool = False,
    sizes: InstrumentSizes = DEFAULT_SIZES,
) -> Listed:
    """Instrument id -> (listing, its record), ids running from `first_id`: the perpetual, a future for each expiry of the options, the options.
    The recording holds neither of the first two: they have no record."""
    options, index = list(options), recording.index_ticks
    expiries = sorted({option.expiry_ms for option in options}) if futures else []
    wanted: list[tuple[Kind, int, int, RecordedOption | None]] = [(Kind.PERPETUAL, NEVER_MS, 0, None)] if perpetual else []
    wanted += [(Kind.FUTURE, expiry, 0, None) for expiry in expiries]
    wanted += [(option.kind, option.expiry_ms, option.strike_ticks, option) for option in options]
    numbered = enumerate(wanted, start=first_id)
    return {number: (terms(number, kind, expiry, strike, index, sizes), record) for number, (kind, expiry, strike, record) in numbered}
