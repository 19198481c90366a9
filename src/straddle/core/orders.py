"""Orders as their owners sign them (docs/protocol/messages.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from straddle.primitives.points import Signature

__all__ = [
    "FLAGS_ALL",
    "FLAGS_IMMEDIATE",
    "FLAG_FILL_OR_KILL",
    "FLAG_IMMEDIATE_OR_CANCEL",
    "FLAG_POST_ONLY",
    "FLAG_REDUCE_ONLY",
    "MAX_LEGS",
    "MAX_ORDERS_PER_SET",
    "RATIO_MAX",
    "Leg",
    "Legs",
    "Order",
    "OrderSet",
    "Side",
    "Signature",
    "outright",
]

MAX_ORDERS_PER_SET = 64
MAX_LEGS = 4
RATIO_MAX = 127

FLAG_IMMEDIATE_OR_CANCEL = 1
FLAG_FILL_OR_KILL = 2
FLAG_POST_ONLY = 4
FLAG_REDUCE_ONLY = 8
FLAGS_ALL = 15
FLAGS_IMMEDIATE = FLAG_IMMEDIATE_OR_CANCEL | FLAG_FILL_OR_KILL


class Side(IntEnum):
    """Side of an order, numbered as in its leaf."""

    SELL = 0
    BUY = 1

    sign: int
    """+1 for a buyer, -1 for a seller."""
    opposite: Side
    """The other side."""


for _side, _opposite in ((Side.BUY, Side.SELL), (Side.SELL, Side.BUY)):  # plain attributes: matching reads them for every order
    _side.sign = 2 * _side.value - 1
    _side.opposite = _opposite


class Leg(NamedTuple):
    """One leg of an order's unit: buying a unit buys `ratio` lots, or sells -ratio of them where it is negative."""

    instrument: int
    ratio: int
    """1 to RATIO_MAX, negative for a leg that is sold."""


Legs = tuple[Leg, ...]
"""1 to MAX_LEGS, ascending by instrument."""


@dataclass(frozen=True, slots=True)
class Order:
    """A limit order on one unit of its legs. Good till its date unless a flag says otherwise."""

    nonce: int
    revision: int
    expiry_ms: int
    size_lots: int
    """Total over all revisions; units for a combination."""
    limit_ticks: int
    """Of one unit: the sum of ratio * price over the legs."""
    legs: Legs
    side: Side
    fee_cap: int
    """Highest fee, micro-dollars a unit filled."""
    flags: int = 0

    @property
    def is_outright(self) -> bool:
        """Whether it is on one instrument."""
        return len(self.legs) == 1

    @property
    def instrument(self) -> int:
        """The instrument of an outright; the first one of a combination."""
        return self.legs[0].instrument

    def leg_side(self, leg: Leg) -> Side:
        """The side on which it trades one of its legs."""
        return self.side if leg.ratio > 0 else self.side.opposite

    @property
    def immediate(self) -> bool:
        """Whether what does not fill at once is cancelled: immediate or cancel, fill or kill."""
        return bool(self.flags & FLAGS_IMMEDIATE)

    @property
    def fill_or_kill(self) -> bool:
        """Whether it fills at once as a whole or not at all."""
        return bool(self.flags & FLAG_FILL_OR_KILL)

    @property
    def post_only(self) -> bool:
        """Whether it may only rest."""
        return bool(self.flags & FLAG_POST_ONLY)

    @property
    def reduce_only(self) -> bool:
        """Whether it may only make positions smaller."""
        return bool(self.flags & FLAG_REDUCE_ONLY)


def outright(nonce: int, revision: int, expiry_ms: int, size_lots: int, limit_ticks: int, instrument: int, side: Side, fee_cap: int, flags: int = 0) -> Order:
    """An order on one instrument."""
    return Order(nonce, revision, expiry_ms, size_lots, limit_ticks, (Leg(instrument, 1),), side, fee_cap, flags)


@dataclass(frozen=True, slots=True)
class OrderSet:
    """1 to 64 orders of one account under one signature over the root of their tree."""

    account: int
    key_epoch: int
    orders: tuple[Order, ...]
    signature: Signature
