"""Dataclasses as plain JSON values: what the journal, the interface and the reports write."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def to_plain(value: Any) -> Any:
    """Dataclasses as objects of their fields (those of their constructor), tuples and lists as arrays, integers as they are (of any size), bytes as hex."""
    if is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value) if item.init}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    return "0x" + value.hex() if isinstance(value, bytes) else value
