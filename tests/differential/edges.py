"""Changes aimed at the edge of one rule: a value that just holds, or just fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from straddle.proving.checker_margin import BPS, side_of
from straddle.proving.witness import Witness


def aim(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    """One change of a batch with fills: a value set to the edge of a rule, or one beside it."""
    edge = rng.choice([order_edge, fill_edge, sequence_edge, instrument_edge, cash_edge, cash_edge, prices])
    return edge(witness, rng)


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
        "flags": rng.randint(0, 3),
    }
    name = rng.choice(list(edges))
    return f"orders[{index}].{name} at its edge {beside:+d}", with_row(witness, "orders", index, **{name: edges[name]})


def fill_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index = rng.randrange(len(witness.fills))
    row, beside = witness.fills[index], rng.choice([-1, 0, 1])
    taker, maker = witness.orders[row.taker], witness.orders[row.maker]
    table = next(item for item in witness.instruments if item.id == taker.instrument)
    mark = table.value + table.funding
    if rng.random() < 0.3:
        place, other = rng.choice([(row.taker, maker), (row.maker, taker)])
        changes: dict[str, int] = rng.choice([{"side": other.side}, {"instrument": rng.choice(witness.instruments).id}, {"limit": row.price + beside}])
        return f"fills[{index}]: order {place} {changes}", with_row(witness, "orders", place, **changes)
    price = rng.choice([taker.limit, maker.limit, mark + table.band, mark - table.band]) + beside
    wide = with_row(witness, "orders", row.taker, limit=taker.limit + rng.choice([0, table.band, -table.band]))
    return f"fills[{index}].price {price}", with_row(wide, "fills", index, price=price)


def sequence_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    index, head = rng.randrange(len(witness.orders)), witness.header
    value = rng.choice([head.first_sequence - 1, head.first_sequence, head.last_sequence, head.last_sequence + 1])
    return f"orders[{index}].sequence {value}", with_row(witness, "orders", index, sequence=value)


def instrument_edge(witness: Witness, rng: random.Random) -> tuple[str, Witness]:
    fill = rng.choice(witness.fills)
    identifier = witness.orders[fill.taker].instrument
    index = next(i for i, item in enumerate(witness.instruments) if item.id == identifier)
    row, beside = witness.instruments[index], rng.choice([-1, 0, 1])
    changes = rng.choice(
        [{"expiry_ms": witness.header.time_ms + beside}, {"band": abs(fill.price - row.value - row.funding) + beside}, {"linear": 1 - row.linear}]
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
