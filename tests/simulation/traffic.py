"""Random commands of every kind: mostly good, some bad in their values, their signatures, their order or their authority."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

from support.market import HOUR_MS, INSTRUMENTS, TIME_MS, secret, table

from straddle.core import messages
from straddle.core.commands import Command, InternalEpoch, InternalList, InternalMarket, L1Deposit, L1SetKey, L2Cancel, L2Protect, L2Trade, L2Withdraw
from straddle.core.instruments import BTC, Instrument, Kind
from straddle.core.market_state import MarketState
from straddle.core.messages import MessageKind, signed_words
from straddle.core.orders import Order, OrderSet, Side, Signature
from straddle.core.protection import ProtectionLimits
from straddle.core.state import Exchange
from straddle.primitives.points import NO_KEY

DOMAIN = messages.domain(31337, 0x1234)
ACCOUNTS = (3, 4, 5, 6)
UNSIGNED = Signature(0, 0, 0)
CENTRES = {Kind.CALL: 20_000, Kind.PUT: 15_000, Kind.PERPETUAL: 900_000}
WILD = (-1, 0, 1, 2**16, 2**32, 2**40, 2**48, 2**63 - 1, 2**63, 2**64, 2**160, 2**253, 2**256, -(2**39), -(2**63), -(2**64))
WEIGHTS = {"trade": 70, "cancel": 3, "withdraw": 4, "protect": 2, "epoch": 3, "market": 4, "list": 0.3, "queue": 4, "bad": 9}
FIRST_LISTING = tuple(INSTRUMENTS)


class Traffic:
    """Makes commands that follow from the generator and the exchange as it stands. Knows the traders' keys; remembers what it sent, to send it again."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.nonces: dict[int, int] = {}
        self.sent: list[Command] = []
        self.oracle_stopped = 0
        """Commands for which the oracle stays silent."""

    def next(self, exchange: Exchange, queue: list[L1Deposit | L1SetKey]) -> Command:
        """The next command; `queue` are layer 1's final entries."""
        self.oracle_stopped = max(0, self.oracle_stopped - 1)
        if not exchange.instruments:
            return InternalList(FIRST_LISTING)
        if not exchange.trading_open:
            return self.epoch(exchange) if self.rng.random() < 0.7 else self.trade(exchange)
        kind = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "bad":
            return self.bad(exchange, queue)
        if kind == "queue" or len(queue) - exchange.queue_pointer > 4 or exchange.queue_pointer < 2 * len(ACCOUNTS):
            if exchange.queue_pointer < len(queue):
                return queue[exchange.queue_pointer]
            kind = "trade"
        if kind == "epoch" and self.oracle_stopped:
            kind = "market"
        command: Command = getattr(self, kind)(exchange)
        if len(self.sent) < 200 or self.rng.random() < 0.1:
            self.sent = [*self.sent[-199:], command]
        return command

    # ---- good ones

    def trade(self, exchange: Exchange) -> L2Trade:
        account = self.rng.choice(ACCOUNTS)
        orders = tuple(self._order(exchange, account) for _ in range(self.rng.choice((1, 1, 1, 2, 4))))
        return self.signed_trade(exchange, account, orders)

    def signed_trade(self, exchange: Exchange, account: int, orders: tuple[Order, ...]) -> L2Trade:
        key_epoch, _ = self._authority(exchange, account)
        unsigned = OrderSet(account, key_epoch, orders, UNSIGNED)
        signature = self._sign(exchange, account, MessageKind.ORDER_SET, messages.order_set_payload(unsigned))
        return L2Trade(dataclasses.replace(unsigned, signature=signature))

    def cancel(self, exchange: Exchange) -> L2Cancel:
        account = self.rng.choice(ACCOUNTS)
        nonce = max(1, self.nonces.get(account, 0) - self.rng.choice((0, 1, 3)))
        return L2Cancel(
            account, self._authority(exchange, account)[0], nonce, self._sign(exchange, account, MessageKind.CANCEL, messages.cancel_payload(nonce))
        )

    def withdraw(self, exchange: Exchange) -> L2Withdraw:
        account, amount = self.rng.choice(ACCOUNTS), self.rng.choice((1, 10_000_000, 30_000_000, 10**12))
        known = exchange.accounts.get(account)
        nonce = (known.withdrawal_nonce if known else 0) + self.rng.choice((1, 1, 1, 0))
        signature = self._sign(exchange, account, MessageKind.WITHDRAWAL, messages.withdrawal_payload(nonce, amount))
        return L2Withdraw(account, self._authority(exchange, account)[0], nonce, amount, signature)

    def protect(self, exchange: Exchange) -> L2Protect:
        account = self.rng.choice(ACCOUNTS)
        self.nonces[-account] = nonce = self.nonces.get(-account, 0) + 1
        limits = self.rng.choice((ProtectionLimits(0, 0, 0, 0), ProtectionLimits(60_000, 60_000, 500, 0), ProtectionLimits(60_000, 1_000, 0, 10**9)))
        signature = self._sign(exchange, account, MessageKind.PROTECTION, messages.protection_payload(nonce, limits))
        return L2Protect(account, self._authority(exchange, account)[0], nonce, limits, signature)

    def epoch(self, exchange: Exchange) -> InternalEpoch:
        current = exchange.table
        number, time_ms = (current.epoch + 1, current.time_ms) if current else (1, TIME_MS)
        shift = 500 * self.rng.choice((-4, 0, 0, 1, 8, 30))
        changes = {
            "row_1": {"value": 20_000 + shift},
            "row_2": {"value": 15_000 - shift // 2},
            "row_3": {"value": 899_000 + shift, "funding": 1_000 - shift // 10},
        }
        return InternalEpoch(table(number, max(time_ms + 60_000 * self.rng.randint(0, 3), exchange.time_ms), tuple(exchange.instruments.values()), **changes))

    def market(self, exchange: Exchange) -> InternalMarket:
        state = self.rng.choices(list(MarketState), (30, 2, 1, 1))[0]
        return InternalMarket(exchange.time_ms + self.rng.choice((0, 100, 5_000)) if exchange.time_ms else TIME_MS, state)

    def list(self, exchange: Exchange) -> InternalList:
        number, kind = len(exchange.instruments) + 1, self.rng.choice((Kind.CALL, Kind.PUT))
        return InternalList((Instrument(number, kind, BTC, TIME_MS + 48 * HOUR_MS, 880_000 + 1_000 * number, 50, 10, 10_000_000),))

    def queue(self, exchange: Exchange) -> L2Trade:
        return self.trade(exchange)

    def layer1_entry(self) -> L1Deposit | L1SetKey:
        """What a user does on layer 1."""
        account = self.rng.choice(ACCOUNTS)
        if self.rng.random() < 0.8:
            return L1Deposit(0, account, 0x1000 + account, 1_000_000 * self.rng.choice((1, 20, 200)))
        key = NO_KEY if self.rng.random() < 0.1 else secret(account, self.rng.randint(0, 2)).public
        return L1SetKey(0, account, 0x1000 + account, key)

    # ---- bad ones

    def bad(self, exchange: Exchange, queue: list[L1Deposit | L1SetKey]) -> Command:
        """Something to refuse: sent before, a wild value, somebody else's key, or out of turn."""
        how = self.rng.choice(("again", "wild", "wild", "wild order", "stranger", "turn"))
        if how == "again" and self.sent:
            return self.rng.choice(self.sent)
        if how == "wild order":
            account, order = self.rng.choice(ACCOUNTS), self._order(exchange, self.rng.choice(ACCOUNTS))
            try:
                return self.signed_trade(exchange, account, (self._wild(order),))
            except (ValueError, OverflowError):  # what no client can sign either
                return self.trade(exchange)
        if how == "stranger":
            return dataclasses.replace(self.withdraw(exchange), account=self.rng.choice((0, 1, 2, *ACCOUNTS, 77)))
        if how == "turn" and queue:
            return self.rng.choice(queue)
        command = getattr(self, self.rng.choice(("trade", "cancel", "withdraw", "protect", "market")))(exchange)
        result: Command = self._wild(command)
        return result

    def _wild(self, value: Any) -> Any:
        """The value with one integer in it, however deep, that does not belong there."""
        names = [field.name for field in dataclasses.fields(value) if field.init and not isinstance(getattr(value, field.name), str | bool | None)]
        name = self.rng.choice(names)
        inner = getattr(value, name)
        if isinstance(inner, tuple) and inner and dataclasses.is_dataclass(inner[0]):
            i = self.rng.randrange(len(inner))
            changed: Any = (*inner[:i], self._wild(inner[i]), *inner[i + 1 :])
        elif dataclasses.is_dataclass(inner):
            changed = self._wild(inner)
        elif isinstance(inner, int) and not isinstance(inner, Side):
            changed = self.rng.choice(WILD)
        else:
            return value
        return dataclasses.replace(value, **{name: changed})

    # ---- parts

    def _order(self, exchange: Exchange, account: int) -> Order:
        rng = self.rng
        instrument = exchange.instruments[rng.randint(1, len(exchange.instruments))]
        nonce = self.nonces.get(account, 0)
        if rng.random() < 0.9:
            self.nonces[account] = nonce = nonce + 1
        time_ms = exchange.table.time_ms if exchange.table else TIME_MS
        return Order(
            nonce=max(1, nonce),
            revision=rng.choice((0, 0, 0, 1, 2)),
            expiry_ms=max(time_ms, exchange.time_ms) + rng.choice((60, 60, 2)) * HOUR_MS // 60,
            size_lots=10 * rng.choice((0, 1, 3, 10, 10, 30, 60, 200)),
            limit_ticks=CENTRES[instrument.kind] + 50 * rng.randint(-2, 2),
            instrument=instrument.id,
            side=rng.choice((Side.BUY, Side.SELL)),
            fee_cap=5_000 if rng.random() < 0.9 else 270,
            flags=int(rng.random() < 0.2),
        )

    def _authority(self, exchange: Exchange, account: int) -> tuple[int, int]:
        """Key epoch of an account, and the generation of the key that it has (0 when it has none)."""
        known = exchange.accounts.get(account)
        if known is None:
            return 0, 0
        generations = [generation for generation in range(3) if secret(account, generation).public == known.key]
        return known.key_epoch, generations[0] if generations else 0

    def _sign(self, exchange: Exchange, account: int, kind: MessageKind, payload: int) -> Signature:
        key_epoch, generation = self._authority(exchange, account)
        return secret(account, generation).sign(signed_words(DOMAIN, kind, account, key_epoch, payload))
