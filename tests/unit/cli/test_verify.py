"""`straddle verify` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle.cli.main import app

runner = CliRunner()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("{", "deployment is not JSON"), ("{}", "deployment: found []"), ("[1]", "deployment: found list")],
)
def test_verify_refuses_a_bad_record(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "deployment.json"
    if content is not None:
        path.write_text(content)
    result = runner.invoke(app, ["verify", "--l1", "http://127.0.0.1:9", "--deployment", str(path)])
    assert result.exit_code == 2
    assert message in result.stderr
