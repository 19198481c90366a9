"""Random damages of a file's bytes, as disks, editors and people do them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

DEEP = b"[" * 200_000
VALUES: tuple[Any, ...] = (None, True, -1, 0, 2**70, 1.5, "", "x" * 300, "0x", [], {}, [[[]]], float("nan"))


def flip(rng: Random, content: bytes) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def cut(rng: Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))]


def noise(rng: Random, content: bytes) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + rng.randbytes(rng.randint(1, 40)) + content[place + rng.randint(0, 40) :]


def lines(rng: Random, content: bytes) -> bytes:
    """Shuffled, or one of them twice or not at all."""
    parts = content.splitlines(keepends=True)
    one = rng.randrange(len(parts))
    how = rng.randrange(3)
    if how == 0:
        rng.shuffle(parts)
    return b"".join(parts if how == 0 else parts[:one] + parts[one:][how - 1 :] + (parts[one : one + 1] if how == 1 else []))


def whole(rng: Random, content: bytes) -> bytes:
    return rng.choice((b"", DEEP, b"null", b"[]", b"\xff\xfe\x00", b"{}", b'"text"', b"\x00" * 64))


def value(rng: Random, content: bytes) -> bytes:
    """Another value, one key less or more, somewhere in the JSON; noise where it is none."""
    try:
        raw = json.loads(content)
    except ValueError:
        return noise(rng, content)
    inner = raw
    while isinstance(inner, dict | list) and inner:
        key = rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
        if isinstance(inner[key], dict | list) and inner[key] and rng.random() < 0.7:
            inner = inner[key]
            continue
        how = rng.random()
        if how < 0.7:
            inner[key] = rng.choice(VALUES)
        elif how < 0.85:
            del inner[key]
        elif isinstance(inner, dict):
            inner["another"] = rng.choice(VALUES)
        else:
            inner.append(rng.choice(VALUES))
        break
    return json.dumps(raw).encode()


DAMAGES = (flip, flip, cut, noise, lines, whole, value, value, value)


def damaged(rng: Random, content: bytes) -> bytes:
    """One of them."""
    return rng.choice(DAMAGES)(rng, content)
