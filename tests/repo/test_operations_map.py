"""docs/protocol/operations.md is complete and true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from straddle.sequencer.codec import OPERATIONS
from straddle.transition import OPERATIONS as TRANSITION_MODULES

COLUMNS = ["operation", "command", "Python file", "circuit tables", "contract entry", "tests"]
PAGE = Path("docs/protocol/operations.md")


def table(markdown: str) -> Iterator[dict[str, str]]:
    """Rows of the page's table by column."""
    lines = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in markdown.splitlines() if line.startswith("|")]
    assert lines[0] == COLUMNS
    for cells in lines[2:]:
        yield dict(zip(COLUMNS, cells, strict=True))


def linked(cell: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", cell)


def coded(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def rows(root: Path) -> list[dict[str, str]]:
    return list(table((root / PAGE).read_text()))


def test_every_operation_has_a_row_and_every_row_an_operation(rows: list[dict[str, str]], root: Path) -> None:
    named = [coded(row["operation"])[0] for row in rows]
    assert named == list(OPERATIONS)
    files = {path.stem for path in (root / "src/straddle/operations").glob("*.py") if re.match(r"(l1|l2|internal)_", path.stem)}
    assert files == set(named)


def test_commands_and_files_are_those_of_the_transition(rows: list[dict[str, str]], root: Path) -> None:
    for row in rows:
        name = coded(row["operation"])[0]
        command = OPERATIONS[name]
        assert coded(row["command"]) == [command.__name__]
        assert TRANSITION_MODULES[command].__name__ == f"straddle.operations.{name}"
        (link,) = linked(row["Python file"])
        assert (root / PAGE.parent / link).resolve() == (root / "src/straddle/operations" / f"{name}.py").resolve()


def test_circuit_tables_are_files_of_the_circuit(rows: list[dict[str, str]], root: Path) -> None:
    for row in rows:
        for name in row["circuit tables"].split(", "):
            assert (root / "native/circuit/batch" / f"{name}.go").is_file(), f"{row['operation']}: no table {name}"


def test_contract_entries_exist(rows: list[dict[str, str]], root: Path) -> None:
    for row in rows:
        for entry in coded(row["contract entry"]):
            contract, _, function = entry.partition(".")
            assert function in external_functions(root / "contracts" / f"{contract}.vy"), f"{row['operation']}: {contract} has no external {function}"


def external_functions(contract: Path) -> set[str]:
    """Of a contract and of the modules that it imports."""
    source = contract.read_text()
    modules = [path for path in contract.parent.rglob("*.vy") if re.search(rf"^(?:from .+ )?import .*\b{path.stem}\b", source, re.MULTILINE)]
    return {name for path in (contract, *modules) for name in re.findall(r"^@external\n(?:@\w+\n)*def (\w+)\(", path.read_text(), re.MULTILINE)}


def test_tests_exist_and_speak_of_the_operation(rows: list[dict[str, str]], root: Path) -> None:
    for row in rows:
        command = coded(row["command"])[0]
        paths = [(root / PAGE.parent / link).resolve() for link in linked(row["tests"])]
        assert paths
        assert all(path.is_file() and "def test_" in path.read_text() for path in paths), row["tests"]
        unit = next(path for path in paths if "unit" in path.parts)
        words = {command, coded(row["operation"])[0], re.sub(r"^(l1|l2|internal)_", "", coded(row["operation"])[0])}
        assert any(word in unit.read_text() for word in words), f"{unit.name} never names {sorted(words)}"
