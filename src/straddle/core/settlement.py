"""Settlement: positions in settled instruments turn into cash, size times value (docs/protocol/margin.md)."""

from __future__ import annotations

from collections.abc import Mapping

from straddle.core.risk_table import RiskTable


def settled_cash(positions: Mapping[int, int], table: RiskTable) -> int:
    """What positions in settled instruments are worth, micro-dollars: cash that the account has as soon as it is touched."""
    return sum(size * row.value for instrument, size in positions.items() if (row := table[instrument]).settled)


def unsettled(positions: Mapping[int, int], table: RiskTable) -> dict[int, int]:
    """Positions that are still positions."""
    return {instrument: size for instrument, size in positions.items() if not table[instrument].settled}
