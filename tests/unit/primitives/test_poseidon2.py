"""The parameters of Poseidon2: round numbers from the paper's formula, constants from their generators, permutation against a plain one."""

from __future__ import annotations

from itertools import islice
from math import ceil, comb, floor, log, log2

import pytest
from eth_utils import keccak

from . import reference
from .reference import R, vectors

ALPHA = 5
SECURITY_BITS = 128


def resists(width: int, full: int, partial: int) -> bool:
    """The inequalities of the Poseidon2 paper as its authors' parameter script states them: statistical, interpolation and Groebner-basis attacks, with the
    bound of eprint 2023/537."""
    bits, per_round = log2(R), log(2) / log(ALPHA)
    lowest_full = max(
        6 if floor(bits - (ALPHA - 1) / 2) * (width + 1) >= SECURITY_BITS else 10,
        1 + ceil(per_round * min(SECURITY_BITS, R.bit_length())) + ceil(log(width, ALPHA)) - partial,
        per_round * min(SECURITY_BITS, bits) - partial,
        width - 1 + per_round * min(SECURITY_BITS / (width + 1), bits / 2) - partial,
        (width - 2 + SECURITY_BITS / (2 * log2(ALPHA)) - partial) / (width - 1),
    )
    third = width // 3
    under = third * full // 2 + partial + ALPHA
    over = (full - 1) * width + partial + third + under
    return full >= lowest_full and 2 * log2(comb(over, under)) >= SECURITY_BITS


def round_numbers(width: int, margin: bool) -> tuple[int, int]:
    """The cheapest round numbers in S-boxes; the margin is two full rounds and 7.5 % of the partial ones."""
    candidates = []
    for partial in range(1, 200):
        full = next((full for full in range(4, 100, 2) if resists(width, full, partial)), None)
        if full is not None:
            candidates.append((full + 2, ceil(partial * 1.075)) if margin else (full, partial))
    return min(candidates, key=lambda rounds: (rounds[0] * width + rounds[1], rounds[0]))


def test_wide_round_numbers_follow_from_the_formula_with_its_margin() -> None:
    wide = vectors("poseidon2")[1]
    assert (wide["width"], wide["full"], wide["partial"]) == (16, 8, 57)
    assert round_numbers(16, margin=True) == (8, 57)


@pytest.mark.parametrize(("width", "expected"), [(3, (8, 56)), (4, (8, 56)), (8, (8, 57)), (12, (8, 57))])
def test_formula_gives_the_published_round_numbers(width: int, expected: tuple[int, int]) -> None:
    """Table 1 of the Poseidon2 paper (BN254), so that the formula above is known to be the paper's."""
    assert round_numbers(width, margin=True) == expected


def test_narrow_round_numbers_meet_the_bound_without_margin() -> None:
    """gnark-crypto's width 2 has 6 + 50 rounds. Interpolation, the binding attack, reaches log_5(2) * 128 + log_5(2) = 55.6 rounds: 56 is the least that
    exceeds it. The authors' script, which rounds each term up and adds one, asks for 6 + 52, and with its margin for 8 + 56."""
    narrow = vectors("poseidon2")[0]
    full, partial = narrow["full"], narrow["partial"]
    assert (narrow["width"], full, partial) == (2, 6, 50)
    interpolation = (SECURITY_BITS + 1) * log(2, ALPHA)
    assert full + partial == ceil(interpolation)
    assert round_numbers(2, margin=False) == (6, 52)
    assert round_numbers(2, margin=True) == (8, 56)


def test_wide_constants_come_from_the_authors_generator() -> None:
    full, keys, diagonal_minus_one = reference.parameters(16)
    stream = reference.grain(full, len(keys) - full, 16)
    below = (value for value in stream if value < R)
    for i, key in enumerate(keys):
        partial = full // 2 <= i < len(keys) - full // 2
        assert key == ([next(below), *[0] * 15] if partial else list(islice(below, 16))), i
    wanted = [(value + 1) % R for value in diagonal_minus_one]
    # The script draws diagonals until the matrix passes its tests: about one in sixteen does.
    draws = ([value % R for value in islice(stream, 16)] for _ in range(300))
    assert any(draw == wanted for draw in draws)


def test_narrow_constants_come_from_gnark_cryptos_generator() -> None:
    """keccak256 iterated on the name of the instance; no constant was chosen by hand."""
    _, keys, _ = reference.parameters(2)
    seed = keccak(b"Poseidon2-BN254[t=2,rF=6,rP=50,d=5]")
    for key in keys:
        for value in key:
            seed = keccak(seed)
            assert value == int.from_bytes(seed, "big") % R


@pytest.mark.parametrize("width", [2, 16])
def test_permutation_agrees_with_a_plain_one(width: int) -> None:
    found = next(entry for entry in vectors("poseidon2") if entry["width"] == width)
    assert reference.permute(reference.integers(found["input"])) == reference.integers(found["output"])
