"""Adversarial batches, each consistent but for one rule: the checker names that rule, and the circuit refuses too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import Witness
from tests.differential import cheats_accounts, cheats_trades, lies_liquidation
from tests.differential.cheats import settle
from tests.differential.lies import LIES, Lie
from tests.differential.registry import CHEATS, Cheat
from tests.differential.scenes import PRESET, ClosedBatch

MODULES = (cheats_accounts, cheats_trades, lies_liquidation)
"""Imported so that they register what they hold."""

CASES: dict[str, Cheat | Lie] = {item.name: item for item in (*CHEATS, *LIES)}


def cheated(item: Cheat | Lie, told: list[ClosedBatch]) -> Witness:
    """A lie's batch; or the first batch, later ones first since they hold more, in which a cheat has something to cheat with."""
    if isinstance(item, Lie):
        return item.witness()
    for batch in reversed(told):
        honest = batch.posted.witness
        changed = item.act(honest, batch)
        if changed is None:
            continue
        settled = settle(changed, batch, item.how) if item.rule != "vector" else changed
        if item.rule == "instruments":
            settled = replace(settled, header=replace(settled.header, risk_root=honest.header.risk_root))
        assert settled.header.old_accounts_root == honest.header.old_accounts_root, "a cheat starts from the real state"
        return settled
    raise AssertionError(f"{item.name}: no batch of the stories has what it needs")


@pytest.mark.parametrize("name", CASES)
def test_the_checker_names_the_rule(name: str, told_batches: list[ClosedBatch]) -> None:
    failure = check(cheated(CASES[name], told_batches), PRESET)
    assert failure is not None
    assert failure.rule == CASES[name].rule, failure


def test_there_is_a_cheat_for_every_rule() -> None:
    """Rules of statement.md by name; rules 1 and 2 of the header are what the vector is made of."""
    numbered = {f"accounts.{i}" for i in range(1, 11)} | {f"orders.{i}" for i in range(1, 7)} | {"positions.1", "positions.3", "positions.5", "positions.7"}
    keys = {"accounts.keys", "positions.keys", "orders.keys", "legs.keys"}
    tables = {"header.3", "instruments", "listings", "signatures", "legs", "legs.sums", "fills", "queue", "withdrawals", "transfers", "takeovers",
              "deleverages", "vector"}  # fmt: skip
    assert {item.rule for item in CASES.values()} == numbered | keys | tables


@pytest.mark.slow
def test_the_circuit_refuses_every_cheat(told_batches: list[ClosedBatch], prover: Prover) -> None:
    results = dict(zip(CASES, prover.check_many([cheated(item, told_batches) for item in CASES.values()]), strict=True))
    assert not {name: result for name, result in results.items() if result.ok or result.solver}
    unsolved = [name for name, result in results.items() if result.solver is None]
    assert len(unsolved) <= len(CASES) // 8, f"nearly all cheats must reach the solver itself: {unsolved}"
