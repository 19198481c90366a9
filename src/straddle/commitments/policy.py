"""The two choices of a rollup's deployment: when a proof is needed, and where the body lies (docs/protocol/policies.md). The numbers are the contract's."""

from __future__ import annotations

from enum import IntEnum

from straddle.primitives.errors import Actionable


class Proofs(IntEnum):
    """When a batch needs a proof."""

    ALWAYS = 1
    WHEN_CHALLENGED = 2


class Data(IntEnum):
    """Where the body of a batch lies."""

    CALLDATA = 1
    BLOB = 2
    COMMITTEE = 3


class PolicyError(Actionable, ValueError):
    """Choices that do not go together."""


def check_policy(proofs: Proofs, data: Data) -> None:
    """PolicyError: what nobody but a committee has cannot be challenged."""
    if (proofs, data) == (Proofs.WHEN_CHALLENGED, Data.COMMITTEE):
        raise PolicyError("data: committee, expected calldata or blob when a proof is required only when challenged: withheld data cannot be challenged")


def policy_name(proofs: Proofs, data: Data) -> str:
    """The field's name for a rollup with these choices."""
    if proofs is Proofs.WHEN_CHALLENGED:
        return "optimistic rollup"
    return "validium" if data is Data.COMMITTEE else "ZK rollup"
