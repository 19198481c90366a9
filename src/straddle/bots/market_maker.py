"""Market makers that quote the recorded books: each recorded level is a volatility, repriced at the current forward.

A recorded side that is empty stays empty. Several makers split the recorded sizes by their shares and stand back from the recorded vols by their own
widths, so together they never show more than was recorded. Perpetual and futures have no recorded book: their quotes are SYNTHETIC, futures around the
mark, which is the recorded forward, the perpetual around the index: its mark is made from these very quotes, so around the mark it would follow itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from straddle.bots.taker import BestQuotes, implied_quotes
from straddle.core.combinations import price_step, size_step
from straddle.core.instruments import Instrument, Kind
from straddle.core.orders import MAX_ORDERS_PER_SET, Legs, Order, Side, outright
from straddle.core.risk_table import RiskTable
from straddle.risk.expiry import Maturity, minutes_to_expiry
from straddle.risk.implied import implied_vol_bps
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import MAX_VOL_BPS
from straddle.risk.recording import Level, RecordedOption


@dataclass(frozen=True, slots=True)
class VolLevel:
    """A level quoted by volatility."""

    vol_bps: int
    size_lots: int


@dataclass(frozen=True, slots=True)
class VolBook:
    """A recorded book by volatility, best first; empty sides stay empty. `unpriced` counts levels without a vol (at intrinsic value, or above 500 %)."""

    bids: tuple[VolLevel, ...]
    asks: tuple[VolLevel, ...]
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class MakerProfile:
    """How one maker quotes.

    share_bps: of each recorded level's size. width_vol_bps: added to recorded ask vols, taken off bid vols. levels: at most, a side.
    size_cap_lots: an order's largest size. linear_*: the synthetic ladders, half spread and step in basis points of their middle.
    """

    share_bps: int
    width_vol_bps: int = 0
    levels: int = 1
    size_cap_lots: int = 100_000
    linear_half_spread_bps: int = 2
    linear_size_lots: int = 20_000

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("share_bps", self.share_bps, 1, BPS),
            ("width_vol_bps", self.width_vol_bps, 0, MAX_VOL_BPS),
            ("levels", self.levels, 1, MAX_ORDERS_PER_SET),
            ("size_cap_lots", self.size_cap_lots, 1, 2**40 - 1),
            ("linear_half_spread_bps", self.linear_half_spread_bps, 1, BPS),
            ("linear_size_lots", self.linear_size_lots, 0, 2**40 - 1),
        ):
            if not low <= value <= high:
                raise ValueError(f"maker profile: {name} = {value}: expected {low} to {high}")


@dataclass(frozen=True, slots=True)
class QuoteTerms:
    """What all orders of a mass quote share. Nonces count up from `first_nonce`, one an order."""

    first_nonce: int
    expiry_ms: int
    fee_cap: int


def vol_book(option: RecordedOption, parameters: RiskParameters = DEFAULT_PARAMETERS) -> VolBook:
    """The recorded levels as vols, each at the row's own underlying and time."""
    minutes = minutes_to_expiry(option.expiry_ms, option.time_ms, parameters)

    def vols(levels: Sequence[Level]) -> tuple[VolLevel, ...]:
        found = ((implied_vol_bps(option.kind, level.price_ticks, option.underlying_ticks, option.strike_ticks, minutes), level.size_lots) for level in levels)
        return tuple(VolLevel(vol, size) for vol, size in found if vol is not None)

    bids, asks = vols(option.bids), vols(option.asks)
    return VolBook(bids, asks, len(option.bids) + len(option.asks) - len(bids) - len(asks))


