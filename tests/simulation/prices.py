"""The risk tables of the simulation: prices that wander, crash and come back, and now and then a table that makes no sense at all."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from support.emergencies import settled_row
from support.emergency_run import wild_row
from support.market import HOUR_MS, INDEX_TICKS, TIME_MS, row

from straddle.core.instruments import BTC, Instrument, Kind
from straddle.core.params import TICKS_MAX
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.core.state import Exchange

MOVES = (0, 0, 0, 500, -500, 2_000, -2_000, 15_000, -15_000, 60_000, -60_000)
CRASHES = (40_000, -40_000, 80_000, -80_000, 150_000, -150_000, 300_000, -300_000, 600_000, -600_000)
"""Ticks of the index; at 900,000 it starts."""
LATER_MS = (0, 1, 60_000, 60_000, 120_000, 180_000, 600_000, 31 * 60_000, 2 * HOUR_MS)
SLOPES = {Kind.CALL: 50, Kind.PUT: -40, Kind.PERPETUAL: 100, Kind.FUTURE: 100}
"""Percent of the index's move that a value makes."""
WILD_SHARE = 0.03
_ROWS = {kind: row(Instrument(1, kind, BTC, TIME_MS, 0, 50, 10, 1)) for kind in Kind}


class Prices:
    """Where the underlying stands, and the next table."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.index = 0
        """Ticks by which it has moved."""
        self.crashing = False
        """Whether the next table is a crash."""

    def table(self, exchange: Exchange) -> RiskTable:
        """Of the next epoch, with a row for every instrument listed and not retired."""
        rng, current = self.rng, exchange.table
        self.index += rng.choice(CRASHES if self.crashing else MOVES) - self.index // 16
        self.index = max(-700_000, min(1_000_000, self.index))
        self.crashing = False
        number, time_ms = (current.epoch + 1, current.time_ms + rng.choice(LATER_MS)) if current else (1, TIME_MS)
        rows = tuple(self._row(exchange, instrument) for instrument in exchange.instruments.values())
        if rng.random() < WILD_SHARE:
            rows = tuple(known if known.settled else wild_row(rng, known) for known in rows)
        return RiskTable(number, max(time_ms, exchange.time_ms), INDEX_TICKS + self.index, rows)

    def settlement_value(self) -> int:
        """Of an instrument that has expired, ticks."""
        return max(0, 20_000 + self.index // 2)

    def _row(self, exchange: Exchange, instrument: Instrument) -> RiskRow:
        declared = exchange.settlements.get(instrument.id)
        if declared is not None:
            return settled_row(instrument, declared)
        plain = _ROWS[instrument.kind]
        value = max(-TICKS_MAX // 4 if instrument.linear else 0, plain.value + self.index * SLOPES[instrument.kind] // 100)
        return replace(plain, instrument=instrument.id, expiry_ms=instrument.expiry_ms, value=value, band=plain.band + abs(self.index) // 8)
