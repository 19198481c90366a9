"""A finished night without layer 1 and without proofs: real recordings, engine, journal, witnesses. Requests to layer 1 are queue entries made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from straddle.commitments.data import QueueEntry
from straddle.commitments.policy import Data
from straddle.core import messages
from straddle.core.accounts import FIRST_USER_ACCOUNT, INSURANCE_ACCOUNT
from straddle.core.commands import L1Deposit, L1ForceWithdraw, L1SetKey
from straddle.node.config import DemoConfig
from straddle.node.demo import DEPOSITS, deposit_of
from straddle.node.exchange import Exchange, Identity
from straddle.node.market import Market, load_market
from straddle.node.night import Night, Schedule
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.node.version import exchange_params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.sequencer.receipts import LogIdentity

LOG = LogIdentity(31337, 0x1234)
DOMAIN = messages.domain(LOG.chain_id, LOG.rollup)
OPERATOR = wallet_of(1, "operator")
ORACLES = (b"\1" * 32, b"\2" * 32)


@dataclass
class Queue:
    """Layer 1's queue, in memory."""

    entries: list[QueueEntry] = field(default_factory=list)

    def pending(self, pointer: int) -> Sequence[QueueEntry]:
        return self.entries[pointer:]

    def force_withdraw(self, trader: Trader, amount_micros: int) -> None:
        self.entries.append(L1ForceWithdraw(len(self.entries), trader.account, trader.owner, amount_micros))

    def join(self, trader: Trader, account: int, amount: int) -> None:
        trader.account = account
        self.entries.append(L1Deposit(len(self.entries), account, trader.owner, amount))
        self.entries.append(L1SetKey(len(self.entries), account, trader.owner, trader.key.public))


@dataclass
class Run:
    """A finished night."""

    config: DemoConfig
    market: Market
    exchange: Exchange
    night: Night
    queue: Queue

    @property
    def deposited(self) -> int:
        return sum(entry.amount for entry in self.queue.entries if isinstance(entry, L1Deposit))

    @property
    def withdrawn(self) -> int:
        happened = self.night.happened
        return sum(amount for _, amount in happened.withdrawals) + sum(paid for _, _, paid in happened.forced)


def run_night(config: DemoConfig, folder: Path, market: Market | None = None) -> Run:
    market = market or load_market(config)
    identity = Identity(LOG, DOMAIN, exchange_params(config.circuit, market.parameters), address_of(OPERATOR), OPERATOR, ORACLES)
    exchange = Exchange(config, market, identity, folder, lambda closed: None)
    queue = Queue()
    queue.entries.append(L1Deposit(0, INSURANCE_ACCOUNT, address_of(OPERATOR), DEPOSITS["insurance"]))
    for i, trader in enumerate((*exchange.traders, exchange.sub_account)):
        queue.join(trader, FIRST_USER_ACCOUNT + i, deposit_of(exchange, trader))
    schedule = Schedule.plan(market, epoch_minutes=config.epoch_minutes, rounds=config.rounds, hours=config.hours)
    night = Night(market, exchange.session, exchange.crowd, queue, schedule, exchange.sub_account)
    for _ in night.run():
        pass
    return Run(config, market, exchange, night, queue)


def post(run: Run, parent: bytes = bytes(32), vk_id: bytes = b"v" * 32, data: Data = Data.CALLDATA) -> list[PostedBatch]:
    """The run's batches as layer 1 would get them after the header `parent`, their bodies lying at `data`."""
    batches = []
    for closed in run.exchange.closed:
        chain = ChainFacts(LOG.chain_id, LOG.rollup, vk_id, parent, 0xBE, data)
        batches.append(post_change(closed.change, closed.batch, run.exchange.identity.params, run.config.circuit, HeaderFacts(DOMAIN, closed.log_root), chain))
        parent = batches[-1].header_hash
    return batches
