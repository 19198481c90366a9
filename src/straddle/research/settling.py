"""A traded flow settled under one architecture, batch after batch, at the moments of a simulated layer 1: what each transaction cost and when it landed.

A block is due every 12 seconds; a transaction lands in the first block after its cause. A batch is proposed when its successor's table begins. One prover
makes the proofs in turn, each as long as it really took on this machine; a window is waited out on the simulated clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.policy import Data
from straddle.l1.certificates import certificate_digest, sign_digest
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender
from straddle.node.network import Network
from straddle.node.traders import address_of
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.prover import ProveResult
from straddle.proving.transcript import encode
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.proving.witness import Witness
from straddle.research.flow import Flow
from straddle.research.model import BatchCost, Run
from straddle.sequencer.batch_file import SignedEpoch

SLOT_S = 12


class Prover(Protocol):
    """What settling needs of a prover."""

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""


@dataclass(slots=True)
class SimulatedClock:
    """Layer 1's clock: moves forward only, to the first slot that is not before a moment."""

    set_time_at_least: Callable[[int], int]
    rpc: Rpc

    def reach(self, moment_s: float) -> None:
        """The next transaction lands in the first slot at or after this moment."""
        self.set_time_at_least(-(-int(moment_s + 0.999) // SLOT_S) * SLOT_S)

    def pass_to(self, second: int) -> None:
        """The next transaction lands right after this second."""
        self.set_time_at_least(second)

    def time_of(self, receipt: Receipt) -> float:
        """Time of the block that holds a transaction."""
        return float(int(self.rpc.block(receipt.block_number)["timestamp"], 16))


@dataclass(slots=True)
class Settler:
    """Takes a flow's batches to one rollup."""

    network: Network
    flow: Flow
    clock: SimulatedClock
    prover: Prover
    sender: Sender
    posted: list[PostedBatch] = field(default_factory=list)
    epoch_gas: int = 0
    proof_seconds: list[float] = field(default_factory=list)
    """Wall time of each proof."""
    _epoch: int = 0
    _parent: bytes = b""
    _prover_free_s: float = 0.0

    def run(self, name: str, progress: Callable[[str, float], None]) -> Run:
        """All batches to finality; ValueError when layer 1's final state is not the flow's."""
        costs = []
        for place, closed in enumerate(self.flow.closed):
            progress(f"{name}: batch {closed.batch.number}", place / len(self.flow.closed))
            costs.append(self._propose(place))
            if not self.network.deployment.config.optimistic:
                costs[-1] = self._prove(costs[-1])
        if self.network.deployment.config.optimistic:
            costs = [self._finalise(cost) for cost in costs]
        root, expected = self.network.client.state_root(), self.flow.closed[-1].change.after.root
        if root != expected:
            raise ValueError(f"{name}: state root {root:#x} on layer 1, expected the flow's {expected:#x}")
        return Run(name, tuple(costs), self._epoch, self.epoch_gas, self._moments(), self.flow.soft_seconds)

    def bind(self, place: int) -> PostedBatch:
        """The batch after the ones that were proposed."""
        closed, network = self.flow.closed[place], self.network
        deployment = network.deployment
        parent = self.posted[-1].header_hash if self.posted else genesis_header_hash(deployment.config.genesis_root)
        chain = ChainFacts(deployment.chain_id, deployment.rollup_number, deployment.vk_id, parent, address_of(network.sequencer), deployment.config.data)
        return post_change(closed.change, closed.batch, network.params, network.config.circuit, HeaderFacts(network.domain, closed.log_root), chain)

    def _propose(self, place: int) -> BatchCost:
        closed, config = self.flow.closed[place], self.network.deployment.config
        batch = self.bind(place)
        number = closed.batch.number
        closed_s = self.flow.ends_ms[number] / 1_000
        self.clock.reach(closed_s)
        self.submit_epochs(batch.effects.epoch)
        transcript = encode(batch.witness) if config.optimistic else b""
        blobs: Sequence[bytes] = ()
        if config.data is Data.BLOB:
            from straddle.commitments.blob import bytes_blobs, cells_blob

            blobs = (cells_blob(batch.body_words), *bytes_blobs(transcript))
        certificates = self._certificates(batch) if config.data is Data.COMMITTEE else ()
        receipt = self.network.client.propose(
            self.sender,
            batch,
            batch.witness.public.c,
            certificates=certificates,
            opening=batch.opening,
            blobs=blobs,
            transcript=b"" if blobs else transcript,
        )
        self.posted.append(batch)
        return BatchCost(
            number=number,
            trades=self.flow.trades[number],
            hedges=self.flow.hedges[number],
            closed_s=closed_s,
            proposed_s=self.clock.time_of(receipt),
            final_s=0.0,
            propose_gas=receipt.gas_used,
            final_gas=0,
            calldata_bytes=len(self.network.client.rpc.transaction(receipt.transaction_hash)["input"]) // 2 - 1,
            transcript_bytes=len(transcript),
            body_cells=len(batch.body_words),
            blobs=len(blobs),
            prove_cpu_seconds=0.0,
        )

    def submit_epochs(self, last: int) -> None:
        """Those of the flow up to `last`."""
        for signed in self.flow.epochs:
            if self._epoch < signed.epoch <= last:
                self.epoch_gas += self._submit(signed)
                self._epoch = signed.epoch

    def _submit(self, signed: SignedEpoch) -> int:
        """Its gas."""
        client = self.network.client
        return client.submit_epoch(self.sender, signed.epoch, signed.time_ms, signed.risk_root, signed.inputs, signed.signatures).gas_used

    def _certificates(self, batch: PostedBatch) -> list[bytes]:
        """As many as the contract wants, in the members' order."""
        deployment = self.network.deployment
        digest = certificate_digest(deployment.chain_id, deployment.rollup_number, batch.effects.batch_number, batch.header_hash)
        signing = sorted(self.network.members, key=address_of)[: deployment.config.member_threshold]
        return [sign_digest(member, digest) for member in signing]

    def _prove(self, cost: BatchCost) -> BatchCost:
        batch = self.posted[-1]
        made = self.prover.prove(batch.witness)
        self.proof_seconds.append(made.wall_seconds)
        self._prover_free_s = max(self._prover_free_s, cost.closed_s) + made.wall_seconds
        self.clock.reach(max(self._prover_free_s, cost.proposed_s + 1))
        receipt = self.network.client.prove(self.sender, batch, made.proof)
        return replace(cost, final_s=self.clock.time_of(receipt), final_gas=receipt.gas_used, prove_cpu_seconds=made.cpu_seconds)

    def _finalise(self, cost: BatchCost) -> BatchCost:
        window = self.network.client.clock("CHALLENGE_WINDOW_S")
        batch = next(each for each in self.posted if each.effects.batch_number == cost.number)
        self.clock.reach(cost.proposed_s + window + 1)
        receipt = self.network.client.finalise(self.sender, batch, astuple(batch.witness.public))
        return replace(cost, final_s=self.clock.time_of(receipt), final_gas=receipt.gas_used)

    def _moments(self) -> tuple[tuple[int, float], ...]:
        """Trades spread evenly over the time of their batches."""
        found = []
        for closed in self.flow.closed:
            assert closed.batch.table is not None
            number, begun = closed.batch.number, closed.batch.table.time_ms / 1_000
            length, count = self.flow.ends_ms[number] / 1_000 - begun, self.flow.trades[number]
            found += [(number, begun + length * (i + 0.5) / count) for i in range(count)]
        return tuple(found)
