"""What integration tests share: keys of circuits, and the recorded market."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.deserted import EXIT, SOLVENCY

from straddle.l1.anvil import AnvilError, find_anvil
from straddle.l1.deploying import StatementKey
from straddle.node.config import DemoConfig
from straddle.node.feed import RecordedMarket
from straddle.node.market import load_market
from straddle.proving.prover import Prover, ProverError
from straddle.proving.server import ProvingServer


@pytest.fixture(scope="session")
def statement_prover() -> Prover:
    try:
        find_anvil()
        return Prover()
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


@pytest.fixture(scope="session")
def nano_keys(statement_prover: Prover) -> None:
    """Keys of the batch circuit, which a node would otherwise make while a test waits for it."""
    statement_prover.setup("nano")


@pytest.fixture(scope="session")
def keys(statement_prover: Prover) -> tuple[StatementKey, StatementKey]:
    """Verifying keys of the exit and the solvency circuit."""
    return tuple(StatementKey(statement_prover.setup(preset.name), preset.chunk_bits, preset.body_words) for preset in (EXIT, SOLVENCY))  # type: ignore[return-value]


@pytest.fixture(scope="session")
def exits_prover(statement_prover: Prover, keys: tuple[StatementKey, StatementKey]) -> Iterator[ProvingServer]:
    with ProvingServer(statement_prover, EXIT.name) as server:
        yield server


@pytest.fixture(scope="session")
def market() -> RecordedMarket:
    return load_market(DemoConfig.recorded(preset="nano", makers=2, takers=2)).replayed
