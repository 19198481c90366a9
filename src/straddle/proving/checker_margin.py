"""Margin and auctions as the statement writes them (docs/protocol/margin.md), for the checker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from straddle.core.params import BPS
from straddle.core.risk_table import SCENARIOS
from straddle.proving.witness import Header, InstrumentRow


class MarginSide(NamedTuple):
    """An account on one side of a batch, in micro-dollars; the requirements are times 10^4."""

    equity: int
    scaled_im: int
    scaled_mm: int
    settled: int

    @property
    def scaled_surplus(self) -> int:
        """10^4 (equity - IM)."""
        return BPS * self.equity - self.scaled_im

    @property
    def covered(self) -> bool:
        """Rule (a)."""
        return self.scaled_surplus >= 0

    @property
    def below_maintenance(self) -> bool:
        """Equity below MM."""
        return BPS * self.equity < self.scaled_mm


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


def passes_rule(old: MarginSide, new: MarginSide) -> bool:
    """Rule (a), (b) or (c)."""
    kept = new.scaled_surplus >= old.scaled_surplus and not new.below_maintenance
    return new.covered or kept or (new.equity >= old.equity and new.scaled_im <= old.scaled_im)


class AuctionWord(NamedTuple):
    """The auction field of a leaf, taken apart."""

    start_ms: int
    forced: int
    limit_bps: int

    @classmethod
    def of(cls, word: int) -> AuctionWord:
        """Of a word of 63 bits."""
        return cls(word & (1 << 48) - 1, word >> 48 & 1, word >> 49)

    @property
    def word(self) -> int:
        """The field again."""
        return self.start_ms | self.forced << 48 | self.limit_bps << 49


def discount_fits(old: MarginSide, new: MarginSide, auction: AuctionWord, header: Header) -> bool:
    """Whether a seized account lost no more than the auction's discount by now, of the maintenance margin that the sale freed.

    Where discount_bps and the owner's limit both apply, it is discount_bps: what the engine and the filling of the circuit's tables choose.
    """
    rate = header.discount_bps if old.below_maintenance else auction.limit_bps * auction.forced
    elapsed = min(header.time_ms - auction.start_ms, header.auction_ms)
    return (old.equity - new.equity) * header.auction_ms * BPS * BPS <= rate * elapsed * (old.scaled_mm - new.scaled_mm)
