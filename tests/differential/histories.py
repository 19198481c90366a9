"""Seeded random histories of an exchange in the nano preset, cut into batches with their witnesses.

Everything goes through the real transition; what it refuses is part of the game and only counted. Keys, signatures, trees and data are the real ones.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import FIRST_USER_ACCOUNT, INSURANCE_ACCOUNT, Account
from straddle.core.capacity import Capacity
from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalSettle,
    L1Deposit,
    L1ForceClose,
    L1ForceWithdraw,
    L1SetKey,
    L2Bid,
    L2Cancel,
    L2Trade,
    L2Transfer,
    L2Withdraw,
)
from straddle.core.events import OrderRejected
from straddle.core.instruments import BTC, Instrument, Kind, Retirement, Settlement
from straddle.core.messages import MessageKind, bid_payload, cancel_payload, order_set_root, signed_words, transfer_payload, withdrawal_payload
from straddle.core.orders import FLAG_FILL_OR_KILL, FLAG_IMMEDIATE_OR_CANCEL, FLAG_POST_ONLY, FLAG_REDUCE_ONLY, Leg, Legs, Order, OrderSet, Side, Signature
from straddle.core.params import BPS, Params
from straddle.core.rejections import RejectionCode
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange, close_batch
from straddle.primitives.keys import NO_KEY, PublicKey, SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.vector import ChainFacts
from straddle.transition import Outcome, transition
from tests.differential.scenes import (
    BENEFICIARY,
    CHAIN_ID,
    DOMAIN,
    HOUR_MS,
    OPERATOR,
    PRESET,
    ROLLUP,
    START_MS,
    VK_ID,
    ClosedBatch,
    instrument,
    price,
    risk_row,
)

FLAGS = (0, 0, 0, 0, FLAG_IMMEDIATE_OR_CANCEL, FLAG_IMMEDIATE_OR_CANCEL, FLAG_IMMEDIATE_OR_CANCEL, FLAG_FILL_OR_KILL, FLAG_POST_ONLY,
         FLAG_REDUCE_ONLY | FLAG_IMMEDIATE_OR_CANCEL, FLAG_REDUCE_ONLY)  # fmt: skip
USERS = 6
BID_EXPIRY_MS = 2**48 - 1


@dataclass(slots=True)
class History:
    """An exchange with a random crowd. `batches(n)` yields the next n closed batches."""

    seed: int
    rng: random.Random = field(init=False)
    exchange: Exchange = field(init=False)
    committed: CommittedState = field(init=False)
    keys: dict[int, SecretKey] = field(default_factory=dict)
    secrets: dict[PublicKey, SecretKey] = field(default_factory=dict)
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    nonces: Counter[int] = field(default_factory=Counter)
    parent: bytes = b""
    index_ticks: int = 900_000
    closed: list[ClosedBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        params = Params(PRESET.account_depth, PRESET.slot_depth, 10_000, 8_000, risk_digest=self.rng.getrandbits(248))
        capacity = Capacity.of_preset({name: getattr(PRESET, name) for name in Capacity.__slots__})
        self.exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=params, capacity=capacity)
        self.committed = CommittedState.genesis(params, OPERATOR)
        self.parent = genesis_header_hash(self.committed.root)
        kinds = (Kind.PERPETUAL, Kind.CALL, Kind.PUT, Kind.FUTURE)
        self.submit(InternalList(tuple(self.instrument(i + 1, kind) for i, kind in enumerate(kinds))))
        self.submit(InternalEpoch(self.table()))

    # ---- driving

    def batches(self, count: int) -> Iterator[ClosedBatch]:
        """Random commands until `count` more batches are closed."""
        target = len(self.closed) + count
        while len(self.closed) < target:
            before = len(self.closed)
            self.step()
            yield from self.closed[before:target]

    def step(self) -> None:
        """One random command, or the end of the batch."""
        actions = [
            (self.trade, 60),
            (self.deposit, 3),
            (self.withdraw, 2),
            (self.transfer, 6),
            (self.cancel, 2),
            (self.set_key, 2),
            (self.epoch, 3),
            (self.listing, 1),
            (self.settle, 5),
            (self.force, 2),
            (self.liquidate, 6),
            (self.bid, 8),
            (self.close, 2),
        ]
        users = [account for account in self.exchange.accounts if account >= FIRST_USER_ACCOUNT]
        if len(users) < 3 or len(self.keys) < len(users):
            (self.deposit if len(users) < 3 else self.set_key)()
        else:
            self.rng.choices([action for action, _ in actions], [weight for _, weight in actions])[0]()

    def submit(self, command: Command) -> Outcome:
        """Submit; when the batch is full or its boundary is asked for, close it and submit again."""
        outcome = transition(self.exchange, command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            self.close()
            outcome = transition(self.exchange, command)
        if outcome.rejection is None:
            self.accepted[type(command).__name__] += 1
            self.accepted.update(type(event).__name__ for event in outcome.events)
            self.rejected.update(event.rejection.code for event in outcome.events if isinstance(event, OrderRejected))
        else:
            self.rejected[outcome.rejection.code] += 1
        return outcome

    def close(self) -> None:
        """Close the open batch, build its witness, advance the committed state."""
        if not self.exchange.trading_open:
            self.epoch()
        batch = close_batch(self.exchange)
        before = self.committed.copy()
        chain = ChainFacts(CHAIN_ID, ROLLUP, VK_ID, self.parent, BENEFICIARY)
        facts = HeaderFacts(self.exchange.domain, self.rng.getrandbits(248))
        posted = build_witness(self.committed, batch, PRESET, facts, chain)
        self.committed.apply_batch(batch)
        self.parent = posted.header_hash
        self.closed.append(ClosedBatch(before, self.committed.copy(), batch, posted, chain, dict(self.secrets)))

    # ---- commands

    def deposit(self) -> None:
        """Into an existing account or a new one, while there is room for a crowd of six. Neighbours have one owner. The fund is poor at times."""
        accounts = self.exchange.accounts
        fresh = max([FIRST_USER_ACCOUNT - 1, *accounts]) + 1
        known = [account for account in accounts if account >= FIRST_USER_ACCOUNT]
        new = len(known) < USERS and (len(known) < 3 or self.rng.random() < 0.7)
        account = fresh if new else self.rng.choice([*known, 1, INSURANCE_ACCOUNT])
        owner = accounts[account].owner if account in accounts else (account // 2 << 150) + 1
        self.submit(L1Deposit(self.exchange.queue_pointer, account, owner, self.rng.choice([1, 10**6, *[self.rng.randrange(10**8, 2 * 10**9)] * 4])))

    def set_key(self) -> None:
        """The first key, a new one, or rarely a revocation."""
        account = self.user(lambda item: item.id not in self.keys) or self.user()
        if account is None:
            return
        revoke = account.id in self.keys and self.rng.random() < 0.2
        key = None if revoke else SecretKey.from_seed(self.rng.randbytes(32))
        outcome = self.submit(L1SetKey(self.exchange.queue_pointer, account.id, account.owner, NO_KEY if key is None else key.public))
        if outcome.accepted and key is not None:
            self.keys[account.id] = self.secrets[key.public] = key
        elif outcome.accepted:
            self.close()  # so that the revoked key is in a batch's data, then a new one
            self.keys.pop(account.id, None)

    def trade(self) -> None:
        """An order set of 1 to 3 orders near the mark; sometimes amends, immediate orders, old nonces, huge sizes."""
        account = self.user(lambda item: item.id in self.keys)
        if account is None or self.exchange.table is None:
            return
        orders = tuple(self.order(account) for _ in range(self.rng.choice([1, 1, 1, 2, 3])))
        root = order_set_root(orders)
        signature = self.sign(account, MessageKind.ORDER_SET, root)
        self.submit(L2Trade(OrderSet(account.id, account.key_epoch, orders, signature)))

    def order(self, account: Account) -> Order:
        assert self.exchange.table is not None
        rng, legs = self.rng, self.legs()
        step = max(self.exchange.instruments[leg.instrument].tick_ticks for leg in legs)
        mark = sum(leg.ratio * self.exchange.table[leg.instrument].mark for leg in legs)
        band = min(self.exchange.table[leg.instrument].band for leg in legs)
        side = rng.choice([Side.BUY, Side.SELL])
        offset = rng.randint(-band // 60, band // 20) * side.sign
        limit = (mark + offset) // step * step
        self.nonces[account.id] += rng.choice([1, 1, 1, 2, 17])
        nonce, revision = self.nonces[account.id], 0
        if rng.random() < 0.15:
            nonce, revision = max(1, nonce - rng.randint(0, 3)), rng.randint(0, 2)
        size = 10 * rng.choice([1, rng.randint(1, 30), rng.randint(1, 100)])
        expiry = self.exchange.table.time_ms + rng.choice([HOUR_MS, 10 * HOUR_MS])
        return Order(nonce, revision, expiry, size, limit, legs, side, rng.choice([*[400_000] * 10, 300, 100]), rng.choice(FLAGS))

    def legs(self) -> Legs:
        """One instrument mostly, else a combination of two or three."""
        assert self.exchange.table is not None
        alive = [row for row in self.exchange.table.rows if row.expiry_ms > self.exchange.table.time_ms or self.rng.random() < 0.1]
        rows = self.rng.sample(alive, min(len(alive), self.rng.choice([1, 1, 1, 2, 3])))
        if len(rows) == 1:
            return (Leg(rows[0].instrument, 1),)
        ids = sorted(row.instrument for row in rows)
        return (Leg(ids[0], 1), *(Leg(identifier, self.rng.choice([1, -1, -1, 2])) for identifier in ids[1:]))

    def withdraw(self) -> None:
        account = self.user(lambda item: item.id in self.keys)
        if account is not None:
            nonce = account.action_nonce + self.rng.choice([1, 5, 0])
            amount = self.rng.choice([1, 10**7, 10**7, max(1, account.cash // 2)])
            signature = self.sign(account, MessageKind.WITHDRAWAL, withdrawal_payload(nonce, amount))
            self.submit(L2Withdraw(account.id, account.key_epoch, nonce, amount, signature))

    def transfer(self) -> None:
        """To a neighbour of the same owner mostly."""
        account = self.user(lambda item: item.id in self.keys)
        if account is not None:
            nonce, amount = account.action_nonce + self.rng.choice([1, 1, 1, 0]), self.rng.choice([1, 10**6, 10**7, max(1, account.cash // 3)])
            neighbours = [item.id for item in self.exchange.accounts.values() if item.owner == account.owner and item is not account]
            to = self.rng.choice([*neighbours, *neighbours, account.id ^ 2])
            signature = self.sign(account, MessageKind.TRANSFER, transfer_payload(nonce, amount, to))
            self.submit(L2Transfer(account.id, account.key_epoch, nonce, to, amount, signature))

    def force(self) -> None:
        """A forced withdrawal or a forced close."""
        account = self.user()
        if account is not None:
            pointer = self.exchange.queue_pointer
            if self.rng.random() < 0.7:
                amount = self.rng.choice([1, 10**6, 10**8, 10**12])
                self.submit(L1ForceWithdraw(pointer, account.id, account.owner, amount))
            else:
                self.submit(L1ForceClose(pointer, account.id, account.owner, self.rng.choice([0, 500, 5_000, BPS])))

    def liquidate(self) -> None:
        """Whatever is due for some account: its auction begins, ends, the fund takes it, or it is deleveraged."""
        for account in sorted(self.exchange.accounts, key=lambda _: self.rng.random()):
            if account >= FIRST_USER_ACCOUNT and (self.submit(InternalLiquidate(account)).accepted or self.submit(InternalDeleverage(account)).accepted):
                return

    def bid(self) -> None:
        """On an auction, if there is one."""
        target, bidder = self.user(lambda item: item.auction is not None), self.user(lambda item: item.id in self.keys)
        if target is not None and bidder is not None:
            nonce, fraction, limit = bidder.action_nonce + 1, self.rng.choice([1, 3_000, 5_000, BPS]), self.rng.choice([10**12, 10**12, -(10**12), 0])
            signature = self.sign(bidder, MessageKind.BID, bid_payload(nonce, target.id, fraction, limit, BID_EXPIRY_MS))
            self.submit(L2Bid(bidder.id, bidder.key_epoch, nonce, target.id, fraction, limit, BID_EXPIRY_MS, signature))

    def cancel(self) -> None:
        account = self.user(lambda item: item.id in self.keys)
        if account is not None:
            min_nonce = account.min_nonce + self.rng.choice([0, 1, max(0, self.nonces[account.id] - account.min_nonce)])
            signature = self.sign(account, MessageKind.CANCEL, cancel_payload(min_nonce))
            self.submit(L2Cancel(account.id, account.key_epoch, min_nonce, signature))

    def epoch(self) -> None:
        """A new table, prices moved by up to 12 %, rarely by much more."""
        low, high = (88, 112) if self.rng.random() < 0.75 else (40, 230)
        self.index_ticks = min(3_000_000, max(300_000, self.index_ticks * self.rng.randint(low, high) // 100))
        if self.exchange.open_batch.start:
            self.close()
        self.submit(InternalEpoch(self.table()))

    def listing(self) -> None:
        count = self.exchange.listing_count
        if len(self.exchange.instruments) < PRESET.instruments and self.rng.random() < 0.5:
            self.submit(InternalList((self.instrument(count + 1, self.rng.choice([Kind.CALL, Kind.PUT, Kind.FUTURE])),)))
            if not self.exchange.trading_open:
                self.epoch()

    def settle(self) -> None:
        """Values for what has expired; what is settled is delivered, and retired when nobody holds it."""
        exchange, table = self.exchange, self.exchange.table
        assert table is not None
        holders = [account.id for account in exchange.accounts.values() if exchange.settlements.keys() & account.positions.keys()]
        expired = [item for item in exchange.instruments.values() if item.expiry_ms <= table.time_ms and item.id not in exchange.settlements]
        if holders and self.rng.random() < 0.5:
            self.submit(InternalDeliver((self.rng.choice(holders),)))
        retired = () if holders else tuple(Retirement(identifier, BTC) for identifier in exchange.settlements)
        settlements = tuple(Settlement(item.id, BTC, price(item, self.index_ticks)) for item in expired)
        if settlements or retired:
            self.submit(InternalSettle(settlements, retired))
            if not exchange.trading_open:
                self.epoch()

    # ---- parts

    def user(self, wanted: object = None) -> Account | None:
        """A random user account that satisfies `wanted`."""
        found = [item for item in self.exchange.accounts.values() if item.id >= FIRST_USER_ACCOUNT and (not callable(wanted) or wanted(item))]
        return self.rng.choice(found) if found else None

    def sign(self, account: Account, kind: MessageKind, payload: int) -> Signature:
        return self.keys[account.id].sign(signed_words(self.exchange.domain, kind, account.id, account.key_epoch, payload))

    def instrument(self, identifier: int, kind: Kind) -> Instrument:
        time_ms = self.exchange.table.time_ms if self.exchange.table else START_MS
        return instrument(identifier, kind, None if kind is Kind.PERPETUAL else time_ms + self.rng.randint(1, 5) * HOUR_MS)

    def table(self) -> RiskTable:
        """Of every instrument that is not retired; funding accrues on the perpetual."""
        previous, exchange = self.exchange.table, self.exchange
        rows = tuple(
            risk_row(item, self.index_ticks, self.rng.randint(-5_000, 5_000) if item.kind is Kind.PERPETUAL else 0, exchange.settlements.get(item.id))
            for item in exchange.instruments.values()
        )
        epoch, time_ms = (previous.epoch + 1, previous.time_ms + self.rng.randint(0, HOUR_MS // 2)) if previous else (1, START_MS)
        return RiskTable(epoch, time_ms, self.index_ticks, rows)
