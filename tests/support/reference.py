"""Keys of a report in JSON, and those that its reference page names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def documented(page: str) -> list[str]:
    """What the first column of a page's tables has in backticks."""
    rows = [row for row in (REFERENCE / page).read_text().splitlines() if row.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def keys(value: Any, prefix: str = "", *, data: Collection[str] = ()) -> set[str]:
    """Paths of all keys; `[]` marks a list of objects, `*` stands for keys that are `data`."""
    found: set[str] = set()
    if isinstance(value, Mapping):
        for name, inner in value.items():
            path = f"{prefix}*" if name in data else f"{prefix}{name}"
            found |= {path} - {f"{prefix}*"} | keys(inner, f"{path}.", data=data)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        found |= set().union(*(keys(each, f"{prefix[:-1]}[].", data=data) for each in value))
    return found
