"""The book and the whole transition, against two public matching engines, on one seeded flow. All must agree on what was traded."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import peer_engines
from benchmarks.flow import CROSSING_SHARE, FlowOrder, Tally, make_flow
from benchmarks.measure import SEED, Contender, Results
from straddle.core.batch import OpenBatch
from straddle.core.book import Book, RestingOrder
from straddle.core.commands import L2Trade
from straddle.core.events import OrderCancelled, OrderRejected, Trade
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet, Side, Signature, outright
from straddle.core.rejections import RejectionCode
from straddle.core.state import close_batch
from straddle.operations import l2_trade
from straddle.primitives import keys
from straddle.transition import transition

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.market import CALL, HOUR_MS, PERPETUAL, PUT, ROOMY, TIME_MS, Market

SUBJECT = "engine"
SHORT, LONG, SIGNED = 2_000, 20_000, 2_000
"""Orders of the flow that every engine runs, of the one for the faster engines, and of the one with real signatures."""
TRADERS = 64
QUOTE_SETS = 50
CAPACITY = replace(ROOMY, accounts=512, positions=4_096, signatures=4_096, orders=4_096, legs=4_096, fills=4_096, queue=512)
UNSIGNED = Signature(0, 0, 0)


def run(results: Results) -> None:
    """Orders a second on a short flow with every engine, then on a long one without the slowest."""
    short, long = make_flow(SHORT, SEED), make_flow(LONG, SEED)
    results.fact(SUBJECT, "share of crossing orders", sum(order.crossing for order in long) / LONG, "", note=f"{CROSSING_SHARE} asked for")
    _on_flow(results, short, [*_OURS, *peer_engines.available(results, SUBJECT)])
    _on_flow(results, long, [*_OURS, *peer_engines.available(results, SUBJECT, only=("lightmatchingengine",))])
    _signed(results, make_flow(SIGNED, SEED))
    note = "64 amendments a set that do not trade: signature verification replaced by True, hashing included"
    results.time_prepared(SUBJECT, "transition, quotes amended in sets of 64", QUOTE_SETS * MAX_ORDERS_PER_SET, _prepare_quotes, _run_quotes, note=note)


def _on_flow(results: Results, flow: Sequence[FlowOrder], engines: Sequence[peer_engines.Engine]) -> None:
    tallies: dict[str, Tally] = {}
    contenders = [_contender(engine, flow, tallies) for engine in engines]
    timed = results.race(SUBJECT, contenders, rounds=5 if len(flow) == SHORT else 3)
    measured = dict(zip((engine.name for engine in engines), timed, strict=True))
    expected = tallies[_OURS[0].name]
    results.fact(SUBJECT, f"lots traded, {len(flow):,} orders", expected.lots, "lots", note="every engine that is compared traded these, for the same money")
    for name, tally in tallies.items():
        if tally != expected:
            results.leave_out(SUBJECT, f"agreement of {name}, {len(flow):,} orders", f"traded {tally}, expected {expected}: not the same work")
    for ours in _OURS:
        for name, theirs in measured.items():
            if name not in {engine.name for engine in _OURS} and tallies[name] == expected:
                results.compare(f"{ours.name} / {name}, {len(flow):,} orders", measured[ours.name], theirs)


def _contender(engine: peer_engines.Engine, flow: Sequence[FlowOrder], tallies: dict[str, Tally]) -> Contender:
    def trade(ready: Any) -> None:
        tallies[engine.name] = engine.run(ready)

    name = f"{engine.name}, {len(flow):,} orders"
    return Contender(name, len(flow), trade, lambda: engine.prepare(flow), engine.note, engine.bar_per_second)


def _signed(results: Results, flow: Sequence[FlowOrder]) -> None:
    """The same commands with real signatures, each verified."""
    name = f"transition, signatures verified, {len(flow):,} orders"
    results.time_prepared(
        SUBJECT, name, len(flow), lambda: _prepare_transition(flow, sign=True), _run_transition, note="one order a set", bar_per_second=10_000
    )


# ---- the book by itself


def _prepare_book(flow: Sequence[FlowOrder]) -> list[OrderSet]:
    ready = []
    for nonce, order in enumerate(flow, 1):
        side = Side.BUY if order.buy else Side.SELL
        signed = outright(nonce, 0, TIME_MS + HOUR_MS, order.size_lots, order.price_ticks, CALL, side, 0)
        ready.append(OrderSet(order.trader, 1, (signed,), UNSIGNED))
    return ready


def _run_book(ready: Sequence[OrderSet]) -> Tally:
    """Price-time matching on core/book.py with nothing else: no margin, no fees, no draft. Makes its own entry of each order and a trade of each fill,
    as the peers do."""
    book = Book()
    trades: list[tuple[tuple[int, int], tuple[int, int], int, int]] = []
    for order_set in ready:
        order = order_set.orders[0]
        incoming = RestingOrder(order_set.account, order, order_set, 0, 0, order.size_lots)
        buys, limit = order.side is Side.BUY, order.limit_ticks
        against = book.side(order.side.opposite)
        while incoming.left_lots:
            best = against.best_ticks()
            if best is None or (best > limit if buys else best < limit):
                break
            maker = next(iter(against))
            size = min(incoming.left_lots, maker.left_lots)
            incoming.left_lots -= size
            maker.left_lots -= size
            trades.append((incoming.key, maker.key, best, size))
            if not maker.left_lots:
                against.remove(maker)
        if incoming.left_lots:
            book.side(order.side).add(incoming)
    return Tally(sum(size for *_, size in trades), sum(price * size for *_, price, size in trades))


# ---- the whole transition


def _prepare_transition(flow: Sequence[FlowOrder], *, sign: bool = False) -> tuple[Market, list[L2Trade]]:
    """A market with funded accounts, and one command an order."""
    market = Market(CAPACITY)
    accounts = range(3, 3 + 2 * TRADERS)
    market.join(*accounts, dollars=100_000_000)
    commands = []
    for order in flow:
        account = 3 + order.trader
        signed = market.order(account, CALL, Side.BUY if order.buy else Side.SELL, order.price_ticks, order.size_lots)
        key_epoch = market.exchange.accounts[account].key_epoch
        commands.append(market.trade(account, signed) if sign else L2Trade(OrderSet(account, key_epoch, (signed,), UNSIGNED)))
    return market, commands


def _run_transition(ready: tuple[Market, list[L2Trade]]) -> Tally:
    """Every rule of the engine: entry, reservation of margin, matching, the rule of both accounts, netting rows; batches are cut when full."""
    market, commands = ready
    exchange, lots, notional = market.exchange, 0, 0
    finished: list[OpenBatch] = []
    for command in commands:
        outcome = transition(exchange, command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            finished.append(close_batch(exchange))
            outcome = transition(exchange, command)
        assert outcome.rejection is None, outcome.rejection.message
        for event in outcome.events:
            if isinstance(event, Trade):
                lots += event.size_lots
                notional += event.size_lots * event.price_ticks
            assert not isinstance(event, OrderRejected | OrderCancelled), event
    return Tally(lots, notional)


def _run_unverified(ready: tuple[Market, list[L2Trade]]) -> Tally:
    """The engine has no door around signatures, and gets none: the benchmark replaces the verification itself."""
    with patch.object(keys, "verify", lambda *_: True):
        return _run_transition(ready)


def _run_unsigned(ready: tuple[Market, list[L2Trade]]) -> Tally:
    """Neither is what a signature signs, the root of the set, hashed: each set has a number instead, since signature rows are told apart by it."""
    numbers = itertools.count(1)
    with patch.object(keys, "verify", lambda *_: True), patch.object(l2_trade, "order_set_payload", lambda _: next(numbers)):
        return _run_transition(ready)


def _prepare_quotes() -> tuple[Market, list[L2Trade]]:
    """A market maker with 64 quotes on three instruments, each set moving all of them."""
    market = Market(CAPACITY)
    market.join(3, dollars=100_000_000)
    mids, key_epoch = {CALL: 20_000, PUT: 15_000, PERPETUAL: 900_000}, market.exchange.accounts[3].key_epoch
    commands = []
    for revision in range(QUOTE_SETS):
        orders = []
        for i in range(MAX_ORDERS_PER_SET):
            instrument, side = (CALL, PUT, PERPETUAL)[i % 3], Side(i % 2)
            limit = mids[instrument] - side.sign * 50 * (1 + (i // 6 + revision) % 10)
            orders.append(outright(1 + i, revision, TIME_MS + HOUR_MS, 100, limit, instrument, side, 5_000))
        commands.append(L2Trade(OrderSet(3, key_epoch, tuple(orders), UNSIGNED)))
    return market, commands


def _run_quotes(ready: tuple[Market, list[L2Trade]]) -> None:
    market, commands = ready
    with patch.object(keys, "verify", lambda *_: True):
        for command in commands:
            outcome = transition(market.exchange, command)
            assert outcome.accepted and not any(isinstance(event, OrderRejected) for event in outcome.events)


_OURS = (
    peer_engines.Engine("straddle book", _prepare_book, _run_book, "core/book.py in a plain matching loop: no margin, no signatures"),
    peer_engines.Engine(
        "straddle transition",
        _prepare_transition,
        _run_unsigned,
        "margin reserved and checked; without signatures: verification replaced by True, the root of a set, which it signs, by a number",
        50_000,
    ),
    peer_engines.Engine("straddle transition, hashed", _prepare_transition, _run_unverified, "verification replaced by True; order sets of one hashed"),
)
