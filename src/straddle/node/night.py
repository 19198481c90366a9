"""The recorded night, as a script: when risk epochs are, in which of them takers trade, and what happens besides, from the listing to the withdrawals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from straddle.bots.structures import structures
from straddle.commitments.data import QueueEntry
from straddle.core.commands import InternalDeleverage, InternalLiquidate
from straddle.core.events import AuctionBegun, AuctionEnded, Deleveraged, Event, ForcePaid, TakenOver
from straddle.core.liquidation import is_below_maintenance
from straddle.core.orders import Side
from straddle.core.rejections import Rejection
from straddle.core.upkeep import to_liquidate
from straddle.node.crowd import Crowd, Taker
from straddle.node.market import Market
from straddle.node.session import MarketSession
from straddle.node.traders import Trader

MINUTE_MS = 60_000
THIN_ORDERS = 6
"""Orders with which the thin taker uses up its margin."""


class Requests(Protocol):
    """What the night needs of layer 1 while it goes on."""

    def pending(self, pointer: int) -> Sequence[QueueEntry]:
        """Entries of the queue from `pointer` on."""

    def force_withdraw(self, trader: Trader, amount_micros: int) -> None:
        """The trader's owner asks for money on layer 1."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Risk epochs and what they are for. Times are unix milliseconds."""

    epochs: tuple[int, ...]
    """Their times, ascending, the first at the snapshot, all before the expiry that settles."""
    rounds: frozenset[int]
    """Places of those in which takers trade."""
    expiry_ms: int | None
    """What settles at the end; None when the run ends before any expiry."""

    @classmethod
    def plan(cls, market: Market, *, epoch_minutes: int, rounds: int, hours: int) -> Schedule:
        """To the first expiry if candles and `hours` reach it, else as far as they do."""
        start, step = market.path.start_ms, epoch_minutes * MINUTE_MS
        expiry = market.expiries[0]
        reached = expiry < market.path.end_ms and expiry - start <= hours * 60 * MINUTE_MS
        end = expiry if reached else min(start + hours * 60 * MINUTE_MS, market.path.end_ms)
        epochs = tuple(range(start, end, step))
        count = min(rounds, len(epochs))
        chosen = frozenset(place * (len(epochs) - 1) // max(count - 1, 1) for place in range(count))
        return cls(epochs, chosen, expiry if reached else None)


@dataclass(slots=True)
class Happenings:
    """What happened besides trades. Accounts and micro-dollars."""

    auctions: list[AuctionBegun] = field(default_factory=list)
    ended: list[AuctionEnded] = field(default_factory=list)
    takeovers: list[TakenOver] = field(default_factory=list)
    deleverages: list[Deleveraged] = field(default_factory=list)
    transfers: list[tuple[int, int, int]] = field(default_factory=list)
    """(from, to, amount)."""
    withdrawals: list[tuple[Trader, int]] = field(default_factory=list)
    forced: list[tuple[Trader, int, int]] = field(default_factory=list)
    """(trader, asked, paid)."""
    settled: dict[int, int] = field(default_factory=dict)
    """Instrument -> settlement value, ticks."""
    retired: int = 0

    @property
    def payees(self) -> tuple[Trader, ...]:
        """Traders whose owners have money to pull on layer 1."""
        return (*(trader for trader, _ in self.withdrawals), *(trader for trader, _, paid in self.forced if paid))

    @property
    def paid(self) -> int:
        """What left the exchange for their owners, micro-dollars."""
        return sum(amount for _, amount in self.withdrawals) + sum(paid for _, _, paid in self.forced)

    def note(self, events: Sequence[Event]) -> None:
        """Sort events of liquidations into place."""
        for event in events:
            if isinstance(event, AuctionBegun):
                self.auctions.append(event)
            elif isinstance(event, AuctionEnded):
                self.ended.append(event)
            elif isinstance(event, TakenOver):
                self.takeovers.append(event)
            elif isinstance(event, Deleveraged):
                self.deleverages.append(event)


@dataclass(slots=True)
class Night:
    """One run of the script. `run` yields after every epoch, so that the caller can do something else in between."""

    market: Market
    session: MarketSession
    crowd: Crowd
    requests: Requests
    schedule: Schedule
    sub_account: Trader
    """Another account of the first taker's owner."""
    progress: Callable[[str], None] = lambda text: None
    happened: Happenings = field(default_factory=Happenings)
    _round: int = 0
    _turn: int = 0

    def run(self) -> Iterator[int]:
        """Everything, the place of each epoch after it."""
        self._open()
        for place, time_ms in enumerate(self.schedule.epochs):
            if place:
                self.session.open_epoch(time_ms)
            begun = self._watch()
            if place in self.schedule.rounds:
                self._scripted_round()
            elif begun:  # there is a batch to prove: takers use it
                self._trade(self._regular[len(self.happened.auctions) % 2 :: 2])
            else:
                self.crowd.quote()
            yield place
        if self.schedule.expiry_ms is not None:
            self.progress("settlement at the average of the last half hour")
            settled = self.session.settle(self.schedule.expiry_ms)
            self.happened.settled = {word.instrument: word.value_ticks for word in settled}
            self.happened.retired = self.session.retire()
        self._resolve_all()
        leaving = self._withdraw_at_the_end()
        self._trade([taker for taker in self._regular if taker not in leaving])
        self.session.finish_batch()
        yield len(self.schedule.epochs)

    @property
    def _regular(self) -> list[Taker]:
        return [taker for taker in self.crowd.takers if not taker.thin]

    # ---- opening

    def _open(self) -> None:
        """Listings and what waits in layer 1's queue, as much as fits a batch at a time. Keys act from the next batch: whoever has one by then trades."""
        instruments, capacity, session = self.market.instruments, self.session.exchange.capacity, self.session
        waiting = list(self.requests.pending(0))
        for start in range(0, len(instruments), capacity.listings):
            session.finish_batch()
            session.list_instruments(instruments[start : start + capacity.listings])
            session.open_epoch(self.schedule.epochs[0])
            for command in waiting[: capacity.queue]:
                session.submit(command)
            del waiting[: capacity.queue]
            if start and start + capacity.listings < len(instruments):
                self._trade([taker for taker in self._regular if session.may_sign(taker.trader.account)])
        for command in waiting:
            session.submit(command)
        if any(not session.may_sign(trader.account) for trader in self._everybody):
            session.finish_batch()

    @property
    def _everybody(self) -> tuple[Trader, ...]:
        return (*(maker.trader for maker in self.crowd.makers), *(taker.trader for taker in self.crowd.takers), self.sub_account)

    # ---- epochs

    def _scripted_round(self) -> None:
        """A round, with what the script has for it besides trading."""
        number, last = self._round, max(len(self.schedule.rounds) - 1, 1)
        self._round += 1
        self._resolve_all()
        regular = self._regular
        chosen = regular[number % 2 :: 2] or regular
        if number == last // 2:
            self._force(regular[-1])
            chosen = regular[:-1]
        if number == min(2, last):
            self._transfer(regular[0].trader)
        self._trade(chosen, thin=number == 0)
        if number == last * 3 // 4:
            self._withdraw(max(regular, key=lambda taker: self.session.withdrawable(taker.trader.account)).trader, part=2)

    def _trade(self, takers: Sequence[Taker], *, thin: bool = False) -> None:
        """Protections, quotes, takers, hedges, on the table in force; the thin taker first when it is its turn."""
        self._turn += 1
        self.crowd.protect()
        hot = self.crowd.hot(self._turn)
        near = [leg.instrument for structure in self.crowd.structures() for leg in structure.legs]
        self.crowd.quote((*hot, *near))
        if thin:
            self._fill_thin()
        self.crowd.trade(hot, takers)
        self.crowd.hedge()

    def _fill_thin(self) -> None:
        """The thin taker buys the straddle at the money of the nearest expiry with all the margin that it has."""
        session = self.session
        expiry = self.market.expiries[0]
        found = structures(list(session.instruments.values()), expiry, session.maturities[expiry].forward_ticks, strikes=1)
        for taker in self.crowd.takers:
            for _ in range(THIN_ORDERS if taker.thin and found else 0):
                if not self.crowd.take_structure(taker, found[0], Side.BUY):
                    break

    def _transfer(self, trader: Trader) -> None:
        amount = self.session.withdrawable(trader.account) // 4
        if amount:
            self.session.submit(trader.sign_transfer(self.sub_account.account, amount))
            self.happened.transfers.append((trader.account, self.sub_account.account, amount))

    def _force(self, taker: Taker) -> None:
        """A taker's owner goes to layer 1 for half of what is there; the exchange answers in this batch, in which nothing else may touch the account."""
        asked = max(1, self.session.withdrawable(taker.trader.account) // 2)
        self.requests.force_withdraw(taker.trader, asked)
        for command in self.requests.pending(self.session.exchange.queue_pointer):
            for event in self.session.submit(command):
                if isinstance(event, ForcePaid):
                    self.happened.forced.append((taker.trader, event.asked, event.paid))

    def _withdraw(self, trader: Trader, part: int = 1) -> None:
        amount = self.session.withdrawable(trader.account) // part
        if amount:
            answer = self.session.attempt(trader.sign_withdrawal(amount))
            if not isinstance(answer, Rejection):
                self.happened.withdrawals.append((trader, amount))

    def _withdraw_at_the_end(self) -> list[Taker]:
        """Half of the takers, as far as a batch has withdrawals, take out what they may; who they are."""
        session = self.session
        richest = sorted(self._regular, key=lambda taker: -session.withdrawable(taker.trader.account))
        leaving = richest[: min(session.exchange.capacity.withdrawals, (len(richest) + 1) // 2)]
        for taker in leaving:
            self._withdraw(taker.trader)
        return leaving

    # ---- liquidation

    def _watch(self) -> bool:
        """Whoever is below maintenance margin goes for sale; whether anybody did."""
        exchange = self.session.exchange
        begun = [number for number in to_liquidate(exchange) if exchange.accounts[number].auction is None]
        for number in begun:
            self.happened.note(self.session.submit(InternalLiquidate(number)))
            self.progress(f"account {number} is below its maintenance margin: its portfolio is for sale")
        return bool(begun)

    def _resolve_all(self) -> None:
        """What is for sale since an earlier batch: makers bid; else the auction ends, or the insurance fund takes it, or it is deleveraged."""
        exchange = self.session.exchange
        for number, account in sorted(exchange.accounts.items()):
            if account.auction is None or number in exchange.open_batch.sealed:
                continue
            if account.positions and is_below_maintenance(exchange.requirement_of(number)) and self.crowd.bid(number):
                self.happened.takeovers += self.crowd.takeovers[-1:]
                continue
            answer = self.session.attempt(InternalLiquidate(number))
            if isinstance(answer, Rejection):
                answer = self.session.attempt(InternalDeleverage(number))
            if not isinstance(answer, Rejection):
                self.happened.note(answer)
