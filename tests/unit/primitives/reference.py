"""Plain Python Poseidon2, sponge, curve and signatures, written from docs/protocol/hashing.md and the Poseidon2 paper.

What the native library is checked against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
ORDER = 2736030358979909402780800718157159386076813972158567259200215660948447373041
CURVE_D = 12181644023421730124874158521699555681764249180949974110617291017600649128846  # a = -1
GENERATOR = (
    9671717474070082183213120605117400219616337014328744928644933853176787189663,
    16950150798460657717958625567821834550301663161624707787222815936182638968203,
)
IDENTITY = (0, 1)
Point = tuple[int, int]


@cache
def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def integers(values: Sequence[str]) -> list[int]:
    return [int(value) for value in values]


@cache
def parameters(width: int) -> tuple[int, list[list[int]], list[int]]:
    """Full rounds, round keys, diagonal of the internal matrix less one."""
    found = next(entry for entry in vectors("poseidon2") if entry["width"] == width)
    return found["full"], [integers(keys) for keys in found["round_keys"]], integers(found["diagonal_minus_one"] or [])


def external(state: list[int]) -> list[int]:
    """circ(2 M, M, ..., M) with the 4 x 4 block M of the paper; circ(2, 1) for width 2."""
    if len(state) == 2:
        return [(2 * state[0] + state[1]) % R, (state[0] + 2 * state[1]) % R]
    block = ((5, 7, 1, 3), (4, 6, 1, 1), (1, 3, 5, 7), (1, 1, 4, 6))
    mixed = [sum(block[i % 4][j] * state[i - i % 4 + j] for j in range(4)) for i in range(len(state))]
    return [(mixed[i] + sum(mixed[i % 4 :: 4])) % R for i in range(len(state))]


def internal(state: list[int], diagonal_minus_one: list[int]) -> list[int]:
    diagonal = diagonal_minus_one or [1, 2]  # [[2, 1], [1, 3]] for width 2
    total = sum(state)
    return [(total + d * x) % R for d, x in zip(diagonal, state, strict=True)]


def permute(state: list[int]) -> list[int]:
    full, keys, diagonal = parameters(len(state))
    state = external(state)
    for i, key in enumerate(keys):
        if full // 2 <= i < len(keys) - full // 2:
            state = internal([pow(state[0] + key[0], 5, R), *state[1:]], diagonal)
        else:
            state = external([pow(x + k, 5, R) for x, k in zip(state, key, strict=True)])
    return state


def compress(left: int, right: int) -> int:
    return (permute([left, right])[1] + right) % R


def sponge(tag: str, words: Sequence[int]) -> int:
    state = [int.from_bytes(tag.encode(), "big") + len(words) * 2**200] + [0] * 15
    for start in range(0, len(words), 15):
        for i, word in enumerate(words[start : start + 15]):
            state[1 + i] += word
        state = permute(state)
    return state[1]


def add(p: Point, q: Point) -> Point:
    (x1, y1), (x2, y2) = p, q
    k = CURVE_D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + k, -1, R) % R, (y1 * y2 + x1 * x2) * pow(1 - k, -1, R) % R)


def multiply(p: Point, n: int) -> Point:
    out = IDENTITY
    for bit in bin(n)[2:]:
        out = add(out, out)
        out = add(out, p) if bit == "1" else out
    return out


def challenge(r: Point, a: Point, words: Sequence[int]) -> int:
    return sponge("straddle.signature", [*r, *a, *words]) % 2**128 + sum(16**i for i in range(32))


def sign(secret: int, words: Sequence[int]) -> tuple[int, int, int]:
    seed = b"straddle.nonce" + b"".join(value.to_bytes(32, "big") for value in (secret, *words))
    k = int.from_bytes(hashlib.sha512(seed).digest(), "big") % ORDER
    r, a = multiply(GENERATOR, k), multiply(GENERATOR, secret)
    return (*r, (k + challenge(r, a, words) * secret) % ORDER)


def grain(full: int, partial: int, width: int) -> Iterator[int]:
    """Integers of 254 bits from the Grain generator that the parameter script of the Poseidon2 authors seeds with the instance."""
    fields = ((1, 2), (0, 4), (254, 12), (width, 12), (full, 10), (partial, 10), (2**30 - 1, 30))
    state = [int(bit) for value, bits in fields for bit in format(value, f"0{bits}b")]

    def step() -> int:
        bit = state[62] ^ state[51] ^ state[38] ^ state[23] ^ state[13] ^ state[0]
        state.pop(0)
        state.append(bit)
        return bit

    for _ in range(160):
        step()
    while True:
        value = taken = 0
        while taken < 254:  # bits come in pairs; the first says whether the second counts
            if step():
                value, taken = 2 * value + step(), taken + 1
            else:
                step()
        yield value
