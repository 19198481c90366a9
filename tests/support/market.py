"""A small exchange with handmade risk tables and real keys, for tests of the rules."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

from straddle.core.accounts import Account
from straddle.core.batch import OpenBatch
from straddle.core.book import Book, RestingOrder
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, InternalEpoch, InternalList, InternalMarket, L1Deposit, L1SetKey, L2Cancel, L2Protect, L2Trade, L2Withdraw
from straddle.core.events import Event
from straddle.core.fees import FeeSchedule
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.market_state import MarketState
from straddle.core.messages import MessageKind, cancel_payload, order_set_root, protection_payload, signed_words, withdrawal_payload
from straddle.core.orders import Leg, Order, OrderSet, Side, Signature, outright
from straddle.core.params import Limits, Params
from straddle.core.protection import ProtectionLimits
from straddle.core.rejections import RejectionCode
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.state import Exchange, close_batch
from straddle.primitives.keys import SecretKey
from straddle.transition import Outcome, transition

DOMAIN = 12345
OPERATOR = 0xA11CE
TIME_MS = 1_590_000_000_000
HOUR_MS = 3_600_000
INDEX_TICKS = 900_000
"""$9,000."""
CALL, PUT, PERPETUAL = 1, 2, 3
DOLLARS = 1_000_000

BUY, SELL = Side.BUY, Side.SELL

ROOMY = Capacity(
    accounts=20,
    positions=320,
    instruments=344,
    signatures=40,
    orders=72,
    fills=84,
    queue=24,
    withdrawals=4,
    listings=120,
    legs=96,
    transfers=2,
    takeovers=2,
    deleverages=4,
)
NANO = Capacity(
    accounts=6,
    positions=12,
    instruments=6,
    signatures=6,
    orders=8,
    fills=6,
    queue=4,
    withdrawals=2,
    listings=6,
    legs=12,
    transfers=1,
    takeovers=1,
    deleverages=2,
)
"""A small one of the tests' own: batches fill up soon."""

INSTRUMENTS = (
    Instrument(CALL, Kind.CALL, BTC, TIME_MS + 24 * HOUR_MS, 900_000, 50, 10, 10_000_000),
    Instrument(PUT, Kind.PUT, BTC, TIME_MS + 24 * HOUR_MS, 850_000, 50, 10, 10_000_000),
    Instrument(PERPETUAL, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 10_000_000),
)


