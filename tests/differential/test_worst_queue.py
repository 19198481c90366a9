"""Attack 15 of research/rollup.md: the queue is filled with what is hardest to answer, and is answered all the same, in order, in a bounded number of batches.

A proof of a preset takes the same time whatever its batch holds (one circuit), so what an attacker can do is make batches answer few entries. The real engine
and sequencer cut the batches; accounts hold as many positions as they may, and the exchange has as few position rows as hold two such accounts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from eth_account import Account as EthereumAccount

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import NO_KEY
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, InternalEpoch, InternalLiquidate, InternalList, L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey, L2Trade
from straddle.core.events import AuctionBegun, ForcePaid, OrderRejected, Trade
from straddle.core.messages import order_set_words
from straddle.core.orders import OrderSet, Side, Signature, outright
from straddle.core.params import BPS
from straddle.core.rejections import RejectionCode
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.primitives.keys import SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.research.queue_load import worst_entries_a_batch
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Accepted, ClosedBatch, Sequencer
from tests.differential.scenes import BENEFICIARY, CHAIN_ID, DOLLARS, DOMAIN, LISTED, OPERATOR, PARAMS, PRESET, ROLLUP, START_MS, VK_ID, first_table, risk_row

CAPACITY = replace(Capacity.of_preset({name: getattr(PRESET, name) for name in Capacity.__slots__}), positions=12)
"""Nano with fewer position rows, so that P_max, half of them, is less than the instruments listed; the batches fit the nano circuit."""
P_MAX = CAPACITY.positions // 2
HELD = tuple(item.id for item in LISTED[:P_MAX])
WORST = worst_entries_a_batch(replace(PRESET, positions=CAPACITY.positions), P_MAX)
"""What `straddle compare` says that a batch answers at the worst."""
LONGS, SHORTS = (3, 5, 7, 9, 11, 13), (4, 6, 8, 10, 12, 14)
USERS = tuple(sorted(LONGS + SHORTS))
EVERYTHING = 2**63 - 1
LOTS = 10

Entry = Callable[[int], Command]
"""What stands at a place of the queue."""


@cache
def key(account: int, generation: int = 0) -> SecretKey:
    return SecretKey.from_seed(f"worst {account}/{generation}".encode())


def owner(account: int) -> int:
    return 0xA000 + account


def deposit(account: int, amount: int = DOLLARS) -> Entry:
    return lambda index: L1Deposit(index, account, owner(account), amount)


def withdraw(account: int, amount: int = EVERYTHING) -> Entry:
    return lambda index: L1ForceWithdraw(index, account, owner(account), amount)


def close(account: int, limit_bps: int = BPS) -> Entry:
    return lambda index: L1ForceClose(index, account, owner(account), limit_bps)


def set_key(account: int, generation: int = 1) -> Entry:
    return lambda index: L1SetKey(index, account, owner(account), key(account, generation).public)


def revoke(account: int) -> Entry:
    return lambda index: L1SetKey(index, account, owner(account), NO_KEY)


@dataclass
class Exchanged:
    """A sequencer whose users hold all that they may, and the batches that it closes."""

    path: Path
    closed: list[ClosedBatch] = field(default_factory=list)
    nonces: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**6)))
    sequencer: Sequencer = field(init=False)

    def __post_init__(self) -> None:
        exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=PARAMS, capacity=CAPACITY)
        signer = EthereumAccount.from_key(bytes(31) + b"\x09")
        journal = Journal(self.path, LogIdentity(CHAIN_ID, ROLLUP))
        self.sequencer = Sequencer(
            exchange, CommittedState.genesis(PARAMS, OPERATOR), journal, signer, clock_ms=lambda: START_MS, inclusion_ms=60_000, on_batch=self.closed.append
        )
        self.run(InternalList(LISTED))
        self.run(InternalEpoch(first_table()))
        self.answer([entry for account in USERS for entry in (deposit(account, 100_000 * DOLLARS), set_key(account, 0))])
        for long, short in zip(LONGS, SHORTS, strict=True):
            for item in HELD:
                self.trade(short, item, Side.SELL)
                assert any(isinstance(event, Trade) for event in self.trade(long, item, Side.BUY))
        self.sequencer.close_batch()

    @property
    def exchange(self) -> Exchange:
        return self.sequencer.exchange

    def run(self, command: Command) -> Accepted:
        answer = self.sequencer.submit(command)
        assert isinstance(answer, Accepted), answer
        return answer

    def trade(self, account: int, item: int, side: Side) -> Sequence[object]:
        table = self.exchange.context.table
        limit = table[item].mark // 50 * 50
        order = outright(next(self.nonces), 0, table.time_ms + 3_600_000, LOTS, limit, item, side, 400_000)
        unsigned = OrderSet(account, 1, (order,), Signature(0, 0, 0))
        return self.run(L2Trade(replace(unsigned, signature=key(account).sign(order_set_words(DOMAIN, unsigned))))).events

    def answer(self, entries: Sequence[Entry]) -> list[ClosedBatch]:
        """The queue's entries from an empty batch on, until all are answered; the batches that answer them."""
        before = len(self.closed)
        for entry in entries:
            self.run(entry(self.exchange.queue_pointer))
        self.sequencer.close_batch()
        return self.closed[before:]

    def posted(self) -> list[PostedBatch]:
        """What layer 1 and the prover get of every batch so far."""
        committed = CommittedState.genesis(PARAMS, OPERATOR)
        parent, found = genesis_header_hash(committed.root), []
        for closed in self.closed:
            chain = ChainFacts(CHAIN_ID, ROLLUP, VK_ID, parent, BENEFICIARY)
            posted = build_witness(committed, closed.batch, PRESET, HeaderFacts(DOMAIN, closed.log_root), chain)
            committed.apply_batch(closed.batch)
            assert committed.root == closed.change.after.root
            found.append(posted)
            parent = posted.header_hash
        return found


