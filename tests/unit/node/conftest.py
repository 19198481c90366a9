from __future__ import annotations

import pytest
from support.session import Run, run_session

from straddle.node.config import DemoConfig


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small session on the recorded market: six trades over two epochs, one withdrawal."""
    return run_session(DemoConfig.recorded(preset="nano", trades=6, takers=2), tmp_path_factory.mktemp("session"))
