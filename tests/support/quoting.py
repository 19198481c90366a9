"""Traffic of market makers: sets that move all of an account's quotes at once, among them takers and orders with whatever can be wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

from simulation.traffic import ACCOUNTS, Entry, Traffic

from straddle.core.accounts import EMPTY_SLOT
from straddle.core.book import RestingOrder
from straddle.core.commands import L1Deposit, L2Trade
from straddle.core.fees import worst_unit_fee
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.messages import MessageKind
from straddle.core.orders import Leg, Legs, Order, Side, Signature
from straddle.core.params import SIZE_LOTS_MAX, TICKS_MAX
from straddle.core.state import Exchange
from support.market import HOUR_MS, TIME_MS

LISTING = (
    Instrument(1, Kind.CALL, BTC, TIME_MS + 24 * HOUR_MS, 900_000, 50, 10, 10_000_000),
    Instrument(2, Kind.PUT, BTC, TIME_MS + 3 * HOUR_MS, 850_000, 1, 1, SIZE_LOTS_MAX),
    Instrument(3, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 2_000),
    Instrument(4, Kind.FUTURE, BTC, TIME_MS + 6 * HOUR_MS, 0, 7, 3, SIZE_LOTS_MAX),
    Instrument(5, Kind.CALL, BTC, TIME_MS + 48 * HOUR_MS, 1_000_000, 1, 10, 500),
)
"""Ticks, least sizes and caps of every kind: the last is soon reached, and the second only where the value bound is lower."""
NONCE_MAX, REVISION_MAX = 2**64 - 1, 2**16 - 1
STEPS = (0, 0, 0, 1, -1, 2, -3, 10, -10, 100)
ODD_LEGS: tuple[Legs, ...] = ((Leg(1, -1),), (Leg(1, 2),), (Leg(99, 1),), (Leg(3, 1),), (Leg(2, 1), Leg(3, -1)), (Leg(3, 1), Leg(2, 1)))


class Quoting(Traffic):
    """Signatures are made up: whoever uses it lets all of them pass."""

    def __init__(self, rng: Random, slots: int) -> None:
        super().__init__(rng)
        self.slots = slots

    def trade(self, exchange: Exchange) -> L2Trade:
        rng = self.rng
        if exchange.table is None or not exchange.trading_open or rng.random() < 0.1:
            return super().trade(exchange)
        account, orders = rng.choice(ACCOUNTS), list[Order]()
        live = list(exchange.open_orders.get(account, {}).values())
        if rng.random() < 0.7:
            orders += [self.amended(exchange, resting) for resting in (live if rng.random() < 0.6 else rng.sample(live, rng.randint(0, len(live))))]
        if rng.random() < 0.5 or not orders:
            orders += [self.fresh(exchange, account) for _ in range(rng.choice((1, 2, 8, 16)))]
        if rng.random() < 0.4:
            orders.insert(rng.choice((len(orders), rng.randint(0, len(orders)))), self.taker(exchange, account))
        for _ in range(rng.choice((0, 0, 1, 3))):
            place = rng.randrange(len(orders))
            orders[place] = self.spoilt(exchange, orders[place])
        if rng.random() < 0.15:  # a slot twice in one set
            orders += [replace(order, nonce=nonce_of(order.nonce + self.slots), revision=rng.randint(0, 2)) for order in orders if rng.random() < 0.4]
        unique = {order.nonce: order for order in orders}
        return self.signed_trade(exchange, account, tuple(unique.values())[:64])

    def amended(self, exchange: Exchange, resting: RestingOrder) -> Order:
        """Moved, made smaller or larger, to what has filled or about that."""
        rng, order = self.rng, resting.order
        listed = exchange.instruments[order.instrument]
        seen = exchange.accounts[resting.account].slots.get(order.nonce % self.slots, EMPTY_SLOT)
        filled, step = seen.filled if seen.nonce == order.nonce else 0, listed.min_lots
        sizes = (*[order.size_lots] * 4, order.size_lots - step, 2 * order.size_lots, filled, filled + step, resting.left_lots, 0)
        changes: dict[str, Any] = {
            "revision": min(order.revision + rng.choice((*[1] * 9, 0)), REVISION_MAX),
            "limit_ticks": bounded(order.limit_ticks + rng.choice(STEPS) * listed.tick_ticks),
            "size_lots": min(rng.choice(sizes), SIZE_LOTS_MAX),
            "flags": rng.choice((0, 0, 0, order.flags)),
        }
        if rng.random() < 0.05:
            changes["side"] = order.side.opposite
        if rng.random() < 0.1:
            changes["nonce"] = nonce_of(order.nonce + self.slots * rng.choice((1, 1, -1)))
        return replace(order, **changes)

    def fresh(self, exchange: Exchange, account: int) -> Order:
        """A quote near the mark, now and then at an edge of what may enter."""
        rng, table = self.rng, exchange.context.table
        row = rng.choice([row for row in table.rows if row.expiry_ms > table.time_ms] or list(table.rows))
        listed, side = exchange.instruments[row.instrument], rng.choice((Side.BUY, Side.SELL))
        limit = row.mark - row.mark % listed.tick_ticks - side.sign * listed.tick_ticks * rng.choice((0, 1, 1, 2, 3, 5, 8, 13, 40))
        size = listed.min_lots * rng.choice((1, 1, 2, 3, 10, 30, 60, 200))
        if rng.random() < 0.05:
            limit = row.mark + rng.choice((row.band, -row.band)) + rng.choice((0, listed.tick_ticks, 1, -1))
        if rng.random() < 0.05:
            size = rng.choice((listed.min_lots * 10**5, SIZE_LOTS_MAX, listed.position_cap_lots))
        self.nonces[account] = nonce = self.nonces.get(account, 0) + 1  # those of spoilt orders count for nothing here
        order = Order(nonce, 0, table.time_ms + rng.choice((60_000, HOUR_MS)), size, max(1, bounded(limit)), (Leg(row.instrument, 1),), side, 50_000)
        if rng.random() < 0.3:
            order = replace(order, fee_cap=max(0, worst_unit_fee(exchange.fees, table, order) + rng.choice((0, 0, 1, -1))))
        return replace(order, flags=rng.choices((0, 4, 8, 1, 2), (20, 5, 2, 1, 1))[0])

    def taker(self, exchange: Exchange, account: int) -> Order:
        """An order that reaches some of the other side, its own account's quotes too."""
        rng, order = self.rng, self.fresh(exchange, account)
        book = exchange.books[order.instrument]
        prices = list(book.side(order.side.opposite).prices())[: rng.choice((1, 2, 5))]
        size = exchange.instruments[order.instrument].min_lots * rng.choice((1, 3, 10, 100, 1_000))
        return replace(order, limit_ticks=prices[-1] if prices else order.limit_ticks, size_lots=size, flags=rng.choice((0, 0, 1, 2, 8)))

    def spoilt(self, exchange: Exchange, order: Order) -> Order:
        """One field at a bound, or beyond what its unit takes; within the widths of a message."""
        time_ms = exchange.context.table.time_ms
        values: dict[str, Iterable[Any]] = {
            "nonce": (0, 1, nonce_of(order.nonce + 1), 2**63, NONCE_MAX),
            "revision": (0, REVISION_MAX),
            "expiry_ms": (0, time_ms, time_ms + 1, 2**48 - 1),
            "size_lots": (0, 1, order.size_lots // 2 + 1, SIZE_LOTS_MAX),
            "limit_ticks": (0, -50, 1, bounded(order.limit_ticks + 1), TICKS_MAX, -TICKS_MAX),
            "legs": ODD_LEGS,
            "fee_cap": (0, 1, 2**32 - 1),
            "flags": (3, 5, 6, 12, 15, 16, 64, 127),
        }
        field = self.rng.choice(list(values))
        return replace(order, **{field: self.rng.choice(tuple(values[field]))})

    def layer1_entry(self) -> Entry:
        entry = super().layer1_entry()
        return replace(entry, amount=10**13) if isinstance(entry, L1Deposit) and self.rng.random() < 0.05 else entry

    def _signed(self, exchange: Exchange, account: int, kind: MessageKind, payload: int) -> tuple[int, Signature]:
        known = exchange.accounts.get(account)
        return known.key_epoch if known else 0, Signature(payload, int(kind), account)


def nonce_of(number: int) -> int:
    """The nearest nonce."""
    return max(1, min(NONCE_MAX, number))


def bounded(limit: int) -> int:
    """Within the width of a limit."""
    return max(-TICKS_MAX, min(TICKS_MAX, limit))
