"""How much a batch may hold: the row counts of a preset, and whether a command's rows still fit the open batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from straddle.core.batch import OpenBatch
from straddle.core.orders import Signature

if TYPE_CHECKING:
    from straddle.core.state import Exchange

SetKey = tuple[int, int, Signature]
"""What one signature row signs for an order set: account, root of the set, signature."""

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

    @classmethod
    def of_preset(cls, preset: Mapping[str, int]) -> Capacity:
        """From one entry of presets.json; the entry's tree depths belong to `Params`."""
        return cls(*(preset[name] for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class Additions:
    """Rows that a plan would add to the open batch."""

    positions: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    """account -> its positions afterwards, for every account that the plan touches."""
    order_uses: Collection[OrderUseKey] = ()
    """Orders that fill."""
    order_sets: Collection[SetKey] = ()
    """The sets that those orders were signed in."""
    fills: int = 0
    queue: int = 0
    withdrawals: int = 0
    cancels: Collection[int] = ()
    """Accounts whose min_nonce rises."""
    listings: int = 0


NO_ADDITIONS = Additions()


@dataclass(slots=True)
class Usage:
    """Rows that the open batch uses; derived from it (`usage_of`) and kept along."""

    positions: dict[int, int] = field(default_factory=dict)
    """account -> its position rows, for every touched account."""
    position_rows: int = 0
    """Sum over the accounts."""
    order_uses: dict[OrderUseKey, int] = field(default_factory=dict)
    """Order -> its row in `OpenBatch.order_uses`."""
    order_sets: dict[SetKey, None] = field(default_factory=dict)
    """Order sets that need a signature row (an ordered set)."""


def position_rows(start: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Position rows of a touched account: instruments held before the batch or now."""
    return len(start.keys() | now.keys())


def is_empty(batch: OpenBatch) -> bool:
    """Whether the batch has nothing to prove: it may then still change its table."""
    return not batch.start and not batch.listings


def signature_rows(batch: OpenBatch, usage: Usage) -> int:
    """Signature rows used: one for each order set with a filled order, withdrawal and cancelling account."""
    return len(usage.order_sets) + len(batch.withdrawals) + len(batch.cancels)


def first_overflow(exchange: Exchange, additions: Additions) -> str | None:
    """The first table of the preset that would overflow if `additions` joined the open batch, or None when they fit."""
    batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
    position_rows_needed, accounts = usage.position_rows, len(usage.positions)
    for account, now in additions.positions.items():
        before = usage.positions.get(account)
        if before is None:  # touched first by this plan: its positions are still as the batch began
            accounts += 1
            position_rows_needed += position_rows(exchange.positions_of(account), now)
        else:
            position_rows_needed += position_rows(batch.start[account].positions, now) - before
    new_sets = sum(key not in usage.order_sets for key in additions.order_sets)
    new_cancels = sum(account not in batch.cancels for account in additions.cancels)
    needed = {
        "accounts": accounts,
        "positions": position_rows_needed,
        "signatures": signature_rows(batch, usage) + new_sets + additions.withdrawals + new_cancels,
        "orders": len(usage.order_uses) + sum(key not in usage.order_uses for key in additions.order_uses),
        "fills": len(batch.fills) + additions.fills,
        "queue": len(batch.queue) + additions.queue,
        "withdrawals": len(batch.withdrawals) + additions.withdrawals,
        "listings": len(batch.listings) + additions.listings,
    }
    for table, count in needed.items():
        if count > getattr(capacity, table):
            return table
    return None


def fits(exchange: Exchange, additions: Additions) -> bool:
    """Whether the open batch stays within its preset if `additions` join it."""
    return first_overflow(exchange, additions) is None
