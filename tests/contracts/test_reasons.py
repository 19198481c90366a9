"""Every refusal of the contracts is tested: its reason occurs in a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from straddle.l1.contracts import NAMES, contracts_directory

TESTS = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name)


@pytest.mark.parametrize("name", NAMES)
def test_every_reason_is_tested_and_carries_its_contracts_name(name):
    source = (contracts_directory() / f"{name}.vy").read_text()
    code = re.sub(r'""".*?"""', "", source, flags=re.DOTALL)
    asserts = [line.strip() for line in code.splitlines() if line.strip().startswith("assert ")]
    reasons = re.findall(r'"(\w+: [^"]+)"', code)
    assert len(asserts) == len(reasons) > 0, "an assert has no reason"
    for reason in reasons:
        assert reason.startswith(f"{name}: ")
        text = reason.removeprefix("Rollup: ").replace("^", "\\\\^") if name == "Rollup" else reason
        assert text in TESTS, f"no test for {reason!r}"
