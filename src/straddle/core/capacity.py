"""How much a batch may hold: the row counts of a preset, and whether a command's rows still fit the open batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from straddle.core.batch import OpenBatch

if TYPE_CHECKING:
    from straddle.core.state import Exchange

SetKey = tuple[int, int, int, int, int]
"""What one signature row signs for an order set: account, root of the set, and the signature's integers."""

OrderUseKey = tuple[int, int, int]
"""One row of the orders table: account, nonce, revision."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Row counts of a preset (native/circuit/presets.json, docs/reference/witness.md)."""

    accounts: int
    positions: int
    instruments: int
    signatures: int
    orders: int
    fills: int
    queue: int
    withdrawals: int
    listings: int
    legs: int
    transfers: int
    takeovers: int
    deleverages: int

    @classmethod
    def of_preset(cls, preset: Mapping[str, int]) -> Capacity:
        """From one entry of presets.json; the entry's tree depths belong to `Params`."""
        return cls(**{item.name: preset[item.name] for item in fields(cls)})


@dataclass(frozen=True, slots=True)
class Additions:
    """Rows that a plan would add to the open batch."""

    touched: Collection[int] = ()
    """Accounts whose leaf changes."""
    positions: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """account -> its positions afterwards, for every account whose positions are opened (and its leaf touched)."""
    queue: int = 0
    withdrawals: int = 0
    transfers: int = 0
    takeovers: int = 0
    deleverages: int = 0
    cancels: Collection[int] = ()
    """Accounts whose min_nonce rises."""
    signatures: int = 0
    """Signature rows besides those of withdrawals, transfers, cancels and order sets: those of bids."""
    listings: int = 0
    """Words of the listings chain."""


NO_ADDITIONS = Additions()


@dataclass(slots=True)
class Usage:
    """Rows that the open batch uses, and what they ask for; derived from it and kept along."""

    position_rows: int = 0
    """Sum over the accounts with opened positions."""
    leg_rows: int = 0
    order_uses: dict[OrderUseKey, int] = field(default_factory=dict)
    """Outright order -> its row in `OpenBatch.order_uses`."""
    order_sets: dict[SetKey, None] = field(default_factory=dict)
    """Order sets that need a signature row (an ordered set)."""
    covered: dict[int, bool] = field(default_factory=dict)
    """Accounts that must end the batch with alternative (a) of the rule -> whether with settled cash of at least 0, too."""


def position_rows(start: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Position rows of an account with opened positions: instruments held before the batch or now."""
    return len(start.keys() | now.keys())


def is_empty(batch: OpenBatch) -> bool:
    """Whether the batch has nothing to prove: it may then still change its table."""
    return not batch.start and not batch.listings


def signature_rows(batch: OpenBatch, usage: Usage) -> int:
    """Signature rows used: one for each order set with a filled order, withdrawal, transfer, bid and cancelling account."""
    bids = sum(takeover.bid is not None for takeover in batch.takeovers)
    return len(usage.order_sets) + len(batch.withdrawals) + len(batch.transfers) + len(batch.cancels) + bids


def first_overflow(exchange: Exchange, additions: Additions = NO_ADDITIONS) -> str | None:
    """The first table of the preset that would overflow if `additions` joined the open batch, or None when they fit."""
    batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
    rows = usage.position_rows
    for account, now in additions.positions.items():
        before = exchange.positions_of(account)
        start = batch.start[account].positions if account in batch.start else before
        rows += position_rows(start, now) - (position_rows(start, before) if account in batch.opened else 0)
    new_cancels = sum(account not in batch.cancels for account in additions.cancels)
    signed = additions.withdrawals + additions.transfers + additions.signatures + new_cancels
    needed = {
        "accounts": len(batch.start.keys() | {*additions.touched, *additions.positions}),
        "positions": rows,
        "signatures": signature_rows(batch, usage) + signed,
        "orders": len(batch.order_uses),
        "legs": usage.leg_rows,
        "fills": len(batch.fills),
        "queue": len(batch.queue) + additions.queue,
        "withdrawals": len(batch.withdrawals) + additions.withdrawals,
        "transfers": len(batch.transfers) + additions.transfers,
        "takeovers": len(batch.takeovers) + additions.takeovers,
        "deleverages": len(batch.deleverages) + additions.deleverages,
        "listings": len(batch.listings) + additions.listings,
    }
    for table, count in needed.items():
        if count > getattr(capacity, table):
            return table
    return None


def trades_overflow(exchange: Exchange) -> bool:
    """Whether the open batch is beyond its preset in a table that trading fills: the cheap question before `first_overflow`."""
    batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
    return (
        len(batch.fills) > capacity.fills
        or len(batch.order_uses) > capacity.orders
        or usage.leg_rows > capacity.legs
        or usage.position_rows > capacity.positions
        or len(batch.start) > capacity.accounts
        or signature_rows(batch, usage) > capacity.signatures
    )


def fits(exchange: Exchange, additions: Additions) -> bool:
    """Whether the open batch stays within its preset if `additions` join it."""
    return first_overflow(exchange, additions) is None
