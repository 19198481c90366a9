"""The command line: its commands, and what is read for one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle import __version__
from straddle.cli.main import COMMANDS, app

runner = CliRunner()


def test_help_names_the_commands_in_order() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    places = [result.output.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = runner.invoke(app, [name, "--help"])
    assert result.exit_code == 0 and f"Usage: root {name} " in result.output, result.output


def test_an_unknown_command_is_refused() -> None:
    result = runner.invoke(app, ["mint"])
    assert result.exit_code == 2 and "No such command 'mint'" in result.stderr


def test_the_version_is_the_packages() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, f"straddle {__version__}")
    pyproject = Path(__file__).resolve().parents[3] / "pyproject.toml"
    assert f'version = "{__version__}"' in pyproject.read_text()


def test_a_member_does_not_wait_for_what_only_others_need() -> None:
    """Seven of them start with a validium; scipy alone takes half a second."""
    seen = "import sys, straddle.cli.main, straddle.cli.member; print(*(name for name in ('scipy', 'matplotlib') if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
