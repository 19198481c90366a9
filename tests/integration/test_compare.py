"""`straddle compare` on the smallest circuit: real contracts, a real proof, every part of the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle.cli.main import app


@pytest.mark.slow
def test_an_optimistic_rollup_against_layer_1(tmp_path: Path) -> None:
    files = {name: tmp_path / f"found.{name}" for name in ("json", "md")}
    arguments = ["compare", "--preset", "nano", "--only", "optimistic-calldata", "--rounds", "2", "--makers", "2", "--histories", "3"]
    outputs = ["--json", str(files["json"]), "--markdown", str(files["md"]), "--charts", str(tmp_path / "charts")]
    result = CliRunner().invoke(app, [*arguments, *outputs])
    assert result.exit_code == 0, result.output
    found = json.loads(files["json"].read_text())
    rollup, layer1 = found["architectures"]
    assert (rollup["name"], layer1["name"]) == ("optimistic-calldata", "layer-1")
    week_s = 7 * 86_400
    assert week_s < rollup["final"]["median"] < week_s + 3_600
    assert rollup["under_challenge_s"] > week_s + 86_400
    early, honest, fraud = found["disputes"]
    assert early["seconds"] < 3_600 and week_s < honest["seconds"] and fraud["seconds"] > 86_400
    assert honest["challenger_wei"] == -honest["prover_wei"] < 0 == honest["proposer_wei"]
    assert 0 < fraud["challenger_wei"] < -fraud["proposer_wei"], "half of the proposer's bond is burnt"
    assert all(batch["transcript_bytes"] > 0 and batch["prove_cpu_seconds"] == 0 for batch in found["runs"]["optimistic-calldata"]["batches"])
    capital = found["margins_total"]
    assert 0 < capital["portfolio"] <= capital["isolated"]
    assert len(list((tmp_path / "charts").iterdir())) == 4
    assert "| gas a trade |" in files["md"].read_text()


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    for arguments, said in (
        (["--only", "plasma"], "only: plasma"),
        (["--histories", "1"], "histories: 1"),
        (["--gas", "0"], "gas_gwei: 0"),
        (["--aversion", "-1"], "aversion: -1"),
        (["--chart-format", "gif"], "chart-format: gif"),
        (["--preset", "huge"], "huge"),
    ):
        result = CliRunner().invoke(app, ["compare", "--preset", "nano", *arguments])
        assert result.exit_code == 2 and said in result.output, (arguments, result.output)
