"""The command line: help, clear errors, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from straddle import __version__
from straddle.cli import main as module
from straddle.cli.main import app
from straddle.node.config import DemoConfig
from straddle.node.report import BatchReport, ConservationReport, DemoReport, MarketReport, RebuildReport, WithdrawalReport

runner = CliRunner()


def report(**changes: Any) -> DemoReport:
    """A good run, with changes by field name."""
    fields: dict[str, Any] = {
        "preset": "nano",
        "seed": 1,
        "market": MarketReport("chain.csv", "prices.csv", 5, 1, 2, ["chain.csv line 7: row refused"], 3, ["22MAY20", "29MAY20"]),
        "traders": 4,
        "orders": 9,
        "trades": 8,
        "instruments_traded": 3,
        "expiries_traded": 2,
        "volume_lots": 100,
        "premium_micros": 5,
        "fees_micros": 6,
        "batches": [BatchReport(1, "verified", 8, "0x1", "0x" + "2" * 64, 640, 7, 8, 1.5, 2.5, "0xa", "0xb")],
        "withdrawal": WithdrawalReport(5, "0xowner", 100, 100),
        "conservation": ConservationReport(10, 10, 0, 0, 0),
        "rebuild": RebuildReport("0x2", "0x2", True, 1, 1, "0x2", True, []),
        "seconds": {"total": 1.0},
    }
    return DemoReport(**(fields | changes))


def keys(value: Any, prefix: str = "") -> set[str]:
    """Dotted keys of a JSON value; `[]` marks a list of objects."""
    if isinstance(value, dict):
        return {key for name, inner in value.items() for key in keys(inner, f"{prefix}.{name}" if prefix else name)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return keys(value[0], prefix + "[]")
    return {prefix}


def test_help_names_the_commands() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert re.search(r"demo\s.+\n?.*verify", result.output, re.DOTALL)


def test_the_version_is_the_packages() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, f"straddle {__version__}")
    pyproject = Path(__file__).resolve().parents[3] / "pyproject.toml"
    assert f'version = "{__version__}"' in pyproject.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "seed: -1, expected an integer from 0"),
        (["--preset", "huge"], "preset: 'huge', expected one of nano, demo"),
        (["--trades", "0"], "trades: 0, expected an integer from 1"),
        (["--chain", "missing.csv"], "chain: missing.csv, expected a readable file"),
        (["--preset", "nano", "--takers", "9"], "makers + takers: 11, expected at most 5 with preset nano"),
        (["--instruments", "2"], "instruments: 2, expected 3"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, ["demo", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


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


def test_a_good_run_is_exit_code_0_and_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[DemoConfig] = []

    def run(config: DemoConfig, display: object) -> DemoReport:
        seen.append(config)
        return report()

    monkeypatch.setattr(module, "run_demo", run)
    path = tmp_path / "report.json"
    result = runner.invoke(app, ["demo", "--preset", "nano", "--takers", "2", "--seed", "9", "--json", str(path)])
    assert result.exit_code == 0, result.output
    assert (seen[0].preset, seen[0].seed, seen[0].takers, seen[0].chain.name) == ("nano", 9, 2, "deribit_btc_options_2020-05-21.csv")
    assert json.loads(path.read_text())["ok"] is True
    assert "verified" in result.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": [BatchReport(1, "proved", 8, "0x1", "0x2", 640, 7, 0, 1.5, 2.5, "0xa", "")]}, "batch 1 is proved"),
        ({"withdrawal": WithdrawalReport(5, "0xowner", 100, 99)}, "withdrawal: 99 paid, expected 100"),
        ({"withdrawal": WithdrawalReport(5, "0xowner", 0, 0)}, "withdrawal: 0 paid"),
        ({"conservation": ConservationReport(10, 11, 0, 1, 0)}, "conservation: 1 micro-dollars"),
        ({"conservation": ConservationReport(10, 10, 0, 0, 2)}, "2 instruments"),
        ({"rebuild": RebuildReport("0x2", "0x3", False, 1, 1, "0x2", True, [])}, "rebuilt root 0x2, expected 0x3"),
        ({"rebuild": RebuildReport("0x2", "0x2", True, 1, 1, "0x4", False, [])}, "replayed root 0x4, expected 0x2"),
        ({"rebuild": RebuildReport("0x2", "0x2", True, 1, 1, "0x2", True, ["batch 1: wrong [cash]"])}, "batch 1: wrong [cash]"),
    ],
)
def test_what_does_not_hold_is_named_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str) -> None:
    monkeypatch.setattr(module, "run_demo", lambda config, display: report(**changes))
    result = runner.invoke(app, ["demo"])
    assert result.exit_code == 1
    assert message in result.stderr


def test_every_key_of_the_report_is_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "demo.md").read_text()
    documented: set[str] = set()
    for line in page.splitlines():
        if line.startswith("| `"):
            names = re.findall(r"`([^`]+)`", line.split("|")[1])
            parent = names[0].rpartition(".")[0]
            documented |= {parent + name if name.startswith(".") else name for name in names}
    documented = {key.removesuffix("[]") for key in documented}
    written = keys(json.loads(report().to_json()))
    assert {key for key in written if not key.startswith("seconds.")} | {"seconds"} == documented
