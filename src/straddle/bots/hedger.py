"""Hedging: what a book of options and futures gains when the underlying rises, and the order in the perpetual that takes it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from straddle.bots.taker import BestQuotes
from straddle.core.instruments import Instrument, Kind
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, Order, Side, outright
from straddle.risk.expiry import Maturity
from straddle.risk.parameters import BPS

BUMP_BPS = 10
"""Deltas are central differences over this move of the forward."""


@dataclass(frozen=True, slots=True)
class HedgeProfile:
    """Hedge when the delta is off by more than `band_lots` of the underlying."""

    band_lots: int = 1_000

    def __post_init__(self) -> None:
        if not 0 <= self.band_lots < 2**40:
            raise ValueError(f"hedge profile: band_lots = {self.band_lots}: expected 0 to {2**40 - 1}")


def book_delta(positions: Mapping[int, int], instruments: Mapping[int, Instrument], maturities: Mapping[int, Maturity], vols: Mapping[int, int]) -> int:
    """Lots of the underlying that the positions behave like, rounded to nearest. `vols` are basis points by option; what has expired counts nothing."""
    scaled = 0  # lots x 2 bumps, exact
    whole = 0
    for number, lots in positions.items():
        instrument = instruments[number]
        if instrument.kind is Kind.PERPETUAL:
            whole += lots
            continue
        maturity = maturities[instrument.expiry_ms]
        if maturity.expired:
            continue
        forward = maturity.forward_ticks
        bump = max(1, forward * BUMP_BPS // BPS)
        if instrument.kind is Kind.FUTURE:
            values = [maturity.future_value(forward + move) for move in (bump, -bump)]
        else:
            values = [maturity.option_value(instrument.kind, instrument.strike_ticks, vols[number], forward + move) for move in (bump, -bump)]
        scaled += lots * (values[0] - values[1]) * BPS // (2 * bump)
    return whole + (scaled + BPS // 2) // BPS


def hedge_order(profile: HedgeProfile, delta_lots: int, perpetual: Instrument, book: BestQuotes, *, nonce: int, expiry_ms: int, fee_cap: int) -> Order | None:
    """An immediate-or-cancel order that takes the best level of the perpetual against the delta; None inside the band or without a book to trade with."""
    if abs(delta_lots) <= profile.band_lots:
        return None
    side = Side.SELL if delta_lots > 0 else Side.BUY
    level = book.bid if side is Side.SELL else book.ask
    if level is None:
        return None
    price, available = level
    size = min(abs(delta_lots), available) // perpetual.min_lots * perpetual.min_lots
    return outright(nonce, 0, expiry_ms, size, price, perpetual.id, side, fee_cap, FLAG_IMMEDIATE_OR_CANCEL) if size else None
