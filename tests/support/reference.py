"""Keys of a report in JSON, and those that its reference page names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def documented(page: str, section: str = "") -> list[str]:
    """What the first column of a page's tables, or of those below one heading, has in backticks."""
    text = (REFERENCE / page).read_text()
    if section:
        level = section.split()[0]
        text = re.split(rf"^#{{1,{len(level)}}} ", text.split(f"\n{section}\n")[1], flags=re.MULTILINE)[0]
    rows = [row for row in text.splitlines() if row.startswith("| `")]
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


def status_keys(status: Mapping[str, Any], above: str = "") -> set[str]:
    """Paths of the values of GET /status; members of a committee are data."""
    found: set[str] = set()
    for name, inner in status.items():
        path = above + name
        found |= status_keys(inner, f"{path}.") if isinstance(inner, Mapping) and path != "settlement.members" else {path}
    return found
