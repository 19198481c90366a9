"""Layer 1 holds a number of proposals that are not final, each behind a bond where a window runs. A batch that is closed without a slot, or without ether for
its bond, is lost a quarter of an hour later, and all after it: its table is too old to be proposed (docs/protocol/policies.md). So none is closed.

Where a window runs, batches that are not full are closed no faster than slots come back, and the poster proves the oldest early when most are taken.
Against what still fills batches faster, the market shuts first, then whatever can wait is refused, then nothing is closed at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MANY = 10**9
KEPT = 32
"""With so many slots left the market is cancel-only, until twice as many are."""
CLOSING = 16
"""With so many left nothing ends a batch that could wait."""
LAST = 4
"""With so many left not even an epoch comes: what one leads to may end several batches."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Those of one rollup, for any thread."""

    most: int
    """Proposals that layer 1 holds."""
    standing: Callable[[], int]
    """Closed batches that are not final."""
    bonds: Callable[[], int] = lambda: MANY
    """Closed batches and more that the sequencer's wallet has bonds for, without those that are proposed."""
    pace_ms: int = 0
    """Of market time: so long lives a table with trades on it at least, and so long apart are batches that are closed for time."""

    @property
    def left(self) -> int:
        """Batches that may still be closed."""
        return min(self.most - self.standing(), self.bonds())

    @property
    def queue_room(self) -> int:
        """Entries of layer 1's queue that may be taken in now; each ends one batch at most."""
        return max(0, self.left - KEPT)

    def may_close(self) -> bool:
        """Whether a batch may be closed for what can wait."""
        return self.left > CLOSING

    def may_advance(self) -> bool:
        """Whether an epoch may come, with all that goes with it."""
        return self.left > LAST

    def shortage(self, *, shut: bool) -> str:
        """Why no new risk may enter, empty when it may; `shut`: the market is cancel-only already."""
        slots, bonds = self.most - self.standing(), self.bonds()
        if min(slots, bonds) >= (2 * KEPT if shut else KEPT):
            return ""
        if slots <= bonds:
            return f"layer 1 takes {max(slots, 0)} more batches before one is final"
        return f"the sequencer's wallet has bonds for {max(bonds, 0)} more batches: send it ether"
