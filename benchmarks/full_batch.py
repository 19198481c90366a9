"""A batch that fills its preset: the real engine on the recorded market, many accounts, instruments and combinations, all orders signed.

Every fill uses up an order on one of its sides, so a batch has at most as many fills as leg rows less instruments (a forest has fewer edges than nodes). The
plans below reach that: combinations take one order of each leg's book, and in popular instruments takers sweep a ladder of quotes, each two of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from straddle.bots.structures import canonical
from straddle.commitments.data import QueueEntry
from straddle.core.accounts import FIRST_USER_ACCOUNT
from straddle.core.batch import OpenBatch
from straddle.core.combinations import size_step
from straddle.core.events import OrderCancelled, OrderRejected
from straddle.core.instruments import Kind
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, Legs, Order, Side, outright
from straddle.core.risk_table import RiskTable
from straddle.node.config import DemoConfig
from straddle.node.exchange import INCLUSION_MS, Identity
from straddle.node.feed import OracleReplay
from straddle.node.market import Market, genesis
from straddle.node.session import MarketSession
from straddle.node.traders import Trader
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

DEPOSIT = 20_000_000 * 10**6
"""Micro-dollars of every account: enough that margin stops nobody."""
LADDER_TICKS = 12
"""Instruments whose price and band are wider than so many of their ticks can hold a ladder of quotes."""
QUOTE_UNITS = 2
"""Smallest sizes in a quote of a ladder, and in what each of its takers wants. The first quote has half: each takes the rest of one, then half the next."""
DEEP_UNITS = 20
"""In a quote that combinations take from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a full batch consists of."""

    makers: int
    takers: int
    shapes: dict[int, tuple[int, int]]
    """Legs -> combinations of so many legs, each on instruments of its own; and how many of these a second taker takes as well."""
    ladders: int
    """Instruments with a ladder of quotes."""
    sweeps: int
    """Takers that sweep each of them; its ladder has one quote more."""


PLANS = {
    "nano": Plan(2, 5, {2: (1, 2)}, 1, 2),
    "demo": Plan(3, 11, {4: (1, 1), 3: (3, 1), 2: (3, 2)}, 5, 4),
    "standard": Plan(6, 46, {4: (6, 4), 3: (12, 4), 2: (12, 4)}, 16, 4),
}


class Requests(Protocol):
    """Layer 1's queue."""

    def join(self, trader: Trader, account: int, amount: int) -> None:
        """The trader's owner deposits and sets its key."""

    def pending(self, pointer: int) -> Sequence[QueueEntry]:
        """Entries from `pointer` on."""


