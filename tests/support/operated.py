"""An exchange under its operator, without threads of its own, layer 1 or proofs: tests take the steps, and the clock stands until they move it.
Oracle, engine, journal and writer are real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from straddle.core import messages
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.commands import Command, L1Deposit, L1SetKey
from straddle.core.events import Event
from straddle.core.orders import Side, outright
from straddle.core.rejections import Rejection
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.node.clock import MarketClock, Timekeeper
from straddle.node.feed import OracleReplay, RecordedMarket
from straddle.node.market import genesis
from straddle.node.market_state import ByHand
from straddle.node.operator import Operator
from straddle.node.settings import Settings
from straddle.node.slots import Slots
from straddle.node.traders import Trader, wallet_of
from straddle.node.version import exchange_params
from straddle.node.writer import Writer
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Logged, Sequencer

IDENTITY = LogIdentity(31337, 0x1234)
DOMAIN = messages.domain(IDENTITY.chain_id, IDENTITY.rollup)
OPERATOR = 0xFEE
SECRETS = (b"\1" * 32, b"\2" * 32)
SPEED = 2.0
MANY_SLOTS = Slots(255, lambda: 0)


@dataclass
class Epochs:
    """The poster, as far as epochs go."""

    kept: dict[int, SignedEpoch] = field(default_factory=dict)

    def add_epoch(self, epoch: SignedEpoch) -> None:
        self.kept[epoch.epoch] = epoch

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        return [self.kept[number] for number in sorted(self.kept) if after < number <= last]


class Operated:
    """The exchange of `folder`: begun there, or replayed from its journal."""

    def __init__(self, folder: Path, market: RecordedMarket, settings: Settings, slots: Slots = MANY_SLOTS) -> None:
        self.market, self.settings = market, settings
        params = exchange_params(settings.circuit, market.parameters)
        exchange, committed = genesis(settings.circuit, params, market.parameters.fees, DOMAIN, OPERATOR)
        self.closed: list[ClosedBatch] = []
        self.events: list[Event] = []
        oracle = OracleReplay(market, IDENTITY, SECRETS)

        def logged(entries: Sequence[Logged]) -> None:
            oracle.record(entries)
            self.events += [event for entry in entries for event in entry.events]

        self.sequencer = Sequencer(
            exchange,
            committed,
            Journal(folder / "journal.sqlite", IDENTITY),
            wallet_of(1, "sequencer"),
            clock_ms=lambda: 1,
            inclusion_ms=1,
            on_batch=self.closed.append,
            on_logged=logged,
            may_close=slots.may_close,
        )
        self.failures: list[BaseException] = []
        self.folder, self.epochs, self.lag, self.trouble, self.said, self.now_s = folder, Epochs(), 0, "", list[str](), 0.0
        clock = MarketClock(max(market.path.start_ms, exchange.now_ms), SPEED, market.path.end_ms, lambda: self.now_s)
        first = Timekeeper(self.sequencer, clock, settings.epochs.clock_ms)
        self.writer = Writer(self.sequencer, first=first, on_failure=self.failures.append)
        self.writer.start()
        self.operator = Operator(
            settings,
            self.writer,
            self.sequencer,
            oracle,
            self.epochs,
            clock,
            ByHand(folder),
            lag=lambda: self.lag,
            slots=slots,
            trouble=lambda: self.trouble,
            notice=self.said.append,
            on_failure=self.failures.append,
        )

    @property
    def exchange(self) -> Exchange:
        """The exchange; only read it."""
        return self.sequencer.exchange

    @property
    def table(self) -> RiskTable:
        """The table in force, which there must be."""
        assert self.exchange.table is not None
        return self.exchange.table

    def step(self, seconds: float = 0.0) -> None:
        """What the operator does so many wall-clock seconds later."""
        self.now_s += seconds
        self.operator._step()

    def run_until(self, time_ms: int) -> None:
        """Step by step to a moment of the market."""
        while (now := self.operator.clock.now_ms()) < time_ms:
            table_s = self.settings.epochs.seconds - (now - self.table.time_ms) / 1000
            self.step(min(max(table_s, 0.001), (min(self._expiries(now), default=time_ms) - now) / 1000, (time_ms - now) / 1000) / SPEED)

    def _expiries(self, now_ms: int) -> list[int]:
        return [row.expiry_ms for row in self.table.rows if row.expiry_ms > now_ms]

    def do(self, *commands: Command) -> None:
        """Commands that must be accepted."""
        for command, answer in zip(commands, self.writer.submit(commands).result(), strict=True):
            assert not isinstance(answer, Rejection), (command, answer)

    def endow(self, amount: int) -> None:
        """The operator pays into the insurance fund, micro-dollars."""
        self.do(L1Deposit(self.exchange.queue_pointer, INSURANCE_ACCOUNT, OPERATOR, amount))

    def join(self, name: str, amount: int) -> Trader:
        """A trader deposits, micro-dollars, and sets a key, which acts from the next batch on."""
        trader, pointer = Trader.create(1, name, DOMAIN), self.exchange.queue_pointer
        trader.account = max(self.exchange.accounts) + 1
        self.do(L1Deposit(pointer, trader.account, trader.owner, amount), L1SetKey(pointer + 1, trader.account, trader.owner, trader.key.public))
        return trader

    def trade(self, buyer: Trader, seller: Trader, instrument: int, lots: int) -> None:
        """At the mark, rounded down to a tick."""
        table, tick = self.table, self.exchange.instruments[instrument].tick_ticks
        price = max(1, table[instrument].mark // tick) * tick
        for trader, side in ((seller, Side.SELL), (buyer, Side.BUY)):
            self.do(trader.sign_orders([outright(trader.next_nonce, 0, table.time_ms + 60_000, lots, price, instrument, side, 10_000)]))

    def close(self) -> None:
        """End the writer, the sequencer and the journal; nothing may have failed."""
        self.writer.stop()
        self.sequencer.close()
        assert self.failures == []
