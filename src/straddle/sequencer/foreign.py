"""Batches on layer 1 that are not this node's. Once the queue is unanswered for 7 days anyone may post one (docs/protocol/policies.md), and the node's log
leads elsewhere: it can only begin anew after such a batch (straddle.node.resuming)."""

from __future__ import annotations

from straddle.sequencer.batch_file import PosterError

REMEDY = (
    "Somebody else posted it, as anyone may when the queue is unanswered for 7 days, or this folder has lost the end of its journal. Nothing was changed or "
    'posted, and the folder keeps everything: docs/guides/run-an-exchange.md, "When others have answered the queue", says what can be done: '
    "`straddle up --resume-from-layer1` goes on after the newest final batch"
)


class ForeignBatch(PosterError):
    """Layer 1 holds a batch that this node's journal does not have. The message names it; nothing was posted."""


def unknown_batch(number: int, header_hash: bytes, newest: int, *, final: bool) -> ForeignBatch:
    """A batch after this node's newest one."""
    standing = "final" if final else "proposed"
    return ForeignBatch(f"batch {number}: {standing} on layer 1 with header {header_hash.hex()}, but this node's newest batch is {newest}. {REMEDY}")


def other_batch(number: int, header_hash: bytes, own: bytes) -> ForeignBatch:
    """A batch with the number of one of this node's."""
    return ForeignBatch(f"batch {number}: layer 1 has header {header_hash.hex()}, expected {own.hex()}, this node's. {REMEDY}")


def other_state(number: int, header_hash: bytes, root: int, own: int) -> ForeignBatch:
    """A batch that leads to another state than the journal's of that number."""
    return ForeignBatch(f"batch {number}: layer 1 has header {header_hash.hex()} with state root {root:#x}, expected the journal's {own:#x}. {REMEDY}")


def beginning_gone(number: int, newest: int) -> ForeignBatch:
    """Layer 1 went back behind the batch after which the log begins."""
    return ForeignBatch(f"batch {number}: the log begins after it, but layer 1's newest batch is {newest}: it went back. {REMEDY}")