class FullBatch:
    """An exchange whose last batch is full: `open`, then `fill`. `closed` are the batches so far."""

    def __init__(
        self, config: DemoConfig, market: Market, identity: Identity, requests: Requests, folder: Path, on_epoch: Callable[[SignedEpoch], None] = lambda _: None
    ) -> None:
        """`on_epoch` is the poster's, if there is one."""
        self.config, self.market, self.identity, self.plan = config, market, identity, PLANS[config.preset]
        self.closed: list[ClosedBatch] = []
        self._requests = requests
        self._draw = random.Random(f"straddle.full-batch/{config.seed}")
        engine, committed = genesis(config.circuit, identity.params, market.parameters.fees, identity.domain, identity.operator)
        oracle = OracleReplay(market.replayed, identity.log, identity.secrets)
        self.session = MarketSession(
            Sequencer(
                engine,
                committed,
                Journal(folder / "journal.sqlite", identity.log),
                identity.sequencer,
                clock_ms=lambda: engine.table.time_ms if engine.table else market.path.start_ms,
                inclusion_ms=INCLUSION_MS,
                on_batch=self.closed.append,
                on_logged=oracle.record,
            ),
            oracle,
            on_epoch,
        )
        self.makers = [Trader.create(config.seed, f"maker-{i + 1}", identity.domain) for i in range(self.plan.makers)]
        self.takers = [Trader.create(config.seed, f"taker-{i + 1}", identity.domain) for i in range(self.plan.takers)]
        self.prices: dict[tuple[int, Side], int] = {}
        """(instrument, side of the quotes) -> the last price of the ladder there, ticks."""
        self._ladders: dict[int, None] = {}

    @property
    def table(self) -> RiskTable:
        """The table of the full batch."""
        return self.session.table

    def fill(self) -> OpenBatch:
        """Quotes, which need no rows, and then the takers: the full batch."""
        directions, wanted = self._choose()
        self._quote(directions)
        number = self.session.exchange.open_batch.number
        for trader, orders in self._takes(directions, wanted):
            events = self.session.submit(trader.sign_orders(orders))
            lost = [event for event in events if isinstance(event, OrderRejected | OrderCancelled)]
            if lost:
                raise RuntimeError(f"full batch: {lost[0]}, expected every order to fill")
        if self.session.exchange.open_batch.number != number:
            raise RuntimeError(f"full batch: the plan of preset {self.config.preset} does not fit one batch")
        self.session.finish_batch()
        return self.closed[-1].batch

    def open(self) -> None:
        """Everything is listed and everybody joins, as much as fits a batch at a time; keys act from the next one, which has a risk table of its own."""
        for i, trader in enumerate((*self.makers, *self.takers)):
            self._requests.join(trader, FIRST_USER_ACCOUNT + i, DEPOSIT)
        session, instruments, waiting = self.session, self.market.instruments, list(self._requests.pending(0))
        capacity = session.exchange.capacity
        for start in range(0, len(instruments), capacity.listings):
            session.finish_batch()
            session.list_instruments(instruments[start : start + capacity.listings])
            session.open_epoch(self.market.path.start_ms)
            for command in waiting[: capacity.queue]:
                session.submit(command)
            del waiting[: capacity.queue]
        for command in waiting:
            session.submit(command)
        session.open_epoch(self.market.path.start_ms)

    # ---- what is traded

    def _choose(self) -> tuple[dict[int, Side], list[Legs]]:
        """Instrument -> the side on which takers trade it; and the combinations that are bought, the repeated ones at the end."""
        directions: dict[int, Side] = {}
        chosen: dict[int, list[Legs]] = {legs: [] for legs in self.plan.shapes}
        candidates = {legs: list(self._shapes(legs)) for legs in self.plan.shapes}
        for legs, (count, _) in self.plan.shapes.items():
            self._draw.shuffle(candidates[legs])
            for combination in candidates[legs]:
                if len(chosen[legs]) < count and not any(leg.instrument in directions for leg in combination):
                    chosen[legs].append(combination)
                    directions |= {leg.instrument: Side.BUY if leg.ratio > 0 else Side.SELL for leg in combination}
        wide = [number for number in self._wide() if number not in directions]
        for number in self._draw.sample(wide, self.plan.ladders):
            directions[number] = self._draw.choice((Side.BUY, Side.SELL))
            self._ladders[number] = None
        again = [chosen[legs][i % count] for legs, (count, repeats) in self.plan.shapes.items() for i in range(repeats)]
        return directions, [*(combination for legs in chosen.values() for combination in legs), *again]

    def _wide(self) -> list[int]:
        """Instruments whose prices leave room for quotes."""
        return [one.id for one in self.market.instruments if min(self.table[one.id].mark, self.table[one.id].band) > LADDER_TICKS * one.tick_ticks]

    def _shapes(self, legs: int) -> Iterator[Legs]:
        """Straddles and verticals, butterflies or condors over neighbouring strikes."""
        wide = set(self._wide())
        sides: dict[tuple[int, Kind], list[tuple[int, int]]] = {}
        for one in self.market.instruments:
            if one.id in wide and not one.linear:
                sides.setdefault((one.expiry_ms, one.kind), []).append((one.strike_ticks, one.id))
        ratios = {2: (1, -1), 3: (1, -2, 1), 4: (1, -1, -1, 1)}[legs]
        for (expiry, kind), options in sorted(sides.items()):
            numbers = [number for _, number in sorted(options)]
            for i in range(len(numbers) - legs + 1):
                yield canonical(zip(numbers[i : i + legs], ratios, strict=True))
            if legs == 2 and kind is Kind.CALL:
                puts = dict(sides.get((expiry, Kind.PUT), ()))
                for strike, number in sorted(options):
                    if strike in puts:
                        yield canonical(((number, 1), (puts[strike], 1)))

    # ---- quotes

    def _quote(self, directions: dict[int, Side]) -> None:
        """One deep quote a side, or a ladder on the side that is swept, in turn from every maker."""
        quotes: dict[int, list[Order]] = {i: [] for i in range(len(self.makers))}
        for turn, (number, direction) in enumerate(sorted(directions.items())):
            for side in Side:
                rungs = self.plan.sweeps + 1 if number in self._ladders and side is direction.opposite else 1
                for rung in range(rungs):
                    owner = (turn + rung) % len(self.makers)
                    units = DEEP_UNITS if rungs == 1 else QUOTE_UNITS if rung else QUOTE_UNITS // 2
                    quotes[owner].append(self._rung(number, side, rung, units))
        for trader, orders in zip(self.makers, quotes.values(), strict=True):
            for start in range(0, len(orders), 64):
                self.session.submit(trader.sign_orders([replace(order, nonce=trader.next_nonce + i) for i, order in enumerate(orders[start : start + 64])]))

    def _rung(self, number: int, side: Side, rung: int, units: int) -> Order:
        """A quote so many ticks away from the mark."""
        instrument, mark = self.session.instruments[number], self.table[number].mark
        tick = instrument.tick_ticks
        price = (mark // tick + (2 + rung) * -side.sign) * tick
        self.prices[number, side] = price
        return outright(1, 0, self.session.order_expiry_ms, units * instrument.min_lots, price, number, side, self.session.fee_cap)

    # ---- takers

    def _takes(self, directions: dict[int, Side], wanted: Sequence[Legs]) -> Iterator[tuple[Trader, list[Order]]]:
        """Order sets of one order, in random turn, from every taker in turn."""
        orders = [self._combination(legs) for legs in wanted]
        orders += [self._sweep(number, directions[number]) for number in self._ladders for _ in range(self.plan.sweeps)]
        self._draw.shuffle(orders)
        for i, order in enumerate(orders):
            trader = self.takers[i % len(self.takers)]
            yield trader, [replace(order, nonce=trader.next_nonce)]

    def _sweep(self, number: int, side: Side) -> Order:
        """What is left of one quote and a half of the next."""
        size, price = QUOTE_UNITS * self.session.instruments[number].min_lots, self.prices[number, side.opposite]
        return outright(1, 0, self.session.order_expiry_ms, size, price, number, side, self.session.fee_cap, FLAG_IMMEDIATE_OR_CANCEL)

    def _combination(self, legs: Legs) -> Order:
        """Bought at what the quotes of its legs imply."""
        net = sum(leg.ratio * self.prices[leg.instrument, Side.SELL if leg.ratio > 0 else Side.BUY] for leg in legs)
        cap = self.session.fee_cap * sum(abs(leg.ratio) for leg in legs)
        step = size_step(self.session.instruments, legs)
        return Order(1, 0, self.session.order_expiry_ms, step, net, legs, Side.BUY, cap, FLAG_IMMEDIATE_OR_CANCEL)
