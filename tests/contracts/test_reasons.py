"""Every refusal of the contracts is tested: its reason occurs in a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from straddle.l1.contracts import contracts_directory

TESTS = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path.name != Path(__file__).name)
SOURCES = sorted(path.relative_to(contracts_directory()).as_posix() for path in contracts_directory().rglob("*.vy"))
WITHOUT_ASSERTS = {"modules/twisted_edwards.vy"}


@pytest.mark.parametrize("source", SOURCES)
def test_every_reason_is_tested_and_carries_its_contracts_name(source):
    code = re.sub(r'""".*?"""', "", (contracts_directory() / source).read_text(), flags=re.DOTALL)
    asserts = re.findall(r"^\s*assert ", code, flags=re.MULTILINE)
    reasons = re.findall(r'"(\w+: [^"]+)"', code)
    assert len(asserts) == len(reasons), "an assert has no reason"
    assert bool(reasons) != (source in WITHOUT_ASSERTS)
    # The parts of Rollup speak for it.
    name = "Rollup" if source.startswith("modules/") else Path(source).stem
    for reason in reasons:
        assert reason.startswith(f"{name}: ")
        text = reason.removeprefix("Rollup: ").replace("^", "\\\\^") if name == "Rollup" else reason
        assert text in TESTS, f"no test for {reason!r}"
