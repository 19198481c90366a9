"""Instruments: what can be held besides cash."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

BTC = 1
"""The one underlying of this version."""

NEVER_MS = 2**48 - 1
"""Expiry of an instrument that does not expire."""


class Kind(IntEnum):
    """Instrument kinds, numbered as in the listing word (docs/protocol/state.md)."""

    CALL = 1
    PUT = 2
    PERPETUAL = 3
    FUTURE = 4
    """Dated, linear: strike 0 and an expiry of its own."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listed instrument; the fields of its listing word, in their units."""

    id: int
    kind: Kind
    underlying: int
    expiry_ms: int
    strike_ticks: int
    tick_ticks: int
    """Prices of orders are multiples of this."""
    min_lots: int
    """Sizes of orders are multiples of this."""
    position_cap_lots: int
    """No account holds more than this, long or short."""

    @property
    def linear(self) -> bool:
        """Whether its value counts as settled cash (futures, perpetual)."""
        return self.kind in (Kind.PERPETUAL, Kind.FUTURE)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Word of the listings chain: what one unit of an expired instrument is worth, declared once."""

    instrument: int
    underlying: int
    value_ticks: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """Word of the listings chain: a settled instrument that nobody holds leaves the risk table."""

    instrument: int
    underlying: int
