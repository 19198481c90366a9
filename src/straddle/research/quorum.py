"""A validium whose members do not answer: what its first batch with trades costs in calldata, behind a copy of the state on layer 1."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.policy import Data
from straddle.node.layer1 import SNAPSHOT_PART_BYTES
from straddle.research.model import BatchCost, QuorumAway
from straddle.research.settling import Settler, set_back


@dataclass(frozen=True, slots=True)
class Posted:
    """What went to layer 1 instead of certificates."""

    snapshot_bytes: int
    snapshot_gas: int
    propose_gas: int
    calldata_bytes: int

    def settled(self, certified: BatchCost) -> QuorumAway:
        """With what the same batch cost otherwise."""
        return QuorumAway(certified.trades, self.snapshot_bytes, self.snapshot_gas, self.propose_gas, certified.final_gas, self.calldata_bytes)


def post_without_quorum(settler: Settler, place: int) -> Posted:
    """The batch at `place`, next after the ones that were certified, without certificates. Layer 1 is set back afterwards."""
    fork, client, committee = settler.fork(), settler.network.client, settler.committee
    assert committee is not None
    with set_back(client.rpc):
        fork.arrive(place)
        copy = committee.state_copy()
        root = fork.flow.closed[place].change.before.root
        parts = [copy[at : at + SNAPSHOT_PART_BYTES] for at in range(0, len(copy), SNAPSHOT_PART_BYTES)]
        posts = [client.post_snapshot(fork.sender, root, i, len(parts), part) for i, part in enumerate(parts)]
        batch = fork.bind(place, Data.CALLDATA)
        proposal = client.propose(fork.sender, batch, batch.witness.public.c)
        return Posted(len(copy), sum(post.gas_used for post in posts), proposal.gas_used, fork.calldata_bytes(proposal))
