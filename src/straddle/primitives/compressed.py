"""Points of the signature curve (docs/protocol/hashing.md) in one word: y, and in bit 255 whether x is odd."""

from __future__ import annotations

from straddle.primitives.field import MODULUS

CURVE_D = 12181644023421730124874158521699555681764249180949974110617291017600649128846
"""-x^2 + y^2 = 1 + D x^2 y^2."""
ODD = 1 << 255

_TWOS = 28
_ODD_PART = (MODULUS - 1) >> _TWOS
_GENERATOR = pow(5, _ODD_PART, MODULUS)
"""Of the 2^28-th roots of unity: 5 is not a square."""


def compress_point(x: int, y: int) -> int:
    """The word of a point. ValueError: it is not on the curve."""
    if not (0 <= x < MODULUS and 0 <= y < MODULUS) or (y * y - x * x - 1 - CURVE_D * x * x * y * y) % MODULUS:
        raise ValueError(f"point ({x:#x}, {y:#x}): expected one on the curve")
    return y | (x & 1) * ODD


def decompress_point(word: int) -> tuple[int, int]:
    """The point of a word; every word is of one point at most. ValueError: of none."""
    y, odd = word & ~ODD, bool(word & ODD)
    if 0 <= y < MODULUS and word < 2 * ODD:
        # 1 + D y^2 is never 0, as -D is no square: the curve is complete.
        x = _square_root((y * y - 1) * pow(1 + CURVE_D * y * y, -1, MODULUS) % MODULUS)
        if x is not None and (x or not odd):
            return (x if x & 1 == odd else MODULUS - x), y
    raise ValueError(f"compressed point {word:#x}: expected y of a point of the curve, and in bit 255 whether x is odd")


def _square_root(square: int) -> int | None:
    """A square root in the field (Tonelli and Shanks), or None."""
    if square == 0:
        return 0
    power = pow(square, (_ODD_PART - 1) // 2, MODULUS)
    root = power * square % MODULUS
    rest, generator, order = root * power % MODULUS, _GENERATOR, _TWOS
    while rest != 1:
        steps, probe = 0, rest
        while probe != 1:
            probe = probe * probe % MODULUS
            steps += 1
        if steps == order:
            return None
        factor = pow(generator, 1 << (order - steps - 1), MODULUS)
        root, generator, order = root * factor % MODULUS, factor * factor % MODULUS, steps
        rest = rest * generator % MODULUS
    return root
