"""Every refusal of the contracts is tested: its reason occurs in a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from straddle.l1.contracts import contracts_directory

TESTS = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name).replace("\\", "")
"""Without the backslashes of regular expressions."""
SOURCES = sorted(path.relative_to(contracts_directory()).as_posix() for path in contracts_directory().rglob("*.vy"))
WITHOUT_REASONS = {"modules/twisted_edwards.vy", "modules/errors.vy"}
SPEAKS_FOR_ROLLUP = {"availability", "bonds", "epochs", "queue", "settlement"}
"""Parts of Rollup alone. Modules that several contracts use speak for themselves."""


@pytest.mark.parametrize("source", SOURCES)
def test_every_reason_is_tested_and_carries_its_contracts_name(source):
    code = re.sub(r'""".*?"""', "", (contracts_directory() / source).read_text(), flags=re.DOTALL)
    refusals = re.findall(r"^\s*(?:assert |errors._raise\()", code, flags=re.MULTILINE)
    reasons = re.findall(r'"(\w+: [^"]+)"', code)
    assert len(refusals) == len(reasons), "a refusal has no reason"
    assert bool(reasons) != (source in WITHOUT_REASONS)
    stem = Path(source).stem
    name = "Rollup" if stem in SPEAKS_FOR_ROLLUP else "".join(part[0].upper() + part[1:] for part in stem.split("_"))
    for reason in reasons:
        assert reason.startswith(f"{name}: ")
        assert reason.removeprefix(f"{name}: ") in TESTS, f"no test for {reason!r}"
