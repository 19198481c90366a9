"""Risk tables recomputed from what layer 1 published, and what oracles owe their published inputs."""

from __future__ import annotations

from collections.abc import Mapping

from straddle.commitments.listings import Listings
from straddle.commitments.risk import risk_root
from straddle.core.risk_table import RiskTable
from straddle.l1.deployment import Deployment
from straddle.l1.events import EpochSubmitted
from straddle.risk.inputs import RiskInputs, decode_inputs
from straddle.risk.oracle import EpochMessage, OracleCommittee, Signature65
from straddle.risk.parameters import RiskParameters
from straddle.risk.successor import check_successor
from straddle.risk.table import build_table


def recompute_table(inputs: bytes, listed: Listings, parameters: RiskParameters) -> tuple[RiskTable, int]:
    """The table that published inputs give over the instruments listed by then, and its risk root. RiskInputError, ValueError: they give none."""
    table = build_table(decode_inputs(inputs), listed.tabled, parameters, listed.settled)
    return table, risk_root(listed.root, table.rows)


class Succession:
    """The chain of published inputs: funding and margin scaling accrue from epoch to epoch, also over epochs that no batch used."""

    def __init__(self, parameters: RiskParameters) -> None:
        self._parameters = parameters
        self._inputs: RiskInputs | None = None

    @property
    def epoch(self) -> int | None:
        """The newest epoch that was looked at."""
        return self._inputs.epoch if self._inputs else None

    def advance(self, epochs: Mapping[int, EpochSubmitted], epoch: int) -> None:
        """Check the inputs of every recorded epoch up to `epoch` against those before. RiskInputError names what an oracle signed wrongly; the epoch counts."""
        since = self._inputs.epoch if self._inputs else epoch - 1
        # Usually there is one of each number: what is passed over must not cost as much as all that there is.
        numbers = range(since + 1, epoch + 1) if epoch - since <= len(epochs) else sorted(epochs)
        for number in (known for known in numbers if known in epochs and since < known <= epoch):
            before, self._inputs = self._inputs, decode_inputs(epochs[number].inputs)
            if before is not None:
                check_successor(before, self._inputs, self._parameters)


def check_signatures(deployment: Deployment, epoch: EpochSubmitted) -> None:
    """The oracles' signatures under an epoch. OracleError: the committee's rule refuses them."""
    config = deployment.config
    message = EpochMessage(deployment.chain_id, deployment.rollup_number, epoch.epoch, epoch.time_ms, config.params_hash, epoch.risk_root, epoch.inputs)
    committee = OracleCommittee(tuple(int(oracle, 16) for oracle in config.oracles), config.threshold)
    committee.verify(message, [Signature65(*signature) for signature in epoch.signatures])
