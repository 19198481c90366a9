"""The risk table: the one view of prices that a risk epoch's trades and margins are checked against (docs/protocol/risk.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SCENARIOS = 48


@dataclass(frozen=True, slots=True)
class RiskRow:
    """One instrument's row. Values, deltas and charges are micro-dollars a lot, which are ticks of the quoted price."""

    instrument: int
    expiry_ms: int
    linear: bool
    value: int
    funding: int
    band: int
    long_im: int
    long_mm: int
    short_im: int
    short_mm: int
    deltas: tuple[int, ...]

    @property
    def mark(self) -> int:
        """Mark price in ticks: value with the funding folded back in."""
        return self.value + self.funding


@dataclass(frozen=True, slots=True)
class RiskTable:
    """All rows of one epoch, ascending by instrument id, every listed instrument present."""

    epoch: int
    time_ms: int
    index_ticks: int
    rows: tuple[RiskRow, ...]
    _by_id: Mapping[int, RiskRow] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {row.instrument: row for row in self.rows})

    def __getitem__(self, instrument: int) -> RiskRow:
        return self._by_id[instrument]

    def __contains__(self, instrument: int) -> bool:
        return instrument in self._by_id

    def __iter__(self) -> Iterator[RiskRow]:
        return iter(self.rows)
