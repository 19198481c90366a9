"""One price-time book, of an instrument or a combination: the best price first, at one price the earliest order first. O(1) cancel."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

from straddle.core.orders import Order, OrderSet, Side

OrderKey = tuple[int, int]
"""account, nonce: at most one live order has it."""


@dataclass(slots=True, eq=False)
class RestingOrder:
    """An order in a book (or about to be): what its owner signed and how much of it is left."""

    account: int
    order: Order
    order_set: OrderSet
    set_index: int
    set_root: int
    left_lots: int
    """Units of a combination."""
    turn: int = 0
    """Its place in time: earlier orders have lower ones."""
    unit_fee: int = 0
    """Worst fee of one unit on the current table, micro-dollars: what is reserved for it."""

    @property
    def key(self) -> OrderKey:
        """Its identity among live orders."""
        return self.account, self.order.nonce


class BookSide:
    """The bids or the asks: levels by price, each an insertion-ordered dict of orders."""

    __slots__ = ("_descending", "_levels", "_prices")

    def __init__(self, side: Side) -> None:
        self._descending = side is Side.BUY
        self._prices: list[int] = []  # ascending
        self._levels: dict[int, dict[OrderKey, RestingOrder]] = {}

    def add(self, resting: RestingOrder) -> None:
        """Queue an order behind its price level. A key that is already at that price is exchanged in place: it keeps its turn."""
        price = resting.order.limit_ticks
        level = self._levels.get(price)
        if level is None:
            self._levels[price] = {(resting.account, resting.order.nonce): resting}
            insort(self._prices, price)
        else:
            level[resting.account, resting.order.nonce] = resting

    def restore(self, resting: RestingOrder) -> None:
        """Put an order back that was taken out, in its old turn."""
        self.add(resting)
        price = resting.order.limit_ticks
        self._levels[price] = dict(sorted(self._levels[price].items(), key=lambda item: item[1].turn))

    def remove(self, resting: RestingOrder) -> None:
        """Take an order out; KeyError when it is not there."""
        price = resting.order.limit_ticks
        level = self._levels[price]
        del level[resting.account, resting.order.nonce]
        if not level:
            del self._levels[price]
            del self._prices[bisect_left(self._prices, price)]

    def __iter__(self) -> Iterator[RestingOrder]:
        """Orders in the order in which a taker meets them."""
        for price in self.prices():
            yield from self._levels[price].values()

    def __len__(self) -> int:
        return sum(len(level) for level in self._levels.values())

    def prices(self) -> Iterator[int]:
        """Price levels, best first."""
        return reversed(self._prices) if self._descending else iter(self._prices)

    def best(self) -> RestingOrder | None:
        """The order that a taker meets first, None when empty."""
        if not self._prices:
            return None
        return next(iter(self._levels[self._prices[-1 if self._descending else 0]].values()))

    def best_ticks(self) -> int | None:
        """Best price, None when empty."""
        return self._prices[-1 if self._descending else 0] if self._prices else None

    def depth(self, levels: int) -> list[tuple[int, int]]:
        """The best `levels` as (price_ticks, total left_lots)."""
        return [(price, sum(resting.left_lots for resting in self._levels[price].values())) for price, _ in zip(self.prices(), range(levels), strict=False)]


class Book:
    """Both sides of one instrument or combination."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)

    def side(self, side: Side) -> BookSide:
        """The side on which orders of `side` rest."""
        return self.bids if side else self.asks  # SELL is 0; naming the member would cost more than all the rest

    def best_for(self, side: Side, limit_ticks: int) -> RestingOrder | None:
        """The order that a taker of `side` meets first; None when there is none within its limit."""
        against = self.asks if side else self.bids
        best = against.best_ticks()
        if best is None or (best > limit_ticks if side else best < limit_ticks):
            return None
        return against.best()

    def __bool__(self) -> bool:
        """Whether any order rests in it."""
        return self.bids.best_ticks() is not None or self.asks.best_ticks() is not None
