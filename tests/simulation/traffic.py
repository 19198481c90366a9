"""Random commands of every operation: mostly good, what the operator owes after each table among them; the bad ones are in `mischief`."""

from __future__ import annotations

from random import Random

from support.market import HOUR_MS, INSTRUMENTS, OPERATOR, TIME_MS, secret

from straddle.core import messages
from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT
from straddle.core.combinations import price_step, size_step
from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalMarket,
    InternalSettle,
    L1Deposit,
    L1ForceClose,
    L1ForceWithdraw,
    L1SetKey,
    L2Bid,
    L2Cancel,
    L2Protect,
    L2Trade,
    L2Transfer,
    L2Withdraw,
)
from straddle.core.instruments import BTC, Instrument, Kind, Settlement
from straddle.core.market_state import MarketState
from straddle.core.messages import MessageKind, signed_words
from straddle.core.orders import Leg, Legs, Order, OrderSet, Side, Signature
from straddle.core.params import CASH_MAX
from straddle.core.protection import ProtectionLimits
from straddle.core.risk_table import RiskRow
from straddle.core.state import Exchange
from straddle.core.upkeep import to_deleverage, to_deliver, to_liquidate, to_retire
from straddle.primitives.points import NO_KEY

from .mischief import mischief
from .prices import Prices

Entry = L1Deposit | L1SetKey | L1ForceWithdraw | L1ForceClose

DOMAIN = messages.domain(31337, 0x1234)
ACCOUNTS = (3, 4, 5, 6, 7, 8)
"""They trade. 3 and 6 have one owner, 4 and 7 another."""
STRANGERS = range(9, 30)
"""Accounts that others open by a deposit; they never have a key."""
WEIGHTS = {
    "trade": 64, "cancel": 3, "withdraw": 3, "transfer": 2, "bid": 5, "protect": 2, "epoch": 1, "market": 4, "listing": 0.4, "settle": 0.4,
    "liquidate": 1, "deleverage": 1, "deliver": 0.4, "queue": 4, "bad": 9,
}  # fmt: skip
FLAGS = (0,) * 24 + (1, 1, 1, 2, 4, 4, 8, 8, 9, 12, 3)
FIRST_LISTING = (*INSTRUMENTS, Instrument(4, Kind.FUTURE, BTC, TIME_MS + 6 * HOUR_MS, 0, 50, 10, 10_000_000))
TERMS = ((50, 10), (50, 10), (10, 1), (25, 15), (100, 40), (5, 7))
"""Tick and smallest size of the instruments that are listed later: those of a combination need not be multiples of each other."""
INSTRUMENTS_WANTED = 6
OPENING_ENTRIES = 2 * (len(ACCOUNTS) + 1)
"""First deposits and keys on layer 1: nothing goes before them."""
FRACTIONS = (0, 1, 50, 777, 5_000, 5_000, 9_999, 10_000)
PROTECTIONS = (ProtectionLimits(0, 0, 0, 0), ProtectionLimits(60_000, 5_000, 500, 0), ProtectionLimits(60_000, 1_000, 0, 10**9))
SENT_KEPT = 200


def owner_of(account: int) -> int:
    """The owner on layer 1."""
    return OPERATOR if account in (FEE_ACCOUNT, INSURANCE_ACCOUNT) else 0x1000 + {6: 3, 7: 4}.get(account, account)


