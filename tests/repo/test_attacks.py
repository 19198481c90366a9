"""docs/reference/attacks.md names every test of an attack, and each attack has one."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path("docs/reference/attacks.md")
NUMBERS = (*range(1, 18), 19)
NAMED = re.compile(r"^(?:async )?(?:def|func) ((?:test_attack_|TestAttack)(\d\d)\w*)", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
HINTS = re.compile(r"solver\.RegisterHint\(([^)]*)\)")


def existing(root: Path, tracked: list[Path]) -> set[tuple[int, str]]:
    """(number, file::function) of every test that is named after an attack."""
    tests = [path for path in tracked if (path.parts[0] == "tests" and path.suffix == ".py") or path.name.endswith("_test.go")]
    return {(int(number), f"{path}::{name}") for path in tests for name, number in NAMED.findall((root / path).read_text())}


def told(markdown: str) -> set[tuple[int, str]]:
    """The same from the page."""
    return {(int(number), test) for number, _, _, tests in ROW.findall(markdown) for test in re.findall(r"`([^`]+)`", tests)}


def test_the_page_names_the_tests_that_exist(root: Path, tracked: list[Path]) -> None:
    page, there = told((root / PAGE).read_text()), existing(root, tracked)
    assert page - there == set(), "named on the page, and no such test"
    assert there - page == set(), "a test that the page lacks"


def test_every_attack_has_a_row_and_a_test(root: Path, tracked: list[Path]) -> None:
    rows = [int(number) for number, *_ in ROW.findall((root / PAGE).read_text())]
    assert rows == list(NUMBERS)
    assert {number for number, _ in existing(root, tracked)} == set(NUMBERS)


def test_a_difference_is_found(tmp_path: Path) -> None:
    for name, text in (("tests/test_a.py", "def test_attack_07_x():\n"), ("native/a_test.go", "func TestAttack01X(t *testing.T) {\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    assert existing(tmp_path, [Path("tests/test_a.py"), Path("native/a_test.go")]) == {
        (7, "tests/test_a.py::test_attack_07_x"),
        (1, "native/a_test.go::TestAttack01X"),
    }
    assert told("| 7 | a | b | `tests/test_a.py::test_attack_07_x` |\n| 1 | a | b | `c`<br>`d` |\n") == {
        (7, "tests/test_a.py::test_attack_07_x"),
        (1, "c"),
        (1, "d"),
    }


def test_hints_are_registered_where_attack_01_looks_for_them(root: Path, tracked: list[Path]) -> None:
    """The Go tests alter every registered hint of this module but those that they name; a hint that no circuit has registered would not be seen there."""
    sources = {path: (root / path).read_text() for path in tracked if path.parts[0] == "native" and path.suffix == ".go" and not path.name.endswith("_test.go")}
    registered = {name.strip() for text in sources.values() for names in HINTS.findall(text) for name in names.split(",")}
    used = {name for text in sources.values() for name in re.findall(r"(?:NewHint\(|hint\([\w.()]+, )(\w+Hint)\b", text)}
    assert used == registered
    excluded = set(re.findall(r'OwnHints\("(\w+)"\)', (root / "native/circuit/batch/attack_test.go").read_text()))
    assert excluded == {"copyHint"} and "solver.GetHintID(copyHint)" in (root / "native/circuit/argument/argument_test.go").read_text()
