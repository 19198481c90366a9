"""Durable appends to the journal, one by one and in groups; reading it back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Results
from straddle.sequencer.journal import Journal, Pending
from straddle.sequencer.receipts import LogIdentity

SUBJECT = "journal"
RECORD_BYTES = 2_000


def run(results: Results) -> None:
    """Records of 2,000 bytes."""
    pending = Pending(1, 1, bytes(RECORD_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        log = Journal(Path(folder) / "bench.sqlite", LogIdentity(1, 2))
        results.time(SUBJECT, "append, one sync each", 200, lambda: [log.append([pending]) for _ in range(200)], note="waiting for the disk is not CPU time")
        results.time(SUBJECT, "append, groups of 64", 3_200, lambda: [log.append([pending] * 64) for _ in range(50)])
        entries = log.sequence
        results.time(SUBJECT, "read and check", entries, lambda: list(log.items()))
        log.close()
