"""A market session: what the operator of an exchange does on its sequencer, from listing to settlement, and what traders' commands did to it.

Deterministic in the recording, the seed and the commands. Everything goes through the sequencer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from straddle.bots.taker import NO_QUOTES, BestQuotes
from straddle.core.commands import Command, InternalDeliver, InternalEpoch, InternalList, InternalMarket, InternalSettle
from straddle.core.events import Event, ProtectionTripped, Trade
from straddle.core.instruments import BTC, Instrument, Settlement
from straddle.core.market_state import MarketState
from straddle.core.orders import Legs
from straddle.core.params import BPS
from straddle.core.rejections import Rejection
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.core.upkeep import to_deliver, to_retire
from straddle.node.feed import MARKS_KEPT, OracleReplay
from straddle.operations.l2_withdraw import available
from straddle.primitives.errors import Actionable
from straddle.risk.expiry import Maturity, maturities
from straddle.risk.inputs import RiskInputs, decode_inputs
from straddle.risk.settlement import settlement_value
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.sequencer import Sequencer

QUOTE_LIFETIME_MS = 60_000
"""Orders of the session's traders expire this long after their table's time."""


class SessionError(Actionable):
    """The market refused what the session needs."""


@dataclass(frozen=True, slots=True)
class Match:
    """One match event: the fills of one order that happened at once."""

    time_ms: int
    fills: tuple[Trade, ...]

    @property
    def multi_leg(self) -> bool:
        """Whether it was on a combination, whose fills share no instrument."""
        return len({fill.instrument for fill in self.fills}) > 1


@dataclass(slots=True)
class MarketSession:
    """One market on one sequencer. `sequencer` must report its log to `oracle.record`."""

    sequencer: Sequencer
    oracle: OracleReplay
    on_epoch: Callable[[SignedEpoch], None] = lambda signed: None
    """Told of each epoch before the exchange enters it: a batch on a table that the poster does not know could never be posted."""
    matches: list[Match] = field(default_factory=list)
    trips: list[ProtectionTripped] = field(default_factory=list)
    """Protections that took a maker's orders out of the market."""
    epochs: list[SignedEpoch] = field(default_factory=list)
    inputs: RiskInputs | None = None
    """Feed values of the table in force."""
    maturities: dict[int, Maturity] = field(default_factory=dict)
    """Expiries as the table in force prices them."""

    @property
    def exchange(self) -> Exchange:
        """The exchange; only read it."""
        return self.sequencer.exchange

    @property
    def table(self) -> RiskTable:
        """The table in force."""
        if self.exchange.table is None:
            raise SessionError("table: none in force, expected an epoch first")
        return self.exchange.table

    @property
    def instruments(self) -> Mapping[int, Instrument]:
        """Listed and not retired, by id."""
        return self.exchange.instruments

    @property
    def vols(self) -> dict[int, int]:
        """Option -> the feed's vol, basis points."""
        return dict(self.inputs.vols) if self.inputs else {}

    @property
    def order_expiry_ms(self) -> int:
        """When orders of now expire."""
        return self.table.time_ms + QUOTE_LIFETIME_MS

    @property
    def fee_cap(self) -> int:
        """The highest fee of a lot under the schedule, rounded up."""
        fees = self.exchange.fees
        return -(-max(fees.taker_bps, fees.maker_bps) * self.table.index_ticks // BPS)

    # ---- the operator

    def list_instruments(self, instruments: Sequence[Instrument]) -> None:
        """The operator lists them; an epoch must follow."""
        self.submit(InternalList(tuple(instruments)))

    def open_epoch(self, time_ms: int) -> SignedEpoch:
        """The next risk table: feed values of that moment, the table that follows from them, signed by the committee."""
        if self.exchange.trading_open:
            self.finish_batch()
        table, signed = self.oracle.next_epoch(self.exchange, self.sequencer.committed, self.epochs[-MARKS_KEPT:], time_ms)
        self.on_epoch(signed)
        self.submit(InternalEpoch(table))
        self.submit(InternalMarket(time_ms, MarketState.OPEN))  # the engine's only clock: intervals, and the age of its table
        self.inputs = decode_inputs(signed.inputs)
        self.maturities = maturities(self.inputs, self.oracle.market.parameters.risk)
        self.epochs.append(signed)
        return signed

    def settle(self, expiry_ms: int) -> tuple[Settlement, ...]:
        """At its expiry: every instrument of it is declared at the settlement price and its holders get their cash, in one batch."""
        self.finish_batch()
        price = self.oracle.market.path.settlement_ticks(expiry_ms, self.oracle.market.parameters.risk)
        self.submit(InternalMarket(max(expiry_ms, self.exchange.time_ms), MarketState.OPEN))
        expired = [instrument for instrument in self.instruments.values() if instrument.expiry_ms == expiry_ms]
        declared = tuple(Settlement(instrument.id, BTC, settlement_value(instrument, price)) for instrument in expired)
        room = self.exchange.capacity.listings
        for start in range(0, len(declared), room):
            self.submit(InternalSettle(declared[start : start + room], ()))
            self.open_epoch(expiry_ms)
        while holders := to_deliver(self.exchange):
            self.submit(InternalDeliver(holders))
        return declared

    def retire(self) -> int:
        """What is settled leaves the table, in a batch of its own (or several); the number of instruments."""
        self.finish_batch()
        words, room = to_retire(self.exchange), self.exchange.capacity.listings
        for start in range(0, len(words), room):
            self.submit(InternalSettle((), words[start : start + room]))
            self.open_epoch(self.table.time_ms)
        return len(words)

    def finish_batch(self) -> None:
        """End the open batch, if there is anything in it to prove."""
        batch = self.exchange.open_batch
        if batch.start or batch.listings:
            self.sequencer.close_batch()

    # ---- commands

    def attempt(self, command: Command) -> tuple[Event, ...] | Rejection:
        """Run a command; its events, trades and tripped protections collected, or why it was refused."""
        answer = self.sequencer.submit(command)
        if isinstance(answer, Rejection):
            return answer
        by_match: dict[int, list[Trade]] = {}
        for event in answer.events:
            if isinstance(event, Trade):
                by_match.setdefault(event.execution, []).append(event)
        self.trips += [event for event in answer.events if isinstance(event, ProtectionTripped)]
        self.matches += [Match(self.table.time_ms, tuple(fills)) for fills in by_match.values()]
        return answer.events

    def submit(self, command: Command) -> tuple[Event, ...]:
        """Run a command that must be accepted; its events."""
        answer = self.attempt(command)
        if isinstance(answer, Rejection):
            raise SessionError(f"{type(command).__name__} refused: {answer.code.value}, {answer.message}")
        return answer

    # ---- what traders see

    def may_sign(self, account: int) -> bool:
        """Whether the account has a key that acts in the open batch already."""
        known, start = self.exchange.accounts.get(account), self.exchange.open_batch.start.get(account)
        return known is not None and known.key_epoch > 0 and (start is None or start.key_epoch == known.key_epoch)

    def withdrawable(self, account: int) -> int:
        """What an account may withdraw now, micro-dollars."""
        return available(self.exchange, account)

    def free_margin(self, account: int) -> int:
        """Equity less IM, micro-dollars, rounded down."""
        return self.exchange.requirement_of(account).surplus_scaled // BPS

    def best(self, legs: Legs) -> BestQuotes:
        """The best levels of a book: (price_ticks, units)."""
        book = self.exchange.book(legs)
        if book is None:
            return NO_QUOTES
        bids, asks = book.bids.depth(1), book.asks.depth(1)
        return BestQuotes(bids[0] if bids else None, asks[0] if asks else None)


def positions_sum(accounts: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Instrument -> sum of all accounts' positions, the zero sums left out."""
    sums: dict[int, int] = {}
    for positions in accounts.values():
        for instrument, size in positions.items():
            sums[instrument] = sums.get(instrument, 0) + size
    return {instrument: total for instrument, total in sums.items() if total}
