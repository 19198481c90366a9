"""`straddle market`: what it writes, what it refuses. With a running node: tests/integration/test_node.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.core.market_state import MarketState
from straddle.node.market_state import FILE, chosen

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_text("{}")
    return tmp_path


def test_a_state_is_chosen_shown_and_taken_back(folder: Path) -> None:
    for word, state in (("halted", MarketState.HALTED), ("reduce-only", MarketState.REDUCE_ONLY), ("cancel_only", MarketState.CANCEL_ONLY)):
        result = runner.invoke(app, ["market", word, "--data", str(folder)])
        assert (result.exit_code, result.output) == (0, f"by hand: {word.replace('_', '-')}\n")
        assert chosen(folder) is state and (folder / FILE).stat().st_mode & 0o077 == 0
        assert runner.invoke(app, ["market", "--data", str(folder)]).output == result.output
    assert runner.invoke(app, ["market", "open", "--data", str(folder)]).exit_code == 0 and chosen(folder) is MarketState.OPEN


def test_without_a_choice_it_is_open(folder: Path) -> None:
    assert runner.invoke(app, ["market", "--data", str(folder)]).output == "by hand: open\n"


def test_what_is_wrong_is_named_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["shut", "--data", str(folder)], "STATE: 'shut', expected one of open, reduce-only, cancel-only, halted"),
        (["halted", "--data", str(tmp_path / "none")], "no keys.json there, expected the folder of an exchange"),
        (["halted", "--data", str(folder), "--url", "http://127.0.0.1:1"], "deployment.json"),
    ):
        result = runner.invoke(app, ["market", *arguments])
        assert result.exit_code == 2 and message in result.stderr, result.output
    assert not (folder / FILE).exists() and not (tmp_path / "none").exists()


def test_a_choice_that_is_none_is_told(folder: Path) -> None:
    (folder / FILE).write_text("closed\n")
    result = runner.invoke(app, ["market", "--data", str(folder)])
    assert result.exit_code == 2 and "closed" in result.stderr and "expected one of open, reduce_only, cancel_only, halted" in result.stderr
