"""A draft of what an order set would change: it reads the exchange, writes only to itself, and is installed as a whole or dropped.

Accounts are copied when they are first needed; an account that stays unchanged by fills keeps only its reservation here. Orders leave the books in the draft by
leaving their owner's `open` map; matching skips those that are not in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from straddle.core.accounts import EMPTY_SLOT, FEE_ACCOUNT, Slot
from straddle.core.batch import Fill, OrderUse
from straddle.core.book import OrderKey, RestingOrder
from straddle.core.capacity import Additions, OrderUseKey
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderResting, ProtectionTripped
from straddle.core.exposure import Exposure, RiskContext
from straddle.core.margin import requirement, rule_met
from straddle.core.orders import Order, Side
from straddle.core.params import CASH_MAX
from straddle.core.protection import Protection
from straddle.core.state import Exchange


@dataclass(slots=True)
class AccountDraft:
    """The parts of one account that trading changes."""

    id: int
    cash: int
    positions: dict[int, int]
    exposure: Exposure
    slots: dict[int, Slot] = field(default_factory=dict)
    """Slots written by the draft."""

    def after_fill(self, context: RiskContext, order: Order, price_ticks: int, size_lots: int, fee: int, *, reserved: bool) -> AccountDraft:
        """A copy after one fill; `reserved` tells that the order was resting, so the filled lots give their reservation back."""
        instrument = order.instrument
        signed = size_lots * order.side.sign
        old = self.positions.get(instrument, 0)
        positions = dict(self.positions)
        if old + signed:
            positions[instrument] = old + signed
        else:
            del positions[instrument]
        exposure = self.exposure.copy()
        exposure.move(context, instrument, old, old + signed)
        if reserved:
            exposure.reserve(context, order, -size_lots, old + signed)
        cash = self.cash - signed * (price_ticks - context.table[instrument].funding) - fee
        return AccountDraft(self.id, cash, positions, exposure, dict(self.slots))


class Draft:
    """What the orders of one set, in turn, would change."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.context = exchange.context
        self.accounts: dict[int, AccountDraft] = {}
        self.touched: dict[int, None] = {}
        """Accounts whose leaf changes, in order."""
        self.open: dict[int, dict[int, RestingOrder]] = {}
        """account -> slot index -> order, for accounts whose open orders change."""
        self.removals: list[RestingOrder] = []
        """Orders to take out of the exchange's books."""
        self.left: dict[OrderKey, int] = {}
        """Lots left of orders that rest in the books and fill in part."""
        self.rests: dict[OrderKey, RestingOrder] = {}
        """Orders to put into the books, in turn."""
        self.in_place: dict[OrderKey, RestingOrder] = {}
        """Orders in the books whose turn an amendment in `rests` takes over."""
        self.uses: dict[OrderUseKey, OrderUse] = {}
        """Order rows added or updated."""
        self.new_rows: dict[OrderUseKey, int] = {}
        """Indices that the added ones will have in `OpenBatch.order_uses`."""
        self.protections: dict[int, Protection] = {}
        """Market-maker protections that makers' fills used."""
        self.fills: list[Fill] = []
        self.events: list[Event] = []

    def account(self, account: int) -> AccountDraft:
        """The account as the draft has it."""
        draft = self.accounts.get(account)
        if draft is None:
            known, exposure = self.exchange.accounts[account], self.exchange.exposures.get(account)
            draft = AccountDraft(account, known.cash, dict(known.positions), exposure.copy() if exposure else Exposure())
            self.accounts[account] = draft
        return draft

    def slot_index(self, nonce: int) -> int:
        """The slot of an order nonce."""
        return nonce % self.exchange.params.slots

    def slot(self, account: int, nonce: int) -> Slot:
        """The slot of an order as the draft has it."""
        index = self.slot_index(nonce)
        return self.account(account).slots.get(index) or self.exchange.accounts[account].slots.get(index, EMPTY_SLOT)

    def live_orders(self, account: int) -> dict[int, RestingOrder]:
        """Open orders of an account by slot index; not to be changed."""
        drafted = self.open.get(account)
        return self.exchange.open_orders.get(account, {}) if drafted is None else drafted

    def is_live(self, resting: RestingOrder) -> bool:
        """Whether an order of the exchange's books is still in them."""
        drafted = self.open.get(resting.account)
        return drafted is None or drafted.get(self.slot_index(resting.order.nonce)) is resting

    def left_of(self, resting: RestingOrder) -> int:
        """Lots left of a resting order."""
        return self.left.get(resting.key, resting.left_lots)

    def makers(self, order: Order) -> Iterator[RestingOrder]:
        """Live orders on the other side, in the order in which `order` meets them. Those that this draft adds come last at their price."""
        side = order.side.opposite
        added = [
            resting
            for key, resting in self.rests.items()
            if resting.order.instrument == order.instrument and resting.order.side is side and key not in self.in_place
        ]
        added.sort(key=_turn)
        return heapq.merge(self._in_book(order.instrument, side), added, key=_turn)

    def _in_book(self, instrument: int, side: Side) -> Iterator[RestingOrder]:
        """Live orders of the exchange's book, those amended in place as amended."""
        for resting in self.exchange.books[instrument].side(side):
            if self.in_place.get(resting.key) is resting:
                yield self.rests[resting.key]
            elif self.is_live(resting):
                yield resting

    def remove(self, resting: RestingOrder) -> None:
        """A live order leaves the market (filled or cancelled). Its reservation is the caller's business."""
        account, key = resting.account, resting.key
        self._open_of(account).pop(self.slot_index(resting.order.nonce))
        if self.rests.get(key) is resting:
            del self.rests[key]
            amended = self.in_place.pop(key, None)
            if amended is not None:
                self.removals.append(amended)
        else:
            self.removals.append(resting)

    def cancel(self, resting: RestingOrder, reason: CancelReason) -> None:
        """A live order is cancelled: its reservation is given back and the event noted."""
        left = self.left_of(resting)
        owner = self.account(resting.account)
        owner.exposure.reserve(self.context, resting.order, -left, owner.positions.get(resting.order.instrument, 0))
        self.remove(resting)
        self.events.append(OrderCancelled(resting.account, resting.order, left, reason))

    def protection(self, account: int) -> Protection | None:
        """An account's market-maker protection as it stands now, or None."""
        protection = self.protections.get(account) or self.exchange.protections.get(account)
        return protection.at(self.exchange.time_ms) if protection else None

    def trip(self, account: int, protection: Protection) -> None:
        """An account's protection trips: all its open orders leave, and it is frozen."""
        tripped = self.protections[account] = protection.tripped(self.exchange.time_ms)
        self.events.append(ProtectionTripped(account, tripped.frozen_until_ms))
        for resting in tuple(self.live_orders(account).values()):
            self.cancel(resting, CancelReason.PROTECTION)

    def rest(self, resting: RestingOrder, keeps_turn_of: RestingOrder | None = None) -> None:
        """An order joins the book, in the turn of `keeps_turn_of` (just cancelled, same nonce, same price) when given."""
        key = resting.key
        if keeps_turn_of is not None and self.removals and self.removals[-1] is keeps_turn_of:
            self.in_place[key] = self.removals.pop()
        self.rests[key] = resting
        self._open_of(resting.account)[self.slot_index(resting.order.nonce)] = resting
        owner = self.account(resting.account)
        owner.exposure.reserve(self.context, resting.order, resting.left_lots, owner.positions.get(resting.order.instrument, 0))
        self.events.append(OrderResting(resting.account, resting.order, resting.left_lots))

    def _open_of(self, account: int) -> dict[int, RestingOrder]:
        """Open orders of an account, copied to be changed."""
        drafted = self.open.get(account)
        if drafted is None:
            drafted = self.open[account] = dict(self.exchange.open_orders.get(account, {}))
        return drafted

    def violation(self, drafted: AccountDraft) -> CancelReason | None:
        """Why an account may not be left as drafted: the rule of margin.md against the start of the open batch, or None."""
        if not -CASH_MAX <= drafted.cash <= CASH_MAX:
            return CancelReason.CASH_BOUND
        table, params = self.context.table, self.context.params
        covered = drafted.exposure.surplus_scaled(drafted.cash) >= 0
        withdrew = drafted.id in self.exchange.open_batch.withdrawals
        if covered and not withdrew:
            return None
        new = requirement(drafted.cash, drafted.positions, table, params)
        if withdrew:
            return None if covered and new.settled >= 0 else CancelReason.MARGIN
        old_cash, old_positions = self.exchange.old_side(drafted.id)
        return CancelReason.MARGIN if rule_met(requirement(old_cash, old_positions, table, params), new) is None else None

    def use_order(self, signed: RestingOrder, size_lots: int, fee: int) -> int:
        """Books a fill on an order's slot and row; returns the row's index. The account must be drafted as after the fill."""
        order, account, batch = signed.order, signed.account, self.exchange.open_batch
        before = self.slot(account, order.nonce)
        filled = (before.filled if before.nonce == order.nonce else 0) + size_lots
        key = (account, order.nonce, order.revision)
        known = self.exchange.usage.order_uses.get(key)
        index = self.new_rows.setdefault(key, len(batch.order_uses) + len(self.new_rows)) if known is None else known
        use = self.uses.get(key)
        if use is None:
            new = OrderUse(account, order, signed.order_set, signed.set_index, before, set_root=signed.set_root)
            use = self.uses[key] = new if known is None else replace(batch.order_uses[known])
        use.fill += size_lots
        use.fee += fee
        use.sequence = self.exchange.next_sequence
        self.account(account).slots[self.slot_index(order.nonce)] = Slot(order.nonce, order.revision, filled)
        self.touched[account] = None
        return index

    def pay_fee(self, amount: int) -> None:
        """The fee account receives `amount` micro-dollars."""
        if amount:
            self.account(FEE_ACCOUNT).cash += amount
            self.touched[FEE_ACCOUNT] = None

    def additions(self) -> Additions:
        """Rows that the draft would add to the open batch."""
        return Additions(
            positions={account: self.accounts[account].positions for account in self.touched},
            order_uses=tuple(self.uses),
            order_sets=tuple({(use.account, use.set_root, use.order_set.signature): None for use in self.uses.values()}),
            fills=len(self.fills),
        )


