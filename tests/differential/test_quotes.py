"""The kernel's way for quotes against its definition, `matching.place`, under commands of every kind: the same answers, and the same exchange to the order of
its dicts, after each of them. What the definition does is the old engine's."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from simulation import traffic as ordinary
from support.kernels import compiled
from support.market import DOLLARS, OPERATOR, picture, secret
from support.quoting import LISTING, Quoting

from straddle.commitments.ledger import CommittedState
from straddle.core.capacity import Capacity
from straddle.core.combinations import size_step
from straddle.core.commands import Command, L1Deposit, L1SetKey, L2Trade
from straddle.core.fees import FeeSchedule
from straddle.core.orders import OrderSet
from straddle.core.params import Limits, Params
from straddle.core.rejections import RejectionCode
from straddle.core.state import Exchange, close_batch
from straddle.core.trading import Trading
from straddle.operations import l2_trade
from straddle.primitives import keys
from straddle.sequencer import snapshots
from straddle.transition import Outcome, transition

TIGHT = Capacity(
    accounts=6, positions=16, instruments=12, signatures=8, orders=10, fills=8, legs=14,
    queue=4, withdrawals=2, listings=12, transfers=1, takeovers=1, deleverages=4,
)  # fmt: skip
"""Most batches end in the middle of a set."""
WIDE = replace(TIGHT, accounts=20, positions=320, signatures=200, orders=400, fills=400, legs=500, queue=24)
STEPS = 300


class Engine:
    """An exchange whose sets go in by the kernel, or one by one."""

    def __init__(self, params: Params, capacity: Capacity, limits: Limits, fees: FeeSchedule, *, by_kernel: bool) -> None:
        self.exchange = Exchange.genesis(domain=ordinary.DOMAIN, operator=OPERATOR, params=params, capacity=capacity, limits=limits, fees=fees)
        self.committed = CommittedState.genesis(params, OPERATOR)
        self.enter = l2_trade.enter_quotes if by_kernel else lambda trading, order_set, root, start: start
        self.taken = 0

    def do(self, command: Command, patch: pytest.MonkeyPatch) -> tuple[Outcome, int]:
        """The answer, and the state root when the batch had to be cut for it. A refusal leaves everything as it was."""
        patch.setattr(l2_trade, "enter_quotes", self._counted)
        before, root = picture(self.exchange), 0
        outcome = transition(self.exchange, command)
        if outcome.rejection is not None:
            assert picture(self.exchange) == before
            if outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
                root = self.cut()
                outcome = transition(self.exchange, command)
        return outcome, root

    def cut(self) -> int:
        """The batch ends; the state root."""
        return self.committed.apply_batch(close_batch(self.exchange)).after.root

    def restart(self) -> None:
        """From a snapshot."""
        self.exchange, self.committed = snapshots._load(Path("snapshot"), snapshots._dump(self.exchange, self.committed))

    def _counted(self, trading: Trading, order_set: OrderSet, root: int, start: int) -> int:
        end = self.enter(trading, order_set, root, start)
        self.taken += end - start
        return end


def everything(exchange: Exchange) -> bytes:
    """`picture`, and the orders of dicts that it does not show."""
    sides = [side for book in (*exchange.books.values(), *exchange.combination_books.values()) for side in (book.bids, book.asks)]
    levels = [(side._prices, {price: list(level) for price, level in side._levels.items()}) for side in sides]
    orders: Any = list(exchange.open_orders), list(exchange.exposures), list(exchange.combination_books)
    return hashlib.sha256(repr((picture(exchange), levels, orders)).encode()).digest()


def check_sizes(exchange: Exchange) -> None:
    """No order fills more than was signed, and what is left of those that rest is whole."""
    for resting in (resting for orders in exchange.open_orders.values() for resting in orders.values()):
        assert 0 < resting.left_lots <= resting.order.size_lots and resting.left_lots % size_step(exchange.instruments, resting.order.legs) == 0
    for use in exchange.open_batch.order_uses:
        before = use.slot_before.filled if use.slot_before.nonce == use.order.nonce else 0
        assert 0 < use.fill <= use.order.size_lots - before


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_of_everything_as_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.Quotes  # else both would go in one by one
    monkeypatch.setattr(keys, "verify", lambda *signed: True)
    monkeypatch.setattr(ordinary, "FIRST_LISTING", LISTING)
    rng, params = Random(seed), Params(8, (2, 3, 6)[seed % 3], 10_000, 8_000, 7)
    limits = (Limits(positions=8, open_orders=64), Limits(positions=3, open_orders=9))[seed % 2]
    fees = (FeeSchedule(), FeeSchedule(10, 7, 300))[seed // 2 % 2]
    one, other = (Engine(params, (TIGHT, WIDE)[seed // 3], limits, fees, by_kernel=by_kernel) for by_kernel in (True, False))
    traffic, queue, seen = Quoting(rng, params.slots), list[ordinary.Entry](), Counter[str]()
    for account in ordinary.ACCOUNTS:
        owner = ordinary.owner_of(account)
        queue.append(L1Deposit(len(queue), account, owner, rng.choice((300, 3_000, 100_000, 5_000_000_000)) * DOLLARS))
        queue.append(L1SetKey(len(queue), account, owner, secret(account).public))
    for _ in range(STEPS):
        if rng.random() < 0.05:
            queue.append(replace(traffic.layer1_entry(), queue_index=len(queue)))
        if rng.random() < 0.02 and one.exchange.trading_open:
            assert one.cut() == other.cut()
            one.restart()
            other.restart()
        command = traffic.next(one.exchange, queue)
        answer = one.do(command, monkeypatch)
        assert answer == other.do(command, monkeypatch)
        assert everything(one.exchange) == everything(other.exchange)
        check_sizes(one.exchange)
        seen["a batch cut in a set"] += bool(answer[1]) and isinstance(command, L2Trade)
        for event in answer[0].events:
            seen[type(event).__name__] += 1
    assert one.taken > 100 and other.taken == 0
    assert min(seen["OrderRejected"], seen["OrderCancelled"]) > 50 and (seed >= 3 or seen["a batch cut in a set"]), seen
