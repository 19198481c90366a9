"""Tokens that misbehave (tests/contracts/mocks/OddToken.vy): the kinds, and what the vault answers to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode

TRUE, FALSE = encode(["bool"], [True]), encode(["bool"], [False])
NO_CALL = ("0x" + "00" * 20, b"", 0, False)


@dataclass(frozen=True)
class Behaviour:
    """Of a transfer; amounts in units of the token. The fields are those of the contract's struct, in its order."""

    is_still: bool = False
    fee: int = 0
    charge: int = 0
    bonus: int = 0
    answer: bytes = TRUE

    def as_tuple(self) -> tuple[Any, ...]:
        """For a call."""
        return tuple(vars(self).values())


@dataclass(frozen=True)
class Kind:
    """A token, and whether the vault takes a deposit of it and pays out."""

    coming: Behaviour = Behaviour()
    leaving: Behaviour = Behaviour()
    is_taken: bool = True
    is_paid: bool = True

    def as_tuples(self) -> tuple[Any, Any]:
        """Arguments of `configure`."""
        return self.coming.as_tuple(), self.leaving.as_tuple()


def _both_ways(is_taken: bool, is_paid: bool, **behaviour: Any) -> Kind:
    return Kind(Behaviour(**behaviour), Behaviour(**behaviour), is_taken, is_paid)


GOOD = Kind()
ANSWERS_FALSE = _both_ways(False, False, answer=FALSE)
KINDS: Mapping[str, Kind] = {
    "as it should be": GOOD,
    "answers nothing": _both_ways(True, True, answer=b""),
    "answers at length": _both_ways(True, True, answer=TRUE + FALSE),
    "answers false": ANSWERS_FALSE,
    "answers false and moves nothing": _both_ways(False, False, is_still=True, answer=FALSE),
    "answers no truth value": _both_ways(False, False, answer=encode(["uint256"], [2])),
    "answers too little": _both_ways(False, False, answer=TRUE[1:]),
    "moves nothing": _both_ways(False, False, is_still=True),
    "keeps a fee": _both_ways(False, True, fee=1),
    "gives more": _both_ways(False, True, bonus=7),
    "charges the sender": _both_ways(True, False, charge=3),
    "cannot be paid out": Kind(leaving=Behaviour(charge=2**255), is_paid=False),
}
"""By what they do. The vault looks at what it gets and at what it loses; what reaches others is the token's business."""


def planned(target: Any, function: str, args: tuple[Any, ...], value_wei: int, is_patient: bool) -> tuple[Any, ...]:
    """A call that the token makes while it is being moved: the contract's struct `CallBack`."""
    return (target.address, target.contract.encode_call(function, *args), value_wei, is_patient)
