"""What layer 1 sees of a batch, typed: effects (calldata that layer 1 acts on) and body (what rebuilds the state) (docs/protocol/data.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from straddle.commitments.listings import Listing
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey

QueueEntry = L1Deposit | L1SetKey | L1ForceWithdraw | L1ForceClose


class AuctionCode(IntEnum):
    """What a batch did to an account's auction word."""

    UNCHANGED = 0
    ENDED = 1
    BEGUN = 2
    """At the table's time: it fell below MM."""
    CLOSE_BEGUN = 3
    """At the table's time, with the limit of the account's queue entry."""


@dataclass(frozen=True, slots=True)
class WithdrawalData:
    """`amount` micro-dollars leave `account` for `owner` on layer 1."""

    account: int
    owner: int
    amount: int


@dataclass(frozen=True, slots=True)
class Effects:
    """What layer 1 acts on."""

    domain: int
    batch_number: int
    old_state_root: int
    new_state_root: int
    epoch: int
    time_ms: int
    params_hash: int
    risk_root: int
    first_sequence: int
    last_sequence: int
    log_root: int
    queue_first: int
    queue: tuple[QueueEntry, ...]
    """Entries queue_first, queue_first + 1, ... of layer 1's queue."""
    withdrawals: tuple[WithdrawalData, ...]
    """Ascending by account."""
    paid: tuple[int, ...] = ()
    """Micro-dollars that each forced withdrawal of `queue` was paid, in turn."""


@dataclass(frozen=True, slots=True)
class AccountData:
    """New plain values of a touched account."""

    id: int
    cash: int
    min_nonce: int
    action_nonce: int
    has_positions: bool = False
    """Whether position rows give all its positions; without them it keeps those that it had."""
    has_orders: bool = False
    auction: AuctionCode = AuctionCode.UNCHANGED


@dataclass(frozen=True, slots=True)
class SlotData:
    """One update of an order slot; the order's last fill has the log sequence first_sequence + `offset`."""

    account: int
    nonce: int
    revision: int
    filled: int
    offset: int


@dataclass(frozen=True, slots=True)
class PositionData:
    """New size of a position of a touched account, in lots; 0 when it closed. `row` counts the rows of the batch's risk table from 1."""

    account: int
    row: int
    size_lots: int


@dataclass(frozen=True, slots=True)
class Body:
    """What rebuilds the state."""

    accounts: tuple[AccountData, ...]
    slots: tuple[SlotData, ...]
    positions: tuple[PositionData, ...]
    listings: tuple[Listing, ...]
