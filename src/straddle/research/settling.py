"""A traded flow settled under one architecture, batch after batch, at the moments of a simulated layer 1: what each transaction cost and when it landed.

A block is due every 12 seconds; a transaction lands in the first block after its cause. A batch is proposed when its successor's table begins, under a
committee when its members have certified it. One prover makes the proofs in turn, each as long as it really took on this machine; a window is waited out on
the simulated clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from typing import Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.policy import Data
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender
from straddle.node.network import Network
from straddle.node.traders import address_of
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.prover import ProveResult
from straddle.proving.transcript import encode
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.proving.witness import Witness
from straddle.research.committee import Committee
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
    committee: Committee | None = None
    """Where bodies lie with one."""
    posted: list[PostedBatch] = field(default_factory=list)
    epoch_gas: int = 0
    proof_seconds: list[float] = field(default_factory=list)
    """Wall time of each proof."""
    _epoch: int = 0
    _prover_free_s: float = 0.0

    def run(self, name: str, progress: Callable[[str, float], None], before: Callable[[int], None] = lambda place: None) -> Run:
        """All batches to finality; ValueError when layer 1's final state is not the flow's. `before` is told of each batch's place before it is proposed."""
        costs = []
        for place, closed in enumerate(self.flow.closed):
            progress(f"{name}: batch {closed.batch.number}", place / len(self.flow.closed))
            before(place)
            costs.append(self.propose(place))
            if not self.network.deployment.config.optimistic:
                costs[-1] = self.prove(costs[-1])
        if self.network.deployment.config.optimistic:
            costs = [self._finalise(cost) for cost in costs]
        root, expected = self.network.client.state_root(), self.flow.closed[-1].change.after.root
        if root != expected:
            raise ValueError(f"{name}: state root {root:#x} on layer 1, expected the flow's {expected:#x}")
        moments = tuple((closed.batch.number, moment) for closed in self.flow.closed for moment in self.flow.moments_s(closed.batch))
        return Run(name, tuple(costs), self._epoch, self.epoch_gas, moments, self.flow.soft_seconds)

    def fork(self) -> Settler:
        """For transactions that are undone afterwards: goes on from here without changing this one."""
        return replace(self, posted=[*self.posted], proof_seconds=[])

    @property
    def parent(self) -> bytes:
        """Hash of the newest proposal's header."""
        return self.posted[-1].header_hash if self.posted else genesis_header_hash(self.network.deployment.config.genesis_root)

    def bind(self, place: int, data: Data | None = None) -> PostedBatch:
        """The batch after the ones that were proposed; `data`: where its body lies, if elsewhere than the rollup's usually do."""
        closed, network = self.flow.closed[place], self.network
        deployment = network.deployment
        where = deployment.config.data if data is None else data
        chain = ChainFacts(deployment.chain_id, deployment.rollup_number, deployment.vk_id, self.parent, address_of(network.sequencer), where)
        return post_change(closed.change, closed.batch, network.params, network.config.circuit, HeaderFacts(network.domain, closed.log_root), chain)

    def arrive(self, place: int) -> float:
        """Layer 1 has come to the moment at which the batch is complete, and has its table. Seconds."""
        closed = self.flow.closed[place]
        assert closed.batch.table is not None
        closed_s = self.flow.ends_ms[closed.batch.number] / 1_000
        self.clock.reach(closed_s)
        self.submit_epochs(closed.batch.table.epoch)
        return closed_s

    def propose(self, place: int) -> BatchCost:
        """The next batch, in its place."""
        closed, config, flow = self.flow.closed[place], self.network.deployment.config, self.flow
        number, table = closed.batch.number, closed.batch.table
        assert table is not None
        closed_s = self.arrive(place)
        batch = self.bind(place)
        transcript = encode(batch.witness) if config.optimistic else b""
        blobs: Sequence[bytes] = ()
        if config.data is Data.BLOB:
            from straddle.commitments.blob import bytes_blobs, cells_blob

            blobs = (cells_blob(batch.body_words), *bytes_blobs(transcript))
        certificates, certify_seconds = self.committee.certify(batch, self.parent, self.inputs_of(table.epoch)) if self.committee else ((), 0.0)
        self.clock.reach(closed_s + certify_seconds)
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
        proposed_s = self.clock.time_of(receipt)
        return BatchCost(
            number=number,
            trades=flow.trades[number],
            hedges=flow.hedges[number],
            fills=flow.fills[number],
            hedge_fills=flow.hedge_fills[number],
            begun_s=table.time_ms / 1_000,
            closed_s=closed_s,
            data_s=closed_s + certify_seconds if self.committee else proposed_s,
            proposed_s=proposed_s,
            final_s=0.0,
            propose_gas=receipt.gas_used,
            final_gas=0,
            calldata_bytes=self.calldata_bytes(receipt),
            transcript_bytes=len(transcript),
            body_cells=len(batch.body_words),
            blobs=len(blobs),
            prove_cpu_seconds=0.0,
            certify_seconds=certify_seconds,
        )

    def calldata_bytes(self, receipt: Receipt) -> int:
        """Of a transaction."""
        return len(self.network.client.rpc.transaction(receipt.transaction_hash)["input"]) // 2 - 1

    def inputs_of(self, epoch: int) -> bytes:
        """What the oracles publish of it."""
        return next(signed.inputs for signed in self.flow.epochs if signed.epoch == epoch)

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

    def prove(self, cost: BatchCost, made: ProveResult | None = None) -> BatchCost:
        """The newest proposal, which was this one; `made`: its proof, if somebody has made it, for as long as it took."""
        batch = self.posted[-1]
        if made is None:
            made = self.prover.prove(batch.witness)
            self.proof_seconds.append(made.wall_seconds)
        self.await_proof(cost.closed_s, cost.proposed_s, made)
        receipt = self.network.client.prove(self.sender, batch, made.proof)
        return replace(cost, final_s=self.clock.time_of(receipt), final_gas=receipt.gas_used, prove_cpu_seconds=made.cpu_seconds)

    def await_proof(self, closed_s: float, proposed_s: float, made: ProveResult) -> None:
        """Layer 1 has come to the moment at which the prover, busy with the proofs before it, has made this one."""
        self._prover_free_s = max(self._prover_free_s, closed_s) + made.wall_seconds
        self.clock.reach(max(self._prover_free_s, proposed_s + 1))

    def _finalise(self, cost: BatchCost) -> BatchCost:
        window = self.network.client.clock("CHALLENGE_WINDOW_S")
        batch = next(each for each in self.posted if each.effects.batch_number == cost.number)
        self.clock.reach(cost.proposed_s + window + 1)
        receipt = self.network.client.finalise(self.sender, batch, astuple(batch.witness.public))
        return replace(cost, final_s=self.clock.time_of(receipt), final_gas=receipt.gas_used)


@contextmanager
def set_back(rpc: Rpc) -> Iterator[None]:
    """Whatever happens to layer 1 inside is undone."""
    kept = rpc.call("evm_snapshot", [])
    try:
        yield
    finally:
        rpc.call("evm_revert", [kept])
