"""The trade flow that every architecture settles: the recorded night (or its first hours) through the real engine, on a layer 1 of its own.

Nothing is posted here. What was closed is kept, to be taken to layer 1 at the moments of a simulated clock (`settling`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from straddle.bots.pnl import FlowTrade
from straddle.core.batch import OpenBatch
from straddle.core.commands import Command, InternalEpoch, L2Trade
from straddle.core.events import Trade
from straddle.core.rejections import Rejection
from straddle.core.risk_table import RiskTable
from straddle.node.chain import QueueReader
from straddle.node.config import DemoConfig
from straddle.node.demo import DEPOSITS, Owners, deposit_of
from straddle.node.exchange import Exchange, Identity
from straddle.node.market import Market
from straddle.node.network import Network
from straddle.node.night import Night, Schedule
from straddle.node.session import SessionError
from straddle.node.summary import flow_of, matches_of
from straddle.node.traders import address_of
from straddle.research.margins import Book
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.sequencer import ClosedBatch, Sequencer


class WatchedSequencer:
    """A sequencer whose answers to order sets are timed, and whose tables are kept. Everything else passes through."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self.seconds: list[float] = []
        self.tables: list[RiskTable] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sequencer, name)

    def submit(self, command: Command) -> Any:
        """As the sequencer's."""
        begun = time.perf_counter()
        answer = self._sequencer.submit(command)
        if isinstance(command, L2Trade):
            self.seconds.append(time.perf_counter() - begun)
        if isinstance(command, InternalEpoch) and not isinstance(answer, Rejection):
            self.tables.append(command.table)
        return answer


@dataclass(frozen=True, slots=True)
class FlowMatch:
    """A match event, with what another venue needs to repeat it."""

    epoch: int
    """The risk epoch on whose table it traded."""
    hedge: bool
    """Whether a maker hedged by it."""
    fills: tuple[Trade, ...]
    """A leg of a combination each."""


@dataclass(slots=True)
class Flow:
    """A flow that has been traded."""

    closed: list[ClosedBatch] = field(default_factory=list)
    epochs: list[SignedEpoch] = field(default_factory=list)
    tables: list[RiskTable] = field(default_factory=list)
    """Of all epochs, in order."""
    matches: list[FlowMatch] = field(default_factory=list)
    """In order."""
    trades: dict[int, int] = field(default_factory=dict)
    """Batch -> match events."""
    hedges: dict[int, int] = field(default_factory=dict)
    """Batch -> those by which a maker hedged."""
    fills: dict[int, int] = field(default_factory=dict)
    """Batch -> fills of all its trades: one a leg."""
    hedge_fills: dict[int, int] = field(default_factory=dict)
    """Batch -> those of its hedges."""
    ends_ms: dict[int, int] = field(default_factory=dict)
    """Batch -> when its successor's table began: the moment at which it is complete."""
    soft_seconds: tuple[float, ...] = ()
    maker: list[FlowTrade] = field(default_factory=list)
    """Option fills of the maker who hedges."""
    books: tuple[Book, ...] = ()
    """What accounts held after the last round of trading, before withdrawals and settlement."""
    table: RiskTable | None = None
    """Table of that moment."""
    notional_micros: int = 0
    end_ms: int = 0

    @property
    def first_trading(self) -> int:
        """Place of the first batch that holds trades."""
        return next(place for place, closed in enumerate(self.closed) if self.trades[closed.batch.number])

    def moments_s(self, batch: OpenBatch) -> list[float]:
        """Of a batch's trades, spread evenly over its time. Unix seconds."""
        assert batch.table is not None
        begun, count = batch.table.time_ms / 1_000, self.trades[batch.number]
        length = self.ends_ms[batch.number] / 1_000 - begun
        return [begun + length * (i + 0.5) / count for i in range(count)]


def trade(config: DemoConfig, market: Market, network: Network, folder: Path) -> Flow:
    """Deposits on `network`, then the night. SessionError when the flow holds no trade at all, or none in options of the maker who hedges."""
    flow = Flow()
    identity = Identity(network.identity, network.domain, network.params, address_of(network.operator), network.sequencer, network.secrets)
    exchange = Exchange(config, market, identity, folder, flow.closed.append, flow.epochs.append)
    watched = WatchedSequencer(exchange.sequencer)
    exchange.session.sequencer = watched  # type: ignore[assignment]  # it passes everything through
    schedule = Schedule.plan(market, epoch_minutes=config.epoch_minutes, rounds=config.rounds, hours=config.hours)
    night = Night(market, exchange.session, exchange.crowd, Owners(network, QueueReader(network.client, 0)), schedule, exchange.sub_account)
    network.insure(DEPOSITS["insurance"])
    for trader in (*exchange.traders, exchange.sub_account):
        network.join(trader, deposit_of(exchange, trader))
    for place in night.run():
        if place < len(schedule.epochs):
            _keep_books(flow, exchange)
    flow.soft_seconds, flow.tables = tuple(watched.seconds), watched.tables
    flow.maker = [fill for fill in flow_of(exchange) if not fill.instrument.linear]
    flow.end_ms = schedule.expiry_ms or schedule.epochs[-1] + config.epoch_minutes * 60_000
    _count(flow, exchange)
    exchange.sequencer.close()
    if not any(flow.trades.values()):
        raise SessionError("flow: no trade, expected some: more rounds or hours")
    if not flow.maker:
        raise SessionError("flow: the hedging maker traded no option, expected some: more rounds, hours or takers")
    return flow


def _keep_books(flow: Flow, exchange: Exchange) -> None:
    """The books as they stand now, while anybody holds anything."""
    accounts = exchange.sequencer.exchange.accounts
    books = tuple(Book(number, dict(account.positions)) for number, account in sorted(accounts.items()) if account.positions)
    if books:
        flow.books, flow.table = books, exchange.session.table


def _count(flow: Flow, exchange: Exchange) -> None:
    """What each batch holds."""
    hedges, places = set(exchange.crowd.hedge_matches), matches_of(exchange)
    lots = sum(fill.size_lots for match in exchange.session.matches for fill in match.fills)
    flow.notional_micros = lots * exchange.market.path.recording.index_ticks
    for closed in flow.closed:
        number, table = closed.batch.number, closed.batch.table
        found = [FlowMatch(table.epoch if table else 0, place in hedges, exchange.session.matches[place].fills) for place in places[number]]
        flow.matches += found
        flow.trades[number], flow.hedges[number] = len(found), sum(match.hedge for match in found)
        flow.fills[number] = sum(len(match.fills) for match in found)
        flow.hedge_fills[number] = sum(len(match.fills) for match in found if match.hedge)
    times = [closed.batch.table.time_ms for closed in flow.closed if closed.batch.table is not None]
    moments = sorted({*times, *(epoch.time_ms for epoch in flow.epochs)})
    for closed in flow.closed:
        assert closed.batch.table is not None
        begun = closed.batch.table.time_ms
        flow.ends_ms[closed.batch.number] = next((moment for moment in moments if moment > begun), flow.end_ms)
