from __future__ import annotations

from straddle.primitives.recent import Recent


def test_the_oldest_is_forgotten_first() -> None:
    memory: Recent[str, int] = Recent(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        memory.put(key, value)
    assert (memory.get("a"), memory.get("b"), memory.get("c"), len(memory)) == (None, 2, 4, 2)
    memory.clear()
    assert (memory.get("b"), len(memory)) == (None, 0)