@pytest.fixture
def exchanged(tmp_path: Path) -> Iterator[Exchanged]:
    made = Exchanged(tmp_path / "journal.sqlite")
    yield made
    made.sequencer.close()


def only_withdrawals() -> list[Entry]:
    """Every account asks for everything: each entry opens as many positions as an account may hold."""
    return [withdraw(account) for account in USERS]


def everything() -> list[Entry]:
    """Three accounts at their cap ask for everything, then come a forced close, a key change of others at their cap, and a deposit that opens an account."""
    entries = []
    for at in range(0, len(USERS), 3):
        others = (USERS[(at + len(USERS) // 2) % len(USERS)], USERS[(at + len(USERS) // 2 + 1) % len(USERS)])
        entries += [*(withdraw(account) for account in USERS[at : at + 3]), close(others[0]), set_key(others[1]), deposit(max(USERS) + 1 + at)]
    return entries


QUEUES = [only_withdrawals, everything]


def satisfied(posted: Sequence[PostedBatch], prover: Prover) -> None:
    """Checker and circuit take every batch."""
    for item in posted:
        assert check(item.witness, PRESET) is None, check(item.witness, PRESET)
    for item, result in zip(posted, prover.check_many([item.witness for item in posted]), strict=True):
        assert result.ok and result.solver, (item.effects.batch_number, result)


def in_order(batches: Sequence[ClosedBatch], first: int, count: int) -> None:
    """Each entry is answered once, in the queue's order."""
    assert [entry.queue_index for closed in batches for entry in closed.batch.queue] == list(range(first, first + count))


def test_users_hold_as_many_instruments_as_they_may(exchanged: Exchanged) -> None:
    assert exchanged.exchange.limits.positions == P_MAX < len(LISTED)
    assert all(len(exchanged.exchange.positions_of(account)) == P_MAX for account in USERS)
    events = exchanged.trade(LONGS[0], LISTED[P_MAX].id, Side.BUY)
    assert [event.rejection.code for event in events if isinstance(event, OrderRejected)] == [RejectionCode.POSITIONS_MAX]


@pytest.mark.parametrize("queue", QUEUES)
def test_attack_15_the_worst_queue_is_answered_in_provable_batches(queue: Callable[[], list[Entry]], exchanged: Exchanged, prover: Prover) -> None:
    first, entries = exchanged.exchange.queue_pointer, queue()
    batches = exchanged.answer(entries)
    in_order(batches, first, len(entries))
    assert min(len(closed.batch.queue) for closed in batches[:-1]) >= WORST
    assert len(batches) <= -(-len(entries) // WORST)
    posted = exchanged.posted()[-len(batches) :]
    satisfied(posted, prover)
    assert {(item.witness.preset, len(item.effects_words)) for item in posted} == {(PRESET.name, PRESET.effects_words)}, "one circuit: one proving time"


def test_attack_15_position_rows_run_out_before_queue_rows(exchanged: Exchanged) -> None:
    """The bound is reached: forced withdrawals at the cap are answered by as many a batch as the research module says, and no more."""
    assert 1 < WORST < CAPACITY.queue
    batches = exchanged.answer(only_withdrawals())
    assert [len(closed.batch.queue) for closed in batches] == [WORST] * (len(USERS) // WORST)
    assert all(sum(len(closed.batch.start[account].positions) for account in closed.batch.opened) == CAPACITY.positions for closed in batches)


@pytest.mark.parametrize("seed", range(6))
def test_attack_15_no_order_of_entries_needs_more_batches(seed: int, exchanged: Exchanged) -> None:
    """Whatever touches an account whose forced withdrawal is in the batch has to wait for the next one, so that a batch by itself may answer one entry; over
    the whole queue it is as many as the research module says all the same. The first seed is the order that clashes most, the others are random."""
    first = exchanged.exchange.queue_pointer
    entries = [entry for account in USERS for entry in (withdraw(account), deposit(account))] if not seed else shuffled(seed)
    batches = exchanged.answer(entries)
    in_order(batches, first, len(entries))
    assert len(batches) <= len(entries) // WORST + 1, [len(closed.batch.queue) for closed in batches]
    for item in exchanged.posted()[-len(batches) :]:
        assert check(item.witness, PRESET) is None, check(item.witness, PRESET)


def shuffled(seed: int) -> list[Entry]:
    """What layer 1 admits: at most one unanswered request of a kind an account, any number of deposits."""
    rng = random.Random(seed)
    entries = [
        entry for account in USERS for entry in (withdraw(account), deposit(account), *rng.sample([close(account), set_key(account)], rng.randint(0, 1)))
    ]
    rng.shuffle(entries)
    return entries


def test_attack_15_no_entry_makes_a_batch_impossible(exchanged: Exchanged, prover: Prover) -> None:
    """Layer 1 cannot know that these ask for nothing that can be given: they are answered, change nothing, and the batch is provable."""
    sunk, poor, bare = SHORTS[0], SHORTS[1], max(USERS) + 1
    exchanged.answer([deposit(bare)])
    exchanged.answer([withdraw(account) for account in (sunk, poor)])
    table = exchanged.exchange.context.table
    rows = tuple(risk_row(item, 2_400_000) for item in LISTED)
    exchanged.run(InternalEpoch(RiskTable(table.epoch + 1, table.time_ms + 1, 2_400_000, rows)))
    assert any(isinstance(event, AuctionBegun) for event in exchanged.run(InternalLiquidate(sunk)).events)
    exchanged.sequencer.close_batch()
    before = {account: exchanged.exchange.accounts[account].copy() for account in (sunk, poor, bare)}
    first = exchanged.exchange.queue_pointer
    paid = []
    count = len(exchanged.closed)
    for entry in (close(sunk), withdraw(sunk, 1), withdraw(poor), revoke(bare)):
        paid += [event.paid for event in exchanged.run(entry(exchanged.exchange.queue_pointer)).events if isinstance(event, ForcePaid)]
    exchanged.sequencer.close_batch()
    in_order(exchanged.closed[count:], first, 4)
    assert paid == [0, 0]
    for account, was in before.items():
        now = exchanged.exchange.accounts[account]
        assert (now.cash, now.positions, now.auction, now.key) == (was.cash, was.positions, was.auction, was.key)
    satisfied(exchanged.posted()[count:], prover)
