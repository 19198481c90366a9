"""JSON from others, before a parser sees it.

A library that eth-account needs (py_ecc) lifts the interpreter's recursion limit so far that deep nesting would end the process.
"""

from __future__ import annotations

import json
from collections import Counter
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


def decode_record(text: str) -> Any:
    """As `decode_json`, of what other programs and people read too: ValueError also for a key that is given twice, of which each takes another, and for what
    is no JSON number."""
    check_nesting(text.encode())
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{twice}: given twice, expected each key once")
    return known


def _no_number(text: str) -> Any:
    raise ValueError(f"{text}: expected an integer")
