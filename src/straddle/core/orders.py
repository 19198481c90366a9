"""Orders as their owners sign them (docs/protocol/messages.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from straddle.primitives.points import Signature

__all__ = ["FLAG_IMMEDIATE_OR_CANCEL", "MAX_ORDERS_PER_SET", "Order", "OrderSet", "Side", "Signature"]

MAX_ORDERS_PER_SET = 64
FLAG_IMMEDIATE_OR_CANCEL = 1


class Side(IntEnum):
    """Side of an order, numbered as in its leaf."""

    SELL = 0
    BUY = 1

    @property
    def sign(self) -> int:
        """+1 for a buyer, -1 for a seller."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True)
class Order:
    """A single-leg limit order. Good till cancelled unless the immediate-or-cancel flag is set."""

    nonce: int
    revision: int
    expiry_ms: int
    size_lots: int
    """Total over all revisions."""
    limit_ticks: int
    instrument: int
    side: Side
    fee_cap: int
    """Highest fee, micro-dollars a lot filled."""
    flags: int = 0

    @property
    def immediate(self) -> bool:
        """Whether the rest is cancelled at once."""
        return bool(self.flags & FLAG_IMMEDIATE_OR_CANCEL)


@dataclass(frozen=True, slots=True)
class OrderSet:
    """1 to 64 orders of one account under one signature over the root of their tree."""

    account: int
    key_epoch: int
    orders: tuple[Order, ...]
    signature: Signature
