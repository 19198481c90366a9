"""An account's risk on the current table, kept up to date in steps: what its positions lose, and what its open orders reserve.

Everything here follows from positions, open orders and table (`build_exposure`); it exists because valuing from scratch on every order is slow. The numbers are
kept by the margin kernel (`Exposure`, kernel_reference.py); every step has an exact inverse.

Reservation. An order for n units (signed by side) at net limit p that fills moves, in scenario s, BPS * equity + k_im * (result of s) by
`n * (BPS * (mark - p) + k_im * D[s]) - BPS * fee`, mark and D summed over its legs. In each scenario every order for which that is a loss counts, the others
do not. Charges count as the larger of those with all buys filled and all sells filled: they are convex in the position, so no
fills in between cost more. The reserved surplus is thus a lower bound of (equity - IM) * BPS after any part of the open orders
fills on this table, at their limits or better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from straddle.core.book import RestingOrder
from straddle.core.fees import FeeSchedule, worst_unit_fee
from straddle.core.kernel import Exposure
from straddle.core.kernel_reference import Legs
from straddle.core.orders import Order
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable

__all__ = ["Exposure", "RiskContext", "Terms", "build_exposure", "order_terms"]


@dataclass(frozen=True, slots=True)
class RiskContext:
    """What a valuation depends on besides the account."""

    table: RiskTable
    params: Params
    fees: FeeSchedule

    def exposure(self) -> Exposure:
        """That of an account without positions and open orders."""
        return Exposure(self.table.packed, self.params.k_im_bps)


class Terms(NamedTuple):
    """What the reservation of an order depends on, for one unit of it: the leading arguments of `Exposure.reserve`."""

    legs: Legs
    sign: int
    limit_ticks: int
    fee: int
    """Worst fee of one unit, micro-dollars."""


def order_terms(context: RiskContext, order: Order) -> Terms:
    """The terms of a signed order on a table: `exposure.reserve(*terms, units)` reserves it, `-units` gives it back."""
    return Terms(order.legs, order.side.sign, order.limit_ticks, worst_unit_fee(context.fees, context.table, order))


def build_exposure(context: RiskContext, positions: Mapping[int, int], open_orders: Iterable[RestingOrder]) -> Exposure:
    """From scratch."""
    exposure = context.exposure()
    for instrument, size in positions.items():
        exposure.move(instrument, size)
    for resting in open_orders:
        exposure.reserve(*order_terms(context, resting.order), resting.left_lots)
    return exposure
