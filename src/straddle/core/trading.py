"""What the orders of one set do to the exchange, in place, with an undo log: an order that cannot stand, or the whole set, is taken back step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from straddle.core.accounts import EMPTY_SLOT, FEE_ACCOUNT, Slot
from straddle.core.batch import Fill, OrderUse
from straddle.core.book import RestingOrder
from straddle.core.capacity import OrderUseKey, SetKey, is_empty
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderResting, ProtectionTripped, Trade
from straddle.core.exposure import Exposure
from straddle.core.fees import fill_fees
from straddle.core.margin import requirement, rule_met
from straddle.core.market_state import MarketState
from straddle.core.orders import FLAG_REDUCE_ONLY
from straddle.core.params import CASH_MAX
from straddle.core.protection import Protection
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import carried_scaled, lots_left
from straddle.core.state import Exchange
from straddle.core.undo import UndoLog


class BatchBoundary(Exception):
    """The set cannot go on in the open batch; everything that it did is to be taken back."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection


class TakerStopped(Exception):
    """The incoming order may not fill any further. What it had begun is taken back."""

    def __init__(self, reason: CancelReason) -> None:
        super().__init__(reason)
        self.reason = reason


class LegFill(NamedTuple):
    """One leg of an execution: its places in the taker's and the maker's order, and its price in ticks."""

    taker_leg: int
    maker_leg: int
    price_ticks: int


class Part(NamedTuple):
    """What one resting order gives to an execution: units of it, and the price of each leg."""

    maker: RestingOrder
    units: int
    fills: Sequence[LegFill]


Mark = tuple[int, int, int]
"""A point to go back to: lengths of the undo log and of the events, and the matches so far."""


