"""Points in one word: there and back, one word a point, nothing off the curve."""

from __future__ import annotations

import random

import pytest

from straddle.primitives.compressed import CURVE_D, ODD, compress_point, decompress_point
from straddle.primitives.field import MODULUS
from straddle.primitives.keys import SecretKey
from tests.unit.primitives import reference


def test_the_curve_is_the_references() -> None:
    assert CURVE_D == reference.CURVE_D
    assert pow(-CURVE_D % MODULUS, (MODULUS - 1) // 2, MODULUS) == MODULUS - 1, "1 + D y^2 is never 0"


@pytest.mark.parametrize("seed", range(20))
def test_points_come_back(seed: int) -> None:
    key = SecretKey.from_seed(b"%d" % seed).public
    for point in (tuple(key), ((MODULUS - key.x), key.y)):
        assert decompress_point(compress_point(*point)) == point
    assert decompress_point(compress_point(key.x, key.y) ^ ODD) == (MODULUS - key.x, key.y)


def test_points_with_x_0_have_one_word() -> None:
    for y in (1, MODULUS - 1):
        assert decompress_point(compress_point(0, y)) == (0, y)
        with pytest.raises(ValueError, match="compressed point"):
            decompress_point(y | ODD)


def test_words_of_no_point_are_refused() -> None:
    rng = random.Random(1)
    refused = 0
    for _ in range(100):
        y = rng.randrange(MODULUS)
        square = (y * y - 1) * pow(1 + CURVE_D * y * y, -1, MODULUS) % MODULUS
        if pow(square, (MODULUS - 1) // 2, MODULUS) == 1:
            x, found = decompress_point(y)
            assert (compress_point(x, found), x & 1) == (y, 0)
        else:
            refused += 1
            with pytest.raises(ValueError, match="compressed point"):
                decompress_point(y)
    assert 30 < refused < 70
    for word in (MODULUS, MODULUS | ODD, 1 << 254, 1 << 256, -1):
        with pytest.raises(ValueError, match="compressed point"):
            decompress_point(word)


def test_what_is_off_the_curve_is_not_compressed() -> None:
    key = SecretKey.from_seed(b"1").public
    for point in ((key.x + 1, key.y), (key.y, key.x), (key.x + MODULUS, key.y), (-1, 0)):
        with pytest.raises(ValueError, match="expected one on the curve"):
            compress_point(*point)
