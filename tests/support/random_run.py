"""Random command sequences on one exchange with a small preset, audited after every command."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

from straddle.core.commands import Command, InternalEpoch, L1Deposit, L1SetKey, L2Protect, L2Trade, L2Withdraw
from straddle.core.events import Event, OrderCancelled, OrderRejected, ProtectionTripped, Trade
from straddle.core.market_state import MarketState
from straddle.core.orders import Order
from straddle.core.rejections import RejectionCode
from support.audit import ProtectionAudit, audit_batch, audit_carried, audit_exchange, audit_market, audit_rule, audit_trades, carried
from support.market import BUY, CALL, DOLLARS, HOUR_MS, NANO, PERPETUAL, PUT, SELL, Market, picture, table

ACCOUNTS = (3, 4, 5)
CENTRES = {CALL: 20_000, PUT: 15_000, PERPETUAL: 900_000}


LEGS: list[dict[int, int]] = [
    *[{CALL: 1}] * 6,
    *[{PUT: 1}] * 3,
    *[{PERPETUAL: 1}] * 3,
    *[{CALL: 1, PUT: -1}] * 3,
    {CALL: 1, PUT: 1},
    {CALL: 2, PUT: -3},
    {CALL: 1, PUT: -1, PERPETUAL: -1},
]
"""Instrument -> signed ratio: outrights, and some combinations."""


class Run:
    """One exchange under random commands, audited after each."""

    def __init__(self, account_depth: int = 20, slot_depth: int = 3, dollars: int = 120) -> None:
        self.market = Market(NANO, account_depth=account_depth, slot_depth=slot_depth)
        self.market.join(*ACCOUNTS, dollars=dollars)
        self.exchange = self.market.exchange
        self.deposited, self.withdrawn = 3 * dollars * DOLLARS, 0
        self.signed: dict[tuple[int, int, int], Order] = {}
        self.filled: Counter[tuple[int, int]] = Counter()
        self.revision = 0
        self.protections = ProtectionAudit()
        self.seen: Counter[str] = Counter()
        """Cancel reasons, rejection codes, trips."""

    def order(self, account: int, wanted: dict[str, Any]) -> Order:
        last = self.market.nonces.get(account, 0)
        changes: dict[str, Any] = {} if wanted["nonce"] == "new" else {"nonce": max(1, last - (9 if wanted["nonce"] == "older" else 0))}
        self.revision += 1
        legs = wanted["legs"]
        limit = sum(ratio * CENTRES[instrument] for instrument, ratio in legs.items()) + 50 * wanted["step"]
        units = sum(map(abs, legs.values()))
        return self.market.combination(
            account,
            legs,
            BUY if wanted["buy"] else SELL,
            limit,
            10 * wanted["tens"] if len(legs) == 1 else 10 * min(wanted["tens"], 30),
            revision=self.revision,
            flags=wanted["flags"],
            expiry_ms=self.exchange.context.table.time_ms + wanted["minutes"] * HOUR_MS // 60,
            fee_cap=wanted["fee_cap"] * units,
            **changes,
        )

    def command(self, kind: str, first: Any, second: Any) -> Command:
        market = self.market
        if kind == "trade":
            orders = tuple(self.order(first, wanted) for wanted in second)
            self.signed.update({(first, order.nonce, order.revision): order for order in orders})
            return market.trade(first, *orders)
        if kind == "deposit":
            return market.deposit(first, second)
        if kind == "withdraw":
            return market.withdraw(first, second * 1_000_000)
        if kind == "cancel":
            return market.cancel(first, max(1, market.nonces.get(first, 0) - second))
        if kind == "market":
            return market.state(first, second)
        if kind == "protect":
            return market.protect(first, *second)
        if kind == "key":
            generation = market.generations.get(first, 0) + 1
            return market.set_key(first, generation) if second else replace(market.set_key(first), owner=0xBAD)
        current = self.exchange.table
        assert kind == "epoch" and current is not None
        shift = first * 500
        return InternalEpoch(
            table(
                current.epoch + 1,
                max(current.time_ms, self.exchange.time_ms) + second * 60_000,
                row_1={"value": 20_000 + shift},
                row_2={"value": 15_000 - shift // 2},
                row_3={"value": 899_000 + shift, "funding": 1_000 - shift // 10},
            )
        )

    def step(self, kind: str, first: Any, second: Any) -> None:
        if kind == "cut":
            audit_batch(self.market.cut(), self.exchange.params)
            return
        command = self.command(kind, first, second)
        before = picture(self.exchange)
        positions = {account.id: dict(account.positions) for account in self.exchange.accounts.values()}
        good = carried(self.exchange)
        outcome = self.market.do(command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            assert picture(self.exchange) == before
            audit_batch(self.market.cut(), self.exchange.params)
            before, outcome = picture(self.exchange), self.market.do(command)
            assert outcome.rejection is None or outcome.rejection.code is not RejectionCode.BATCH_BOUNDARY
        if outcome.rejection is not None:
            assert picture(self.exchange) == before
            self.seen[f"refused {outcome.rejection.code}"] += 1
            return
        for event in outcome.events:
            if isinstance(event, OrderCancelled):
                self.seen[f"cancelled {event.reason}"] += 1
            elif isinstance(event, OrderRejected):
                self.seen[f"refused {event.rejection.code}"] += 1
            elif isinstance(event, ProtectionTripped):
                self.seen["tripped"] += 1
        self._count_trades(outcome.events)
        if isinstance(command, L1Deposit):
            self.deposited += command.amount
        elif isinstance(command, L2Withdraw):
            self.withdrawn += command.amount
        elif isinstance(command, L1SetKey):
            self.market.generations[first] = self.market.generations.get(first, 0) + 1
        elif isinstance(command, L2Trade):
            audit_trades(self.exchange, outcome.events, self.signed, self.filled)
            audit_market(self.exchange, positions, outcome.events)
            audit_carried(self.exchange, good, first, outcome.events)
        elif isinstance(command, L2Protect):
            self.protections.used[first] = self.exchange.time_ms, 0, 0
            assert not good.get(first) or carried(self.exchange).get(first, True)
        self.protections.follow(self.exchange, outcome.events)
        audit_exchange(self.exchange, self.deposited, self.withdrawn)
        audit_rule(self.exchange)

    def _count_trades(self, events: tuple[Event, ...]) -> None:
        """Executions of two combinations, of a combination against outrights, of a reduce-only order."""
        executions: dict[int, list[Trade]] = {}
        for trade in (event for event in events if isinstance(event, Trade)):
            executions.setdefault(trade.execution, []).append(trade)
            for order in ((trade.taker, trade.taker_nonce, trade.taker_revision), (trade.maker, trade.maker_nonce, trade.maker_revision)):
                self.seen["reduce-only fills"] += self.signed[order].reduce_only
        for trades in executions.values():
            if len({trade.instrument for trade in trades}) > 1:
                makers = {(trade.maker, trade.maker_nonce) for trade in trades}
                self.seen["combinations" if len(makers) == 1 else "implied"] += 1

    def replay(self) -> None:
        """The same commands on a fresh exchange give the same state and the same batches."""
        params = self.exchange.params
        fresh = Market(NANO, account_depth=params.account_depth, slot_depth=params.slot_depth, open_=False).exchange
        self.market.assert_replays_on(fresh)


STATES = [MarketState.OPEN] * 24 + list(MarketState)
LATER_MS = [0, 1_000, 1_000, 1_000, 1_000, 1_000, 60_000, 60_000, 1_000_000]
PROTECTIONS = [(5_000, 2_000, 150, 0), (60_000, 1_000, 1_000, 300_000), (5_000, 0, 0, 200_000), (60_000, 60_000, 55, 0), (0, 0, 0, 0)]
WEIGHTS = {"trade": 60, "market": 8, "protect": 4, "epoch": 6, "deposit": 3, "withdraw": 4, "cancel": 2, "key": 1, "cut": 2}


def random_action(rng: Random) -> tuple[str, Any, Any]:
    """One step of a run, most of them orders that are good."""
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    account = rng.choice(ACCOUNTS)
    if kind == "trade":
        orders = [{"legs": rng.choice(LEGS), "buy": rng.random() < 0.5, "step": rng.randint(-2, 2),
                   "tens": rng.choice([0, 1, 3, 10, 10, 30, 60, 200]), "flags": rng.choices([0, 1, 2, 4, 8, 9, 5], [62, 14, 6, 5, 8, 4, 1])[0],
                   "nonce": rng.choice(["new"] * 12 + ["last", "older"]),
                   "minutes": rng.choice([60, 60, 2]), "fee_cap": rng.choice([5_000] * 9 + [270])} for _ in range(rng.choice([1, 1, 1, 2, 4]))]  # fmt: skip
        return kind, account, orders
    values: dict[str, list[Any]] = {"deposit": [0, 1, 20], "withdraw": [1, 10, 30, 10**6], "cancel": [0, 1, 3], "key": [True, True, False], "cut": [None]}
    if kind == "epoch":
        return kind, rng.choice([-4, 0, 0, 1, 8, 30]), rng.choice([0, 1, 3])
    if kind == "market":
        return kind, rng.choice(STATES), rng.choice(LATER_MS)
    if kind == "protect":
        return kind, account, rng.choice(PROTECTIONS)
    return kind, account, rng.choice(values[kind])


def seeded_run(seed: int, steps: int, **depths: int) -> Run:
    """A run that follows from its seed; its last batch is closed."""
    rng, run = Random(seed), Run(**depths)
    for _ in range(steps):
        run.step(*random_action(rng))
    run.step("cut", None, None)
    return run
