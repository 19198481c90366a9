"""Why a command or an order was refused: data with a stable code. A broken invariant is not here: it raises."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RejectionCode(StrEnum):
    """Every reason, once. Codes are part of the interface: they are never renamed or reused."""

    # the batch must be cut first: the sequencer closes it and submits the command again
    BATCH_BOUNDARY = "batch_boundary"
    # the command can never be proved with this preset
    EXCEEDS_CAPACITY = "exceeds_capacity"
    # no risk table is in force (genesis, or instruments were just listed): an epoch comes first
    TRADING_HALTED = "trading_halted"
    # the market's state (docs/protocol/engine.md)
    MARKET_HALTED = "market_halted"
    CANCEL_ONLY = "cancel_only"
    REDUCE_ONLY = "reduce_only"

    # layer 1
    QUEUE_ORDER = "queue_order"
    ACCOUNT_ID = "account_id"
    OWNER = "owner"
    AMOUNT = "amount"
    CASH_BOUND = "cash_bound"

    # authority
    UNKNOWN_ACCOUNT = "unknown_account"
    NO_KEY = "no_key"
    KEY = "key"
    KEY_EPOCH = "key_epoch"
    SIGNATURE = "signature"

    # order sets, as a whole
    SET_SIZE = "set_size"
    DUPLICATE_NONCE = "duplicate_nonce"
    MALFORMED = "malformed"

    # one order
    FLAGS = "flags"
    LEGS = "legs"
    INSTRUMENT = "instrument"
    INSTRUMENT_EXPIRED = "instrument_expired"
    SIZE = "size"
    LIMIT = "limit"
    PRICE_BAND = "price_band"
    ORDER_EXPIRED = "order_expired"
    NONCE_DEAD = "nonce_dead"
    NONCE_STALE = "nonce_stale"
    REVISION = "revision"
    FEE_CAP = "fee_cap"
    POSITION_CAP = "position_cap"
    POSITION_VALUE = "position_value"
    POSITIONS_MAX = "positions_max"
    OPEN_ORDERS_MAX = "open_orders_max"
    MARGIN = "margin"
    PROTECTION_FROZEN = "protection_frozen"
    FILL_OR_KILL = "fill_or_kill"
    POST_ONLY = "post_only"

    # withdrawals, cancels, protection
    ACTION_NONCE = "action_nonce"
    WITHDRAWABLE = "withdrawable"
    MIN_NONCE = "min_nonce"
    PROTECTION_NONCE = "protection_nonce"
    PROTECTION_TERMS = "protection_terms"

    # auctions
    IN_AUCTION = "in_auction"
    NOT_IN_AUCTION = "not_in_auction"
    NOT_LIQUIDATABLE = "not_liquidatable"
    BANKRUPT = "bankrupt"
    FUND_FIRST = "fund_first"
    FRACTION = "fraction"
    BID_LIMIT = "bid_limit"
    NO_COUNTERPARTY = "no_counterparty"
    STALE_TABLE = "stale_table"

    # operator
    LISTING_ID = "listing_id"
    LISTING_TERMS = "listing_terms"
    LISTINGS_MAX = "listings_max"
    SETTLEMENT_TERMS = "settlement_terms"
    RETIREMENT_TERMS = "retirement_terms"
    EPOCH_REQUIRED = "epoch_required"
    EPOCH_ORDER = "epoch_order"
    TABLE_ROWS = "table_rows"
    TABLE_FIELD = "table_field"
    MARKET_TIME = "market_time"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal: which field, what it was, what was expected. It changed nothing."""

    code: RejectionCode
    field: str
    value: object
    expected: str

    @property
    def message(self) -> str:
        """One sentence for a human."""
        return f"{self.field} is {self.value}: expected {self.expected}"


class InvariantBroken(Exception):
    """The engine contradicts itself: the node must stop, nothing may be posted."""
