"""Both margin kernels, and how they are compared."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from straddle.core import kernel_reference as reference

if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
    pytest.skip("the margin kernel was not compiled: this Python has no headers", allow_module_level=True)
compiled = import_module("straddle.core._kernel")
KERNELS: tuple[Any, Any] = (reference, compiled)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returned, or its error's type and message."""
    try:
        return call(*arguments)
    except (ValueError, TypeError, KeyError) as error:
        return type(error), str(error)


def row(instrument: int = 1, *, linear: bool = False, value: int = 0, funding: int = 0, charges: tuple[int, ...] = (0, 0, 0, 0), deltas: Any = None) -> Any:
    """A row as `Table` takes it; charges are long_im, long_mm, short_im, short_mm."""
    return instrument, linear, value, funding, *charges, (0,) * 48 if deltas is None else deltas


def deltas(*changes: tuple[int, int]) -> tuple[int, ...]:
    """48 scenarios, zeros but for (scenario, delta)."""
    given = dict(changes)
    return tuple(given.get(scenario, 0) for scenario in range(48))
