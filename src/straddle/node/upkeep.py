"""What the operator of an exchange does at each risk epoch: it settles, retires and lists, enters the table, pays holders out, and brings auctions on.

Everything follows from the state, so a restart goes on where a crash left off. Runs in the writer: nothing comes between words and the table that covers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from straddle.core.commands import Command, InternalDeleverage, InternalDeliver, InternalEpoch, InternalLiquidate, InternalList, InternalMarket, InternalSettle
from straddle.core.events import AuctionBegun, AuctionEnded, Deleveraged, Event, TakenOver
from straddle.core.instruments import Settlement
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection
from straddle.core.upkeep import to_deleverage, to_deliver, to_liquidate, to_retire
from straddle.node.feed import MARKS_KEPT, OracleReplay
from straddle.primitives.errors import Actionable
from straddle.risk.inputs import decode_inputs
from straddle.risk.settlement import settlement_value
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.sequencer import Sequencer


class EpochKeeper(Protocol):
    """The poster, as far as epochs go."""

    def add_epoch(self, epoch: SignedEpoch) -> None:
        """Keep a signed epoch before the exchange enters it."""

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        """Signed epochs, in order."""


class OperatorError(Actionable):
    """The exchange refused what its operator must do."""


@dataclass(slots=True)
class Upkeep:
    """`advance` takes the exchange to a moment of the market."""

    sequencer: Sequencer
    oracle: OracleReplay
    epochs: EpochKeeper
    instruments_max: int
    """Instruments listed at a time at most."""
    notice: Callable[[str], None]

    def advance(self, time_ms: int, state: MarketState, *, growing: bool) -> None:
        """One risk epoch and what goes with it.

        `growing`: whether there is room for work that can wait and has to be proved: new listings, retirements.
        OperatorError: the exchange refuses words or a table. PathError: the recording does not cover the moment.
        """
        exchange = self.sequencer.exchange
        self._must(InternalMarket(max(time_ms, exchange.time_ms), state))
        words: list[InternalSettle | InternalList] = [*self._settlements(time_ms)]
        if growing:
            words += [*self._retirements(), *self._listings(time_ms)]
        if exchange.instruments and (not words or not exchange.trading_open):  # a crash may have come between words and their table
            self._epoch(time_ms)
        for command in words:
            self._must(command)
            self._epoch(time_ms)
        self._auctions()

    def deliver(self) -> None:
        """Pay holders of what is settled, at most as many as one batch holds: the market answers before the next ones. While no batch may be closed they
        wait."""
        exchange = self.sequencer.exchange
        if exchange.settlements and exchange.trading_open and (holders := to_deliver(exchange)):
            self._may(InternalDeliver(holders))

    # ---- words of the listings chain, at most as many at a time as a batch absorbs

    def _settlements(self, time_ms: int) -> Iterator[InternalSettle]:
        exchange, market = self.sequencer.exchange, self.oracle.market
        expired = [instrument for instrument in exchange.instruments.values() if instrument.expiry_ms <= time_ms and instrument.id not in exchange.settlements]
        past = self._past() if expired else []
        prices = dict(decode_inputs(past[-1].inputs).settlements) if past else {}  # a price that oracles have published stays
        prices = {expiry: prices.get(expiry) or market.path.settlement_ticks(expiry, market.parameters.risk) for expiry in {item.expiry_ms for item in expired}}
        words = [Settlement(instrument.id, instrument.underlying, settlement_value(instrument, prices[instrument.expiry_ms])) for instrument in expired]
        for expiry in sorted(prices):
            count = sum(instrument.expiry_ms == expiry for instrument in expired)
            self.notice(f"{count} instruments expired and settle at an index of {prices[expiry] / 100:,.2f}")
        for start in range(0, len(words), self._room):
            yield InternalSettle(tuple(words[start : start + self._room]), ())

    def _retirements(self) -> Iterator[InternalSettle]:
        words = to_retire(self.sequencer.exchange)
        for start in range(0, len(words), self._room):
            yield InternalSettle((), words[start : start + self._room])

    def _listings(self, time_ms: int) -> Iterator[InternalList]:
        exchange = self.sequencer.exchange
        words = self.oracle.market.due(time_ms, exchange.instruments.values(), exchange.listing_count + 1, self.instruments_max)
        if words:
            self.notice(f"{len(words)} instruments listed")
        for start in range(0, len(words), self._room):
            yield InternalList(words[start : start + self._room])

    @property
    def _room(self) -> int:
        return self.sequencer.exchange.capacity.listings

    # ---- the table, and whom it leaves short

    def _epoch(self, time_ms: int) -> None:
        """A new table. The poster keeps it first: a batch on a table that it does not know could never be posted."""
        table, signed = self.oracle.next_epoch(self.sequencer.exchange, self.sequencer.committed, self._past(), time_ms)
        self.epochs.add_epoch(signed)
        self._must(InternalEpoch(table))

    def _past(self) -> list[SignedEpoch]:
        last = self.sequencer.epoch
        return self.epochs.epochs(last - MARKS_KEPT, last)

    def _auctions(self) -> None:
        """Each auction one step on. A refusal means that nothing is due, or that nobody can take the account now: the next epoch tries again."""
        exchange = self.sequencer.exchange
        for account in to_liquidate(exchange):
            self._may(InternalLiquidate(account))
        for account in to_deleverage(exchange):
            self._may(InternalDeleverage(account))

    # ---- commands

    def _must(self, command: Command) -> None:
        answer = self.sequencer.submit(command)
        if isinstance(answer, Rejection):
            raise OperatorError(f"{type(command).__name__} refused: {answer.code.value}, {answer.message}")

    def _may(self, command: Command) -> None:
        answer = self.sequencer.submit(command)
        if not isinstance(answer, Rejection):
            for event in answer.events:
                text = _told(event)
                if text:
                    self.notice(text)


def _told(event: Event) -> str:
    """What the operator should read of a liquidation."""
    match event:
        case AuctionBegun():
            return f"account {event.account} is below its maintenance margin: its auction begins"
        case AuctionEnded():
            return f"account {event.account}: the auction has ended"
        case TakenOver():
            return f"account {event.account}: the insurance fund took the portfolio for {event.payment / 1e6:,.2f} USDC"
        case Deleveraged():
            return f"account {event.account}: {abs(event.size_lots)} lots of instrument {event.instrument} closed against account {event.winner}"
    return ""
