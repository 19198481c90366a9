"""What an accepted command did: facts for receipts, market data and clients.

Nobody changes them. The frequent ones are not frozen: that would cost more than all the rest of making them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from straddle.core.accounts import PublicKey
from straddle.core.market_state import MarketState
from straddle.core.orders import Order, Side
from straddle.core.protection import ProtectionLimits
from straddle.core.rejections import Rejection


class CancelReason(StrEnum):
    """Why an order, or its unfilled rest, left the market."""

    IMMEDIATE = "immediate"
    """Immediate or cancel: nothing more crossed."""
    SELF_TRADE = "self_trade"
    """The owner's own incoming order reached it."""
    REPLACED = "replaced"
    """A newer nonce took its slot."""
    AMENDED = "amended"
    """A higher revision took its place, or reduced its total to what had filled."""
    MIN_NONCE = "min_nonce"
    """The account cancelled every order below a nonce."""
    KEY_CHANGED = "key_changed"
    """The key that signed it is no longer the account's."""
    EXPIRED = "expired"
    """Its own expiry, or its instrument's, has come."""
    PRICE_BAND = "price_band"
    """Met by a taker at a price outside the table's band."""
    FEE_CAP = "fee_cap"
    """Met by a taker, its cap no longer covers the fee."""
    MARGIN = "margin"
    """Its account cannot carry it, or failed the rule when it was met."""
    CASH_BOUND = "cash_bound"
    """Cash would leave its 64 bits."""
    REDUCE_ONLY = "reduce_only"
    """It could have added to a position: when the market went reduce-only, or, a reduce-only order, when it was met."""
    PROTECTION = "protection"
    """Its account's market-maker protection tripped."""
    FORCED = "forced"
    """Its owner asked layer 1 for the account's money, or for a close."""
    LIQUIDATION = "liquidation"
    """Its account fell below its maintenance margin."""
    DELEVERAGED = "deleveraged"
    """Its account was closed against in the instrument."""
    MAX_FILLS = "max_fills"
    """It met the largest number of makers that one order may."""
    BATCH = "batch"
    """No batch could hold what it would fill next together with what its set filled before."""


@dataclass(slots=True)
class Trade:
    """One fill of one instrument. Sizes left are what the two orders still want after it, in units of a combination."""

    instrument: int
    price_ticks: int
    size_lots: int
    taker_side: Side
    """In this instrument."""
    taker: int
    taker_nonce: int
    taker_revision: int
    taker_left_lots: int
    taker_fee: int
    maker: int
    maker_nonce: int
    maker_revision: int
    maker_left_lots: int
    maker_fee: int
    execution: int
    """Counts the matches of one order set from 1: the fills that share it happened at once."""


@dataclass(slots=True)
class OrderResting:
    """An order, or its unfilled rest, is in the book. A resting order of the same nonce is amended in place when only its size fell."""

    account: int
    order: Order
    left_lots: int


@dataclass(slots=True)
class OrderCancelled:
    """`left_lots` of an order will never fill."""

    account: int
    order: Order
    left_lots: int
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """One order of an accepted set was refused; it changed nothing."""

    account: int
    order: Order
    set_index: int
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Deposited:
    """Money arrived from layer 1; `created` tells a new account."""

    account: int
    owner: int
    amount: int
    created: bool


@dataclass(frozen=True, slots=True)
class KeySet:
    """A trading key was set, or revoked (NO_KEY). It acts from the next batch."""

    account: int
    key: PublicKey
    key_epoch: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Money is on its way to the owner on layer 1."""

    account: int
    owner: int
    amount: int
    nonce: int


@dataclass(frozen=True, slots=True)
class ForcePaid:
    """A forced withdrawal was answered: of `asked` micro-dollars `paid` are on their way to the owner on layer 1."""

    account: int
    owner: int
    asked: int
    paid: int


@dataclass(frozen=True, slots=True)
class Transferred:
    """Money went to another account of the same owner."""

    account: int
    to: int
    amount: int
    nonce: int


@dataclass(frozen=True, slots=True)
class AuctionBegun:
    """An account's portfolio is for sale; at a discount of at most `limit_bps` while its owner asked for it."""

    account: int
    start_ms: int
    forced: bool
    limit_bps: int


@dataclass(frozen=True, slots=True)
class AuctionEnded:
    """An account's portfolio is no longer for sale."""

    account: int


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A part of an auctioned portfolio has a new holder, who paid `payment` micro-dollars (negative: was paid)."""

    account: int
    winner: int
    fraction_bps: int
    lots: tuple[tuple[int, int], ...]
    """(instrument, signed lots that the winner received), ascending."""
    payment: int


@dataclass(frozen=True, slots=True)
class Deleveraged:
    """A bankrupt account was closed against another one, whose position changed by `size_lots`, signed."""

    account: int
    winner: int
    instrument: int
    size_lots: int
    price_ticks: int


@dataclass(frozen=True, slots=True)
class MinNonceRaised:
    """Orders with lower nonces are dead."""

    account: int
    min_nonce: int


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument was listed; it trades from the next epoch on."""

    instrument: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What one unit of an expired instrument is worth is fixed; holders have it as cash when their accounts are next touched."""

    instrument: int
    value_ticks: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """An account's positions in settled instruments turned into `amount` micro-dollars of cash, signed."""

    account: int
    amount: int


@dataclass(frozen=True, slots=True)
class Retired:
    """A settled instrument that nobody holds is gone."""

    instrument: int


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """A risk table took effect."""

    epoch: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class MarketChanged:
    """The sequencer's time, and the state that the operator put the market in."""

    time_ms: int
    state: MarketState


@dataclass(frozen=True, slots=True)
class ProtectionSet:
    """An account chose its market-maker protection."""

    account: int
    limits: ProtectionLimits


@dataclass(frozen=True, slots=True)
class ProtectionTripped:
    """An account's protection took its resting orders out of the market; none may rest before `frozen_until_ms`."""

    account: int
    frozen_until_ms: int


Event = (
    Trade
    | OrderResting
    | OrderCancelled
    | OrderRejected
    | Deposited
    | KeySet
    | Withdrawn
    | ForcePaid
    | Transferred
    | AuctionBegun
    | AuctionEnded
    | TakenOver
    | Deleveraged
    | MinNonceRaised
    | Listed
    | Settled
    | Delivered
    | Retired
    | EpochStarted
    | MarketChanged
    | ProtectionSet
    | ProtectionTripped
)