def mass_quote(
    profile: MakerProfile,
    instruments: Sequence[Instrument],
    books: Mapping[int, VolBook],
    maturities: Mapping[int, Maturity],
    table: RiskTable,
    terms: QuoteTerms,
) -> tuple[tuple[Order, ...], ...]:
    """The maker's orders as sets of at most 64, bids before asks, instruments in the order given.

    books: instrument id -> vol book (options only); maturities: expiry_ms -> its forward and time now, with what is fixed of its settlement average. An
    instrument that is not in the table, or has expired, is not quoted. Every limit is a positive multiple of the instrument's tick, inside the band, not
    below intrinsic value; every size a multiple of min_lots. Levels for which that is impossible are left out.
    """
    quotes: list[tuple[Instrument, Side, int, int]] = []
    for instrument in instruments:
        if instrument.id not in table or instrument.expiry_ms <= table.time_ms:
            continue
        row = table[instrument.id]
        if instrument.linear:
            priced = _linear_ladder(profile, instrument, table.index_ticks if instrument.kind is Kind.PERPETUAL else row.mark)
        elif instrument.id in books:
            priced = _option_quotes(profile, instrument, books[instrument.id], maturities[instrument.expiry_ms])
        else:
            continue
        quotes += [(instrument, side, price, size) for side, price, size in priced if price > 0 and size > 0 and abs(price - row.mark) <= row.band]
    orders = [
        outright(terms.first_nonce + i, 0, terms.expiry_ms, size, price, instrument.id, side, terms.fee_cap)
        for i, (instrument, side, price, size) in enumerate(quotes)
    ]
    return tuple(tuple(orders[start : start + MAX_ORDERS_PER_SET]) for start in range(0, len(orders), MAX_ORDERS_PER_SET))


def quote_structures(
    profile: MakerProfile, structures: Sequence[Legs], books: Mapping[int, BestQuotes], instruments: Mapping[int, Instrument], terms: QuoteTerms
) -> tuple[Order, ...]:
    """A bid and an ask on each combination whose legs all have two sides: halfway between the middle and what the legs' books imply, rounded outwards to the
    combination's tick. The size is the largest that the legs' best levels and the profile's cap allow; `terms.fee_cap` is that of one lot."""
    orders: list[Order] = []
    for legs in structures:
        implied = implied_quotes(legs, books)
        if implied.bid is None or implied.ask is None:
            continue
        (bid, bid_units), (ask, ask_units) = implied.bid, implied.ask
        tick, step = price_step(instruments, legs), size_step(instruments, legs)
        size = min(bid_units, ask_units, profile.size_cap_lots) // step * step
        limits = ((Side.BUY, (3 * bid + ask) // 4 // tick * tick), (Side.SELL, -(-(bid + 3 * ask) // 4 // tick) * tick))
        if size and limits[0][1] < limits[1][1]:
            cap = terms.fee_cap * sum(abs(leg.ratio) for leg in legs)
            for side, limit in limits:
                orders.append(Order(terms.first_nonce + len(orders), 0, terms.expiry_ms, size, limit, legs, side, cap))
    return tuple(orders)


Priced = list[tuple[Side, int, int]]
"""(side, price_ticks, size_lots)."""


def _option_quotes(profile: MakerProfile, option: Instrument, book: VolBook, maturity: Maturity) -> Priced:
    intrinsic = maturity.option_value(option.kind, option.strike_ticks, 1)
    tick = option.tick_ticks
    priced: Priced = []
    best_bid = 0
    for level in book.bids[: profile.levels]:
        vol = max(1, level.vol_bps - profile.width_vol_bps)
        price = maturity.option_value(option.kind, option.strike_ticks, vol) // tick * tick
        if price >= intrinsic:
            best_bid = max(best_bid, price)
            priced.append((Side.BUY, price, _size(profile, level.size_lots, option)))
    for level in book.asks[: profile.levels]:
        vol = min(MAX_VOL_BPS, level.vol_bps + profile.width_vol_bps)
        fair = maturity.option_value(option.kind, option.strike_ticks, vol)
        price = max(-(-fair // tick) * tick, best_bid + tick)
        priced.append((Side.SELL, price, _size(profile, level.size_lots, option)))
    return priced


def _linear_ladder(profile: MakerProfile, instrument: Instrument, middle: int) -> Priced:
    tick, size = instrument.tick_ticks, profile.linear_size_lots // instrument.min_lots * instrument.min_lots
    priced: Priced = []
    for step in range(1, profile.levels + 1):
        distance = max(tick, middle * profile.linear_half_spread_bps * step // BPS)
        priced.append((Side.BUY, (middle - distance) // tick * tick, size))
        priced.append((Side.SELL, -(-(middle + distance) // tick) * tick, size))
    return sorted(priced, key=lambda quote: quote[0] is Side.SELL)


def _size(profile: MakerProfile, recorded_lots: int, instrument: Instrument) -> int:
    lots = min(recorded_lots * profile.share_bps // BPS, profile.size_cap_lots, instrument.position_cap_lots)
    return lots // instrument.min_lots * instrument.min_lots
