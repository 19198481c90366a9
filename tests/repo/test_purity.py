"""core, operations and transition take time, randomness and prices as arguments, and hold integers only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "straddle"
PURE_FILES = sorted([*(SOURCE / "core").rglob("*.py"), *(SOURCE / "operations").rglob("*.py"), *SOURCE.glob("transition.py")])

BANNED_MODULES = {
    "asyncio", "concurrent", "ctypes", "datetime", "decimal", "fractions", "httpx", "io", "logging", "math", "mmap", "multiprocessing", "numpy", "os",
    "pathlib", "pickle", "queue", "random", "scipy", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "statistics", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
ALLOWED_FROM_BANNED = {("math", "gcd"), ("math", "isqrt"), ("math", "lcm"), ("math", "prod")}
BANNED_CALLS = {"open", "print", "input", "float", "hash", "id", "eval", "exec", "globals", "complex", "__import__", "breakpoint"}
ALLOWED_CALLS = {("core/messages.py", "id")}
"""A memo by identity, which holds the object and compares it: no address decides anything."""
ORDER_FREE_CONSUMERS = {"sorted", "len", "min", "max", "sum", "any", "all", "set", "frozenset"}


def impurities(source: str, name: str = "<source>") -> list[str]:
    """`line: what` for every construct that a deterministic integer core must not contain."""
    tree = ast.parse(source, filename=name)
    found = [*_imports(tree), *_calls(tree), *_floats(tree), *_set_iterations(tree)]
    return [f"{name}:{line}: {what}" for line, what in sorted(found)]


def _imports(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, f"imports {alias.name}") for alias in node.names if alias.name.split(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in BANNED_MODULES:
            names = [alias.name for alias in node.names if (node.module, alias.name) not in ALLOWED_FROM_BANNED]
            found += [(node.lineno, f"imports {node.module}.{name}") for name in names]
        elif isinstance(node, ast.Global):
            found.append((node.lineno, f"global {', '.join(node.names)}"))
    return found


def _calls(tree: ast.AST) -> list[tuple[int, str]]:
    called = ((node.lineno, node.func.id) for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return [(line, f"calls {name}()") for line, name in called if name in BANNED_CALLS]


def _floats(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append((node.lineno, f"float {node.value}"))
        elif isinstance(node, ast.Div):
            found.append((0, "true division"))
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append((node.lineno, "true division (use // and say how it rounds)"))
        elif isinstance(node, ast.Name) and node.id == "float":
            found.append((node.lineno, "float"))
    return [item for item in found if item[0]]


def _is_set(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"set", "frozenset"}:
        return True
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor):
        return _is_set(node.left, names) or _is_set(node.right, names)
    return isinstance(node, ast.Name) and node.id in names


def _set_names(tree: ast.AST) -> set[str]:
    """Names bound to a set somewhere in the module, by value or by annotation."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_set(node.value, set()):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else None
            name = node.arg if isinstance(node, ast.arg) else target.id if isinstance(target, ast.Name) else ""
            if ast.unparse(node.annotation).split("[")[0] in {"set", "frozenset", "AbstractSet"}:
                names.add(name)
    return names - {""}


def _set_iterations(tree: ast.AST) -> list[tuple[int, str]]:
    """Loops over a set, whose order differs between runs; `for x in sorted(s)` is the way."""
    names = _set_names(tree)
    iterated: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            iterated.append(node.iter)
        elif isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
            iterated += [generator.iter for generator in node.generators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"list", "tuple", "iter", "enumerate", "zip", "map", "next"}:
            iterated += node.args
    consumed = {
        id(generator.iter)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDER_FREE_CONSUMERS
        for argument in node.args
        if isinstance(argument, ast.GeneratorExp | ast.ListComp)
        for generator in argument.generators
    }
    return [(node.lineno, "iterates over a set") for node in iterated if _is_set(node, names) and id(node) not in consumed]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PURE_FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_is_pure(path: Path) -> None:
    name = str(path.relative_to(SOURCE))
    allowed = {f"calls {call}()" for file, call in ALLOWED_CALLS if file == name}
    assert [found for found in impurities(path.read_text(), name) if found.rpartition(": ")[2] not in allowed] == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import time", "imports time"),
        ("from datetime import datetime", "imports datetime.datetime"),
        ("from math import isqrt, sqrt", "imports math.sqrt"),
        ("import numpy as np", "imports numpy"),
        ("x = 1.5", "float 1.5"),
        ("x = 1e6", "float 1000000.0"),
        ("x = 3 / 2", "true division (use // and say how it rounds)"),
        ("x = 3\nx /= 2", "true division (use // and say how it rounds)"),
        ("def f(x: float): ...", "float"),
        ("for x in {1, 2}: pass", "iterates over a set"),
        ("s = set()\nfor x in s: pass", "iterates over a set"),
        ("def f(s: set[int]): return [x for x in s]", "iterates over a set"),
        ("s = {1} | {2}\nt = list(s)", "iterates over a set"),
        ("print(1)", "calls print()"),
        ("open('x')", "calls open()"),
        ("x = hash('a')", "calls hash()"),
        ("import threading", "imports threading"),
    ],
)
def test_the_check_finds(source: str, what: str) -> None:
    assert any(finding.endswith(what) for finding in impurities(source)), impurities(source)


@pytest.mark.parametrize(
    "source",
    ["from math import isqrt", "x = 7 // 2", "s = {1}\nfor x in sorted(s): pass", "s = {1}\nt = sum(x for x in s)", "d = {1: 2}\nfor x in d: pass", "x = True"],
)
def test_the_check_allows(source: str) -> None:
    assert impurities(source) == []


def test_there_is_something_to_check() -> None:
    assert len(PURE_FILES) >= 8
