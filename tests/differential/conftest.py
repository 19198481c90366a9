from __future__ import annotations

import pytest

from straddle.proving.prover import Prover, find_binary
from tests.differential.histories import History
from tests.differential.scenes import ClosedBatch
from tests.differential.stories import told

SEEDS = range(8)
BATCHES = 20


@pytest.fixture(scope="session")
def histories() -> list[History]:
    """Several histories; together they contain every operation."""
    found = [History(seed) for seed in SEEDS]
    for history in found:
        list(history.batches(BATCHES))
    return found


@pytest.fixture(scope="session")
def closed_batches(histories: list[History]) -> list[ClosedBatch]:
    """Their batches."""
    return [batch for history in histories for batch in history.closed]


@pytest.fixture(scope="session")
def told_batches() -> list[ClosedBatch]:
    """Batches told by hand; together they contain everything that the statement knows."""
    return told()


@pytest.fixture(scope="session")
def prover() -> Prover:
    """The circuit's side. Skips, visibly, while the prover binary is not built."""
    if find_binary() is None:
        pytest.skip("straddle-prover is not built (make setup): the circuit's side of this test did not run")
    return Prover()
