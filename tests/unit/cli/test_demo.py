"""`straddle demo` on the command line: clear errors, the report, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from straddle.cli import demo as module
from straddle.cli.main import app
from straddle.node.config import DemoConfig
from straddle.node.report import (
    BatchReport,
    CadenceReport,
    DemoReport,
    LiquidationReport,
    MarketReport,
    PnlReport,
    RebuildReport,
    WithdrawalReport,
)

runner = CliRunner()


def batch(**changes: Any) -> BatchReport:
    fields: dict[str, Any] = {
        "number": 1,
        "status": "verified",
        "epoch": 1,
        "time_ms": 1_590_103_380_000,
        "trades": 8,
        "legs": 9,
        "accounts": 4,
        "header_hash": "0x1",
        "state_root": "0x" + "2" * 64,
        "data_bytes": 640,
        "propose_gas": 7,
        "prove_gas": 8,
        "finalise_gas": 0,
        "prove_wall_seconds": 1.5,
        "prove_cpu_seconds": 2.5,
        "lag_seconds": 3.0,
        "propose_transaction": "0xa",
        "prove_transaction": "0xb",
    }
    return BatchReport(**(fields | changes))


def report(**changes: Any) -> DemoReport:
    """A good run, with changes by field name."""
    fields: dict[str, Any] = {
        "preset": "nano",
        "seed": 1,
        "synthetic": ["minutes"],
        "cadence": CadenceReport(10, 3, 1_590_103_380_000, 1_590_134_400_000),
        "market": MarketReport("chain.csv", "prices.csv", 5, 9, 1, 2, ["chain.csv line 7: row refused"], 6, 3, 2, ["22MAY20", "29MAY20"]),
        "trades": 8,
        "legs": 9,
        "multi_leg_trades": 1,
        "quotes": 99,
        "orders": 9,
        "hedge_trades": 1,
        "protections_tripped": 2,
        "liquidations": 1,
        "deleveraged": 0,
        "liquidation_details": [LiquidationReport(7, 1_590_106_380_000, False, 3, 167.3, 2, True)],
        "accounts": 8,
        "instruments_traded": 3,
        "expiries_traded": 2,
        "volume_lots": 100,
        "fees_usdc": 6.0,
        "transfers_usdc": [1.5],
        "epochs": 4,
        "batches": 1,
        "batches_verified_on_l1": 1,
        "batch_details": [batch()],
        "constraints": 800,
        "constraints_per_trade": 100.0,
        "prove_cpu_seconds_per_trade": 0.3,
        "prove_lag_seconds": 3.0,
        "prove_lag_seconds_max": 3.0,
        "l1_gas_per_batch": 15,
        "l1_gas_per_epoch": 5,
        "l1_gas_per_trade": 6,
        "l1_gas_per_trade_of_batches": 2,
        "l1_gas_per_trade_of_tables": 4,
        "l1_bytes_per_epoch": 160,
        "l1_bytes_per_trade": 160,
        "l1_bytes_per_trade_of_batches": 80,
        "l1_bytes_per_trade_of_tables": 80,
        "vault_balance_usdc": 10.0,
        "sum_of_cash_usdc": 10.0,
        "conservation_error": 0,
        "conservation_errors_by_batch": [],
        "position_sums_not_zero": 0,
        "rebuilt_root_matches": True,
        "rebuild": RebuildReport("0x2", "0x2", 1, 1, "0x2", True, []),
        "settled_instruments": 3,
        "retired_instruments": 3,
        "settlement_price_usd": 9097.2,
        "withdrawal_paid_on_l1": True,
        "withdrawals": [WithdrawalReport(5, "0xowner", True, 2.5, 2.0)],
        "received_on_l1_usdc": 2.0,
        "hedged_pnl_std": 3.0,
        "unhedged_pnl_std": 7.0,
        "pnl": PnlReport(10, 4, 1.0, 2.0, {"delta": {"mean": 1.0, "std": 2.0}}),
        "seconds": {"total": 1.0},
    }
    return DemoReport(**(fields | changes))


def keys(value: dict[str, Any], prefix: str = "") -> set[str]:
    """Paths of all keys; `[]` marks a list of objects. What is below `pnl.attribution` and `seconds` is data."""
    found = set()
    for name, inner in value.items():
        path = f"{prefix}{name}"
        found.add(path)
        if isinstance(inner, dict) and path not in ("pnl.attribution", "seconds"):
            found |= keys(inner, f"{path}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            found |= keys(inner[0], f"{path}[].")
    return found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "seed: -1, expected an integer from 0"),
        (["--preset", "huge"], "preset: 'huge', expected one of nano, demo"),
        (["--rounds", "0"], "rounds: 0, expected an integer from 1"),
        (["--chain", "missing.csv"], "chain: missing.csv, expected a readable file"),
        (["--preset", "nano", "--takers", "9"], "makers + takers: 3 + 9, expected at least 2 takers and 8 accounts at most with preset nano"),
        (["--instruments", "2"], "instruments: 2, expected 4"),
    ],
)
def test_a_bad_setting_is_one_sentence_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, ["demo", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


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
        ({"batch_details": [batch(status="proved")]}, "batch 1 is proved"),
        ({"withdrawal_paid_on_l1": False, "received_on_l1_usdc": 1.5}, "withdrawals: 1.500000 USDC received on layer 1, expected 2.000000"),
        ({"conservation_error": 1}, "conservation: 1 micro-dollars"),
        ({"position_sums_not_zero": 2}, "2 instruments"),
        ({"conservation_errors_by_batch": ["batch 3: cash changed"]}, "batch 3: cash changed"),
        ({"vault_balance_usdc": 11.0}, "vault: 11.000000 USDC, expected all cash, 10.000000"),
        ({"rebuilt_root_matches": False, "rebuild": RebuildReport("0x2", "0x3", 1, 1, "0x2", True, [])}, "rebuilt root 0x2, expected 0x3"),
        ({"rebuild": RebuildReport("0x2", "0x2", 1, 1, "0x4", False, [])}, "replayed root 0x4, expected 0x2"),
        ({"rebuild": RebuildReport("0x2", "0x2", 1, 1, "0x2", True, ["batch 1: wrong [cash]"])}, "batch 1: wrong [cash]"),
    ],
)
def test_what_does_not_hold_is_named_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str) -> None:
    monkeypatch.setattr(module, "run_demo", lambda config, display: report(**changes))
    result = runner.invoke(app, ["demo"])
    assert result.exit_code == 1
    assert message in result.stderr


def test_every_key_of_the_report_is_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "demo.md").read_text()
    documented = [name for row in page.splitlines() if row.startswith("| `") for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(documented) == len(set(documented))
    assert set(documented) == keys(json.loads(report().to_json()))


def test_a_run_that_settled_nothing_and_liquidated_nobody_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = report(
        liquidations=0, liquidation_details=[], settlement_price_usd=None, settled_instruments=0, pnl=None, hedged_pnl_std=None, unhedged_pnl_std=None
    )
    monkeypatch.setattr(module, "run_demo", lambda config, display: calm)
    result = runner.invoke(app, ["demo"])
    assert result.exit_code == 0
    assert "nobody fell below" in result.output and "no expiry was reached" in result.output
