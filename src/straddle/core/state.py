"""The exchange: everything that commands change, and the cut between batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, NULL_ACCOUNT, Account
from straddle.core.batch import OpenBatch
from straddle.core.book import Book, RestingOrder
from straddle.core.capacity import Capacity, Usage
from straddle.core.exposure import Exposure, RiskContext
from straddle.core.fees import FeeSchedule
from straddle.core.instruments import Instrument
from straddle.core.margin import Requirement, requirement
from straddle.core.market_state import MarketState
from straddle.core.orders import Legs
from straddle.core.params import Limits, Params
from straddle.core.protection import Protection
from straddle.core.rejections import InvariantBroken
from straddle.core.risk_table import RiskTable
from straddle.core.settlement import settled_cash, unsettled
from straddle.core.undo import UndoLog
from straddle.core.units import Units

NO_POSITIONS: Mapping[int, int] = {}


@dataclass(slots=True)
class Exchange:
    """The state of one exchange. `straddle.transition.transition` and `close_batch` are its only writers."""

    domain: int
    params: Params
    limits: Limits
    capacity: Capacity
    fees: FeeSchedule
    accounts: dict[int, Account]
    open_batch: OpenBatch
    instruments: dict[int, Instrument] = field(default_factory=dict)
    """Instruments listed and not retired, by id, ascending."""
    listing_count: int = 0
    """Instruments ever listed; retired ones are no longer in `instruments` nor `books`."""
    settlements: dict[int, int] = field(default_factory=dict)
    """Instrument -> its declared settlement value in ticks; retired ones are absent."""
    table: RiskTable | None = None
    """The risk table in force; None before the first epoch."""
    trading_open: bool = False
    """Whether `table` covers exactly the listed instruments. While it does not, only listings, epochs and market states are accepted."""
    books: dict[int, Book] = field(default_factory=dict)
    """By instrument."""
    combination_books: dict[Legs, Book] = field(default_factory=dict)
    """By legs; combinations without open orders are absent."""
    open_orders: dict[int, dict[int, RestingOrder]] = field(default_factory=dict)
    """account -> slot index -> the order resting there, earlier turns first; accounts without any are absent."""
    market: MarketState = MarketState.OPEN
    """The operator's choice; `market_state` is what holds."""
    time_ms: int = 0
    """The sequencer's time as it was last told; 0 when it never was."""
    protections: dict[int, Protection] = field(default_factory=dict)
    """account -> its market-maker protection; accounts that never set one are absent."""
    queue_pointer: int = 0
    """Layer-1 queue entries answered so far."""
    next_sequence: int = 1
    """Log sequence of the next accepted command; refused commands take none."""
    exposures: dict[int, Exposure] = field(default_factory=dict)
    """Derived: account -> its risk on `table`. Absent means no positions and no open orders."""
    usage: Usage = field(default_factory=Usage)
    """Derived: rows of `open_batch`."""
    _units: Units | None = field(default=None, repr=False, compare=False)

    @classmethod
    def genesis(
        cls, *, domain: int, operator: int, params: Params, capacity: Capacity, fees: FeeSchedule | None = None, limits: Limits | None = None
    ) -> Exchange:
        """Batch 0: the fee account and the insurance fund, owned by `operator` (a 160-bit address), and nothing else; batch 1 is open.

        ValueError when the limits let an account outgrow the preset: two accounts with `limits.positions` each must fit one batch, or some
        trade could never be proved.
        """
        limits = limits or Limits(positions=capacity.positions // 2)
        if not 0 < operator < 1 << 160:
            raise ValueError(f"operator: {operator:#x}, expected a non-zero address of 160 bits")
        if not 0 < 2 * limits.positions <= capacity.positions:
            raise ValueError(f"limits.positions: {limits.positions}, expected 1 to {capacity.positions // 2} (half of the preset's position rows)")
        accounts = {id_: Account(id_, owner=operator) for id_ in (FEE_ACCOUNT, INSURANCE_ACCOUNT)}
        return cls(domain, params, limits, capacity, fees or FeeSchedule(), accounts, OpenBatch(1, None, 1, 0, 0, 0))

    @property
    def context(self) -> RiskContext:
        """What accounts are valued with. Only while a table is in force."""
        return self.units.context

    @property
    def units(self) -> Units:
        """What orders trade in on the table in force."""
        units = self._units
        if units is None or units.table is not self.table:
            if self.table is None:
                raise InvariantBroken("table: none in force, expected one before any valuation")
            units = self._units = Units(RiskContext(self.table, self.params, self.fees), self.instruments)
        return units

    @property
    def now_ms(self) -> int:
        """The time as far as the engine knows: the table's or the sequencer's, whichever is later; 0 before both."""
        return max(self.time_ms, self.table.time_ms if self.table is not None else 0)

    @property
    def market_state(self) -> MarketState:
        """The market's state: the operator's, but cancel-only at least while the table is too old."""
        table = self.table
        if table is None or self.time_ms - table.time_ms <= self.limits.table_age_ms_max or self.market is MarketState.HALTED:
            return self.market
        return MarketState.CANCEL_ONLY

    def positions_of(self, account: int) -> Mapping[int, int]:
        """Positions of an account, which may not exist."""
        known = self.accounts.get(account)
        return NO_POSITIONS if known is None else known.positions

    def requirement_of(self, account: int) -> Requirement:
        """An account's equity, IM, MM and settled cash on the current table, from scratch."""
        return requirement(self.accounts[account].cash, self.accounts[account].positions, self.context.table, self.params)

    def old_side(self, account: int) -> tuple[int, Mapping[int, int]]:
        """The rule's old side: cash plus deposits, and positions, as of the start of the open batch."""
        start = self.open_batch.start.get(account) or self.accounts[account]
        return start.cash + self.open_batch.deposits.get(account, 0), start.positions

    def settled_side(self, account: int) -> tuple[int, dict[int, int]]:
        """Cash and positions of an account once those in settled instruments are turned into cash."""
        known, table = self.accounts[account], self.context.table
        return known.cash + settled_cash(known.positions, table), unsettled(known.positions, table)

    def touch(self, account: int, undo: UndoLog | None = None) -> Account:
        """The account, created when new, about to change in its cash (upwards), keys, nonces or auction: its state before the batch is kept.

        Call before changing it. What pays out or moves positions wants `open_positions`.
        """
        if account == NULL_ACCOUNT:
            raise InvariantBroken("account: 0, expected the null account to stay untouched")
        known = self.accounts.get(account)
        if known is None:
            known = self.accounts[account] = Account(account)
        if account not in self.open_batch.start:
            self.open_batch.start[account] = known.copy()
            if undo is not None:
                undo.note((self.open_batch.start.pop, (account,)))
        return known

    def open_positions(self, account: int, undo: UndoLog | None = None) -> Account:
        """The account, about to change in any way: it gets position rows, and its positions in settled instruments turn into cash. Call before changing it."""
        known = self.touch(account, undo)
        if account not in self.open_batch.opened:
            self.open_batch.opened[account] = None
            held = len(known.positions)
            self.usage.position_rows += held
            cash, positions = self.settled_side(account)
            if undo is not None:
                undo.note((self._close_positions, (account, known.cash, known.positions)))
            if len(positions) < held:
                exposure = self.exposures[account]
                for instrument, size in known.positions.items():
                    if instrument not in positions:
                        exposure.move(instrument, -size)
                known.cash, known.positions = cash, positions
                if undo is None:
                    self.drop_empty_exposure(account)
        return known

    def _close_positions(self, account: int, cash: int, positions: dict[int, int]) -> None:
        """Undoes `open_positions`."""
        known = self.accounts[account]
        for instrument, size in positions.items():
            if instrument not in known.positions:
                self.exposures[account].move(instrument, size)
        known.cash, known.positions = cash, positions
        self.usage.position_rows -= len(positions)
        del self.open_batch.opened[account]

    def change_position(self, account: int, instrument: int, lots: int) -> Account:
        """A position of an account with opened positions grows by `lots`, signed; its exposure and row follow. Returns the account."""
        known = self.accounts[account]
        positions = known.positions
        old = positions.get(instrument, 0)
        new = old + lots
        if new:
            positions[instrument] = new
        else:
            positions.pop(instrument, None)
        exposure = self.exposures.get(account)
        if exposure is None:
            exposure = self.exposures[account] = self.context.exposure()
        exposure.move(instrument, lots)
        if instrument not in self.open_batch.start[account].positions:
            self.usage.position_rows += (new != 0) - (old != 0)
        return known

    def breaks_reduced(self, account: int, instrument: int, size: int) -> bool:
        """Whether a position of `size` lots could not stand at the end of the open batch: one that was reduced in it stays between 0 and its start."""
        if (account, instrument) not in self.open_batch.reduced:
            return False
        return not self.is_reduction(account, instrument, size)

    def is_reduction(self, account: int, instrument: int, size: int) -> bool:
        """Whether `size` lots lie between 0 and the position before the batch, which is not 0."""
        start = (self.open_batch.start.get(account) or self.accounts[account]).positions.get(instrument, 0)
        return 0 <= size <= start if start > 0 else start <= size <= 0 and start < 0

    def book(self, legs: Legs) -> Book | None:
        """The book of an instrument (one leg) or combination; None where no order rests in a combination."""
        return self.books[legs[0].instrument] if len(legs) == 1 else self.combination_books.get(legs)

    def add_order(self, resting: RestingOrder) -> None:
        """An order joins its book and its account's open orders; one with its nonce and price that is there is exchanged in place."""
        order = resting.order
        book = self.book(order.legs)
        if book is None:
            book = self.combination_books[order.legs] = Book()
        (book.bids if order.side else book.asks).add(resting)
        orders = self.open_orders.get(resting.account)
        if orders is None:
            orders = self.open_orders[resting.account] = {}
        orders[order.nonce % self.params.slots] = resting

    def remove_order(self, resting: RestingOrder) -> None:
        """An open order leaves its book and its account's open orders."""
        order, account = resting.order, resting.account
        legs, outright = order.legs, len(order.legs) == 1
        book = self.books[legs[0].instrument] if outright else self.combination_books[legs]
        (book.bids if order.side else book.asks).remove(resting)
        if not outright and not book:
            del self.combination_books[legs]
        orders = self.open_orders[account]
        del orders[order.nonce % self.params.slots]
        if not orders:
            del self.open_orders[account]

    def restore_order(self, resting: RestingOrder) -> None:
        """Undoes `remove_order`: the order is back, in its turn."""
        self.add_order(resting)
        book = self.book(resting.order.legs)
        assert book is not None
        book.side(resting.order.side).restore(resting)
        orders = self.open_orders[resting.account]
        self.open_orders[resting.account] = dict(sorted(orders.items(), key=lambda item: item[1].turn))

    def drop_empty_exposure(self, account: int) -> None:
        """Forgets the exposure of an account that neither holds anything nor has open orders."""
        exposure = self.exposures.get(account)
        if exposure is not None and not exposure.instruments:
            del self.exposures[account]


def close_batch(exchange: Exchange) -> OpenBatch:
    """Ends the open batch and opens the next one; returns the finished record, which nothing changes any more.

    InvariantBroken while listed instruments wait for their table: a batch with listings is proved against the table that contains them.
    """
    if not exchange.trading_open:
        raise InvariantBroken(f"batch {exchange.open_batch.number}: no table covers the listed instruments, expected an epoch before the batch is closed")
    finished = exchange.open_batch
    finished.last_sequence = exchange.next_sequence - 1
    finished.end = {account: exchange.accounts[account].copy() for account in finished.start}
    exchange.open_batch = OpenBatch(
        finished.number + 1, exchange.table, exchange.next_sequence, exchange.next_sequence - 1, exchange.queue_pointer, exchange.listing_count
    )
    exchange.usage = Usage()
    return finished
