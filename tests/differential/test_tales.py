"""Consistent batches told at random: where only margin, auctions and forced payments decide, checker and circuit decide alike."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import Witness
from tests.differential.scenes import PRESET
from tests.differential.tales import random_tale

TALES = 200


def tales(seed: int) -> list[Witness]:
    rng = random.Random(seed)
    return [random_tale(rng) for _ in range(TALES)]


def test_tales_stand_on_both_sides_of_the_rules() -> None:
    """Nothing but the rules that they are about refuses them, and neither verdict is rare."""
    rules = Counter(failure.rule if failure else "accepted" for failure in (check(witness, PRESET) for witness in tales(1)))
    assert {"accepted", "accounts.5", "accounts.6", "accounts.9", "accounts.10", "deleverages", "takeovers"} <= rules.keys(), rules
    assert 0.15 < rules["accepted"] / TALES < 0.6, rules
    assert not rules.keys() & {"accounts.1", "accounts.2", "accounts.7", "accounts.8", "instruments", "signatures", "positions.5", "vector", "header"}, rules


@pytest.mark.slow
def test_checker_and_circuit_agree_on_tales(prover: Prover) -> None:
    told = tales(2)
    rows = zip(told, prover.check_many(told), strict=True)
    assert not [(check(witness, PRESET), result) for witness, result in rows if (check(witness, PRESET) is None) != result.ok or result.solver is not result.ok]
