"""Words of a risk row and the root of a risk table (docs/protocol/risk.md)."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.commitments.layout import DataError, Layout, signed, unsigned
from straddle.core.risk_table import SCENARIOS, RiskRow
from straddle.primitives.hashing import sponge

DELTAS_PER_WORD = 6

TERMS = Layout(
    unsigned("instrument", 32),
    unsigned("expiry_ms", 48),
    unsigned("linear + 2 settled", 8, bits=2),
    signed("value", 40),
    signed("funding", 40),
    unsigned("band", 40, bits=39),
)
CHARGES = Layout(*(unsigned(name, 40, bits=39) for name in ("long_im", "long_mm", "short_im", "short_mm")))
DELTAS = tuple(Layout(*(signed(f"deltas[{first + i}]", 40) for i in range(DELTAS_PER_WORD))) for first in range(0, SCENARIOS, DELTAS_PER_WORD))


def row_words(row: RiskRow) -> list[int]:
    """The row's ten words; DataError names a field out of range."""
    where = f"risk row of instrument {row.instrument}"
    if len(row.deltas) != SCENARIOS:
        raise DataError(f"{where}.deltas: {len(row.deltas)} values, expected {SCENARIOS}")
    terms = (row.instrument, row.expiry_ms, int(row.linear) + 2 * int(row.settled), row.value, row.funding, row.band)
    charges = (row.long_im, row.long_mm, row.short_im, row.short_mm)
    deltas = [layout.pack(where, row.deltas[i * DELTAS_PER_WORD : (i + 1) * DELTAS_PER_WORD]) for i, layout in enumerate(DELTAS)]
    return [TERMS.pack(where, terms), CHARGES.pack(where, charges), *deltas]


def risk_root(listings_root: int, rows: Iterable[RiskRow]) -> int:
    """Root over the rows, which must ascend strictly by instrument; the chain starts at the listings root."""
    root, previous = listings_root, 0
    for row in rows:
        if row.instrument <= previous:
            raise DataError(f"risk row of instrument {row.instrument}: after instrument {previous}, expected strictly ascending ids")
        root, previous = sponge("straddle.risk", [root, *row_words(row)]), row.instrument
    return root
