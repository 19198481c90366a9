"""A bounded memory of what was computed lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The last `capacity` entries. For results of functions without side effects, so that nobody can tell whether one was remembered. Safe for threads."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Key, Value] = OrderedDict()  # a dict would look for its oldest entry through the gaps of all those forgotten
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        """What was put under `key`, or None."""
        return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Remember an entry; beyond the capacity the oldest is forgotten."""
        with self._lock:
            self._entries[key] = value
            if len(self._entries) > self.capacity:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
