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
from straddle.core.accounts import FIRST_USER_ACCOUNT, Account
from straddle.core.batch import OpenBatch
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, InternalEpoch, InternalList, L1Deposit, L1SetKey, L2Cancel, L2Trade, L2Withdraw
from straddle.core.events import OrderRejected
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.messages import MessageKind, cancel_payload, domain, order_set_root, signed_words, withdrawal_payload
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, Order, OrderSet, Side, Signature
from straddle.core.params import Params
from straddle.core.rejections import RejectionCode
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.state import Exchange, close_batch
from straddle.primitives.keys import NO_KEY, PublicKey, SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.presets import load_preset
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.transition import Outcome, transition

PRESET = load_preset("nano")
CHAIN_ID = 31337
ROLLUP = 0xB0B0 << 140
OPERATOR = 0x0FE2 << 128
BENEFICIARY = 0xBE << 152
VK_ID = bytes(range(32))
START_MS = 1_590_000_000_000
HOUR_MS = 3_600_000
MOVES = tuple((s - 20) * 250 for s in range(SCENARIOS))
"""Spot moves of the scenarios in basis points: -50 % to +67 %."""


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A batch with the committed states around it, and the keys of its time."""

    before: CommittedState
    after: CommittedState
    batch: OpenBatch
    posted: PostedBatch
    chain: ChainFacts
    secrets: dict[PublicKey, SecretKey]
    """Every secret so far, also of keys that were replaced."""


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
        self.exchange = Exchange.genesis(domain=domain(CHAIN_ID, ROLLUP), operator=OPERATOR, params=params, capacity=capacity)
        self.committed = CommittedState.genesis(params, OPERATOR)
        self.parent = genesis_header_hash(self.committed.root)
        self.submit(InternalList((self.instrument(1, Kind.PERPETUAL), self.instrument(2, Kind.CALL), self.instrument(3, Kind.PUT))))
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
            (self.trade, 20),
            (self.deposit, 2),
            (self.withdraw, 1),
            (self.cancel, 1),
            (self.set_key, 1),
            (self.epoch, 1),
            (self.listing, 1),
            (self.close, 1),
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
        """Into an existing account or a new one, while there is room for a crowd of six."""
        accounts = self.exchange.accounts
        fresh = max([FIRST_USER_ACCOUNT - 1, *accounts]) + 1
        known = [account for account in accounts if account >= FIRST_USER_ACCOUNT]
        account = fresh if len(known) < 6 and (len(known) < 3 or self.rng.random() < 0.7) else self.rng.choice([*known, 1, 2])
        owner = accounts[account].owner if account in accounts else (account << 150) + 1
        self.submit(L1Deposit(self.exchange.queue_pointer, account, owner, self.rng.choice([1, *[self.rng.randrange(10**9, 10**10)] * 5])))

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
        rng, row = self.rng, self.rng.choice(self.exchange.table.rows)
        instrument = self.exchange.instruments[row.instrument]
        side = rng.choice([Side.BUY, Side.SELL])
        offset = rng.randint(-row.band // 60, row.band // 20) * side.sign
        limit = (row.mark + offset) // instrument.tick_ticks * instrument.tick_ticks
        self.nonces[account.id] += rng.choice([1, 1, 1, 2, 17])
        nonce, revision = self.nonces[account.id], 0
        if rng.random() < 0.15:
            nonce, revision = max(1, nonce - rng.randint(0, 3)), rng.randint(0, 2)
        size = instrument.min_lots * rng.choice([1, rng.randint(1, 30), rng.randint(1, 100)])
        expiry = self.exchange.table.time_ms + rng.choice([HOUR_MS, 10 * HOUR_MS])
        flags = FLAG_IMMEDIATE_OR_CANCEL if rng.random() < 0.4 else 0
        return Order(nonce, revision, expiry, size, limit, row.instrument, side, rng.choice([*[10_000] * 10, 300, 100]), flags)

    def withdraw(self) -> None:
        account = self.user(lambda item: item.id in self.keys)
        if account is not None:
            nonce = account.withdrawal_nonce + self.rng.choice([1, 5, 0])
            amount = self.rng.choice([1, 10**7, 10**7, max(1, account.cash // 2)])
            signature = self.sign(account, MessageKind.WITHDRAWAL, withdrawal_payload(nonce, amount))
            self.submit(L2Withdraw(account.id, account.key_epoch, nonce, amount, signature))

    def cancel(self) -> None:
        account = self.user(lambda item: item.id in self.keys)
        if account is not None:
            min_nonce = account.min_nonce + self.rng.choice([0, 1, max(0, self.nonces[account.id] - account.min_nonce)])
            signature = self.sign(account, MessageKind.CANCEL, cancel_payload(min_nonce))
            self.submit(L2Cancel(account.id, account.key_epoch, min_nonce, signature))

    def epoch(self) -> None:
        """A new table, prices moved by up to 12 %."""
        self.index_ticks = max(100_000, self.index_ticks * self.rng.randint(88, 112) // 100)
        if self.exchange.open_batch.start:
            self.close()
        self.submit(InternalEpoch(self.table()))

    def listing(self) -> None:
        count = self.exchange.listing_count
        if count < PRESET.instruments and self.rng.random() < 0.5:
            self.submit(InternalList((self.instrument(count + 1, self.rng.choice([Kind.CALL, Kind.PUT])),)))
            if not self.exchange.trading_open:
                self.epoch()

    # ---- parts

    def user(self, wanted: object = None) -> Account | None:
        """A random user account that satisfies `wanted`."""
        found = [item for item in self.exchange.accounts.values() if item.id >= FIRST_USER_ACCOUNT and (not callable(wanted) or wanted(item))]
        return self.rng.choice(found) if found else None

    def sign(self, account: Account, kind: MessageKind, payload: int) -> Signature:
        return self.keys[account.id].sign(signed_words(self.exchange.domain, kind, account.id, account.key_epoch, payload))

    def instrument(self, identifier: int, kind: Kind) -> Instrument:
        if kind is Kind.PERPETUAL:
            return Instrument(identifier, kind, BTC, NEVER_MS, 0, 50, 10, 10**6)
        return Instrument(identifier, kind, BTC, START_MS + 48 * HOUR_MS * identifier, 900_000 + 10_000 * identifier, 500, 10, 10**6)

    def table(self) -> RiskTable:
        """Crude but coherent prices: intrinsic plus a time value, deltas by repricing under spot moves."""
        previous, rows = self.exchange.table, []
        for item in self.exchange.instruments.values():
            mark = self.price(item, self.index_ticks)
            funding = self.rng.randint(-5_000, 5_000) if item.linear else 0
            deltas = tuple(self.price(item, self.index_ticks * (10_000 + move) // 10_000) - mark for move in MOVES)
            charge = self.index_ticks // 100
            long_im, long_mm = (charge, charge // 2) if item.linear else (0, 0)
            row = RiskRow(item.id, item.expiry_ms, item.linear, mark - funding, funding, self.index_ticks // 10, long_im, long_mm, charge, charge // 2, deltas)
            rows.append(row)
        epoch, time_ms = (previous.epoch + 1, previous.time_ms + self.rng.randint(0, HOUR_MS)) if previous else (1, START_MS)
        return RiskTable(epoch, time_ms, self.index_ticks, tuple(rows))

    @staticmethod
    def price(item: Instrument, spot: int) -> int:
        if item.kind is Kind.PERPETUAL:
            return spot
        intrinsic = spot - item.strike_ticks if item.kind is Kind.CALL else item.strike_ticks - spot
        return max(intrinsic, 0) + max(0, 60_000 - abs(intrinsic) // 5)
