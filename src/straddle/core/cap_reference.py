"""The kernel's `Cap` in plain Python: what native/kernel/cap.c computes, number for number. As kernel_reference.py it is the definition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from straddle.core.kernel_reference import PATHS, Exposure, _checked, _checked_cash, checked_terms
from straddle.core.params import BPS, SIZE_LOTS_MAX

ORDERS_MAX = 1 << 16


class Cap:
    """What an account is left with when of all its open orders at most so many lots fill, the worst ones.

    On a path an order of n units, `lots` each, loses at most n * loss, charges included. The worst that `most` lots come to is a knapsack; its dual gives it a
    price p a lot: `p * most + sum n * max(0, loss - p * lots)` bounds it from above at any p >= 0, and the least of these over whole p is what counts here.
    The price that it was least at stays with the exposure, which keeps the sum up to date (`Exposure.capped_bound_scaled`): so most questions need no search.
    """

    def __init__(self, order: type, resting: type) -> None:
        """`order`, `resting`: the classes of open orders."""

    def surplus(self, exposure: Exposure, cash: int, most: int, orders: Iterable[Any], taking: Any) -> int:
        """`Exposure.reserved_surplus_scaled` under the cap, exact. `orders` and `taking` are all that is reserved; `taking`, which may be None, fills in full
        besides. Prices are renewed where that may matter: on the path with the least bound, until that bound is exact."""
        _checked_cash(cash)
        _checked("most", most, 0, SIZE_LOTS_MAX)
        given = tuple(orders)
        if len(given) > ORDERS_MAX:
            raise ValueError(f"orders: {len(given)}, expected at most {ORDERS_MAX}")
        capped = [_measured(exposure, resting) for resting in given]
        free = [_measured(exposure, taking)] if taking is not None else []
        stale = set()
        if exposure._prices is None:
            exposure._prices, exposure._beyond = [0] * PATHS, [0] * PATHS
            worst = [_renewed(exposure, capped, free, most, path) for path in range(PATHS)]
        else:
            worst = [_bound(exposure, free, most, path) for path in range(PATHS)]
            stale = set(range(PATHS))
        path = worst.index(min(worst))
        while path in stale:
            worst[path] = _renewed(exposure, capped, free, most, path)
            stale.remove(path)
            path = worst.index(min(worst))
        return BPS * (cash + exposure._value - exposure._charges) + worst[path]


class _Measured(NamedTuple):
    """An open order: its units, lots a unit, and what a unit may lose by path."""

    units: int
    lots: int
    losses: list[int]

    def beyond(self, path: int, price: int) -> int:
        """What it may lose beyond a price a lot."""
        return self.units * max(0, self.losses[path] - price * self.lots)


def _measured(exposure: Exposure, resting: Any) -> _Measured:
    order = resting.order
    _checked("units", resting.left_lots, 0, SIZE_LOTS_MAX)
    terms = checked_terms(exposure._table, order.legs, 1 if order.side else -1, order.limit_ticks, resting.unit_fee, resting.left_lots)
    return _Measured(terms.units, terms.lots, terms.losses(terms.gains(exposure._k_im)))


def _bound(exposure: Exposure, free: list[_Measured], most: int, path: int) -> int:
    """What a path comes to at the price kept; what is free to fill in full is in what is kept, as capped."""
    assert exposure._prices is not None
    price = exposure._prices[path]
    besides = sum(order.units * order.losses[path] - order.beyond(path, price) for order in free)
    return exposure._paths[path] - price * most - exposure._beyond[path] - besides


def _renewed(exposure: Exposure, capped: list[_Measured], free: list[_Measured], most: int, path: int) -> int:
    """The same at the best price, which is then kept."""

    def beyond(orders: list[_Measured], price: int) -> int:
        return sum(order.beyond(path, price) for order in orders)

    assert exposure._prices is not None
    price = _critical_price(capped, most, path)
    if price and most + beyond(capped, price) - beyond(capped, price - 1) > 0:  # a lot dearer by 1 costs more than it saves: between two whole prices
        price -= 1
    exposure._prices[path], exposure._beyond[path] = price, beyond([*capped, *free], price)
    return _bound(exposure, free, most, path)


def _critical_price(orders: list[_Measured], most: int, path: int) -> int:
    """The least whole price at which orders that lose more than that have no more than `most` lots."""
    lots = 0
    for price, more in sorted(((-(-order.losses[path] // order.lots), order.units * order.lots) for order in orders), reverse=True):
        lots += more
        if lots > most:
            return price
    return 0
