from __future__ import annotations

import pytest

from straddle.proving.prover import Prover, find_binary
from tests.differential.histories import ClosedBatch, History

SEEDS = range(6)
BATCHES = 15


@pytest.fixture(scope="session")
def closed_batches() -> list[ClosedBatch]:
    """Batches of several histories; together they contain every operation."""
    return [batch for seed in SEEDS for batch in History(seed).batches(BATCHES)]


@pytest.fixture(scope="session")
def prover() -> Prover:
    """The circuit's side. Skips, visibly, while the prover binary is not built."""
    if find_binary() is None:
        pytest.skip("straddle-prover is not built (make setup): the circuit's side of this test did not run")
    return Prover()
