"""The margin requirement and the rule of docs/protocol/margin.md for one account, exact and from scratch.

IM, MM and surplus are scaled by BPS (10^4), so that the margin factors need no rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from straddle.core import kernel
from straddle.core.params import BPS, Params
from straddle.core.risk_table import RiskTable


class Rule(StrEnum):
    """The alternative of the rule that a change of state satisfies."""

    COVERED = "a"
    SURPLUS_NOT_LOWERED = "b"
    RISK_NOT_RAISED = "c"


class Requirement(NamedTuple):
    """An account valued on one table; micro-dollars, `_scaled` ones times BPS."""

    equity: int
    im_scaled: int
    mm_scaled: int
    settled: int

    @property
    def surplus_scaled(self) -> int:
        """(equity - IM) * BPS."""
        return BPS * self.equity - self.im_scaled

    @property
    def maintenance_surplus_scaled(self) -> int:
        """(equity - MM) * BPS."""
        return BPS * self.equity - self.mm_scaled


def requirement(cash: int, positions: Mapping[int, int], table: RiskTable, params: Params) -> Requirement:
    """Equity, IM, MM and settled cash of an account. KeyError when the table lacks an instrument held, ValueError for a size or cash outside its bounds."""
    return Requirement(*kernel.requirement(table.packed, cash, positions, params.k_im_bps, params.k_mm_bps))


def sweep(accounts: Sequence[tuple[int, Mapping[int, int]]], table: RiskTable, params: Params) -> list[Requirement]:
    """`requirement` of many accounts, (cash, positions) each, in one call, which lets other threads run meanwhile."""
    return list(map(Requirement._make, kernel.sweep(table.packed, accounts, params.k_im_bps, params.k_mm_bps)))


def rule_met(old: Requirement, new: Requirement) -> Rule | None:
    """The first alternative that holds, or None. `old` includes the batch's deposits."""
    if new.surplus_scaled >= 0:
        return Rule.COVERED
    if new.surplus_scaled >= old.surplus_scaled and BPS * new.equity >= new.mm_scaled:
        return Rule.SURPLUS_NOT_LOWERED
    if new.equity >= old.equity and new.im_scaled <= old.im_scaled:
        return Rule.RISK_NOT_RAISED
    return None


def check_rule(
    old_cash_plus_deposits: int, old_positions: Mapping[int, int], new_cash: int, new_positions: Mapping[int, int], table: RiskTable, params: Params
) -> Rule | None:
    """The rule for one account; the old side is only valued when alternative (a) fails."""
    new = requirement(new_cash, new_positions, table, params)
    if new.surplus_scaled >= 0:
        return Rule.COVERED
    return rule_met(requirement(old_cash_plus_deposits, old_positions, table, params), new)


def withdrawable(valued: Requirement) -> int:
    """max(0, min(equity - IM, settled)), equity - IM rounded down; micro-dollars."""
    return max(0, min(valued.surplus_scaled // BPS, valued.settled))
