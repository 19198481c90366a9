"""A small exchange with two traders, for tests: commands that the engine accepts, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eth_account import Account as EthereumAccount
from support.market import NANO

from straddle.commitments.ledger import CommittedState
from straddle.core import messages
from straddle.core.commands import Command, InternalEpoch, InternalList, L1Deposit, L1SetKey, L2Cancel, L2Trade, L2Withdraw
from straddle.core.instruments import NEVER_MS, Instrument, Kind
from straddle.core.messages import MessageKind
from straddle.core.orders import OrderSet, Side, Signature, outright
from straddle.core.params import Params
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.core.state import Exchange
from straddle.primitives.keys import SecretKey
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

OPERATOR = 0xFEE
IDENTITY = LogIdentity(chain_id=31337, rollup=0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0_1234_5678)
DOMAIN = messages.domain(IDENTITY.chain_id, IDENTITY.rollup)
PARAMS = Params(account_depth=8, slot_depth=4, k_im_bps=10_000, k_mm_bps=8_000, risk_digest=7)
CAPACITY = NANO
SIGNER = EthereumAccount.from_key(bytes(31) + b"\x07")
KEYS = {3: SecretKey.from_seed(b"maker"), 4: SecretKey.from_seed(b"taker")}
OWNERS = {3: 0xA1, 4: 0xB2}
PERPETUAL = Instrument(1, Kind.PERPETUAL, 1, NEVER_MS, 0, 50, 10, 1_000_000)
MARK = 900_000


def table(epoch: int, mark: int = MARK) -> RiskTable:
    """One perpetual whose scenarios are plain moves of up to 16 %."""
    deltas = tuple(mark * (step - 24) * 16 // 2400 for step in range(48))
    return RiskTable(epoch, 1_000_000 + epoch, mark, (RiskRow(1, NEVER_MS, True, mark, 0, 20_000, 100, 50, 100, 50, deltas),))


def trade(account: int, nonce: int, side: Side, size_lots: int, limit_ticks: int = MARK, *, key_epoch: int = 1) -> L2Trade:
    """One signed order of the perpetual."""
    unsigned = OrderSet(account, key_epoch, (outright(nonce, 0, 2_000_000_000_000, size_lots, limit_ticks, 1, side, 2**32 - 1),), Signature(0, 0, 0))
    return L2Trade(OrderSet(account, key_epoch, unsigned.orders, KEYS[account].sign(messages.order_set_words(DOMAIN, unsigned))))


def withdraw(account: int, nonce: int, amount: int) -> L2Withdraw:
    """A signed withdrawal."""
    words = messages.signed_words(DOMAIN, MessageKind.WITHDRAWAL, account, 1, messages.withdrawal_payload(nonce, amount))
    return L2Withdraw(account, 1, nonce, amount, KEYS[account].sign(words))


def cancel(account: int, min_nonce: int) -> L2Cancel:
    """A signed cancel."""
    words = messages.signed_words(DOMAIN, MessageKind.CANCEL, account, 1, messages.cancel_payload(min_nonce))
    return L2Cancel(account, 1, min_nonce, KEYS[account].sign(words))


def opening() -> list[Command]:
    """Listing, first table, deposits and keys: the first four queue entries."""
    return [
        InternalList((PERPETUAL,)),
        InternalEpoch(table(1)),
        L1Deposit(0, 3, OWNERS[3], 50_000_000_000),
        L1Deposit(1, 4, OWNERS[4], 20_000_000_000),
        L1SetKey(2, 3, OWNERS[3], KEYS[3].public),
        L1SetKey(3, 4, OWNERS[4], KEYS[4].public),
    ]


def trading_round(number: int) -> list[Command]:
    """A maker's quote, a taker's order that meets it, and a cancel. Every second round ends with a new table."""
    commands: list[Command] = [trade(3, number, Side.SELL, 100, MARK + 100), trade(4, number, Side.BUY, 60, MARK + 100), cancel(3, number + 1)]
    return [*commands, InternalEpoch(table(1 + number // 2))] if number % 2 == 0 else commands


def trading(rounds: int) -> list[Command]:
    """The commands of several rounds."""
    return [command for number in range(1, rounds + 1) for command in trading_round(number)]


def open_sequencer(path: Path, on_batch: Callable[[ClosedBatch], None] = lambda batch: None) -> Sequencer:
    """The sequencer on the journal at `path`, at genesis or replayed."""
    exchange = Exchange.genesis(domain=DOMAIN, operator=OPERATOR, params=PARAMS, capacity=CAPACITY)
    committed = CommittedState.genesis(PARAMS, OPERATOR)
    journal = Journal(path, IDENTITY)
    return Sequencer(exchange, committed, journal, SIGNER, clock_ms=lambda: 5_000, inclusion_ms=60_000, on_batch=on_batch)
