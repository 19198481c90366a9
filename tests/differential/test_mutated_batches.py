"""Random changes to honest witnesses, made consistent again as far as a cheating prover can: checker and circuit must agree on every one."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from straddle.proving.checker import Failure, check
from straddle.proving.prover import Prover
from straddle.proving.witness import Witness
from tests.differential.cheats import Settling, mutate, settle
from tests.differential.edges import aim
from tests.differential.scenes import PRESET, ClosedBatch

SETTLINGS = (
    Settling(roots=False),
    Settling(old_side=False),
    Settling(old_side=False, resign=True),
    Settling(flows=True, old_side=False, resign=True),
    Settling(flows=True, resign=True),
    Settling(resign=True),
)
CHECKED = 900
CIRCUIT = 200


@pytest.fixture(scope="module")
def batches(closed_batches: list[ClosedBatch], told_batches: list[ClosedBatch]) -> list[ClosedBatch]:
    """The engine's batches, and the stories', which hold what the engine does rarely."""
    return [*told_batches, *closed_batches]


def mutants(closed: list[ClosedBatch], count: int, seed: int) -> list[tuple[str, Witness]]:
    """Mutants of batches with several accounts mostly, since the others have little to change."""
    rng, found = random.Random(seed), []
    busy = [item for item in closed if len(item.posted.witness.accounts) > 1]
    while len(found) < count:
        item = rng.choice(busy if rng.random() < 0.95 else closed)
        aimed = bool(item.posted.witness.accounts) and rng.random() < 0.6
        what, witness = (aim if aimed else mutate)(item.posted.witness, rng)
        how = rng.choice(SETTLINGS[2:] if aimed else SETTLINGS)
        if not what.startswith("public"):
            witness = settle(witness, item, how)
        if witness != item.posted.witness:
            found.append((f"batch {item.batch.number}: {what} {how}", witness))
    return found


def moves_nothing(witness: Witness) -> Witness:
    """Without fills of no lots and no fees: the circuit lets those refer to anything, since they move nothing."""
    kept = tuple(row for row in witness.fills if (row.size, row.taker_fee, row.maker_fee) != (0, 0, 0))
    return replace(witness, fills=kept)


def verdict(witness: Witness) -> Failure | None:
    return check(moves_nothing(witness), PRESET)


def test_the_checker_refuses_by_every_rule(batches: list[ClosedBatch]) -> None:
    """The mutants reach every table of the statement, and neither verdict is rare: a checker that accepts or refuses all would be seen."""
    rules = Counter(failure.rule if failure else "accepted" for failure in (check(witness, PRESET) for _, witness in mutants(batches, CHECKED, 1)))
    expected = {"accepted", "accounts.1", "accounts.2", "accounts.3", "accounts.4", "accounts.5", "accounts.6", "accounts.7", "accounts.9", "accounts.10",
                "positions.5", "instruments", "listings", "signatures", "orders.1", "orders.2", "orders.3", "orders.4", "orders.5", "legs", "legs.sums",
                "fills", "queue", "transfers", "takeovers", "deleverages", "vector", "header", "accounts.keys", "positions.keys",
                "orders.keys"}  # fmt: skip
    assert expected <= rules.keys(), (sorted(expected - rules.keys()), rules)
    assert 0.1 < rules["accepted"] / CHECKED < 0.5, rules


def test_the_checker_is_deterministic(batches: list[ClosedBatch]) -> None:
    first, second = ([check(witness, PRESET) for _, witness in mutants(batches, 60, 2)] for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_checker_and_circuit_agree_on_mutants(batches: list[ClosedBatch], prover: Prover) -> None:
    cases = mutants(batches, CIRCUIT, 3)
    results = prover.check_many([witness for _, witness in cases])
    expected = [verdict(witness) for _, witness in cases]
    rows = zip(cases, expected, results, strict=True)
    disagreements = [(what, failure, result) for (what, _), failure, result in rows if (failure is None) != result.ok or result.solver not in (result.ok, None)]
    assert not disagreements, disagreements
    assert 0 < sum(result.ok for result in results) < CIRCUIT
    assert sum(result.solver is not None for result in results) > CIRCUIT * 0.8, "most mutants must reach the solver itself"
