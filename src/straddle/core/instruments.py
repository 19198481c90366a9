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
        return self.kind is Kind.PERPETUAL
