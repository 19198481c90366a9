"""Adversarial witnesses, registered by the rule that each of them breaks; everything else about them is consistent.

A *cheat* changes an honest batch; lies.py has batches that were told wrong from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from straddle.proving.witness import Witness
from tests.differential.cheats import Settling
from tests.differential.edges import with_row
from tests.differential.scenes import ClosedBatch

OWN_SIDE = Settling(old_side=False)
COLLUDING = Settling(old_side=False, resign=True)
FLOWING = Settling(old_side=False, flows=True)
CONSISTENT = Settling(old_side=False, flows=True, resign=True)

Act = Callable[[Witness, ClosedBatch], Witness | None]
"""The cheat's change of a batch, or None where the batch has nothing to cheat with."""


@dataclass(frozen=True, slots=True)
class Cheat:
    """What changes a batch, the rule that it breaks, and how far the rest is made to fit."""

    name: str
    rule: str
    how: Settling
    act: Act


CHEATS: list[Cheat] = []


def cheat(rule: str, how: Settling = OWN_SIDE) -> Callable[[Act], Act]:
    """Registers a cheat."""

    def register(act: Act) -> Act:
        CHEATS.append(Cheat(act.__name__, rule, how, act))
        return act

    return register


def find(rows: tuple[Any, ...], wanted: Callable[[Any], bool]) -> int | None:
    return next((i for i, row in enumerate(rows) if wanted(row)), None)


def orders_of(witness: Witness, fill: int) -> tuple[int, int]:
    """Order rows of a fill's taker and maker."""
    return witness.legs[witness.fills[fill].taker].order, witness.legs[witness.fills[fill].maker].order


def with_new(witness: Witness, index: int, **changes: int) -> Witness:
    return with_row(witness, "accounts", index, new=witness.accounts[index].new._replace(**changes))
