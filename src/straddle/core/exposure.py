"""An account's risk on the current table, kept up to date in steps: what its positions lose, and what its open orders reserve.

Everything here follows from positions, open orders and table (`Exposure.build`); it exists because valuing from scratch on every order is slow.

Reservation. An order for n lots (signed by side) at limit p that fills moves, in scenario s, BPS * equity + k_im * (result of s) by
`n * (BPS * (mark - p) + k_im * D[s]) - BPS * fee`. In each scenario every order for which that is a loss counts, the others
do not. Charges count as the larger of those with all buys filled and all sells filled: they are convex in the position, so no
fills in between cost more. The reserved surplus is thus a lower bound of (equity - IM) * BPS after any part of the open orders
fills on this table, at their limits or better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from straddle.core.book import RestingOrder
from straddle.core.fees import FeeSchedule, worst_fee_per_lot
from straddle.core.margin import charge_im
from straddle.core.orders import Order, Side
from straddle.core.params import BPS, Params
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable

PATHS = SCENARIOS + 1
"""Path 0 is the table's values as they are; path 1 + s is scenario s."""


@dataclass(frozen=True, slots=True)
class RiskContext:
    """What a valuation depends on besides the account."""

    table: RiskTable
    params: Params
    fees: FeeSchedule


def order_losses(context: RiskContext, order: Order, lots: int) -> list[int]:
    """On each path what the order loses if `lots` of it fill, scaled by BPS: PATHS numbers <= 0."""
    row, k_im = context.table[order.instrument], context.params.k_im_bps
    signed = lots * order.side.sign
    fee = worst_fee_per_lot(context.fees, context.table.index_ticks, row, order.side, order.limit_ticks) * lots
    base = BPS * (signed * (row.mark - order.limit_ticks) - fee)
    weight = k_im * signed
    return [min(base, 0), *[min(base + weight * delta, 0) for delta in row.deltas]]


@dataclass(slots=True)
class Exposure:
    """One account on one table. `paths` and `reserved` have PATHS entries, scaled by BPS."""

    value: int = 0
    """Sum of q V, micro-dollars."""
    paths: list[int] = field(default_factory=lambda: [0] * PATHS)
    """k_im * (sum of q D) on each path."""
    charges: int = 0
    """C_im of the positions, micro-dollars."""
    reserved: list[int] = field(default_factory=lambda: [0] * PATHS)
    """Sum of the open orders' losses on each path."""
    buys: dict[int, int] = field(default_factory=dict)
    """instrument -> lots in open buy orders; never zero."""
    sells: dict[int, int] = field(default_factory=dict)
    """instrument -> lots in open sell orders; never zero."""
    extra_charges: dict[int, int] = field(default_factory=dict)
    """instrument -> charge that open orders could add; never zero."""
    extra_charge: int = 0
    """Sum of `extra_charges`."""

    @classmethod
    def build(cls, context: RiskContext, positions: Mapping[int, int], open_orders: Iterable[RestingOrder]) -> Exposure:
        """From scratch."""
        exposure = cls()
        for instrument, size in positions.items():
            exposure.move(context, instrument, 0, size)
        for resting in open_orders:
            exposure.reserve(context, resting.order, resting.left_lots, positions.get(resting.order.instrument, 0))
        return exposure

    def copy(self) -> Exposure:
        """An independent copy."""
        return Exposure(
            self.value, list(self.paths), self.charges, list(self.reserved), dict(self.buys), dict(self.sells), dict(self.extra_charges), self.extra_charge
        )

    def move(self, context: RiskContext, instrument: int, old: int, new: int) -> None:
        """The position in `instrument` changes from `old` to `new` lots."""
        row = context.table[instrument]
        change = new - old
        self.value += change * row.value
        weight = context.params.k_im_bps * change
        paths = self.paths
        self.paths = [paths[0], *[path + weight * delta for path, delta in zip(paths[1:], row.deltas, strict=True)]]
        self.charges += charge_im(row, new) - charge_im(row, old)
        self._charge_orders(row, new)

    def reserve(self, context: RiskContext, order: Order, lots: int, position: int) -> None:
        """`lots` more of an open order (fewer when negative: give back what was reserved, on the same table)."""
        change = order_losses(context, order, abs(lots))
        if lots > 0:
            self.reserved = [total + loss for total, loss in zip(self.reserved, change, strict=True)]
        else:
            self.reserved = [total - loss for total, loss in zip(self.reserved, change, strict=True)]
        side = self.buys if order.side is Side.BUY else self.sells
        total_lots = side.get(order.instrument, 0) + lots
        if total_lots:
            side[order.instrument] = total_lots
        else:
            side.pop(order.instrument, None)
        self._charge_orders(context.table[order.instrument], position)

    def _charge_orders(self, row: RiskRow, position: int) -> None:
        """Charges that open orders in one instrument could add to those of its position."""
        instrument = row.instrument
        buys, sells = self.buys.get(instrument, 0), self.sells.get(instrument, 0)
        extra = max(charge_im(row, position + buys), charge_im(row, position - sells)) - charge_im(row, position)
        self.extra_charge += extra - self.extra_charges.pop(instrument, 0)
        if extra:
            self.extra_charges[instrument] = extra

    def surplus_scaled(self, cash: int) -> int:
        """(equity - IM) * BPS of the positions alone: the rule's alternative (a) is that it is not negative."""
        return BPS * (cash + self.value - self.charges) + min(self.paths)

    def reserved_surplus_scaled(self, cash: int) -> int:
        """The same after the worst fills of the open orders."""
        worst = min(map(int.__add__, self.paths, self.reserved))
        return BPS * (cash + self.value - self.charges - self.extra_charge) + worst

    def instruments(self, positions: Mapping[int, int]) -> int:
        """Instruments held or with open orders."""
        return len(positions.keys() | self.buys.keys() | self.sells.keys())
