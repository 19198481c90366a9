"""Signed commands up to their receipts: verification, the engine, the journal on disk, state trees at each cut of a batch, a signed receipt for each."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from eth_account import Account

from benchmarks.flow import make_flow
from benchmarks.measure import SEED, Results
from straddle.api.hub import Hub
from straddle.api.tape import Tape
from straddle.commitments.ledger import CommittedState
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, L2Trade
from straddle.core.events import OrderRejected
from straddle.core.orders import MAX_ORDERS_PER_SET, Side, outright
from straddle.core.rejections import Rejection
from straddle.core.state import Exchange
from straddle.proving.presets import load_preset
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Accepted, Logged, Sequencer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.market import CALL, DOMAIN, HOUR_MS, OPERATOR, PERPETUAL, PUT, TIME_MS, Market

SUBJECT = "sequencer"
PRESET = "standard"
ORDERS, TRADERS, GROUP = 3_000, 24, 512
QUOTE_SETS, MAKERS = 120, 4
LATENCY_SETS, CANCELS, OPEN_ORDERS = 100, 100, 1_000
SET_BAR_MS, CANCEL_BAR_MS = 0.8, 10.0
IDENTITY = LogIdentity(1, 2)
NO_CHANGES: Mapping[str, int] = {}
ROOM = dict.fromkeys(("signatures", "orders", "legs", "fills"), 1 << 16)
"""For a batch that holds everything."""

OnLogged = Callable[[Sequence[Logged]], None]


def _nobody(entries: Sequence[Logged]) -> None:
    """Who hears of entries when no interface is attached."""


@dataclass(slots=True)
class Prepared:
    """A sequencer with funded accounts, and what it is to be given."""

    sequencer: Sequencer
    commands: list[L2Trade]


def run(results: Results) -> None:
    """Orders in sets of one, quotes in sets of 64; the time that one set of 64 takes, and one cancel of 1,000 orders."""
    with tempfile.TemporaryDirectory() as root:
        places = iter(Path(root) / f"{i}.sqlite" for i in range(1_000))
        note = f"sets of one order, {GROUP} commands a group: signatures, engine, journal, receipts; no batch is cut"
        results.time_prepared(
            SUBJECT, "signed orders accepted", ORDERS, lambda: signed_orders(next(places), ORDERS, ROOM), _submit_orders, note=note, bar_per_second=10_000
        )
        note = f"the same in batches of `{PRESET}`: at each cut the state trees and the openings that a witness needs"
        results.time_prepared(SUBJECT, "signed orders accepted, batches cut", ORDERS, lambda: signed_orders(next(places), ORDERS), _submit_orders, note=note)
        note = f"sets of 64 amendments, {QUOTE_SETS} sets a group: signatures, engine, journal, receipts"
        results.time_prepared(
            SUBJECT,
            "signed quotes accepted",
            QUOTE_SETS * MAX_ORDERS_PER_SET,
            lambda: signed_quotes(next(places), QUOTE_SETS),
            lambda ready: submit(ready, QUOTE_SETS),
            note=note,
            bar_per_second=60_000,
        )
        results.time_prepared(
            SUBJECT,
            "signed quotes accepted, interface attached",
            QUOTE_SETS * MAX_ORDERS_PER_SET,
            lambda: signed_quotes(next(places), QUOTE_SETS, Tape(Hub()).record),
            lambda ready: submit(ready, QUOTE_SETS),
            note="the same as in a running node: trades kept, every channel counted; nobody has subscribed",
        )
        _latency(results, next(places))
        _cancel_all(results, next(places))


def _sequencer(market: Market, path: Path, on_logged: OnLogged = _nobody) -> Sequencer:
    """A sequencer that stands where the market does."""
    made = market.exchange
    exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=made.params, capacity=made.capacity)
    sequencer = Sequencer(
        exchange,
        CommittedState.genesis(made.params, OPERATOR),
        Journal(path, IDENTITY),
        Account.from_key(b"\1" * 32),
        clock_ms=lambda: TIME_MS,
        inclusion_ms=600_000,
        on_batch=lambda closed: None,
        on_logged=on_logged,
    )
    for command in market.commands:
        if command is None:
            sequencer.close_batch()
        else:
            _accepted(sequencer, [command])
    return sequencer


def _market(*accounts: int, **changes: int) -> Market:
    preset = load_preset(PRESET)
    capacity = Capacity.of_preset({item.name: getattr(preset, item.name) for item in fields(Capacity)} | changes)
    market = Market(capacity, account_depth=preset.account_depth)
    for start in range(0, len(accounts), preset.queue // 2):
        market.join(*accounts[start : start + preset.queue // 2], dollars=100_000_000)
    return market


def signed_orders(path: Path, count: int, changes: Mapping[str, int] = NO_CHANGES) -> Prepared:
    """A flow of limit orders on one instrument, 30 % of them crossing; batches of the preset, or with other row counts."""
    market = _market(*range(3, 3 + 2 * TRADERS), **changes)
    commands = []
    for order in make_flow(count, SEED, TRADERS):
        account = 3 + order.trader
        commands.append(market.trade(account, market.order(account, CALL, Side.BUY if order.buy else Side.SELL, order.price_ticks, order.size_lots)))
    return Prepared(_sequencer(market, path), commands)


def signed_quotes(path: Path, sets: int, on_logged: OnLogged = _nobody) -> Prepared:
    """Market makers in turn, each set moving all 64 quotes of its maker on three instruments."""
    market = _market(*range(3, 3 + MAKERS))
    mids = {CALL: 20_000, PUT: 15_000, PERPETUAL: 900_000}
    commands = []
    for turn in range(sets):
        account, revision = 3 + turn % MAKERS, turn // MAKERS
        orders = []
        for i in range(MAX_ORDERS_PER_SET):
            instrument, side = (CALL, PUT, PERPETUAL)[i % 3], Side(i % 2)
            limit = mids[instrument] - side.sign * 50 * (1 + (i // 6 + revision) % 10)
            orders.append(outright(1 + i, revision, TIME_MS + HOUR_MS, 100, limit, instrument, side, 5_000))
        commands.append(market.trade(account, *orders))
    return Prepared(_sequencer(market, path, on_logged), commands)


def _submit_orders(ready: Prepared) -> None:
    submit(ready, GROUP)


def submit(ready: Prepared, group: int) -> None:
    """Give a sequencer its commands, `group` at a time; all must be accepted."""
    for start in range(0, len(ready.commands), group):
        _accepted(ready.sequencer, ready.commands[start : start + group])


def _accepted(sequencer: Sequencer, commands: Sequence[Command]) -> None:
    _check(sequencer.submit_many(commands))


def _check(answers: Sequence[Accepted | Rejection]) -> None:
    for answer in answers:
        assert isinstance(answer, Accepted), answer.message
        assert not any(isinstance(event, OrderRejected) for event in answer.events)


def _latency(results: Results, path: Path) -> None:
    """A set of 64 by itself, as the only command of its group."""
    ready = signed_quotes(path, LATENCY_SETS)
    taken = []
    for command in ready.commands:
        begun = time.process_time()
        answers = ready.sequencer.submit_many([command])
        taken.append((time.process_time() - begun) * 1_000)
        _check(answers)
    note = f"{LATENCY_SETS} sets one by one, each with its receipt; CPU time, waiting for the disk is not counted"
    results.fact(SUBJECT, "a signed set of 64 quotes, median", sorted(taken)[len(taken) // 2], "ms", bar=SET_BAR_MS, note=note)


def _cancel_all(results: Results, path: Path) -> None:
    """A maker fills the book and takes everything back, again and again."""
    market, account, taken = _market(3), 3, []
    sequencer = _sequencer(market, path)
    for _ in range(CANCELS):
        first = market.nonces.get(account, 0) + 1
        for start in range(0, OPEN_ORDERS, 50):
            orders = [market.order(account, CALL, Side.BUY, 15_000 + 50 * ((start + i) % 90), 10) for i in range(50)]
            _accepted(sequencer, [market.trade(account, *orders)])
        assert len(sequencer.exchange.open_orders[account]) == OPEN_ORDERS
        cancel = market.cancel(account, first + OPEN_ORDERS)
        begun = time.process_time()
        _accepted(sequencer, [cancel])
        taken.append((time.process_time() - begun) * 1_000)
        assert account not in sequencer.exchange.open_orders
    note = f"of {CANCELS} runs, journal and receipt included; CPU time, waiting for the disk is not counted"
    results.fact(SUBJECT, f"cancel-all of {OPEN_ORDERS:,} orders, p99", sorted(taken)[-(-99 * len(taken) // 100) - 1], "ms", bar=CANCEL_BAR_MS, note=note)
