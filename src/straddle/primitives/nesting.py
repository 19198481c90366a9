"""JSON from others, before a parser sees it.

A library that eth-account needs (py_ecc) lifts the interpreter's recursion limit so far that deep nesting would end the process.
"""

from __future__ import annotations

import json
from typing import Any

NESTING_MAX = 16
_OTHERS = bytes(sorted(set(range(256)) - set(b"[]{}")))


def check_nesting(text: bytes) -> None:
    """ValueError for brackets nested deeper than twice NESTING_MAX, or not in pairs. Brackets in strings count too, which no format of ours has."""
    brackets = text.translate(None, _OTHERS)
    for _ in range(NESTING_MAX):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise ValueError(f"brackets nested deeper than {NESTING_MAX} levels, or not in pairs")


def decode_json(text: str | bytes) -> Any:
    """What the text says. ValueError: it is no JSON, or nested as `check_nesting` has it."""
    check_nesting(text.encode() if isinstance(text, str) else text)
    return json.loads(text)
