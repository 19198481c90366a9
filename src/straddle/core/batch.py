"""What the open batch has done so far: the netting rows that its proof will tie together (docs/protocol/statement.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

from straddle.core.accounts import Account, Slot
from straddle.core.commands import L1Deposit, L1SetKey, L2Cancel, L2Withdraw
from straddle.core.instruments import Instrument
from straddle.core.orders import Order, OrderSet
from straddle.core.risk_table import RiskTable


@dataclass(slots=True)
class OrderUse:
    """One order that filled in this batch: a row of the orders table. Rows of one account are in the order of their first fill."""

    account: int
    order: Order
    order_set: OrderSet
    set_index: int
    slot_before: Slot
    """The slot as it stood when this row first wrote it."""
    fill: int = 0
    fee: int = 0
    sequence: int = 0
    """Log sequence of the last fill."""
    set_root: int = 0
    """Root of `order_set`: the payload of its signature row."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution between two order uses (indices into `OpenBatch.order_uses`)."""

    taker: int
    maker: int
    instrument: int
    price_ticks: int
    size_lots: int
    taker_fee: int
    maker_fee: int
    sequence: int


@dataclass(slots=True)
class OpenBatch:
    """The batch under construction, or the finished record of it. Everything in it happened on `table`."""

    number: int
    table: RiskTable | None
    first_sequence: int
    last_sequence: int
    queue_pointer: int
    """Queue pointer before the batch."""
    listing_count: int
    """Listing count before the batch."""
    start: dict[int, Account] = field(default_factory=dict)
    """account id -> its state before the batch, for every account touched."""
    deposits: dict[int, int] = field(default_factory=dict)
    """account id -> sum of this batch's deposits."""
    order_uses: list[OrderUse] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    queue: list[L1Deposit | L1SetKey] = field(default_factory=list)
    withdrawals: dict[int, L2Withdraw] = field(default_factory=dict)
    """account id -> its one withdrawal."""
    cancels: dict[int, L2Cancel] = field(default_factory=dict)
    """account id -> the highest cancel of this batch."""
    listings: list[Instrument] = field(default_factory=list)
    end: dict[int, Account] = field(default_factory=dict)
    """account id -> its state after the batch, for every account touched. Filled in when the batch is closed."""
