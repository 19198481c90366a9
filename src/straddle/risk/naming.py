"""Names of instruments as Deribit writes them: `BTC_USDC-22MAY20-9000-C`, `BTC_USDC-22MAY20` (future), `BTC_USDC-PERPETUAL`; and of its coin-settled
originals, `BTC-22MAY20-9000-C`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind

TICKS_PER_DOLLAR = 100
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXPIRY_HOUR_UTC = 8
PERPETUAL_NAME = "BTC_USDC-PERPETUAL"

_DATED = re.compile(
    r"BTC(?P<linear>_USDC)?-(?P<day>[1-9][0-9]?)(?P<month>[A-Z]{3})(?P<year>[0-9]{2})(?:-(?P<strike>(?:0|[1-9][0-9]*)(?:d[0-9]{1,2})?)-(?P<kind>[CP]))?"
)


@dataclass(frozen=True, slots=True)
class InstrumentName:
    """What a name says. Strike is 0 for futures and the perpetual, whose expiry_ms is NEVER_MS; `recorded` marks a coin-settled original (`BTC-...`)."""

    kind: Kind
    expiry_ms: int
    strike_ticks: int
    recorded: bool = False


def parse_name(name: str) -> InstrumentName:
    """Parse a name; options and futures expire at 08:00 UTC; `d` is the decimal point of a strike.

    Raises:
        ValueError: naming the value and what was expected.
    """
    if name == PERPETUAL_NAME:
        return InstrumentName(Kind.PERPETUAL, NEVER_MS, 0)
    match = _DATED.fullmatch(name)
    if match is None or match["month"] not in MONTHS:
        raise ValueError(f"instrument name {name!r}: expected BTC_USDC-22MAY20-9000-C, BTC_USDC-22MAY20 or {PERPETUAL_NAME}")
    try:
        day = datetime(2000 + int(match["year"]), MONTHS.index(match["month"]) + 1, int(match["day"]), EXPIRY_HOUR_UTC, tzinfo=UTC)
    except ValueError:
        raise ValueError(f"instrument name {name!r}: no such date") from None
    expiry_ms, recorded = int(day.timestamp()) * 1000, match["linear"] is None
    if match["kind"] is None:
        return InstrumentName(Kind.FUTURE, expiry_ms, 0, recorded)
    dollars, _, cents = match["strike"].partition("d")
    strike_ticks = int(dollars) * TICKS_PER_DOLLAR + int(cents.ljust(2, "0") or 0)
    if not strike_ticks:
        raise ValueError(f"instrument name {name!r}: expected a strike above 0")
    return InstrumentName(Kind.CALL if match["kind"] == "C" else Kind.PUT, expiry_ms, strike_ticks, recorded)


def format_name(kind: Kind, expiry_ms: int, strike_ticks: int) -> str:
    """The name of a linear BTC instrument.

    Raises:
        ValueError: an expiry that no name can carry (not 08:00 UTC, or before 2000 or after 2099).
    """
    if kind is Kind.PERPETUAL:
        return PERPETUAL_NAME
    moment = datetime.fromtimestamp(expiry_ms // 1000, UTC)
    if expiry_ms % 86_400_000 != EXPIRY_HOUR_UTC * 3_600_000 or not 2000 <= moment.year <= 2099:
        raise ValueError(f"expiry_ms = {expiry_ms}: expected 08:00 UTC of a day from 2000 to 2099")
    series = f"BTC_USDC-{moment.day}{MONTHS[moment.month - 1]}{moment.year % 100:02d}"
    if kind is Kind.FUTURE:
        return series
    dollars, cents = divmod(strike_ticks, TICKS_PER_DOLLAR)
    strike = f"{dollars}d{cents:02d}".rstrip("0") if cents else str(dollars)
    return f"{series}-{strike}-{'C' if kind is Kind.CALL else 'P'}"


def instrument_name(instrument: Instrument) -> str:
    """The name of a listed instrument."""
    if instrument.underlying != BTC:
        raise ValueError(f"underlying = {instrument.underlying}: expected {BTC} (BTC)")
    return format_name(instrument.kind, instrument.expiry_ms, instrument.strike_ticks)
