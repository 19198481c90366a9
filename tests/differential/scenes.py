"""Batches made by hand: a recorder that writes down what it is told, right or wrong, with real keys, trees and data.

It knows how money and lots move, and none of the rules: what it records may break them, which is what cheats are made of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.committed import next_slot
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import EMPTY_SLOT, FEE_ACCOUNT, NO_KEY, Account, Auction, PublicKey
from straddle.core.batch import AuctionChange, Deleverage, Fill, OpenBatch, OrderUse, Takeover
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey, L2Bid, L2Cancel, L2Transfer, L2Withdraw
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind, Retirement, Settlement
from straddle.core.messages import MessageKind, bid_payload, cancel_payload, domain, order_set_root, signed_words, transfer_payload, withdrawal_payload
from straddle.core.orders import Leg, Order, OrderSet, Side, Signature
from straddle.core.params import BPS, Params
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.primitives.keys import SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.presets import load_preset
from straddle.proving.vector import ChainFacts, PostedBatch

PRESET = load_preset("nano")
CHAIN_ID = 31337
ROLLUP = 0xB0B0 << 140
DOMAIN = domain(CHAIN_ID, ROLLUP)
OPERATOR = 0x0FE2 << 128
BENEFICIARY = 0xBE << 152
VK_ID = bytes(range(32))
START_MS = 1_590_000_000_000
HOUR_MS = 3_600_000
INDEX_TICKS = 900_000
MOVES = tuple((s - 20) * 250 for s in range(SCENARIOS))
"""Spot moves of the scenarios in basis points: -50 % to +67 %."""
PARAMS = Params(PRESET.account_depth, PRESET.slot_depth, 10_000, 8_000, risk_digest=7)
PERPETUAL, CALL, PUT, FUTURE, SOON = 1, 2, 3, 4, 5
DOLLARS = 10**6
BID_EXPIRY_MS = 2**48 - 1


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


def instrument(identifier: int, kind: Kind, expiry_ms: int | None = None) -> Instrument:
    """Terms that fit a small market."""
    if kind is Kind.PERPETUAL:
        return Instrument(identifier, kind, BTC, NEVER_MS, 0, 50, 10, 10**6)
    strike = 0 if kind is Kind.FUTURE else 900_000 + 10_000 * identifier
    return Instrument(identifier, kind, BTC, START_MS + 48 * HOUR_MS * identifier if expiry_ms is None else expiry_ms, strike, 50, 10, 10**6)


def price(item: Instrument, spot: int) -> int:
    """Crude but coherent: intrinsic plus a time value."""
    if item.linear:
        return spot
    intrinsic = spot - item.strike_ticks if item.kind is Kind.CALL else item.strike_ticks - spot
    return max(intrinsic, 0) + max(0, 60_000 - abs(intrinsic) // 5)


def risk_row(item: Instrument, spot: int, funding: int = 0, settled: int | None = None) -> RiskRow:
    """Deltas by repricing under spot moves; nothing but its value where the instrument is settled."""
    if settled is not None:
        return RiskRow(item.id, item.expiry_ms, item.linear, settled, 0, 0, 0, 0, 0, 0, (0,) * SCENARIOS, settled=True)
    mark, charge = price(item, spot), spot // 100
    deltas = tuple(price(item, spot * (BPS + move) // BPS) - mark for move in MOVES)
    long_im, long_mm = (charge, charge // 2) if item.linear else (0, 0)
    return RiskRow(item.id, item.expiry_ms, item.linear, mark - funding, funding, spot // 10, long_im, long_mm, charge, charge // 2, deltas)


LISTED = (
    instrument(PERPETUAL, Kind.PERPETUAL),
    instrument(CALL, Kind.CALL),
    instrument(PUT, Kind.PUT),
    instrument(FUTURE, Kind.FUTURE),
    instrument(SOON, Kind.CALL, START_MS + HOUR_MS),
    instrument(6, Kind.PUT),
    instrument(7, Kind.CALL),
)


def first_table() -> RiskTable:
    """The table over LISTED; funding has accrued on the perpetual."""
    return RiskTable(1, START_MS, INDEX_TICKS, tuple(risk_row(item, INDEX_TICKS, 500 if item.id == PERPETUAL else 0) for item in LISTED))


@dataclass(slots=True)
class Scene:
    """A market whose batches are told, not computed. `close` ends the open batch; the next starts where it ended."""

    state: CommittedState = field(default_factory=lambda: CommittedState.genesis(PARAMS, OPERATOR))
    keys: dict[int, SecretKey] = field(default_factory=dict)
    secrets: dict[PublicKey, SecretKey] = field(default_factory=dict)
    nonces: Counter[int] = field(default_factory=Counter)
    table: RiskTable = field(default_factory=first_table)
    sequence: int = 1
    parent: bytes = b""
    batch: OpenBatch = field(init=False)
    now: dict[int, Account] = field(default_factory=dict)
    closed: list[ClosedBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parent = genesis_header_hash(self.state.root)
        self._open()
        self.batch.listings += LISTED

    def _open(self) -> None:
        state = self.state
        self.batch = OpenBatch(state.batch_number + 1, self.table, self.sequence, self.sequence, state.queue_pointer, len(state.listings))
        self.now = {}

    def close(self) -> ClosedBatch:
        """The batch with its witness; raises what the builder raises."""
        self.batch.end = {identifier: account.copy() for identifier, account in self.now.items()}
        self.batch.last_sequence = self.sequence
        chain = ChainFacts(CHAIN_ID, ROLLUP, VK_ID, self.parent, BENEFICIARY)
        posted = build_witness(self.state, self.batch, PRESET, HeaderFacts(DOMAIN, self.batch.number), chain)
        after = self.state.copy()
        after.apply_batch(self.batch)
        self.closed.append(ClosedBatch(self.state, after, self.batch, posted, chain, dict(self.secrets)))
        self.state, self.parent = after, posted.header_hash
        self.sequence += 1
        self._open()
        return self.closed[-1]

    # ---- accounts

    def account(self, identifier: int, *, opened: bool = True) -> Account:
        """The account, touched; with `opened` its positions too, and those in settled instruments are cash."""
        if identifier not in self.now:
            self.batch.start[identifier] = self.state.account(identifier).account.copy()
            self.now[identifier] = self.state.account(identifier).account.copy()
        account = self.now[identifier]
        if opened and identifier not in self.batch.opened:
            self.batch.opened[identifier] = None
            for item, size in list(account.positions.items()):
                if self.table[item].settled:
                    account.cash += size * self.table[item].value
                    del account.positions[item]
        return account

    def move(self, identifier: int, item: int, lots: int) -> None:
        """Lots into (or out of) a position."""
        positions = self.account(identifier).positions
        positions[item] = positions.get(item, 0) + lots
        if not positions[item]:
            del positions[item]

    def sign(self, identifier: int, kind: MessageKind, payload: int) -> Signature:
        """With the key that the account had at the batch's start, if its scene knows it."""
        leaf = self.state.account(identifier).account
        secret = self.secrets.get(leaf.key) or self.keys[identifier]
        return secret.sign(signed_words(DOMAIN, kind, identifier, leaf.key_epoch, payload))

    def action(self, identifier: int) -> tuple[int, int]:
        """(key_epoch, the next action nonce)."""
        account = self.account(identifier)
        account.action_nonce += 1
        return self.batch.start[identifier].key_epoch, account.action_nonce

    # ---- layer 1

    def _entry(self, identifier: int, owner: int | None) -> tuple[int, int, int]:
        account = self.account(identifier, opened=False)
        account.owner = account.owner or owner or 0x1000 + identifier
        return self.state.queue_pointer + len(self.batch.queue), identifier, account.owner

    def deposit(self, identifier: int, amount: int, owner: int | None = None) -> None:
        self.batch.queue.append(L1Deposit(*self._entry(identifier, owner), amount))
        self.batch.deposits[identifier] = self.batch.deposits.get(identifier, 0) + amount
        self.now[identifier].cash += amount

    def set_key(self, identifier: int, owner: int | None = None, *, revoke: bool = False) -> None:
        secret = SecretKey.from_seed(f"{identifier}/{self.state.batch_number}".encode())
        key = NO_KEY if revoke else secret.public
        self.batch.queue.append(L1SetKey(*self._entry(identifier, owner), key))
        account = self.now[identifier]
        account.key, account.key_epoch = key, account.key_epoch + 1
        if not revoke:
            self.keys[identifier] = self.secrets[key] = secret

    def force_withdraw(self, identifier: int, asked: int, paid: int) -> None:
        self.account(identifier).cash -= paid
        self.batch.queue.append(L1ForceWithdraw(*self._entry(identifier, None), asked))
        self.batch.forced[identifier] = paid

    def force_close(self, identifier: int, limit_bps: int) -> None:
        entry = L1ForceClose(*self._entry(identifier, None), limit_bps)
        self.batch.queue.append(entry)
        account = self.now[identifier]
        if account.auction is None:
            account.auction = Auction(self.table.time_ms, True, limit_bps)
            self.batch.auctions[identifier] = AuctionChange.CLOSE_BEGUN

    # ---- signed messages

    def withdraw(self, identifier: int, amount: int) -> None:
        epoch, nonce = self.action(identifier)
        signature = self.sign(identifier, MessageKind.WITHDRAWAL, withdrawal_payload(nonce, amount))
        self.batch.withdrawals[identifier] = L2Withdraw(identifier, epoch, nonce, amount, signature)
        self.now[identifier].cash -= amount

    def transfer(self, identifier: int, to: int, amount: int) -> None:
        epoch, nonce = self.action(identifier)
        signature = self.sign(identifier, MessageKind.TRANSFER, transfer_payload(nonce, amount, to))
        self.batch.transfers[identifier] = L2Transfer(identifier, epoch, nonce, to, amount, signature)
        self.now[identifier].cash -= amount
        self.account(to, opened=False).cash += amount
        self.batch.deposits[to] = self.batch.deposits.get(to, 0) + amount

    def cancel(self, identifier: int, min_nonce: int) -> None:
        account = self.account(identifier, opened=False)
        signature = self.sign(identifier, MessageKind.CANCEL, cancel_payload(min_nonce))
        self.batch.cancels[identifier] = L2Cancel(identifier, account.key_epoch, min_nonce, signature)
        account.min_nonce = min_nonce

    def order(
        self,
        identifier: int,
        legs: Sequence[tuple[int, int]],
        side: Side,
        size: int,
        limit: int,
        *,
        flags: int = 0,
        nonce: int | None = None,
        revision: int = 0,
    ) -> Order:
        """An order of the account's next nonce."""
        if nonce is None:
            self.nonces[identifier] += 1
            nonce = self.nonces[identifier]
        return Order(nonce, revision, self.table.time_ms + HOUR_MS, size, limit, tuple(Leg(*leg) for leg in legs), side, 10_000, flags)

    def sign_set(self, identifier: int, *orders: Order) -> OrderSet:
        signature = self.sign(identifier, MessageKind.ORDER_SET, order_set_root(orders))
        return OrderSet(identifier, self.state.account(identifier).account.key_epoch, orders, signature)

    def use(self, order_set: OrderSet, index: int = 0) -> int:
        """A new row of the orders table, nothing filled yet."""
        order, account = order_set.orders[index], self.account(order_set.account)
        slot = account.slots.get(order.nonce % PARAMS.slots, EMPTY_SLOT)
        self.batch.order_uses.append(OrderUse(account.id, order, order_set, index, slot, set_root=order_set_root(order_set.orders)))
        return len(self.batch.order_uses) - 1

    def execute(self, use: int, units: int) -> None:
        """The row fills `units` more (the fills themselves are told by `fill`)."""
        row = self.batch.order_uses[use]
        self.sequence += 1
        row.fill, row.sequence = row.fill + units, self.sequence
        slots, index = self.now[row.account].slots, row.order.nonce % PARAMS.slots
        slots[index] = next_slot(slots.get(index, EMPTY_SLOT), row.order.nonce, row.order.revision, units)

    def fill(self, taker: tuple[int, int], maker: tuple[int, int], price_ticks: int, lots: int, fees: tuple[int, int] = (30, 10)) -> None:
        """Lots between two legs (row, place); positions, cash and fees move."""
        item = self.batch.order_uses[taker[0]].order.legs[taker[1]].instrument
        self.batch.fills.append(Fill(*taker, *maker, item, price_ticks, lots, *fees, self.sequence))
        for (use, place), fee in zip((taker, maker), fees, strict=True):
            row = self.batch.order_uses[use]
            signed = lots * row.order.side.sign * (1 if row.order.legs[place].ratio > 0 else -1)
            self.move(row.account, item, signed)
            self.now[row.account].cash -= signed * (price_ticks - self.table[item].funding) + fee
            row.fee += fee
            self.account(FEE_ACCOUNT, opened=False).cash += fee

    def trade(self, buyer: int, seller: int, item: int, lots: int, price_ticks: int | None = None, flags: int = 0) -> None:
        """Two outrights at one price (the mark by default); the buyer takes, with `flags`."""
        price_ticks = self.table[item].mark if price_ticks is None else price_ticks
        taker = self.use(self.sign_set(buyer, self.order(buyer, [(item, 1)], Side.BUY, lots, price_ticks, flags=flags)))
        maker = self.use(self.sign_set(seller, self.order(seller, [(item, 1)], Side.SELL, lots, price_ticks)))
        self.execute(taker, lots)
        self.execute(maker, lots)
        if flags & 8:
            self.batch.reduced[buyer, item] = None
        self.fill((taker, 0), (maker, 0), price_ticks, lots)

    # ---- liquidation

    def begin(self, identifier: int) -> None:
        self.account(identifier).auction = Auction(self.table.time_ms, False, 0)
        self.batch.auctions[identifier] = AuctionChange.BEGUN

    def end(self, identifier: int) -> None:
        self.account(identifier).auction = None
        self.batch.auctions[identifier] = AuctionChange.ENDED

    def take_over(self, identifier: int, winner: int, fraction_bps: int, payment: int, limit: int | None = None, *, fund: bool = False) -> None:
        bid = None
        if not fund:
            epoch, nonce = self.action(winner)
            limit = payment if limit is None else limit
            signature = self.sign(winner, MessageKind.BID, bid_payload(nonce, identifier, fraction_bps, limit, BID_EXPIRY_MS))
            bid = L2Bid(winner, epoch, nonce, identifier, fraction_bps, limit, BID_EXPIRY_MS, signature)
        self.batch.takeovers.append(Takeover(identifier, winner, fraction_bps, payment, bid))
        seized, taker = self.account(identifier), self.account(winner)
        for item, size in list(self.batch.start[identifier].positions.items()):
            if not self.table[item].settled:
                lots = abs(size) * fraction_bps // BPS * (1 if size > 0 else -1)
                self.move(identifier, item, -lots)
                self.move(winner, item, lots)
        seized.cash += payment
        taker.cash -= payment

    def deleverage(self, identifier: int, winner: int, item: int, lots: int, price_ticks: int) -> None:
        self.batch.deleverages.append(Deleverage(identifier, winner, item, lots, price_ticks))
        for account, signed in ((winner, lots), (identifier, -lots)):
            self.move(account, item, signed)
            self.now[account].cash -= signed * (price_ticks - self.table[item].funding)
            self.batch.reduced[account, item] = None

    # ---- listings and tables

    def settle(self, item: int, value: int) -> None:
        self.batch.listings.append(Settlement(item, BTC, value))

    def retire(self, item: int) -> None:
        self.batch.listings.append(Retirement(item, BTC))

    def reprice(self, spot: int, later_ms: int = 60_000, *, settled: dict[int, int] | None = None, retired: Sequence[int] = ()) -> None:
        """The next epoch's table; only between batches. `settled`: instrument -> value, of all that are settled by then."""
        values = settled or {}
        rows = tuple(risk_row(item, spot, 0, values.get(item.id)) for item in [*self.state.listings] if item.id not in retired)
        self.table = RiskTable(self.table.epoch + 1, self.table.time_ms + later_ms, spot, rows)
        self.batch.table = self.table

    def change_row(self, item: int, **changes: int) -> None:
        """The table in force with one row changed."""
        rows = tuple(replace(row, **changes) if row.instrument == item else row for row in self.table.rows)
        self.table = replace(self.table, rows=rows)
        self.batch.table = self.table


def crowd(*identifiers: int, dollars: int = 100_000, owners: dict[int, int] | None = None) -> Scene:
    """A scene with funded accounts and keys, batches 1 and on closed."""
    scene = Scene()
    for first in range(0, len(identifiers), PRESET.queue // 2):
        for identifier in identifiers[first : first + PRESET.queue // 2]:
            owner = (owners or {}).get(identifier)
            scene.deposit(identifier, dollars * DOLLARS, owner)
            scene.set_key(identifier, owner)
        scene.close()
    return scene