class Traffic:
    """Makes commands that follow from the generator and the exchange as it stands. Knows the traders' keys; remembers what it sent, to send it again."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.prices = Prices(rng)
        self.nonces: dict[int, int] = {}
        self.sent: list[Command] = []
        self.oracle_stopped = 0
        """Commands for which the oracle stays silent."""
        self._due: list[Command] = []
        self._due_epoch = 0

    def next(self, exchange: Exchange, queue: list[Entry]) -> Command:
        """The next command; `queue` are layer 1's final entries."""
        self.oracle_stopped = max(0, self.oracle_stopped - 1)
        if not exchange.listing_count:
            return InternalList(FIRST_LISTING)
        if not exchange.trading_open or exchange.table is None:
            return self.epoch(exchange) if self.rng.random() < 0.7 else self.trade(exchange)
        if self._due_epoch != exchange.table.epoch:
            self._due_epoch, self._due = exchange.table.epoch, self._upkeep(exchange)
        if self._due and self.rng.random() < 0.5:
            return self._due.pop(0)
        command = self._random(exchange, queue)
        if len(self.sent) < SENT_KEPT or self.rng.random() < 0.1:
            self.sent = [*self.sent[1 - SENT_KEPT :], command]
        return command

    def _random(self, exchange: Exchange, queue: list[Entry]) -> Command:
        kind = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "queue" or len(queue) - exchange.queue_pointer > 4 or exchange.queue_pointer < OPENING_ENTRIES:
            if exchange.queue_pointer < len(queue):
                return queue[exchange.queue_pointer]
            kind = "trade"
        if kind == "bad":
            return mischief(self, exchange, queue)
        if kind == "epoch" and self.oracle_stopped:
            kind = "market"
        command: Command = getattr(self, kind)(exchange)
        return command

    def _upkeep(self, exchange: Exchange) -> list[Command]:
        """What the operator submits of its own accord on a new table."""
        due: list[Command] = [InternalLiquidate(account) for account in to_liquidate(exchange)]
        due += [InternalDeleverage(account) for account in to_deleverage(exchange)]
        holders = to_deliver(exchange)
        due += [InternalDeliver(holders[i : i + 2]) for i in range(0, len(holders), 2)]
        if self.rng.random() < 0.5:
            due += [command for command in (self.settle(exchange),) if command.settlements or command.retirements]
        if len(exchange.instruments) < INSTRUMENTS_WANTED and self.rng.random() < 0.5:
            due.append(self.listing(exchange))
        return due

    # ---- what traders sign

    def trade(self, exchange: Exchange) -> L2Trade:
        account = INSURANCE_ACCOUNT if self.rng.random() < 0.02 else self.rng.choice(ACCOUNTS)
        orders = tuple(self.order(exchange, account) for _ in range(self.rng.choice((1, 1, 1, 2, 4))))
        return self.signed_trade(exchange, account, orders)

    def signed_trade(self, exchange: Exchange, account: int, orders: tuple[Order, ...]) -> L2Trade:
        key_epoch, signature = self._signed(exchange, account, MessageKind.ORDER_SET, messages.order_set_root(orders))
        return L2Trade(OrderSet(account, key_epoch, orders, signature))

    def cancel(self, exchange: Exchange) -> L2Cancel:
        account = self.rng.choice(ACCOUNTS)
        nonce = max(1, self.nonces.get(account, 0) - self.rng.choice((0, 1, 3)))
        key_epoch, signature = self._signed(exchange, account, MessageKind.CANCEL, messages.cancel_payload(nonce))
        return L2Cancel(account, key_epoch, nonce, signature)

    def withdraw(self, exchange: Exchange) -> L2Withdraw:
        account, amount = self.rng.choice(ACCOUNTS), self.rng.choice((1, 10_000_000, 30_000_000, 10**12))
        nonce = self._action_nonce(exchange, account)
        key_epoch, signature = self._signed(exchange, account, MessageKind.WITHDRAWAL, messages.withdrawal_payload(nonce, amount))
        return L2Withdraw(account, key_epoch, nonce, amount, signature)

    def transfer(self, exchange: Exchange) -> L2Transfer:
        account, to = self.rng.choice(((3, 6), (6, 3), (4, 7), (7, 4), (7, 4), (3, 4), (5, 5), (5, 99)))
        nonce, amount = self._action_nonce(exchange, account), self.rng.choice((1, 5_000_000, 40_000_000, 10**12))
        key_epoch, signature = self._signed(exchange, account, MessageKind.TRANSFER, messages.transfer_payload(nonce, amount, to))
        return L2Transfer(account, key_epoch, nonce, to, amount, signature)

    def bid(self, exchange: Exchange) -> Command:
        rng, sold = self.rng, [id_ for id_, known in exchange.accounts.items() if known.auction is not None]
        if not sold and rng.random() < 0.9:
            return self.trade(exchange)
        richest = max(ACCOUNTS, key=lambda id_: exchange.accounts[id_].cash if id_ in exchange.accounts else 0)
        account, target = rng.choice((richest, richest, *ACCOUNTS)), rng.choice(sold or ACCOUNTS)
        nonce, fraction, limit = self._action_nonce(exchange, account), rng.choice(FRACTIONS), rng.choice((CASH_MAX, 10**9, 0))
        expiry_ms = exchange.context.table.time_ms + rng.choice((0, 1, 60_000, 60_000, 60_000, 60_000))
        key_epoch, signature = self._signed(exchange, account, MessageKind.BID, messages.bid_payload(nonce, target, fraction, limit, expiry_ms))
        return L2Bid(account, key_epoch, nonce, target, fraction, limit, expiry_ms, signature)

    def protect(self, exchange: Exchange) -> L2Protect:
        account = self.rng.choice(ACCOUNTS)
        self.nonces[-account] = nonce = self.nonces.get(-account, 0) + 1
        limits = self.rng.choice(PROTECTIONS)
        key_epoch, signature = self._signed(exchange, account, MessageKind.PROTECTION, messages.protection_payload(nonce, limits))
        return L2Protect(account, key_epoch, nonce, limits, signature)

    # ---- what the operator does

    def epoch(self, exchange: Exchange) -> InternalEpoch:
        return InternalEpoch(self.prices.table(exchange))

    def market(self, exchange: Exchange) -> InternalMarket:
        state = self.rng.choices(list(MarketState), (30, 2, 1, 1))[0]
        later_ms = self.rng.choice((0, 100, 5_000, 600_000 if self.oracle_stopped else 0))
        return InternalMarket(exchange.time_ms + later_ms if exchange.time_ms else TIME_MS, state)

    def listing(self, exchange: Exchange) -> InternalList:
        """A new instrument that lasts for some hours."""
        number, kind = exchange.listing_count + 1, self.rng.choice((Kind.CALL, Kind.PUT, Kind.FUTURE))
        expiry_ms = max(exchange.time_ms, exchange.table.time_ms if exchange.table else TIME_MS) + self.rng.randint(1, 12) * HOUR_MS
        tick, least = self.rng.choice(TERMS)
        return InternalList((Instrument(number, kind, BTC, expiry_ms, 0 if kind is Kind.FUTURE else 880_000 + 1_000 * number, tick, least, 10_000_000),))

    def settle(self, exchange: Exchange) -> InternalSettle:
        """Values of what has expired, retirements of what nobody holds."""
        now = max(exchange.time_ms, exchange.table.time_ms if exchange.table else 0)
        expired = [i for i, listed in exchange.instruments.items() if listed.expiry_ms <= now and i not in exchange.settlements]
        return InternalSettle(tuple(Settlement(i, BTC, self.prices.settlement_value()) for i in expired), to_retire(exchange))

    def liquidate(self, exchange: Exchange) -> InternalLiquidate:
        return InternalLiquidate(self._somebody(exchange))

    def deleverage(self, exchange: Exchange) -> InternalDeleverage:
        return InternalDeleverage(self._somebody(exchange))

    def deliver(self, exchange: Exchange) -> InternalDeliver:
        return InternalDeliver(to_deliver(exchange)[:2] or (self._somebody(exchange),))

    def queue(self, exchange: Exchange) -> L2Trade:
        return self.trade(exchange)

    def _somebody(self, exchange: Exchange) -> int:
        return self.rng.choice([*exchange.accounts, *(id_ for id_, known in exchange.accounts.items() if known.auction is not None)])

    # ---- what owners do on layer 1

    def layer1_entry(self) -> Entry:
        rng, kind = self.rng, self.rng.random()
        account = rng.choice((*ACCOUNTS, *ACCOUNTS, INSURANCE_ACCOUNT, FEE_ACCOUNT))
        if kind < 0.6:
            account = rng.choice(STRANGERS) if rng.random() < 0.1 else account
            return L1Deposit(0, account, owner_of(account), 1_000_000 * rng.choice((1, 20, 200)))
        if kind < 0.75:
            return L1SetKey(0, account, owner_of(account), NO_KEY if rng.random() < 0.1 else secret(account, rng.randint(0, 2)).public)
        if kind < 0.9:
            return L1ForceWithdraw(0, account, owner_of(account), rng.choice((1, 20_000_000, 10**12)))
        return L1ForceClose(0, account, owner_of(account), rng.choice((0, 500, 10_000)))

    # ---- parts

    def order(self, exchange: Exchange, account: int) -> Order:
        """Near the mark, of one leg or more."""
        rng, table = self.rng, exchange.table
        rows = [] if table is None else [row for row in table.rows if row.expiry_ms > table.time_ms or rng.random() < 0.05]
        legs, mark = self._legs(rows) if rows else ((Leg(1, 1),), 20_000)
        nonce = self.nonces.get(account, 0)
        if rng.random() < 0.95:
            self.nonces[account] = nonce = nonce + 1
        time_ms = max(exchange.time_ms, table.time_ms if table else TIME_MS)
        side = rng.choice((Side.BUY, Side.SELL))
        tick, step = TERMS[0]
        if all(leg.instrument in exchange.instruments for leg in legs):  # a table may still have a retired one
            tick, step = price_step(exchange.instruments, legs), size_step(exchange.instruments, legs)
        limit = mark - mark % tick + tick * side.sign * rng.randint(-2, 3)
        return Order(
            nonce=max(1, nonce),
            revision=rng.choice((0, 0, 0, 1, 2)),
            expiry_ms=time_ms + rng.choice((60, 60, 2)) * HOUR_MS // 60,
            size_lots=self._size(step),
            limit_ticks=limit if len(legs) > 1 else max(tick, limit),
            legs=legs,
            side=side,
            fee_cap=(5_000 if rng.random() < 0.97 else 270) * sum(abs(leg.ratio) for leg in legs),
            flags=rng.choice(FLAGS),
        )

    def _size(self, step: int) -> int:
        """Units, nearly always a multiple of `step`."""
        rng = self.rng
        size = 10 * rng.choice((1, 1, 3, 3, 10, 10, 10, 30, 30, 60, 60, 200, 200, rng.choice((0, 1_000))))
        return size if rng.random() < 0.02 else -(-size // step) * step

    def _legs(self, rows: list[RiskRow]) -> tuple[Legs, int]:
        """Legs, and the mark of a unit."""
        rng, count = self.rng, self.rng.choice((1, 1, 1, 1, 1, 2, 2, 3, 4))
        likely = rows[-2:] if rng.random() < 0.6 else rows  # so that orders meet
        chosen = sorted(rng.sample(likely, min(count, len(likely))), key=lambda row: row.instrument)
        ratios = [1, *(rng.choice((1, -1, -1, -1, -2)) for _ in chosen[1:])]
        legs = tuple(Leg(row.instrument, ratio) for row, ratio in zip(chosen, ratios, strict=True))
        return legs, sum(ratio * row.mark for row, ratio in zip(chosen, ratios, strict=True))

    def _action_nonce(self, exchange: Exchange, account: int) -> int:
        known = exchange.accounts.get(account)
        return max(1, (known.action_nonce if known else 0) + self.rng.choice((1, 1, 1, 1, 0)))

    def _signed(self, exchange: Exchange, account: int, kind: MessageKind, payload: int) -> tuple[int, Signature]:
        """Key epoch of an account and a signature by the key that it has, or by its first one where it has none."""
        known = exchange.accounts.get(account)
        key_epoch, key = (known.key_epoch, known.key) if known else (0, NO_KEY)
        signer = next((candidate for candidate in (secret(account, generation) for generation in range(3)) if candidate.public == key), secret(account))
        return key_epoch, signer.sign(signed_words(DOMAIN, kind, account, key_epoch, payload))
