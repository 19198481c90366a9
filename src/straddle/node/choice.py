"""The names by which an operator chooses a policy."""

from __future__ import annotations

from straddle.commitments.policy import Data, Proofs
from straddle.node.config import ConfigError

POLICIES = ("zk", "optimistic", "validium")
DATA_PLACES = ("calldata", "blob", "committee")
PATIENCE_S = 300.0
"""How long a committee's quorum may be away before batches go to layer 1."""


def chosen_policy(policy: str, data: str) -> tuple[Proofs, Data]:
    """Of names in a configuration; `data` empty: the policy's usual place. ConfigError: they do not go together."""
    if policy not in POLICIES:
        raise ConfigError(f"rollup.policy: {policy!r}, expected one of {', '.join(POLICIES)}")
    if data and data not in DATA_PLACES:
        raise ConfigError(f"rollup.data: {data!r}, expected one of {', '.join(DATA_PLACES)}")
    if policy == "validium" and data not in ("", "committee"):
        raise ConfigError(f"rollup.data: {data}, expected committee with policy validium")
    if policy != "validium" and data == "committee":
        raise ConfigError(f"rollup.data: committee, expected calldata or blob with policy {policy}; data with a committee are policy validium")
    place = data or ("committee" if policy == "validium" else "calldata")
    return Proofs.WHEN_CHALLENGED if policy == "optimistic" else Proofs.ALWAYS, Data[place.upper()]
