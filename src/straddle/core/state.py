"""The exchange: everything that commands change, and the cut between batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, NULL_ACCOUNT, Account
from straddle.core.batch import OpenBatch
from straddle.core.book import Book, RestingOrder
from straddle.core.capacity import Capacity, Usage, position_rows
from straddle.core.exposure import Exposure, RiskContext
from straddle.core.fees import FeeSchedule
from straddle.core.instruments import Instrument
from straddle.core.margin import Requirement, requirement
from straddle.core.market_state import MarketState
from straddle.core.params import Limits, Params
from straddle.core.protection import Protection
from straddle.core.rejections import InvariantBroken
from straddle.core.risk_table import RiskTable

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
    """Listed instruments by id: 1, 2, 3, ..., ascending."""
    table: RiskTable | None = None
    """The risk table in force; None before the first epoch."""
    trading_open: bool = False
    """Whether `table` covers exactly the listed instruments. While it does not, only listings, epochs and market states are accepted."""
    books: dict[int, Book] = field(default_factory=dict)
    """By instrument."""
    open_orders: dict[int, dict[int, RestingOrder]] = field(default_factory=dict)
    """account -> slot index -> the order resting there; accounts without any are absent."""
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
    def listing_count(self) -> int:
        """Instruments ever listed."""
        return len(self.instruments)

    @property
    def context(self) -> RiskContext:
        """What accounts are valued with. Only while a table is in force."""
        if self.table is None:
            raise InvariantBroken("table: none in force, expected one before any valuation")
        return RiskContext(self.table, self.params, self.fees)

    @property
    def market_state(self) -> MarketState:
        """The market's state: the operator's, but cancel-only at least while the table is too old."""
        if self.market is not MarketState.HALTED and self.table is not None and self.time_ms - self.table.time_ms > self.limits.table_age_ms_max:
            return MarketState.CANCEL_ONLY
        return self.market

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

    def touch(self, account: int) -> Account:
        """The account, created when new, about to change: its state before the batch is kept. Call before changing it."""
        if account == NULL_ACCOUNT:
            raise InvariantBroken("account: 0, expected the null account to stay untouched")
        known = self.accounts.get(account)
        if known is None:
            known = self.accounts[account] = Account(account)
        if account not in self.open_batch.start:
            self.open_batch.start[account] = known.copy()
            self.usage.positions[account] = 0
            self.count_positions(account)
        return known

    def set_open_orders(self, account: int, orders: dict[int, RestingOrder]) -> None:
        """Replaces an account's open orders by slot."""
        if orders:
            self.open_orders[account] = orders
        else:
            self.open_orders.pop(account, None)

    def set_exposure(self, account: int, exposure: Exposure) -> None:
        """Replaces an account's exposure. Call after its positions and open orders."""
        if self.accounts[account].positions or account in self.open_orders:
            self.exposures[account] = exposure
        else:
            self.exposures.pop(account, None)

    def count_positions(self, account: int) -> None:
        """Brings the position rows of a touched account up to date. Call after changing its positions."""
        rows = position_rows(self.open_batch.start[account].positions, self.accounts[account].positions)
        self.usage.position_rows += rows - self.usage.positions[account]
        self.usage.positions[account] = rows


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
