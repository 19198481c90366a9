"""Sizes of a batch: how many rows each table of the statement has, and how long the data vector is."""

from __future__ import annotations

from dataclasses import dataclass

EFFECTS_HEADER_WORDS = 10
QUEUE_ENTRY_WORDS = 3
ORDER_ROWS_PER_GROUP, ORDER_CELLS_PER_GROUP = 3, 2
POSITION_ROWS_PER_CELL = 4


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
    legs: int
    fills: int
    queue: int
    withdrawals: int
    transfers: int
    takeovers: int
    deleverages: int
    listings: int

    @property
    def effects_words(self) -> int:
        """Length of the effects."""
        return EFFECTS_HEADER_WORDS + QUEUE_ENTRY_WORDS * self.queue + self.withdrawals

    @property
    def order_cells(self) -> int:
        """Cells of the body that hold order rows."""
        return ORDER_CELLS_PER_GROUP * -(-self.orders // ORDER_ROWS_PER_GROUP)

    @property
    def position_cells(self) -> int:
        """Cells of the body that hold position rows."""
        return -(-self.positions // POSITION_ROWS_PER_CELL)

    @property
    def body_words(self) -> int:
        """Length of the body before trailing zeros are left out."""
        return self.accounts + self.order_cells + self.position_cells + self.listings
