"""Sizes of a batch: how many rows each table of the statement has, and how long the data vector is."""

from __future__ import annotations

from dataclasses import dataclass

EFFECTS_HEADER_WORDS = 10
QUEUE_ENTRY_WORDS = 3


@dataclass(frozen=True, slots=True)
class Preset:
    """Tree depths and row counts (native/circuit/presets.json)."""

    name: str
    account_depth: int
    slot_depth: int
    accounts: int
    positions: int
    instruments: int
    signatures: int
    orders: int
    fills: int
    queue: int
    withdrawals: int
    listings: int

    def __post_init__(self) -> None:
        if self.positions % 2:
            raise ValueError(f"preset {self.name}: positions {self.positions}, expected an even number (two rows a cell)")

    @property
    def effects_words(self) -> int:
        """Length of the effects."""
        return EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * self.queue + self.withdrawals

    @property
    def body_words(self) -> int:
        """Length of the body before trailing zeros are left out."""
        return self.accounts + self.orders + self.positions // 2 + self.listings