def spread(slope_bps: int, curve: int = 0) -> tuple[int, ...]:
    """48 deltas: a spot ladder of -24 to +24 steps of 0.5 % without 0, times a slope in basis points, plus a square term."""
    steps = [step for step in range(-24, 25) if step]
    return tuple(step * 4500 * slope_bps // 10_000 + curve * step * step for step in steps)


def row(instrument: Instrument, **changes: Any) -> RiskRow:
    """A plausible row: call and put worth $200 and $150, perpetual at the index with some funding accrued."""
    base = {
        Kind.CALL: RiskRow(instrument.id, instrument.expiry_ms, False, 20_000, 0, 6_000, 10, 5, 900, 700, spread(5000, 40)),
        Kind.PUT: RiskRow(instrument.id, instrument.expiry_ms, False, 15_000, 0, 6_000, 10, 5, 900, 700, spread(-4000, 40)),
        Kind.PERPETUAL: RiskRow(instrument.id, instrument.expiry_ms, True, 899_000, 1_000, 20_000, 2_000, 1_500, 2_000, 1_500, spread(10_000)),
        Kind.FUTURE: RiskRow(instrument.id, instrument.expiry_ms, True, 900_000, 0, 20_000, 2_000, 1_500, 2_000, 1_500, spread(10_000)),
    }[instrument.kind]
    return replace(base, **changes)


def table(epoch: int = 1, time_ms: int = TIME_MS, instruments: tuple[Instrument, ...] = INSTRUMENTS, **changes: dict[str, Any]) -> RiskTable:
    """A table over `instruments`; `changes` maps row_<id> to changed fields."""
    return RiskTable(epoch, time_ms, INDEX_TICKS, tuple(row(instrument, **changes.get(f"row_{instrument.id}", {})) for instrument in instruments))


@cache
def secret(account: int, generation: int = 0) -> SecretKey:
    """The trading key of a test account."""
    return SecretKey.from_seed(f"{account}/{generation}".encode())


@cache
def _sign(account: int, generation: int, words: tuple[int, ...]) -> Signature:
    return secret(account, generation).sign(words)


class Market:
    """Drives one exchange; counts nonces, queue entries and key generations; remembers closed batches."""

    def __init__(
        self,
        capacity: Capacity = ROOMY,
        fees: FeeSchedule | None = None,
        *,
        limits: Limits | None = None,
        account_depth: int = 20,
        slot_depth: int = 12,
        open_: bool = True,
    ) -> None:
        params = Params(account_depth, slot_depth, 10_000, 8_000, 7)
        self.exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=params, capacity=capacity, fees=fees, limits=limits)
        self.nonces: dict[int, int] = {}
        self.generations: dict[int, int] = {}
        self.closed: list[OpenBatch] = []
        self.commands: list[Command | None] = []
        """Every accepted command in order; None where a batch was closed."""
        if open_:
            self.ok(InternalList(INSTRUMENTS))
            self.ok(InternalEpoch(table()))
            self.cut()

    def do(self, command: Command) -> Outcome:
        """Submits as it is."""
        outcome = transition(self.exchange, command)
        if outcome.accepted:
            self.commands.append(command)
        return outcome

    def ok(self, command: Command) -> tuple[Event, ...]:
        """Submits, cutting the batch when asked to; must be accepted."""
        outcome = self.do(command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            self.cut()
            outcome = self.do(command)
        assert outcome.rejection is None, outcome.rejection.message
        return outcome.events

    def refused(self, command: Command) -> RejectionCode:
        """Submits; must be refused."""
        outcome = self.do(command)
        assert outcome.rejection is not None and outcome.events == () and outcome.sequence is None
        assert outcome.rejection.message
        return outcome.rejection.code

    def cut(self) -> OpenBatch:
        """Closes the open batch."""
        finished = close_batch(self.exchange)
        self.closed.append(finished)
        self.commands.append(None)
        return finished

    def assert_replays_on(self, fresh: Exchange) -> None:
        """The same commands on a fresh exchange give the same state and the same batches."""
        batches = []
        for command in self.commands:
            if command is None:
                batches.append(close_batch(fresh))
            else:
                assert transition(fresh, command).accepted
        assert picture(fresh) == picture(self.exchange) and batches == self.closed

    def deposit(self, account: int, dollars: int, owner: int | None = None) -> L1Deposit:
        return L1Deposit(self.exchange.queue_pointer, account, 0x1000 + account if owner is None else owner, dollars * DOLLARS)

    def set_key(self, account: int, generation: int = 0) -> L1SetKey:
        return L1SetKey(self.exchange.queue_pointer, account, 0x1000 + account, secret(account, generation).public)

    def join(self, *accounts: int, dollars: int = 10_000) -> None:
        """Funded accounts whose keys act."""
        for account in accounts:
            self.ok(self.deposit(account, dollars))
            self.ok(self.set_key(account))
        self.cut()

    def sign(self, account: int, kind: MessageKind, payload: int) -> tuple[int, Signature]:
        """Key epoch and signature by the account's current key."""
        key_epoch = self.exchange.accounts[account].key_epoch if account in self.exchange.accounts else 0
        words = signed_words(DOMAIN, kind, account, key_epoch, payload)
        return key_epoch, _sign(account, self.generations.get(account, 0), words)

    def order(self, account: int, instrument: int, side: Side, limit_ticks: int, size_lots: int, **changes: Any) -> Order:
        """A good-till-cancelled order with the account's next nonce."""
        if "nonce" not in changes:
            self.nonces[account] = self.nonces.get(account, 0) + 1
            changes["nonce"] = self.nonces[account]
        fields: dict[str, Any] = {"revision": 0, "expiry_ms": TIME_MS + HOUR_MS, "fee_cap": 5_000, "flags": 0, **changes}
        return outright(limit_ticks=limit_ticks, size_lots=size_lots, instrument=instrument, side=side, **fields)

    def combination(self, account: int, legs: dict[int, int], side: Side, limit_ticks: int, size_lots: int, **changes: Any) -> Order:
        """An order on instrument -> signed ratio, with the account's next nonce."""
        order = self.order(account, 1, side, limit_ticks, size_lots, **{"fee_cap": 50_000, **changes})
        return replace(order, legs=tuple(Leg(instrument, ratio) for instrument, ratio in legs.items()))

    def trade(self, account: int, *orders: Order) -> L2Trade:
        """A signed order set."""
        key_epoch, signature = self.sign(account, MessageKind.ORDER_SET, order_set_root(orders))
        return L2Trade(OrderSet(account, key_epoch, orders, signature))

    def submit(self, account: int, instrument: int, side: Side, limit_ticks: int, size_lots: int, **changes: Any) -> tuple[Event, ...]:
        """One order as a set of its own; must be accepted as a set."""
        return self.ok(self.trade(account, self.order(account, instrument, side, limit_ticks, size_lots, **changes)))

    def withdraw(self, account: int, amount: int, nonce: int | None = None) -> L2Withdraw:
        nonce = self.exchange.accounts[account].action_nonce + 1 if nonce is None else nonce
        key_epoch, signature = self.sign(account, MessageKind.WITHDRAWAL, withdrawal_payload(nonce, amount))
        return L2Withdraw(account, key_epoch, nonce, amount, signature)

    def cancel(self, account: int, min_nonce: int) -> L2Cancel:
        key_epoch, signature = self.sign(account, MessageKind.CANCEL, cancel_payload(min_nonce))
        return L2Cancel(account, key_epoch, min_nonce, signature)

    def protect(self, account: int, interval_ms: int, frozen_ms: int, quantity_lots: int, delta_micros: int = 0, nonce: int | None = None) -> L2Protect:
        known, limits = self.exchange.protections.get(account), ProtectionLimits(interval_ms, frozen_ms, quantity_lots, delta_micros)
        nonce = (known.nonce if known else 0) + 1 if nonce is None else nonce
        key_epoch, signature = self.sign(account, MessageKind.PROTECTION, protection_payload(nonce, limits))
        return L2Protect(account, key_epoch, nonce, limits, signature)

    def state(self, state: MarketState = MarketState.OPEN, later_ms: int = 0) -> InternalMarket:
        """The market's state, at the table's time or the last one told, whichever is later, and `later_ms`."""
        table_ = self.exchange.table
        return InternalMarket(max(self.exchange.time_ms, table_.time_ms if table_ else 0) + later_ms, state)


def picture(exchange: Exchange) -> Any:
    """Everything in an exchange as comparable plain values, the order of open orders, levels and rows included; that of positions and slots means nothing."""
    own = ("books", "combination_books", "open_orders", "accounts", "exposures", "open_batch", "table", "_units")
    state = {item.name: getattr(exchange, item.name) for item in fields(exchange) if item.name not in own}
    books = {key: _book(book) for key, book in (*exchange.books.items(), *sorted(exchange.combination_books.items()))}
    orders = {account: [(index, _resting(resting)) for index, resting in slots.items()] for account, slots in sorted(exchange.open_orders.items())}
    accounts = [_account(account) for account in exchange.accounts.values()]
    exposures = {account: exposure.state() for account, exposure in sorted(exchange.exposures.items())}
    batch = exchange.open_batch
    rows = {item.name: getattr(batch, item.name) for item in fields(batch) if item.name not in ("start", "table")}
    start = [_account(account) for account in batch.start.values()]
    return repr((state, books, orders, accounts, exposures, rows, start, (exchange.table and exchange.table.epoch), (batch.table and batch.table.epoch)))


def _account(account: Account) -> Any:
    return replace(account, positions=dict(sorted(account.positions.items())), slots=dict(sorted(account.slots.items())))


def _book(book: Book) -> Any:
    return [[_resting(resting) for resting in side] for side in (book.bids, book.asks)]


def _resting(resting: RestingOrder) -> tuple[Any, ...]:
    return (resting.account, resting.order, resting.set_index, resting.left_lots, resting.turn, resting.unit_fee)


def scenarios(*changes: tuple[int, int]) -> tuple[int, ...]:
    """48 deltas, zero but for (index, delta)."""
    deltas = [0] * SCENARIOS
    for index, delta in changes:
        deltas[index] = delta
    return tuple(deltas)
