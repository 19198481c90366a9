"""The margin rule as the statement writes it (docs/protocol/margin.md), for the checker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from straddle.core.risk_table import SCENARIOS
from straddle.proving.witness import Header, InstrumentRow

BPS = 10_000


class MarginSide(NamedTuple):
    """An account on one side of a batch, in micro-dollars; the requirements are times 10^4."""

    equity: int
    scaled_im: int
    scaled_mm: int
    settled: int


def side_of(cash: int, positions: Sequence[tuple[int, InstrumentRow]], header: Header) -> MarginSide:
    """Equity, IM, MM and settled of `cash` and signed lots."""
    equity = settled = cash
    charge_im = charge_mm = 0
    for size, row in positions:
        long, short = max(size, 0), max(-size, 0)
        equity += size * row.value
        settled += size * row.value if row.linear else -short * row.value
        charge_im += long * row.long_im + short * row.short_im
        charge_mm += long * row.long_mm + short * row.short_mm
    loss = max(0, *(-sum(size * row.deltas[s] for size, row in positions) for s in range(SCENARIOS)))
    return MarginSide(equity, header.k_im_bps * loss + BPS * charge_im, header.k_mm_bps * loss + BPS * charge_mm, settled)


def passes_rule(old: MarginSide, new: MarginSide, withdraws: bool) -> bool:
    """Rule (a), (b) or (c); (a) and settled >= 0 for an account that withdraws."""
    fully_margined = BPS * new.equity >= new.scaled_im
    if withdraws:
        return fully_margined and new.settled >= 0
    surplus_kept = BPS * new.equity - new.scaled_im >= BPS * old.equity - old.scaled_im
    maintained = BPS * new.equity >= new.scaled_mm
    return fully_margined or (surplus_kept and maintained) or (new.equity >= old.equity and new.scaled_im <= old.scaled_im)
