"""What the open batch has done so far: the netting rows that its proof will tie together (docs/protocol/statement.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from straddle.core.accounts import Account, Slot
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey, L2Bid, L2Cancel, L2Transfer, L2Withdraw
from straddle.core.instruments import Instrument, Retirement, Settlement
from straddle.core.orders import Order, OrderSet
from straddle.core.risk_table import RiskTable


@dataclass(slots=True)
class OrderUse:
    """A row of the orders table: an outright that filled in this batch, one row a revision, or one execution of a combination.

    Rows of one account are in the order of their first fill.
    """

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


@dataclass(slots=True)
class Fill:
    """One execution between a leg of each of two order uses (indices into `OpenBatch.order_uses`)."""

    taker: int
    taker_leg: int
    """Place of the leg in the taker's order, 0 to 3."""
    maker: int
    maker_leg: int
    instrument: int
    price_ticks: int
    size_lots: int
    taker_fee: int
    maker_fee: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """A fraction of every position of an auctioned account moves to a winner for one payment."""

    account: int
    winner: int
    fraction_bps: int
    payment: int
    """Micro-dollars from the winner to the account; negative the other way."""
    bid: L2Bid | None
    """What the winner signed; None for the insurance fund."""


@dataclass(frozen=True, slots=True)
class Deleverage:
    """Lots of a bankrupt account move to another one, unsigned."""

    account: int
    winner: int
    instrument: int
    size_lots: int
    """What the winner's position changes by."""
    price_ticks: int


class AuctionChange(StrEnum):
    """What a batch did to an account's auction word."""

    BEGUN = "begun"
    """Below MM."""
    ENDED = "ended"
    CLOSE_BEGUN = "close_begun"
    """By an entry of layer 1's queue."""


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
    opened: dict[int, None] = field(default_factory=dict)
    """Touched accounts whose positions are opened: they need position rows. The others were only paid into, or changed keys, nonces or a close's auction."""
    deposits: dict[int, int] = field(default_factory=dict)
    """account id -> sum of this batch's deposits and incoming transfers."""
    order_uses: list[OrderUse] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    reduced: dict[tuple[int, int], None] = field(default_factory=dict)
    """(account, instrument) in which a reduce-only order filled, or that was deleveraged: the position ends between 0 and its start."""
    queue: list[L1Deposit | L1SetKey | L1ForceWithdraw | L1ForceClose] = field(default_factory=list)
    forced: dict[int, int] = field(default_factory=dict)
    """account id -> micro-dollars paid by its forced withdrawal, 0 too."""
    withdrawals: dict[int, L2Withdraw] = field(default_factory=dict)
    """account id -> its one withdrawal."""
    transfers: dict[int, L2Transfer] = field(default_factory=dict)
    """account id -> its one outgoing transfer."""
    takeovers: list[Takeover] = field(default_factory=list)
    deleverages: list[Deleverage] = field(default_factory=list)
    auctions: dict[int, AuctionChange] = field(default_factory=dict)
    """account id -> what became of its auction word."""
    sealed: dict[int, None] = field(default_factory=dict)
    """Accounts that were paid by force or seized, or whose auction began (below MM) or ended: nothing else may touch them in this batch."""
    cancels: dict[int, L2Cancel] = field(default_factory=dict)
    """account id -> the highest cancel of this batch."""
    listings: list[Instrument | Settlement | Retirement] = field(default_factory=list)
    """Words of the listings chain, in order."""
    end: dict[int, Account] = field(default_factory=dict)
    """account id -> its state after the batch, for every account touched. Filled in when the batch is closed."""
