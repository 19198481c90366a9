from __future__ import annotations

from pathlib import Path

import pytest

from straddle.sequencer.journal import BatchMark, Journal, Pending
from straddle.sequencer.receipts import LogIdentity

IDENTITY = LogIdentity(chain_id=31337, rollup=0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0_1234_5678)


@pytest.fixture
def identity() -> LogIdentity:
    return IDENTITY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node" / "journal.sqlite"


@pytest.fixture
def written(path: Path, identity: LogIdentity) -> Path:
    """A journal of five entries, closed; batch 1 ends after the third."""
    journal = Journal(path, identity)
    journal.append([Pending(1, 1000 + i, f"command {i}".encode()) for i in range(3)] + [BatchMark(1, 3, 77)])
    journal.append([Pending(2, 2000 + i, f"more {i}".encode()) for i in range(2)])
    journal.close()
    return path
