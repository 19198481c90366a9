"""Commands: the only way to change the exchange's state. Immutable; one class per operation."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import PublicKey
from straddle.core.instruments import Instrument, Retirement, Settlement
from straddle.core.market_state import MarketState
from straddle.core.orders import OrderSet, Signature
from straddle.core.protection import ProtectionLimits
from straddle.core.risk_table import RiskTable


@dataclass(frozen=True, slots=True)
class L1Deposit:
    """Queue entry `queue_index` of layer 1: `amount` micro-dollars for `account`, which belongs to `owner`."""

    queue_index: int
    account: int
    owner: int
    amount: int


@dataclass(frozen=True, slots=True)
class L1SetKey:
    """Queue entry `queue_index` of layer 1: a new trading key for `account`, or NO_KEY to revoke."""

    queue_index: int
    account: int
    owner: int
    key: PublicKey


@dataclass(frozen=True, slots=True)
class L1ForceWithdraw:
    """Queue entry `queue_index` of layer 1: the owner asks for `amount` micro-dollars, and is paid what may be withdrawn of it."""

    queue_index: int
    account: int
    owner: int
    amount: int


@dataclass(frozen=True, slots=True)
class L1ForceClose:
    """Queue entry `queue_index` of layer 1: the owner puts the portfolio up for sale, at a discount of at most `limit_bps`."""

    queue_index: int
    account: int
    owner: int
    limit_bps: int


@dataclass(frozen=True, slots=True)
class L2Trade:
    """A signed order set is submitted: each order in turn matches, then rests if it may."""

    order_set: OrderSet


@dataclass(frozen=True, slots=True)
class L2Withdraw:
    """A signed withdrawal to the account's owner on layer 1."""

    account: int
    key_epoch: int
    nonce: int
    amount: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class L2Transfer:
    """Signed: `amount` micro-dollars go to another account of the same owner."""

    account: int
    key_epoch: int
    nonce: int
    to: int
    amount: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class L2Bid:
    """Signed: `account` takes `fraction_bps` of the portfolio of `target` for at most `limit` micro-dollars (negative: must be paid), on tables
    with a time before `expiry_ms`."""

    account: int
    key_epoch: int
    nonce: int
    target: int
    fraction_bps: int
    limit: int
    expiry_ms: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class L2Cancel:
    """Signed: every order with a nonce below `min_nonce` is dead."""

    account: int
    key_epoch: int
    min_nonce: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class L2Protect:
    """Signed: the account's market-maker protection from now on. `nonce` exceeds that of the last one."""

    account: int
    key_epoch: int
    nonce: int
    limits: ProtectionLimits
    signature: Signature


@dataclass(frozen=True, slots=True)
class InternalList:
    """New instruments, ids continuing the listing count. They trade from the next epoch's table on."""

    instruments: tuple[Instrument, ...]


@dataclass(frozen=True, slots=True)
class InternalDeliver:
    """The positions of these accounts in settled instruments turn into cash, so that the instruments can be retired."""

    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InternalEpoch:
    """A new risk table takes effect."""

    table: RiskTable


@dataclass(frozen=True, slots=True)
class InternalSettle:
    """Settlement values of expired instruments, and instruments that leave the table. In force with the next epoch's table."""

    settlements: tuple[Settlement, ...]
    retirements: tuple[Retirement, ...]


@dataclass(frozen=True, slots=True)
class InternalLiquidate:
    """The sequencer finds an account below its maintenance margin: its auction begins, goes on or ends."""

    account: int


@dataclass(frozen=True, slots=True)
class InternalDeleverage:
    """The sequencer finds a bankrupt account whose auction found no taker: its positions are closed against others."""

    account: int


@dataclass(frozen=True, slots=True)
class InternalMarket:
    """The sequencer's time, and the state that the operator puts the market in."""

    time_ms: int
    state: MarketState


Command = (
    L1Deposit
    | L1SetKey
    | L1ForceWithdraw
    | L1ForceClose
    | L2Trade
    | L2Withdraw
    | L2Transfer
    | L2Bid
    | L2Cancel
    | L2Protect
    | InternalList
    | InternalSettle
    | InternalDeliver
    | InternalEpoch
    | InternalLiquidate
    | InternalDeleverage
    | InternalMarket
)
