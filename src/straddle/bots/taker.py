"""Seeded takers: they cross the spread with immediate-or-cancel orders, outright and on combinations, whose sizes fit their free margin."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from straddle.bots.structures import Structure
from straddle.core.combinations import price_step, size_step
from straddle.core.instruments import Instrument
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, Legs, Order, Side, outright
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.risk.parameters import BPS


@dataclass(frozen=True, slots=True)
class BestQuotes:
    """The best levels of a book: (price_ticks, size_lots), or None for an empty side."""

    bid: tuple[int, int] | None
    ask: tuple[int, int] | None


NO_QUOTES = BestQuotes(None, None)


@dataclass(frozen=True, slots=True)
class TakerProfile:
    """How one taker trades: the part of its free margin that one order may use, and an order's largest size."""

    margin_part_bps: int = 1_000
    size_cap_lots: int = 20_000

    def __post_init__(self) -> None:
        if not 1 <= self.margin_part_bps <= BPS:
            raise ValueError(f"taker profile: margin_part_bps = {self.margin_part_bps}: expected 1 to {BPS}")
        if self.size_cap_lots < 1:
            raise ValueError(f"taker profile: size_cap_lots = {self.size_cap_lots}: expected at least 1")


def cost_per_lot(row: RiskRow, side: Side, price_ticks: int, fee_cap: int, k_im_bps: int) -> int:
    """Upper bound, micro-dollars, on what one lot traded at a price takes from equity - IM, rounded up.

    Margin is coherent, so what a trade needs on its own bounds what it adds to any portfolio.
    """
    loss = max(0, *(-side.sign * delta for delta in row.deltas))
    charge = row.long_im if side is Side.BUY else row.short_im
    return max(0, side.sign * (price_ticks - row.mark)) + -(-k_im_bps * loss // BPS) + charge + fee_cap


def take(
    profile: TakerProfile,
    instruments: Sequence[Instrument],
    books: Mapping[int, BestQuotes],
    table: RiskTable,
    free_margin_micros: int,
    positions: Mapping[int, int],
    *,
    count: int,
    first_nonce: int,
    expiry_ms: int,
    fee_cap: int,
    k_im_bps: int,
    seed: str,
) -> tuple[Order, ...]:
    """Up to `count` orders, each on another instrument, that take the best level of a side chosen at random.

    free_margin_micros: equity - IM of the account before them; all orders together cost at most that. Fewer or none come back when margin or books
    allow no more. Deterministic in the arguments. Sizes are multiples of min_lots and keep the position within its cap.
    """
    draw = random.Random(f"straddle.taker/{seed}")
    left = max(0, free_margin_micros)
    budget = left * profile.margin_part_bps // BPS
    candidates = [instrument for instrument in instruments if instrument.id in table and instrument.id in books and instrument.expiry_ms > table.time_ms]
    draw.shuffle(candidates)
    orders: list[Order] = []
    for instrument in candidates:
        if len(orders) == count:
            break
        chosen = _choose_side(books[instrument.id], draw)
        if chosen is None:
            continue
        side, (price, available) = chosen
        row = table[instrument.id]
        if abs(price - row.mark) > row.band:
            continue
        cost = cost_per_lot(row, side, price, fee_cap, k_im_bps)
        room = instrument.position_cap_lots - side.sign * positions.get(instrument.id, 0)
        wanted = draw.randint(1, max(1, profile.size_cap_lots // instrument.min_lots)) * instrument.min_lots
        size = min(wanted, available, room, min(budget, left) // max(cost, 1)) // instrument.min_lots * instrument.min_lots
        if size <= 0:
            continue
        left -= size * cost
        orders.append(outright(first_nonce + len(orders), 0, expiry_ms, size, price, instrument.id, side, fee_cap, FLAG_IMMEDIATE_OR_CANCEL))
    return tuple(orders)


def _choose_side(book: BestQuotes, draw: random.Random) -> tuple[Side, tuple[int, int]] | None:
    sides = [(side, level) for side, level in ((Side.BUY, book.ask), (Side.SELL, book.bid)) if level is not None]
    return draw.choice(sides) if sides else None


def implied_quotes(legs: Legs, books: Mapping[int, BestQuotes]) -> BestQuotes:
    """What the best levels of the legs' own books make of a combination: (net_ticks, units) a side, None where a leg has no such level."""

    def level(buying: bool) -> tuple[int, int] | None:
        net, units = 0, 2**40 - 1
        for leg in legs:
            book = books.get(leg.instrument, NO_QUOTES)
            best = book.ask if (leg.ratio > 0) is buying else book.bid
            if best is None:
                return None
            net, units = net + leg.ratio * best[0], min(units, best[1] // abs(leg.ratio))
        return net, units

    return BestQuotes(level(False), level(True))


def take_structure(
    profile: TakerProfile,
    structure: Structure,
    side: Side,
    instruments: Mapping[int, Instrument],
    books: Mapping[int, BestQuotes],
    resting: BestQuotes,
    table: RiskTable,
    free_margin_micros: int,
    *,
    nonce: int,
    expiry_ms: int,
    fee_cap: int,
    k_im_bps: int,
) -> Order | None:
    """An immediate-or-cancel order on a structure at the better of the price that its legs' books imply and the one that rests on it; at one price the
    latter. None where nobody offers it, or margin allows not even the smallest size.

    `resting` is the best of the combination's own book; `fee_cap` is that of one lot. The margin that it takes is bounded by the sum over its legs.
    """
    legs, sign = structure.legs, side.sign
    implied = implied_quotes(legs, books)
    offers = [level for level in ((resting.ask, implied.ask) if side is Side.BUY else (resting.bid, implied.bid)) if level is not None and level[1] > 0]
    if not offers:
        return None
    price, available = min(offers, key=lambda level: sign * level[0])
    unit_fee = fee_cap * sum(abs(leg.ratio) for leg in legs)
    cost = _structure_cost(legs, side, price, table, unit_fee, k_im_bps)
    step = size_step(instruments, legs)
    size = min(available, profile.size_cap_lots, max(0, free_margin_micros) * profile.margin_part_bps // BPS // max(cost, 1)) // step * step
    tick = price_step(instruments, legs)
    limit = -(-price // tick) * tick if side is Side.BUY else price // tick * tick
    if size <= 0:
        return None
    return Order(nonce, 0, expiry_ms, size, limit, legs, side, unit_fee, FLAG_IMMEDIATE_OR_CANCEL)


def _structure_cost(legs: Legs, side: Side, price_ticks: int, table: RiskTable, unit_fee: int, k_im_bps: int) -> int:
    """Upper bound, micro-dollars, on what one unit takes from equity - IM: exact for an account that holds nothing else, a bound for any other."""
    rows = [(leg.ratio * side.sign, table[leg.instrument]) for leg in legs]
    mark = sum(ratio * row.mark for ratio, row in rows)
    losses = [-sum(ratio * row.deltas[scenario] for ratio, row in rows) for scenario in range(len(rows[0][1].deltas))]
    charges = sum(ratio * row.long_im if ratio > 0 else -ratio * row.short_im for ratio, row in rows)
    return max(0, side.sign * price_ticks - mark) + -(-k_im_bps * max(0, *losses) // BPS) + charges + unit_fee
