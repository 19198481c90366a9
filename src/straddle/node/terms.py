"""What an operator fixes of the policy at deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from straddle.commitments.policy import Data, Proofs, check_policy

MEMBERS, MEMBER_THRESHOLD = 7, 6
"""Of the development committee."""
PROPOSER_BOND_WEI = 10**17
CHALLENGER_BOND_WEI = 5 * 10**16
"""More than a proof costs: some 400,000 gas, and minutes of a few cores."""
CHALLENGE_WINDOW_S = 7 * 24 * 3_600
PROVING_ALLOWANCE_S = 600


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What is fixed at deployment. Bonds, window and allowance count only where a proof is required when challenged."""

    proofs: Proofs = Proofs.ALWAYS
    data: Data = Data.CALLDATA
    proposer_bond_wei: int = PROPOSER_BOND_WEI
    challenger_bond_wei: int = CHALLENGER_BOND_WEI
    challenge_window_s: int = CHALLENGE_WINDOW_S
    proving_allowance_s: int = PROVING_ALLOWANCE_S
    member_threshold: int = MEMBER_THRESHOLD
    """Certificates that a batch needs, where data lie with a committee."""

    def __post_init__(self) -> None:
        check_policy(self.proofs, self.data)

    def fields(self, members: Sequence[str] = ()) -> dict[str, Any]:
        """The fields of RollupConfig that the policy fixes. `members`: addresses."""
        chosen: dict[str, Any] = {"proofs": self.proofs, "data": self.data}
        if self.proofs is Proofs.WHEN_CHALLENGED:
            names = ("proposer_bond_wei", "challenger_bond_wei", "challenge_window_s", "proving_allowance_s")
            chosen |= {name: getattr(self, name) for name in names}
        if self.data is Data.COMMITTEE:
            chosen |= {"members": tuple(sorted(members, key=lambda address: int(address, 16))), "member_threshold": self.member_threshold}
        return chosen


ZK_ROLLUP = PolicyTerms()
