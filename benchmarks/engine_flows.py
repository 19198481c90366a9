"""What the engine is measured on: seeded flows through the whole transition, and through the sequencer. Any process can make them, and has the same."""

from __future__ import annotations

import hashlib
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import sequencer
from benchmarks.flow import FlowOrder, Tally, make_flow
from benchmarks.measure import SEED
from straddle.core.batch import OpenBatch
from straddle.core.commands import L2Trade
from straddle.core.events import OrderCancelled, OrderRejected, Trade
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet, Side, Signature, outright
from straddle.core.rejections import RejectionCode
from straddle.core.state import Exchange
from straddle.operations import l2_trade
from straddle.primitives import keys
from straddle.transition import transition

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.market import CALL, HOUR_MS, PERPETUAL, PUT, ROOMY, TIME_MS, Market, picture

TRADERS = 64
CAPACITY = replace(ROOMY, accounts=512, positions=4_096, signatures=4_096, orders=4_096, legs=4_096, fills=4_096, queue=512)
UNSIGNED = Signature(0, 0, 0)

Ready = tuple[Market, list[L2Trade]]
Sequenced = tuple[tempfile.TemporaryDirectory[str], sequencer.Prepared]
"""The journal's folder, and what writes there."""


# ---- the whole transition


def prepare_transition(flow: Sequence[FlowOrder], *, sign: bool = False) -> Ready:
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


def run_transition(ready: Ready) -> Tally:
    """Every rule of the engine: entry, reservation of margin, matching, the rule of both accounts, netting rows; batches are cut when full."""
    market, commands = ready
    exchange, lots, notional = market.exchange, 0, 0
    for command in commands:
        outcome = transition(exchange, command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            market.cut()
            outcome = transition(exchange, command)
        assert outcome.rejection is None, outcome.rejection.message
        for event in outcome.events:
            if isinstance(event, Trade):
                lots += event.size_lots
                notional += event.size_lots * event.price_ticks
            assert not isinstance(event, OrderRejected | OrderCancelled), event
    return Tally(lots, notional)


def run_unverified(ready: Ready) -> Tally:
    """The engine has no door around signatures, and gets none: the benchmark replaces the verification itself."""
    with patch.object(keys, "verify", lambda *_: True):
        return run_transition(ready)


def run_unsigned(ready: Ready) -> Tally:
    """Neither is what a signature signs, the root of the set, hashed: each set has a number instead, since signature rows are told apart by it."""
    numbers = itertools.count(1)
    with patch.object(keys, "verify", lambda *_: True), patch.object(l2_trade, "order_set_payload", lambda _: next(numbers)):
        return run_transition(ready)


def prepare_quotes(sets: int) -> Ready:
    """A market maker with 64 quotes on three instruments, each set moving all of them."""
    market = Market(CAPACITY)
    market.join(3, dollars=100_000_000)
    mids, key_epoch = {CALL: 20_000, PUT: 15_000, PERPETUAL: 900_000}, market.exchange.accounts[3].key_epoch
    commands = []
    for revision in range(sets):
        orders = []
        for i in range(MAX_ORDERS_PER_SET):
            instrument, side = (CALL, PUT, PERPETUAL)[i % 3], Side(i % 2)
            limit = mids[instrument] - side.sign * 50 * (1 + (i // 6 + revision) % 10)
            orders.append(outright(1 + i, revision, TIME_MS + HOUR_MS, 100, limit, instrument, side, 5_000))
        commands.append(L2Trade(OrderSet(3, key_epoch, tuple(orders), UNSIGNED)))
    return market, commands


def run_quotes(ready: Ready) -> None:
    """Sets of quotes that do not trade."""
    market, commands = ready
    with patch.object(keys, "verify", lambda *_: True):
        for command in commands:
            outcome = transition(market.exchange, command)
            assert outcome.accepted and not any(isinstance(event, OrderRejected) for event in outcome.events)


# ---- for other processes


@dataclass(frozen=True, slots=True)
class Flow:
    """`prepare` makes an exchange and what it is given, so many orders (not counted); `run` gives it; `end_state` tells two outcomes apart."""

    operations: int
    """Orders that are measured."""
    prepare: Callable[[int], Any]
    run: Callable[[Any], Tally | None]
    end_state: Callable[[Any], str]


def end_state(exchange: Exchange, closed: Sequence[OpenBatch]) -> str:
    """A digest of everything in an exchange, and of every row of the batches that it closed."""
    batches = [[getattr(batch, item.name) for item in fields(batch) if item.name != "table"] for batch in closed]
    return hashlib.sha256(repr((picture(exchange), batches)).encode()).hexdigest()


def _transition(operations: int, run: Callable[[Ready], Tally], *, sign: bool = False) -> Flow:
    return Flow(operations, lambda orders: prepare_transition(make_flow(orders, SEED), sign=sign), run, _market_end)


def _market_end(ready: Ready) -> str:
    return end_state(ready[0].exchange, ready[0].closed)


def _sequencer_orders(orders: int) -> Sequenced:
    folder = tempfile.TemporaryDirectory()
    return folder, sequencer.signed_orders(Path(folder.name) / "journal.sqlite", orders, sequencer.ROOM)


def _sequencer_quotes(quotes: int) -> Sequenced:
    folder = tempfile.TemporaryDirectory()
    return folder, sequencer.signed_quotes(Path(folder.name) / "journal.sqlite", quotes // MAX_ORDERS_PER_SET)


def _submit(ready: Sequenced) -> None:
    sequencer.submit(ready[1], sequencer.GROUP)


def _sequencer_end(ready: Sequenced) -> str:
    return end_state(ready[1].sequencer.exchange, ())


FLOWS = {
    "transition": _transition(20_000, run_unsigned),
    "transition, hashed": _transition(20_000, run_unverified),
    "transition, signatures verified": _transition(2_000, run_transition, sign=True),
    "sequencer, signed orders": Flow(sequencer.ORDERS, _sequencer_orders, _submit, _sequencer_end),
    "sequencer, signed quotes": Flow(sequencer.QUOTE_SETS * MAX_ORDERS_PER_SET, _sequencer_quotes, _submit, _sequencer_end),
}
"""By name. The sequencer's have signatures, journal and receipts."""
