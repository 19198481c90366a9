from __future__ import annotations

import pytest
from support.session import Run, run_night

from straddle.node.config import DemoConfig


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An hour of the recorded night: trades, a transfer, a forced withdrawal, withdrawals."""
    return run_night(DemoConfig.recorded(preset="nano", rounds=2, hours=1, takers=2), tmp_path_factory.mktemp("night"))
