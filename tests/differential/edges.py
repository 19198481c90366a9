"""Changes aimed at the edge of one rule: a value that just holds, or just fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from straddle.commitments.effects import QUEUE_FORCE_WITHDRAW
from straddle.core.params import BPS
from straddle.proving.checker_margin import AuctionWord, side_of
from straddle.proving.witness import Witness


def aim(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """One change of a batch: a value set to the edge of a rule, or one beside it."""
    edges = [cash_edge, cash_edge, prices] if witness.accounts else []
    if witness.fills:
        edges += [order_edge, fill_edge, sequence_edge, instrument_edge, leg_edge]
    if witness.takeovers:
        edges += [takeover_edge] * 4
    if any(row.auction for account in witness.accounts for row in (account.old, account.new)):
        edges += [auction_edge] * 3
    if any(row.kind == QUEUE_FORCE_WITHDRAW for row in witness.queue):
        edges += [forced_edge] * 3
    if any(row.settled for row in witness.instruments) or witness.deleverages:
        edges += [position_edge]
    return rng.choice(edges)(witness, rng)


def order_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index = rng.randrange(len(witness.orders))
    row, beside = witness.orders[index], rng.choice([-1, 0, 1])
    account = next(item for item in witness.accounts if item.id == row.account)
    edges: dict[str, int] = {
        "size": row.filled_before + row.fill + beside,
        "expiry_ms": witness.header.time_ms + beside,
        "nonce": account.old.min_nonce + beside,
        "revision": row.slot_old.revision + beside,
        "fee_cap": -(-row.fee // max(row.fill, 1)) + beside,
        "flags": rng.randint(0, 15),
        "limit": cost_per_unit(witness, index) + beside,
    }
    name = rng.choice(list(edges))
    return f"orders[{index}].{name} at its edge {beside:+d}", with_row(witness, "orders", index, **{name: edges[name]})


def cost_per_unit(witness: Witness, index: int) -> int:
    """Net price of a unit of an order row, rounded down."""
    net = 0
    for fill in witness.fills:
        for place in (fill.taker, fill.maker):
            leg = witness.legs[place]
            net += fill.size * fill.price * (1 - 2 * leg.sell) * (leg.order == index)
    return net // max(witness.orders[index].fill, 1)


def leg_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index = rng.randrange(len(witness.legs))
    row = witness.legs[index]
    changes: dict[str, int] = rng.choice(
        [{"ratio": row.ratio + rng.choice([-1, 1])}, {"sell": 1 - row.sell}, {"place": row.place + 1}, {"instrument": rng.choice(witness.instruments).id}]
    )
    return f"legs[{index}] {changes}", with_row(witness, "legs", index, **changes)


def fill_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index = rng.randrange(len(witness.fills))
    row, beside = witness.fills[index], rng.choice([-1, 0, 1])
    takers, makers = witness.legs[row.taker], witness.legs[row.maker]
    taker, maker = witness.orders[takers.order], witness.orders[makers.order]
    table = next(item for item in witness.instruments if item.id == takers.instrument)
    mark = table.value + table.funding
    if rng.random() < 0.3:
        place, other = rng.choice([(takers.order, maker), (makers.order, taker)])
        changes: dict[str, int] = rng.choice([{"side": other.side}, {"limit": row.price + beside}])
        return f"fills[{index}]: order {place} {changes}", with_row(witness, "orders", place, **changes)
    price = rng.choice([taker.limit, maker.limit, mark + table.band, mark - table.band]) + beside
    wide = with_row(witness, "orders", takers.order, limit=taker.limit + rng.choice([0, table.band, -table.band]))
    return f"fills[{index}].price {price}", with_row(wide, "fills", index, price=price)


def takeover_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """The payment at the edge of the discount, of the limit or of what the fund may give; another fraction."""
    index = rng.randrange(len(witness.takeovers))
    row, beside = witness.takeovers[index], rng.choice([-1, 0, 1])
    account = next(item for item in witness.accounts if item.id == row.account)
    rows, head = {item.id: item for item in witness.instruments}, witness.header
    held = [(item, rows[item.instrument]) for item in witness.positions if item.account == row.account]
    old = side_of(account.old.cash, [(item.old, instrument) for item, instrument in held], head)
    new = side_of(account.new.cash, [(item.new, instrument) for item, instrument in held], head)
    word = AuctionWord.of(account.old.auction)
    rate = head.discount_bps if old.below_maintenance else word.limit_bps
    allowed = rate * min(head.time_ms - word.start_ms, head.auction_ms) * (old.scaled_mm - new.scaled_mm) // (head.auction_ms * BPS * BPS)
    changes: dict[str, int] = rng.choice(
        [
            {"payment": row.payment + old.equity - new.equity - allowed + beside},
            {"payment": row.payment + max(old.equity, 0) - new.equity + beside},
            {"payment": row.limit + beside},
            {"fraction_bps": min(BPS, max(1, row.fraction_bps + beside))},
        ]
    )
    return f"takeovers[{index}] {changes}", with_row(witness, "takeovers", index, **changes)


def auction_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """Another time, another start, another kind of auction."""
    places = [i for i, row in enumerate(witness.accounts) if row.old.auction or row.new.auction]
    index, beside = rng.choice(places), rng.choice([-1, 0, 1])
    row, head = witness.accounts[index], witness.header
    word = AuctionWord.of(row.old.auction)
    side, value = rng.choice(
        [
            ("old", word._replace(start_ms=head.time_ms - head.auction_ms + beside).word),
            ("old", word._replace(start_ms=max(0, head.time_ms + beside)).word),
            ("old", word._replace(forced=1 - word.forced, limit_bps=rng.choice([0, 2_000])).word),
            ("old", 0),
            ("new", 0),
            ("new", head.time_ms),
            ("new", head.time_ms | 1 << 48 | 500 << 49),
            ("new", row.old.auction),
        ]
    )
    return f"accounts[{index}].{side}.auction {value}", with_row(witness, "accounts", index, **{side: getattr(row, side)._replace(auction=value)})


def forced_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index = rng.choice([i for i, row in enumerate(witness.queue) if row.kind == QUEUE_FORCE_WITHDRAW])
    row, beside = witness.queue[index], rng.choice([-1, 0, 1])
    changes = rng.choice([{"paid": max(0, row.paid + beside)}, {"amount": max(0, row.paid + beside)}, {"paid": 0}])
    return f"queue[{index}] {changes}", with_row(witness, "queue", index, **changes)


def position_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """More or less held before: what settles, what is deleveraged, what is sold."""
    if not witness.positions:
        return prices(witness, rng)
    index = rng.randrange(len(witness.positions))
    old = witness.positions[index].old
    value = rng.choice([-old, 0, old + 1, old - 1, old // 2])
    return f"positions[{index}].old {value}", with_row(witness, "positions", index, old=value)


def sequence_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index, head = rng.randrange(len(witness.orders)), witness.header
    value = rng.choice([head.first_sequence - 1, head.first_sequence, head.last_sequence, head.last_sequence + 1])
    return f"orders[{index}].sequence {value}", with_row(witness, "orders", index, sequence=value)


def instrument_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    fill = rng.choice(witness.fills)
    identifier = witness.legs[fill.taker].instrument
    index = next(i for i, item in enumerate(witness.instruments) if item.id == identifier)
    row, beside = witness.instruments[index], rng.choice([-1, 0, 1])
    changes = rng.choice(
        [
            {"expiry_ms": witness.header.time_ms + beside},
            {"band": abs(fill.price - row.value - row.funding) + beside},
            {"linear": 1 - row.linear},
            {"settled": 1 - row.settled},
        ]
    )
    return f"instruments[{index}] {changes}", with_row(witness, "instruments", index, **changes)


def cash_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """Old and new cash moved together so that an account stands at the edge of (a), (b) or its settled cash."""
    index = rng.randrange(len(witness.accounts))
    row, rows = witness.accounts[index], {item.id: item for item in witness.instruments}
    held = [(item.new, rows[item.instrument]) for item in witness.positions if item.account == row.id]
    side = side_of(row.new.cash, held, witness.header)
    excess = rng.choice([side.equity - -(-side.scaled_im // BPS), side.equity - -(-side.scaled_mm // BPS), side.settled])
    shift = rng.choice([-1, 0, 1]) - excess
    leaves = {"old": row.old._replace(cash=row.old.cash + shift), "new": row.new._replace(cash=row.new.cash + shift)}
    return f"accounts[{index}] cash {shift:+d}", with_row(witness, "accounts", index, **leaves)


def prices(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """A market that moves against the positions: another value, other deltas, other charges."""
    index = rng.randrange(len(witness.instruments))
    row = witness.instruments[index]
    scale: Callable[[int], int] = lambda value: value * rng.choice([-30, -3, 3, 30])  # noqa: E731
    changes: dict[str, Any] = rng.choice(
        [
            {"value": row.value * rng.randint(-3, 3)},
            {"deltas": tuple(map(scale, row.deltas))},
            {"short_im": row.short_im * 40},
            {"long_mm": row.long_mm * 40 + 1},
        ]
    )
    return f"instruments[{index}] {next(iter(changes))}", with_row(witness, "instruments", index, **changes)


def with_row(witness: Witness, table: str, index: int, **changes: Any) -> Witness:
    """The witness with one row changed."""
    rows = getattr(witness, table)
    return replace(witness, **{table: (*rows[:index], replace(rows[index], **changes), *rows[index + 1 :])})