class Trading:
    """The exchange while one order set is traded. Every change goes through it and can be taken back to a mark."""

    __slots__ = ("cautious", "context", "events", "exchange", "executions", "fresh", "market_state", "slots", "table", "time_ms", "undo", "units", "used")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.units = exchange.units
        self.context = self.units.context
        self.table = self.context.table
        self.slots = exchange.params.slots
        self.time_ms = exchange.now_ms
        self.market_state = exchange.market_state
        self.cautious = self.market_state is not MarketState.OPEN or bool(exchange.protections)
        """Whether market state or protections may refuse an order."""
        self.undo = UndoLog()
        self.events: list[Event] = []
        self.fresh = is_empty(exchange.open_batch)
        """Whether the set has the batch for itself: then cutting it would not help."""
        self.used: dict[int, Exposure] = {}
        """Exposures of the accounts that the set met."""
        self.executions = 0
        """Matches so far."""

    def mark(self) -> Mark:
        """Where things stand now."""
        return len(self.undo.steps), len(self.events), self.executions

    def back_to(self, mark: Mark) -> None:
        """Takes back everything since the mark, events too."""
        self.undo.back_to(mark[0])
        del self.events[mark[1] :]
        self.executions = mark[2]

    def finish(self) -> None:
        """Forgets exposures that have become empty. Last of all, also after going back."""
        for account, exposure in self.used.items():
            if not exposure.instruments:
                del self.exchange.exposures[account]

    def exposure(self, account: int) -> Exposure:
        """An account's exposure, made when it has none yet."""
        exposure = self.used.get(account)
        if exposure is None:
            exposure = self.exchange.exposures.get(account)
            if exposure is None:
                exposure = self.exchange.exposures[account] = self.context.exposure()
            self.used[account] = exposure
        return exposure

    # ---- open orders

    def reserve(self, resting: RestingOrder, units: int) -> None:
        """Reserves margin for `units` more of an order (fewer when negative)."""
        order, reserve = resting.order, (self.used.get(resting.account) or self.exposure(resting.account)).reserve
        legs, sign, limit, fee = order.legs, order.side.sign, order.limit_ticks, resting.unit_fee
        reserve(legs, sign, limit, fee, units)
        self.undo.note((reserve, (legs, sign, limit, fee, -units)))

    def rest(self, resting: RestingOrder) -> None:
        """An order, reserved already, joins the book."""
        exchange = self.exchange
        exchange.add_order(resting)
        self.undo.note((exchange.remove_order, (resting,)))
        self.events.append(OrderResting(resting.account, resting.order, resting.left_lots))

    def exchange_in_place(self, old: RestingOrder, new: RestingOrder) -> None:
        """An amendment takes over the turn of the order that it amends: same nonce, same side and price."""
        new.turn = old.turn
        self.exchange.add_order(new)
        self.undo.note((self.exchange.add_order, (old,)))
        self.events.append(OrderResting(new.account, new.order, new.left_lots))

    def give_back(self, resting: RestingOrder, reason: CancelReason) -> None:
        """An open order ends: its reservation is given back and the event noted. It is still in the book."""
        self.reserve(resting, -resting.left_lots)
        self.events.append(OrderCancelled(resting.account, resting.order, resting.left_lots, reason))

    def remove(self, resting: RestingOrder) -> None:
        """An open order leaves the book."""
        self.exchange.remove_order(resting)
        self.undo.note((self.exchange.restore_order, (resting,)))

    def cancel(self, resting: RestingOrder, reason: CancelReason) -> None:
        """An open order is cancelled."""
        self.give_back(resting, reason)
        self.remove(resting)

    # ---- market-maker protection

    def protection(self, account: int) -> Protection | None:
        """An account's market-maker protection as it stands now, or None."""
        protection = self.exchange.protections.get(account)
        return None if protection is None else protection.at(self.exchange.time_ms)

    def lots_left(self, account: int) -> int | None:
        """Lots of an account's resting orders that its protection lets fill now; None for any number."""
        return lots_left(self.exchange.protections.get(account), self.exchange.time_ms)

    def outgrows(self, account: int, protection: Protection) -> bool:
        """Whether the account's orders do not carry what a new interval lets fill, so that none of them may before they leave."""
        known, exchange = self.exchange.protections[account], self.exchange
        if protection is known or not known.quantity_lots:
            return False
        exposure, cash = self.exposure(account), exchange.accounts[account].cash

        def orders() -> tuple[RestingOrder, ...]:
            return tuple(exchange.open_orders[account].values())

        surplus = carried_scaled(exposure, cash, protection.lots_left, orders)
        return surplus < 0 and surplus < carried_scaled(exposure, cash, known.lots_left, orders)

    def use_protection(self, account: int, used: Protection, *, clipped: bool) -> None:
        """An account's fills as maker are counted; what they used up, or what cut them short, trips before the next match."""
        self._set_protection(account, used)
        if clipped or used.exhausted:
            self.trip(account, used)

    def trip(self, account: int, protection: Protection) -> None:
        """An account's protection trips: all its open orders leave, and it is frozen."""
        tripped = protection.tripped(self.exchange.time_ms)
        self._set_protection(account, tripped)
        self.events.append(ProtectionTripped(account, tripped.frozen_until_ms))
        for resting in tuple(self.exchange.open_orders.get(account, {}).values()):
            self.cancel(resting, CancelReason.PROTECTION)

    def _set_protection(self, account: int, protection: Protection) -> None:
        protections = self.exchange.protections
        self.undo.note((protections.__setitem__, (account, protections[account])))
        protections[account] = protection

    # ---- executions

    def execute(self, taker: RestingOrder, units: int, parts: Sequence[Part]) -> tuple[RestingOrder, CancelReason] | None:
        """Fills `units` of `taker` against all the parts, or changes nothing.

        None when it is done; a maker that may not fill so, and why. TakerStopped when it is the taker that may not.
        """
        exchange, mark = self.exchange, self.mark()
        rows = len(exchange.open_batch.fills)
        taker_row, filled, flags = self._use_order(taker, units), [taker], taker.order.flags
        for maker, made, fills in parts:
            maker_row = self._use_order(maker, made)
            fee = 0
            for fill in fills:
                fee += self._fill(taker, taker_row, maker, maker_row, made, fill)
            if fee > maker.order.fee_cap * made:  # the taker's cap covers any fee on this table: its entry saw to that
                self.back_to(mark)
                return maker, CancelReason.FEE_CAP
            self._take(maker, made)
            filled.append(maker)
            flags |= maker.order.flags
        self._take(taker, units)
        for signed in filled:
            reason = self._violation(signed.account)
            if reason is not None:
                self.back_to(mark)
                if signed is taker:
                    raise TakerStopped(reason)
                return signed, reason
        if flags & FLAG_REDUCE_ONLY or exchange.open_batch.reduced:
            self._check_reduced(mark, filled)
        self.executions += 1
        self._report(taker, parts, rows)
        for maker, _, _ in parts:
            if not maker.left_lots:
                self.remove(maker)
        return None

    def _use_order(self, signed: RestingOrder, units: int) -> int:
        """Books a fill on an order's slot and row; returns the row's index. A combination gets a row for each execution."""
        exchange, order, account = self.exchange, signed.order, signed.account
        batch, usage, undo = exchange.open_batch, exchange.usage, self.undo
        if account in batch.sealed:
            raise BatchBoundary(_sealed(account))
        if account not in batch.opened:
            exchange.open_positions(account, undo)
        slots, index = exchange.accounts[account].slots, order.nonce % self.slots
        before = slots.get(index, EMPTY_SLOT)
        key = (account, order.nonce, order.revision)
        outright = len(order.legs) == 1
        row = usage.order_uses.get(key) if outright else None
        if row is None:
            row = len(batch.order_uses)
            use = OrderUse(account, order, signed.order_set, signed.set_index, before, 0, 0, 0, signed.set_root)
            batch.order_uses.append(use)
            usage.leg_rows += len(order.legs)
            signature, sets = signed.order_set.signature, len(usage.order_sets)
            set_key = (account, signed.set_root, signature.r_x, signature.r_y, signature.s)
            usage.order_sets[set_key] = None
            new_set = len(usage.order_sets) > sets
            if outright:
                usage.order_uses[key] = row
            undo.note((_drop_row, (exchange, key if outright else None, set_key if new_set else None)))
        else:
            use = batch.order_uses[row]
            undo.note((_restore_use, (use, use.fill, use.fee, use.sequence)))
        use.fill += units
        use.sequence = exchange.next_sequence
        slots[index] = Slot(order.nonce, order.revision, (before.filled if before.nonce == order.nonce else 0) + units)
        undo.note((_restore_slot, (slots, index, before)))
        return row

    def _fill(self, taker: RestingOrder, taker_row: int, maker: RestingOrder, maker_row: int, units: int, fill: LegFill) -> int:
        """One leg: lots and cash of both sides, fees, the row. `units` are the maker's. Returns the maker's fee."""
        exchange, price = self.exchange, fill.price_ticks
        batch = exchange.open_batch
        instrument, ratio = maker.order.legs[fill.maker_leg]
        made = maker.order.side.sign * ratio * units
        size = abs(made)
        row = self.table[instrument]
        taker_fee, maker_fee = fill_fees(self.context.fees, self.table.index_ticks, row, price, size)
        if taker_fee or maker_fee:
            if FEE_ACCOUNT in batch.sealed:
                raise BatchBoundary(_sealed(FEE_ACCOUNT))
            if FEE_ACCOUNT not in batch.start:
                exchange.touch(FEE_ACCOUNT, self.undo)
        paid = made * (price - row.funding)
        exchange.change_position(taker.account, instrument, -made).cash += paid - taker_fee
        exchange.change_position(maker.account, instrument, made).cash -= paid + maker_fee
        exchange.accounts[FEE_ACCOUNT].cash += taker_fee + maker_fee
        batch.order_uses[taker_row].fee += taker_fee
        batch.order_uses[maker_row].fee += maker_fee
        batch.fills.append(Fill(taker_row, fill.taker_leg, maker_row, fill.maker_leg, instrument, price, size, taker_fee, maker_fee, exchange.next_sequence))
        self.undo.note((_unfill, (exchange, taker.account, maker.account, made, paid)))
        return maker_fee

    def _take(self, signed: RestingOrder, units: int) -> None:
        """What filled of an order is no longer open."""
        order = signed.order
        reserve = self.exposure(signed.account).reserve
        reserve(order.legs, order.side.sign, order.limit_ticks, signed.unit_fee, -units)
        signed.left_lots -= units
        self.undo.note((_untake, (reserve, signed, units)))

    def _violation(self, account: int) -> CancelReason | None:
        """Why an account may not be left so: cash out of bounds, or the rule of margin.md against the start of the open batch."""
        exchange = self.exchange
        known = exchange.accounts[account]
        if not -CASH_MAX <= known.cash <= CASH_MAX:
            return CancelReason.CASH_BOUND
        covered, must = self.exposure(account).surplus_scaled(known.cash) >= 0, exchange.usage.covered.get(account)
        if covered and not must:
            return None
        params = exchange.params
        new = requirement(known.cash, known.positions, self.table, params)
        if must is not None:
            return None if covered and (new.settled >= 0 or not must) else CancelReason.MARGIN
        old_cash, old_positions = exchange.old_side(account)
        return CancelReason.MARGIN if rule_met(requirement(old_cash, old_positions, self.table, params), new) is None else None

    def _check_reduced(self, mark: Mark, filled: Sequence[RestingOrder]) -> None:
        """Positions in which a reduce-only order filled in this batch stay between 0 and their start. Else it is another batch's turn, or too much for any."""
        exchange, reduced = self.exchange, self.exchange.open_batch.reduced
        for signed in filled:
            account, reduces = signed.account, signed.order.reduce_only
            for instrument, _ in signed.order.legs:
                key = (account, instrument)
                size = exchange.accounts[account].positions.get(instrument, 0)
                if (reduces or key in reduced) and not exchange.is_reduction(account, instrument, size):
                    self.back_to(mark)
                    if self.fresh:
                        raise TakerStopped(CancelReason.BATCH)
                    expected = f"a position in instrument {instrument} between 0 and its start: a reduce-only order filled in this batch"
                    raise BatchBoundary(Rejection(RejectionCode.BATCH_BOUNDARY, "account", account, expected))
                if reduces and key not in reduced:
                    reduced[key] = None
                    self.undo.note((reduced.pop, (key,)))

    def _report(self, taker: RestingOrder, parts: Sequence[Part], first_row: int) -> None:
        """A trade of each new fill row."""
        rows, taking = self.exchange.open_batch.fills, taker.order
        at = first_row
        for maker, _, fills in parts:
            making = maker.order
            for _ in fills:
                fill = rows[at]
                at += 1
                self.events.append(
                    Trade(
                        fill.instrument,
                        fill.price_ticks,
                        fill.size_lots,
                        taking.leg_side(taking.legs[fill.taker_leg]),
                        taker.account,
                        taking.nonce,
                        taking.revision,
                        taker.left_lots,
                        fill.taker_fee,
                        maker.account,
                        making.nonce,
                        making.revision,
                        maker.left_lots,
                        fill.maker_fee,
                        self.executions,
                    )
                )


