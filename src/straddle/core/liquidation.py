"""Liquidation: who may be seized, and at what price a part of a seized account's portfolio changes hands (docs/protocol/margin.md, engine.md).

Everything divides by constants of the parameters only, and is total over whatever a table says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from straddle.core.accounts import Auction
from straddle.core.margin import Requirement, requirement
from straddle.core.params import BPS, Params
from straddle.core.risk_table import RiskTable
from straddle.core.settlement import settled_cash, unsettled
from straddle.core.state import Exchange

WHOLE_BPS = BPS
"""The fraction of a takeover that takes everything."""


@dataclass(frozen=True, slots=True)
class Sale:
    """A part of a seized account's portfolio and its price."""

    lots: Mapping[int, int]
    """What the winner receives: instrument -> signed lots, never zero."""
    payment: int
    """Micro-dollars from the winner to the account; negative the other way."""
    discount: int = 0
    """What the account loses against the marks. Below 0 the sale is not allowed: rounding to lots took hedges and left risk, and no winner pays for that."""


def old_requirement(exchange: Exchange, account: int) -> Requirement:
    """The rule's old side of an account, valued on the batch's table."""
    return requirement(*exchange.old_side(account), exchange.context.table, exchange.params)


def is_below_maintenance(valued: Requirement) -> bool:
    """equity < MM."""
    return valued.maintenance_surplus_scaled < 0


def may_reduce(exchange: Exchange, account: int) -> bool:
    """Whether an account that is for sale may still close positions by orders: it is at its maintenance margin or above, though not covered, and unlikely to be
    bought. Without that it would have to wait for its market to come back."""
    auction = exchange.accounts[account].auction
    return auction is not None and not auction.forced and not is_below_maintenance(exchange.requirement_of(account))


def has_changed(exchange: Exchange, account: int) -> bool:
    """Whether the open batch has done more to an account than deposits, cancels and key changes; it can then not be seized, nor its auction begin or end."""
    batch = exchange.open_batch
    start = batch.start.get(account)
    if start is None:
        return False
    now, table = exchange.accounts[account], exchange.context.table
    if account in batch.sealed or account in batch.auctions or (start.slots, start.action_nonce) != (now.slots, now.action_nonce):
        return True
    if unsettled(start.positions, table) != unsettled(now.positions, table):
        return True
    cash = start.cash + batch.deposits.get(account, 0)
    return cash + settled_cash(start.positions, table) != now.cash + settled_cash(now.positions, table)


def has_acted(exchange: Exchange, account: int) -> bool:
    """Whether an account has withdrawn, sent a transfer or won a bid in the open batch: it does so once."""
    batch = exchange.open_batch
    bids = (takeover.winner for takeover in batch.takeovers if takeover.bid is not None)
    return account in batch.withdrawals or account in batch.transfers or account in bids


def age_ms(auction: Auction, table: RiskTable, params: Params) -> int:
    """How long an auction has run, at most auction_ms: its discount rises no further."""
    return min(max(table.time_ms - auction.start_ms, 0), params.auction_ms)


def rate_bps(auction: Auction, old: Requirement, params: Params) -> int:
    """What the discount rises to: the parameters' below MM, else what the owner allowed."""
    return params.discount_bps if is_below_maintenance(old) else auction.limit_bps


def loss_allowed(exchange: Exchange, auction: Auction, old: Requirement, new: Requirement) -> int:
    """Equity that a seized account may lose by now, micro-dollars, rounded down: rate * age / auction_ms * (MM_old - MM_new), and equity - IM not lowered."""
    params, table = exchange.params, exchange.context.table
    weight = rate_bps(auction, old, params) * age_ms(auction, table, params)
    by_age = weight * (old.mm_scaled - new.mm_scaled) // (params.auction_ms * BPS * BPS)
    return min(by_age, (old.im_scaled - new.im_scaled) // BPS)


def slice_of(positions: Mapping[int, int], table: RiskTable, fraction_bps: int) -> dict[int, int]:
    """Signed lots of a fraction of every position, rounded toward zero, settled instruments left out."""
    lots = {instrument: abs(size) * fraction_bps // BPS * (1 if size > 0 else -1) for instrument, size in unsettled(positions, table).items()}
    return {instrument: size for instrument, size in lots.items() if size}


def bid_sale(exchange: Exchange, account: int, auction: Auction, fraction_bps: int) -> Sale:
    """What a bid of now gets: the slice at V less the discount of its age, but no larger a share of the account's equity than of its portfolio.

    So an auction never turns a solvent account into a bankrupt one. The account must be unchanged in the open batch.
    """
    return sale_at(exchange, account, auction, fraction_bps, old_requirement(exchange, account))


def sale_at(exchange: Exchange, account: int, auction: Auction, fraction_bps: int, old: Requirement) -> Sale:
    """`bid_sale` from an old side: that of an account's values of now is what a bid gets that begins the next batch."""
    table = exchange.context.table
    positions = unsettled(exchange.positions_of(account), table)
    lots = slice_of(positions, table, fraction_bps)
    left = {instrument: size - lots.get(instrument, 0) for instrument, size in positions.items()}
    discount = min(loss_allowed(exchange, auction, old, requirement(0, left, table, exchange.params)), fraction_bps * max(old.equity, 0) // BPS)
    return Sale(lots, sum(size * table[instrument].value for instrument, size in lots.items()) - discount, discount)


def fund_sale(exchange: Exchange, account: int, auction: Auction) -> Sale:
    """What the insurance fund gets: everything, at a bidder's price from a solvent account; from a bankrupt one at the price that leaves it with nothing."""
    cash, positions = exchange.old_side(account)
    if old_requirement(exchange, account).equity >= 0:
        return bid_sale(exchange, account, auction, WHOLE_BPS)
    table = exchange.context.table
    return Sale(unsettled(positions, table), -cash - settled_cash(positions, table))
