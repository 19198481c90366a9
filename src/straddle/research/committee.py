"""The members of a validium, in this process: each recomputes every batch on its own copy of the state and stores it before it signs.

They are timed one after another, as if each had a machine of its own; what travels between machines is not in it.
"""

from __future__ import annotations

import time
from pathlib import Path

from straddle.committee.layer1 import HeadersOnLayer1
from straddle.committee.member import Member
from straddle.committee.offer import Offer
from straddle.committee.store import MemberStore
from straddle.l1.certificates import offer_digest, sign_digest
from straddle.node.network import Network
from straddle.proving.vector import PostedBatch


class Committee:
    """All members of a network's committee, each with a file of its own below `folder`."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._deployment, self._sequencer = network.deployment, network.sequencer
        layer1 = HeadersOnLayer1(network.anvil.rpc, network.deployment)
        self.members = [
            Member(
                network.deployment,
                network.config.circuit,
                network.params,
                MemberStore(folder / f"member-{i}" / "member.sqlite", network.deployment.chain_id, network.deployment.rollup),
                account,
                layer1,
            )
            for i, account in enumerate(network.members)
        ]

    def certify(self, batch: PostedBatch, parent: bytes, inputs: bytes) -> tuple[tuple[bytes, ...], float]:
        """Certificates of the quickest members, as many as layer 1 wants, ascending by address; wall seconds of the slowest of these.

        `parent`: hash of the header before the batch's. Refused, OfferError: a member does not take the batch.
        """
        deployment, number = self._deployment, batch.effects.batch_number
        digest = offer_digest(deployment.chain_id, deployment.rollup_number, number, batch.header_hash)
        words = tuple(batch.effects_words), tuple(batch.body_words)
        offer = Offer(number, parent, batch.place.data, *words, inputs, sign_digest(self._sequencer, digest))
        answers = []
        for place, member in enumerate(self.members):
            begun = time.perf_counter()
            _, certificate = member.certify(offer)
            answers.append((time.perf_counter() - begun, place, certificate))
        quickest = sorted(answers)[: deployment.config.member_threshold]
        return tuple(certificate for _, _, certificate in sorted(quickest, key=lambda answer: answer[1])), quickest[-1][0]

    def state_copy(self) -> bytes:
        """Of the state after the newest batch that they have."""
        found = self.members[0].snapshot()
        assert found is not None
        return found.copy
