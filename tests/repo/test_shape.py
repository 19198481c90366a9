"""Functions and modules stay short: one idea each. A long one is a design question, so these bounds are soft ones with some room."""

from __future__ import annotations

import ast
from pathlib import Path

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 450


def long_pieces(path: Path, name: str) -> list[str]:
    """Functions and modules of a Python file above the bounds."""
    source = path.read_text()
    found = [f"{name}: {source.count(chr(10))} lines"] if source.count("\n") > MODULE_LINES_MAX else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX:
            found.append(f"{name}:{node.lineno} {node.name}: {(node.end_lineno or node.lineno) - node.lineno + 1} lines")
    return found


def test_no_module_or_function_is_too_long(root: Path, tracked: list[Path]) -> None:
    sources = [path for path in tracked if path.suffix == ".py" and path.parts[0] == "src"]
    assert len(sources) > 20
    found = [piece for path in sources for piece in long_pieces(root / path, str(path))]
    assert found == []


def test_a_long_function_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX)
    assert long_pieces(path, "long.py") == [f"long.py:1 f: {FUNCTION_LINES_MAX + 1} lines"]
    path.write_text("x = 1\n" * (MODULE_LINES_MAX + 1))
    assert long_pieces(path, "long.py") == [f"long.py: {MODULE_LINES_MAX + 1} lines"]
