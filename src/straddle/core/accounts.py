"""Accounts: the plain values of an account leaf (docs/protocol/state.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from straddle.primitives.points import NO_KEY, PublicKey

__all__ = ["EMPTY_SLOT", "FEE_ACCOUNT", "FIRST_USER_ACCOUNT", "INSURANCE_ACCOUNT", "NO_KEY", "NULL_ACCOUNT", "Account", "Auction", "PublicKey", "Slot"]

NULL_ACCOUNT = 0
FEE_ACCOUNT = 1
INSURANCE_ACCOUNT = 2
FIRST_USER_ACCOUNT = 3


class Slot(NamedTuple):
    """One order slot: the newest nonce that it has seen filled, its revision, and lots filled so far."""

    nonce: int
    revision: int
    filled: int


EMPTY_SLOT = Slot(0, 0, 0)


class Auction(NamedTuple):
    """An account's portfolio is for sale (docs/protocol/margin.md)."""

    start_ms: int
    """The table's time at which it began."""
    forced: bool
    """Its owner asked for it on layer 1, rather than its falling below MM."""
    limit_bps: int
    """Largest discount that the owner gives; 0 unless forced."""


@dataclass(slots=True)
class Account:
    """Mutable account; the transition is the only writer. Key multiples (2^64 A) are derived where they are needed."""

    id: int
    owner: int = 0
    key: PublicKey = NO_KEY
    key_epoch: int = 0
    cash: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    """instrument id -> signed lots; never zero."""
    slots: dict[int, Slot] = field(default_factory=dict)
    """slot index -> slot; untouched slots are absent."""
    min_nonce: int = 0
    action_nonce: int = 0
    """Nonce of the last withdrawal, transfer or bid."""
    auction: Auction | None = None

    def copy(self) -> Account:
        """An independent copy (a snapshot for the batch)."""
        return Account(
            self.id,
            self.owner,
            self.key,
            self.key_epoch,
            self.cash,
            dict(self.positions),
            dict(self.slots),
            self.min_nonce,
            self.action_nonce,
            self.auction,
        )