def _turn(resting: RestingOrder) -> int:
    """Sort key among orders of one side: better prices first."""
    return -resting.order.limit_ticks * resting.order.side.sign


def install(exchange: Exchange, draft: Draft) -> tuple[Event, ...]:
    """Makes a draft of exactly this state true; returns its events."""
    for account in draft.touched:
        exchange.touch(account)
    for account, drafted in draft.accounts.items():
        known = exchange.accounts[account]
        known.cash, known.positions = drafted.cash, drafted.positions
        known.slots.update(drafted.slots)
    for account in draft.touched:
        exchange.count_positions(account)
    for resting in draft.removals:
        exchange.books[resting.order.instrument].side(resting.order.side).remove(resting)
    for (account, nonce), left in draft.left.items():
        known_orders = exchange.open_orders[account]
        known_orders[draft.slot_index(nonce)].left_lots = left
    for resting in draft.rests.values():
        exchange.books[resting.order.instrument].side(resting.order.side).add(resting)
    for account, orders in draft.open.items():
        exchange.set_open_orders(account, orders)
    for account, drafted in draft.accounts.items():
        exchange.set_exposure(account, drafted.exposure)
    exchange.protections.update(draft.protections)
    _install_rows(exchange, draft)
    return tuple(draft.events)


def _install_rows(exchange: Exchange, draft: Draft) -> None:
    """The netting rows of the open batch."""
    batch, usage = exchange.open_batch, exchange.usage
    for key, use in draft.uses.items():
        index = usage.order_uses.get(key)
        if index is None:
            usage.order_uses[key] = len(batch.order_uses)
            batch.order_uses.append(use)
        else:
            batch.order_uses[index] = use
        usage.order_sets[use.account, use.set_root, use.order_set.signature] = None
    batch.fills.extend(draft.fills)