def _sealed(account: int) -> Rejection:
    return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account, "an account that was not seized or forced to pay in this batch")


def _untake(reserve: Callable[..., None], signed: RestingOrder, units: int) -> None:
    order = signed.order
    reserve(order.legs, order.side.sign, order.limit_ticks, signed.unit_fee, units)
    signed.left_lots += units


def _unfill(exchange: Exchange, taker: int, maker: int, made: int, paid: int) -> None:
    """The newest fill row goes; fees of the order rows go with them."""
    fill = exchange.open_batch.fills.pop()
    exchange.change_position(taker, fill.instrument, made).cash -= paid - fill.taker_fee
    exchange.change_position(maker, fill.instrument, -made).cash += paid + fill.maker_fee
    exchange.accounts[FEE_ACCOUNT].cash -= fill.taker_fee + fill.maker_fee


def _restore_slot(slots: dict[int, Slot], index: int, before: Slot) -> None:
    if before is EMPTY_SLOT:
        del slots[index]
    else:
        slots[index] = before


def _restore_use(use: OrderUse, fill: int, fee: int, sequence: int) -> None:
    use.fill, use.fee, use.sequence = fill, fee, sequence


def _drop_row(exchange: Exchange, key: OrderUseKey | None, set_key: SetKey | None) -> None:
    """The newest order row goes, and its set's signature row when it came with it."""
    use = exchange.open_batch.order_uses.pop()
    exchange.usage.leg_rows -= len(use.order.legs)
    if key is not None:
        del exchange.usage.order_uses[key]
    if set_key is not None:
        del exchange.usage.order_sets[set_key]
