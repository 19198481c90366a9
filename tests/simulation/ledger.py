"""An account book of its own, kept from commands and events alone: who has what, who signed what, and what of it has filled.

It uses none of the engine's rules: prices come from the tables that were submitted, fees and settlement are reckoned here. Positions in a settled instrument
are counted as the cash that they are worth from the moment in which the value is declared, whenever the engine gets to turn them into cash.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from straddle.core.commands import Command, InternalEpoch, L1Deposit, L2Bid, L2Cancel, L2Trade, L2Transfer, L2Withdraw
from straddle.core.events import (
    Deleveraged,
    Deposited,
    Event,
    ForcePaid,
    KeySet,
    OrderRejected,
    OrderResting,
    Settled,
    TakenOver,
    Trade,
    Transferred,
    Withdrawn,
)
from straddle.core.orders import Order
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange

FEES, FUND = 1, 2
TAKER_BPS, MAKER_BPS, CAP_BPS, BPS = 3, 1, 1_250, 10_000
Key = tuple[int, int, int]
"""Account, nonce, revision."""


class Signed(NamedTuple):
    """An order and the key epoch under which it came."""

    order: Order
    key_epoch: int


class Ledger:
    """Everything is micro-dollars and lots."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.cash: Counter[int] = Counter()
        self.positions: dict[int, Counter[int]] = {}
        self.deposited = 0
        self.paid_out = 0
        self.declared: dict[int, int] = {}
        self.table: RiskTable | None = None
        self.signed: dict[Key, Signed] = {}
        self.filled: Counter[tuple[int, int]] = Counter()
        self.newest: dict[tuple[int, int], tuple[int, int]] = {}
        """(account, slot) -> nonce and revision of the last order that filled there."""
        self.key_epochs: Counter[int] = Counter()
        self.min_nonces: Counter[int] = Counter()
        self.action_nonces: Counter[int] = Counter()
        self.owners: dict[int, int] = {}

    def follow(self, command: Command, events: tuple[Event, ...]) -> None:
        """One accepted command."""
        if isinstance(command, InternalEpoch):
            self.table = command.table
        elif isinstance(command, L2Trade):
            self._sign(command, events)
            self._trades(command, [event for event in events if isinstance(event, Trade)])
        elif isinstance(command, L2Cancel):
            self.min_nonces[command.account] = max(self.min_nonces[command.account], command.min_nonce)
        else:
            self._as_signed(command, events)
        for event in events:
            self._event(command, event)

    def compare(self, exchange: Exchange) -> None:
        """Everybody has what the events say, so a command changed nobody whom its events do not name; and all of it is what went into the vault."""
        totals: Counter[int] = Counter()
        cash_total = 0
        assert exchange.settlements.items() <= self.declared.items()
        for id_, account in exchange.accounts.items():
            cash, held = account.cash, {}
            for instrument, size in account.positions.items():
                if instrument in self.declared:
                    cash += size * self.declared[instrument]
                else:
                    held[instrument] = size
                    totals[instrument] += size
            known = {instrument: size for instrument, size in self.positions.get(id_, {}).items() if size}
            assert cash == self.cash[id_], f"account {id_}: cash {cash}, expected {self.cash[id_]}"
            assert held == known, f"account {id_}: positions {held}, expected {known}"
            cash_total += cash
        assert cash_total == self.deposited - self.paid_out, f"cash {cash_total}, expected {self.deposited} - {self.paid_out}"
        assert not any(totals.values()), f"positions do not sum to zero: {totals}"
        assert {id_ for id_, held in self.positions.items() if any(held.values())} <= exchange.accounts.keys()

    # ---- signatures

    def _sign(self, command: L2Trade, events: tuple[Event, ...]) -> None:
        order_set = command.order_set
        assert order_set.key_epoch == self.key_epochs[order_set.account]
        refused = {event.order for event in events if isinstance(event, OrderRejected)}
        for order in order_set.orders:
            if order not in refused:
                self.signed[order_set.account, order.nonce, order.revision] = Signed(order, order_set.key_epoch)

    def _as_signed(self, command: Command, events: tuple[Event, ...]) -> None:
        """Money moves as it was signed, once."""
        if not isinstance(command, L2Withdraw | L2Transfer | L2Bid):
            return
        account, moved = command.account, [event for event in events if isinstance(event, Withdrawn | Transferred | TakenOver)]
        assert command.key_epoch == self.key_epochs[account] and command.nonce > self.action_nonces[account]
        self.action_nonces[account] = command.nonce
        (event,) = moved
        if isinstance(event, TakenOver):
            assert isinstance(command, L2Bid) and (event.winner, event.account, event.fraction_bps) == (account, command.target, command.fraction_bps)
            assert event.payment <= command.limit
        elif isinstance(event, Withdrawn):
            assert isinstance(command, L2Withdraw)
            assert (event.account, event.amount, event.nonce, event.owner) == (account, command.amount, command.nonce, self.owners[account])
        else:
            assert isinstance(command, L2Transfer) and (event.account, event.to, event.amount) == (account, command.to, command.amount)
            assert self.owners[account] == self.owners[command.to]

    # ---- money

    def _event(self, command: Command, event: Event) -> None:
        if isinstance(event, Deposited):
            assert isinstance(command, L1Deposit) and (event.account, event.amount) == (command.account, command.amount)
            assert self.owners.setdefault(event.account, event.owner) == event.owner
            self.cash[event.account] += event.amount
            self.deposited += event.amount
        elif isinstance(event, Withdrawn):
            self._pay_out(event.account, event.amount)
        elif isinstance(event, ForcePaid):
            assert 0 <= event.paid <= event.asked and self.owners.get(event.account, event.owner) == event.owner
            self._pay_out(event.account, event.paid)
        elif isinstance(event, Transferred):
            self._pay(event.account, event.to, event.amount)
        elif isinstance(event, TakenOver):
            self._pay(event.winner, event.account, event.payment)
            for instrument, lots in event.lots:
                self._move(event.account, event.winner, instrument, lots)
        elif isinstance(event, Deleveraged):
            self._deleverage(event)
        elif isinstance(event, Settled):
            self._settle(event.instrument, event.value_ticks)
        elif isinstance(event, KeySet):
            self.key_epochs[event.account] += 1
            assert event.key_epoch == self.key_epochs[event.account]
        elif isinstance(event, OrderResting):
            assert not event.order.immediate and event.left_lots > 0

    def _pay(self, payer: int, receiver: int, amount: int) -> None:
        self.cash[payer] -= amount
        self.cash[receiver] += amount

    def _pay_out(self, account: int, amount: int) -> None:
        self.cash[account] -= amount
        self.paid_out += amount

    def _move(self, giver: int, receiver: int, instrument: int, lots: int) -> None:
        self.positions.setdefault(giver, Counter())[instrument] -= lots
        self.positions.setdefault(receiver, Counter())[instrument] += lots

    def _deleverage(self, event: Deleveraged) -> None:
        """At a price within the band of both; both positions shrink, neither turns."""
        assert self.table is not None and event.account != event.winner
        row = self.table[event.instrument]
        assert abs(event.price_ticks - row.value - row.funding) <= row.band and row.expiry_ms > self.table.time_ms
        before = [self.positions[account][event.instrument] for account in (event.account, event.winner)]
        self._move(event.account, event.winner, event.instrument, event.size_lots)
        self._pay(event.winner, event.account, event.size_lots * (event.price_ticks - row.funding))
        for account, old in zip((event.account, event.winner), before, strict=True):
            assert 0 <= self.positions[account][event.instrument] * (1 if old > 0 else -1) < abs(old)

    def _settle(self, instrument: int, value: int) -> None:
        assert instrument not in self.declared
        self.declared[instrument] = value
        for account, held in self.positions.items():
            self.cash[account] += held.pop(instrument, 0) * value

    # ---- trades

    def _trades(self, command: L2Trade, trades: list[Trade]) -> None:
        executions: dict[tuple[int, Key], list[tuple[Trade, int, int]]] = {}
        for trade in trades:
            assert trade.taker == command.order_set.account != trade.maker and trade.size_lots > 0
            self._check_terms(trade)
            for account, key, sign, fee in (
                (trade.taker, (trade.taker, trade.taker_nonce, trade.taker_revision), trade.taker_side.sign, trade.taker_fee),
                (trade.maker, (trade.maker, trade.maker_nonce, trade.maker_revision), -trade.taker_side.sign, trade.maker_fee),
            ):
                executions.setdefault((trade.execution, key), []).append((trade, sign, fee))
                self._pay(account, FEES, fee)
        for (_, key), parts in executions.items():
            self._execution(key, parts, taking=key[0] == command.order_set.account)
        for order in command.order_set.orders:
            if order.fill_or_kill:
                done = sum(trade.size_lots for trade in trades if (trade.taker_nonce, trade.instrument) == (order.nonce, order.legs[0].instrument))
                assert not done or self.filled[command.order_set.account, order.nonce] == order.size_lots

    def _check_terms(self, trade: Trade) -> None:
        """Price within the band, instrument alive, fees to the micro-dollar."""
        assert self.table is not None
        row, index, price = self.table[trade.instrument], self.table.index_ticks, trade.price_ticks
        assert abs(price - row.value - row.funding) <= row.band and row.expiry_ms > self.table.time_ms and trade.instrument not in self.declared
        for bps, fee in ((TAKER_BPS, trade.taker_fee), (MAKER_BPS, trade.maker_fee)):
            rate = bps * index if row.linear else min(bps * index, CAP_BPS * max(price, 0))
            assert fee == (rate * trade.size_lots + BPS - 1) // BPS

    def _execution(self, key: Key, parts: list[tuple[Trade, int, int]], *, taking: bool) -> None:
        """One match as one of its two orders has it: all legs, in proportion, within the limit, the size, the fee cap, the date, and what its flags say."""
        account, nonce, revision = key
        order, key_epoch = self.signed[key]
        assert self.table is not None and key_epoch == self.key_epochs[account] and nonce >= self.min_nonces[account]
        assert order.expiry_ms > self.table.time_ms and not (taking and order.post_only) and (taking or not order.immediate)
        held, lots, cost = self.positions.setdefault(account, Counter()), Counter[int](), 0
        for trade, sign, _ in parts:
            lots[trade.instrument] += sign * trade.size_lots
            cost += sign * trade.size_lots * trade.price_ticks
            self.cash[account] -= sign * trade.size_lots * (trade.price_ticks - self.table[trade.instrument].funding)
        leg = order.legs[0]
        units = lots[leg.instrument] * order.side.sign // leg.ratio
        assert units > 0 and lots == {leg.instrument: order.side.sign * leg.ratio * units for leg in order.legs}
        assert cost <= order.side.sign * order.limit_ticks * units
        assert sum(fee for _, _, fee in parts) <= order.fee_cap * units
        for instrument, size in lots.items():
            old, new = held[instrument], held[instrument] + size
            assert not order.reduce_only or 0 <= new * (1 if old > 0 else -1) < abs(old)
            held[instrument] = new
        slot = account, nonce % self.slots
        assert self.newest.get(slot, (0, 0)) <= (nonce, revision)
        self.newest[slot] = nonce, revision
        self.filled[account, nonce] += units
        assert self.filled[account, nonce] <= order.size_lots
