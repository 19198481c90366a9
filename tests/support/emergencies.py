"""Commands beyond trading for a test market, and tables on which accounts come into trouble."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from straddle.core.commands import InternalEpoch, InternalLiquidate, L1ForceClose, L1ForceWithdraw, L2Bid, L2Transfer
from straddle.core.events import Event
from straddle.core.instruments import Instrument
from straddle.core.messages import MessageKind, bid_payload, transfer_payload
from straddle.core.params import CASH_MAX
from straddle.core.risk_table import SCENARIOS, RiskRow
from support.market import BUY, CALL, INDEX_TICKS, SELL, Market, RiskTable, row

NO_LIMIT = CASH_MAX


def owner_of(market: Market, account: int) -> int:
    return market.exchange.accounts[account].owner


def force_withdraw(market: Market, account: int, amount: int) -> L1ForceWithdraw:
    return L1ForceWithdraw(market.exchange.queue_pointer, account, owner_of(market, account), amount)


def force_close(market: Market, account: int, limit_bps: int) -> L1ForceClose:
    return L1ForceClose(market.exchange.queue_pointer, account, owner_of(market, account), limit_bps)


def next_nonce(market: Market, account: int, nonce: int | None) -> int:
    return market.exchange.accounts[account].action_nonce + 1 if nonce is None else nonce


def transfer(market: Market, account: int, to: int, amount: int, nonce: int | None = None) -> L2Transfer:
    nonce = next_nonce(market, account, nonce)
    key_epoch, signature = market.sign(account, MessageKind.TRANSFER, transfer_payload(nonce, amount, to))
    return L2Transfer(account, key_epoch, nonce, to, amount, signature)


def bid(market: Market, account: int, target: int, fraction_bps: int, limit: int = NO_LIMIT, nonce: int | None = None, expiry_ms: int = 2**48 - 1) -> L2Bid:
    nonce = next_nonce(market, account, nonce)
    key_epoch, signature = market.sign(account, MessageKind.BID, bid_payload(nonce, target, fraction_bps, limit, expiry_ms))
    return L2Bid(account, key_epoch, nonce, target, fraction_bps, limit, expiry_ms, signature)


def settled_row(instrument: Instrument, value_ticks: int) -> RiskRow:
    """The row of a settled instrument."""
    return RiskRow(instrument.id, instrument.expiry_ms, instrument.linear, value_ticks, 0, 0, 0, 0, 0, 0, (0,) * SCENARIOS, settled=True)


def next_table(market: Market, later_ms: int = 0, **changes: dict[str, Any]) -> RiskTable:
    """The table of the next epoch: rows of all instruments listed and not retired, those with a declared value settled; `changes` maps row_<id> to fields."""
    exchange, current = market.exchange, market.exchange.table
    rows = []
    for instrument in exchange.instruments.values():
        declared = exchange.settlements.get(instrument.id)
        plain = row(instrument) if declared is None else settled_row(instrument, declared)
        rows.append(replace(plain, **changes.get(f"row_{instrument.id}", {})))
    assert current is not None
    return RiskTable(current.epoch + 1, current.time_ms + later_ms, INDEX_TICKS, tuple(rows))


def epoch(market: Market, later_ms: int = 0, **changes: dict[str, Any]) -> tuple[Event, ...]:
    """Puts the next epoch's table in force."""
    return market.ok(InternalEpoch(next_table(market, later_ms, **changes)))


SOLVENT = {"value": 300_000, "band": 100_000}
"""A call's row on which the short account of `auctioned` is below MM and solvent."""
BANKRUPT = {"value": 400_000, "band": 100_000}
"""One on which it is bankrupt by about $1,400."""


def shorted() -> Market:
    """Account 3 is short 30,000 calls against account 4; 5 is rich."""
    market = Market()
    market.join(3, 4, dollars=10_000)
    market.join(5, dollars=1_000_000)
    market.submit(3, CALL, SELL, 20_000, 30_000)
    market.submit(4, CALL, BUY, 20_000, 30_000)
    market.cut()
    return market


def auctioned(row_1: dict[str, Any]) -> Market:
    """Then a table with this row for the call, and since an earlier batch the account is for sale."""
    market = shorted()
    epoch(market, row_1=row_1)
    market.ok(InternalLiquidate(3))
    market.cut()
    return market
