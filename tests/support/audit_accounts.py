"""An independent reading of docs/protocol/margin.md and statement.md: what a finished batch did to each account it touched, recounted from its record.

Nothing here is shared with the engine: margin is computed anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from straddle.core.accounts import Account
from straddle.core.batch import AuctionChange, OpenBatch
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange

FEES, FUND = 1, 2


class Value(NamedTuple):
    """Micro-dollars; im and mm times 10^4."""

    equity: int
    im: int
    mm: int
    settled: int

    @property
    def covered(self) -> bool:
        return 10_000 * self.equity >= self.im

    @property
    def surplus(self) -> int:
        return 10_000 * self.equity - self.im

    @property
    def below(self) -> bool:
        return 10_000 * self.equity < self.mm


def value(cash: int, positions: Mapping[int, int], table: RiskTable, params: Params) -> Value:
    rows = {row.instrument: row for row in table.rows}
    worst = max(0, *(-sum(q * rows[i].deltas[s] for i, q in positions.items()) for s in range(48)))
    im = sum(q * rows[i].long_im if q > 0 else -q * rows[i].short_im for i, q in positions.items())
    mm = sum(q * rows[i].long_mm if q > 0 else -q * rows[i].short_mm for i, q in positions.items())
    equity = cash + sum(q * rows[i].value for i, q in positions.items())
    settled = cash + sum(q * rows[i].value for i, q in positions.items() if rows[i].linear or q < 0)
    return Value(equity, params.k_im_bps * worst + 10_000 * im, params.k_mm_bps * worst + 10_000 * mm, settled)


class BatchAudit:
    """One finished batch against its own record."""

    def __init__(self, batch: OpenBatch, params: Params) -> None:
        assert batch.table is not None
        self.batch, self.params, self.table = batch, params, batch.table
        self.old = {id_: value(a.cash + batch.deposits.get(id_, 0), a.positions, self.table, params) for id_, a in batch.start.items()}
        self.new = {id_: value(a.cash, a.positions, self.table, params) for id_, a in batch.end.items()}
        self.sold = {takeover.account: takeover for takeover in batch.takeovers}
        self.bankrupt = {row.account for row in batch.deleverages}
        self.forced = {entry.account: entry for entry in batch.queue if isinstance(entry, L1ForceWithdraw)}
        self.traded = {use.account for use in batch.order_uses}
        bids = [takeover.winner for takeover in batch.takeovers if takeover.bid is not None]
        self.acted = Counter([*batch.withdrawals, *batch.transfers, *bids])

    def run(self) -> None:
        batch = self.batch
        assert batch.start.keys() == batch.end.keys() and batch.opened.keys() <= batch.start.keys()
        assert len(self.sold) == len(batch.takeovers) and set(batch.forced) == set(self.forced) and max(self.acted.values(), default=1) == 1
        self._flows()
        for account in batch.start:
            self._account(account)
            self._auction(account)
        for takeover in batch.takeovers:
            self._takeover(takeover.account)
        for row in batch.deleverages:
            terms = next(r for r in self.table.rows if r.instrument == row.instrument)
            assert abs(row.price_ticks - terms.value - terms.funding) <= terms.band and terms.expiry_ms > self.table.time_ms
            assert {(row.account, row.instrument), (row.winner, row.instrument)} <= batch.reduced.keys()
        for account, instrument in batch.reduced:
            start, end = batch.start[account].positions.get(instrument, 0), batch.end[account].positions.get(instrument, 0)
            assert start and 0 <= end * (1 if start > 0 else -1) <= abs(start)

    def _flows(self) -> None:
        """Cash and positions of the end from those of the start."""
        batch, rows = self.batch, {row.instrument: row for row in self.table.rows}
        cash: Counter[int] = Counter({id_: a.cash + batch.deposits.get(id_, 0) for id_, a in batch.start.items()})
        held = {id_: Counter(a.positions) for id_, a in batch.start.items()}
        for account in batch.opened:
            for instrument, size in batch.start[account].positions.items():
                if rows[instrument].settled:
                    cash[account] += size * rows[instrument].value
                    held[account][instrument] = 0
        for fill in batch.fills:
            for index, place, fee in ((fill.taker, fill.taker_leg, fill.taker_fee), (fill.maker, fill.maker_leg, fill.maker_fee)):
                use = batch.order_uses[index]
                lots = fill.size_lots * (1 if use.order.side else -1) * (1 if use.order.legs[place].ratio > 0 else -1)
                held[use.account][fill.instrument] += lots
                cash[use.account] -= lots * (fill.price_ticks - rows[fill.instrument].funding) + fee
                cash[FEES] += fee
        for account, withdrawal in batch.withdrawals.items():
            cash[account] -= withdrawal.amount
        for account, transfer in batch.transfers.items():
            cash[account] -= transfer.amount
            assert batch.end[account].owner == batch.end[transfer.to].owner and account != transfer.to
        for account, paid in batch.forced.items():
            cash[account] -= paid
        for takeover in batch.takeovers:
            cash[takeover.account] += takeover.payment
            cash[takeover.winner] -= takeover.payment
            for instrument, size in batch.start[takeover.account].positions.items():
                lots = 0 if rows[instrument].settled else abs(size) * takeover.fraction_bps // 10_000 * (1 if size > 0 else -1)
                held[takeover.account][instrument] -= lots
                held[takeover.winner][instrument] += lots
        for row in batch.deleverages:
            amount = row.size_lots * (row.price_ticks - rows[row.instrument].funding)
            cash[row.account] += amount
            cash[row.winner] -= amount
            held[row.account][row.instrument] -= row.size_lots
            held[row.winner][row.instrument] += row.size_lots
        assert {a: c for a, c in cash.items() if c} == {id_: a.cash for id_, a in batch.end.items() if a.cash}
        assert {a: {i: q for i, q in p.items() if q} for a, p in held.items()} == {id_: a.positions for id_, a in batch.end.items()}

    def _account(self, account: int) -> None:
        batch, old, new = self.batch, self.old[account], self.new[account]
        start, end = batch.start[account], batch.end[account]
        acts = account in self.acted
        assert acts == (start.action_nonce != end.action_nonce) and start.action_nonce <= end.action_nonce
        keeps = new.equity >= old.equity and new.im <= old.im
        if account not in batch.opened:
            assert start.positions == end.positions and start.slots == end.slots and keeps
            assert not acts and account not in self.forced and account not in self.sold and account not in self.bankrupt
            assert batch.auctions.get(account) in (None, AuctionChange.CLOSE_BEGUN)
        elif account in self.sold or account in self.bankrupt:
            self._seized(account, start)
        else:
            assert new.covered or (new.surplus >= old.surplus and not new.below) or keeps, account
        if acts:
            assert new.covered
        if account in batch.withdrawals or account in batch.transfers or batch.forced.get(account):
            assert new.covered and new.settled >= 0
        if account in self.forced:
            before = value(end.cash + batch.forced[account], end.positions, self.table, self.params)
            assert batch.forced[account] == min(self.forced[account].amount, max(0, min(before.surplus // 10_000, before.settled)))
            assert not acts and account not in self.traded

    def _seized(self, account: int, start: Account) -> None:
        old, new, auction = self.old[account], self.new[account], start.auction
        assert auction is not None and auction == self.batch.end[account].auction
        assert old.below or auction.forced
        assert account not in self.acted and account not in self.traded and account not in self.forced
        assert new.surplus >= old.surplus
        rate = self.params.discount_bps if old.below else auction.limit_bps
        age = min(self.table.time_ms - auction.start_ms, self.params.auction_ms)
        assert (old.equity - new.equity) * self.params.auction_ms * 10_000 * 10_000 <= rate * age * (old.mm - new.mm)
        if account in self.bankrupt:
            assert old.equity < 0 and new.equity <= 0 and account not in self.sold

    def _takeover(self, account: int) -> None:
        takeover = self.sold[account]
        assert self.new[takeover.winner].covered and takeover.winner != account and 0 < takeover.fraction_bps <= 10_000
        if takeover.bid is None:
            assert takeover.winner == FUND and self.new[account].equity <= max(self.old[account].equity, 0)
        else:
            assert takeover.payment <= takeover.bid.limit and takeover.bid.account == takeover.winner
            assert self.batch.end[takeover.winner].action_nonce == takeover.bid.nonce

    def _auction(self, account: int) -> None:
        batch, start, end = self.batch, self.batch.start[account].auction, self.batch.end[account].auction
        change, now = batch.auctions.get(account), self.table.time_ms
        closes = [entry for entry in batch.queue if isinstance(entry, L1ForceClose) and entry.account == account]
        assert len(closes) <= 1 and (not closes or start is not None or change is AuctionChange.CLOSE_BEGUN)
        if change is None:
            assert start == end
        elif change is AuctionChange.BEGUN:
            assert start is None and end == (now, False, 0) and self.old[account].below
        elif change is AuctionChange.CLOSE_BEGUN:
            assert start is None and end == (now, True, closes[0].limit_bps)
        else:
            assert start is not None and end is None
            over = now - start.start_ms >= self.params.auction_ms
            assert (not batch.end[account].positions or over) if start.forced else self.new[account].covered


def audit_conservation(exchange: Exchange, deposited: int, paid_out: int) -> None:
    """Cash and what settled positions are worth make up the vault; positions in every instrument that is not settled sum to zero."""
    cash = sum(account.cash for account in exchange.accounts.values())
    totals: Counter[int] = Counter()
    for account in exchange.accounts.values():
        totals.update(account.positions)
    assert exchange.trading_open and totals.keys() <= exchange.instruments.keys()
    assert cash + sum(size * exchange.settlements[i] for i, size in totals.items() if i in exchange.settlements) == deposited - paid_out
    assert not any(size for i, size in totals.items() if i not in exchange.settlements)


def vault_flows(batch: OpenBatch) -> tuple[int, int]:
    """(deposited, paid out) by a batch, micro-dollars."""
    deposited = sum(entry.amount for entry in batch.queue if isinstance(entry, L1Deposit))
    return deposited, sum(w.amount for w in batch.withdrawals.values()) + sum(batch.forced.values())
