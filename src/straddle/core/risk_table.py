"""The risk table: the one view of prices that a risk epoch's trades and margins are checked against (docs/protocol/risk.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from straddle.core.kernel import Table
from straddle.core.kernel_reference import RowTuple

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
    settled: bool = field(default=False, kw_only=True)
    """Expired, and its settlement value declared on the listings chain: worth that, without risk."""
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
    _packed: Table | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {row.instrument: row for row in self.rows})

    @property
    def packed(self) -> Table:
        """The rows as the margin kernel keeps them, made when first needed. ValueError for a row outside the widths of docs/protocol/risk.md."""
        packed = self._packed
        if packed is None:
            packed = Table([packed_row(row) for row in self.rows])
            object.__setattr__(self, "_packed", packed)
        return packed

    def __getitem__(self, instrument: int) -> RiskRow:
        return self._by_id[instrument]

    def __contains__(self, instrument: int) -> bool:
        return instrument in self._by_id

    def __iter__(self) -> Iterator[RiskRow]:
        return iter(self.rows)


def packed_row(row: RiskRow) -> RowTuple:
    """A row as the margin kernel's `Table` takes it."""
    return row.instrument, row.linear, row.value, row.funding, row.long_im, row.long_mm, row.short_im, row.short_mm, row.deltas
