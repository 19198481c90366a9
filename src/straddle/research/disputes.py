"""The optimistic rollup's other ways: a proof before the window ends, an honest batch that is challenged, and a wrong one. All start from the first
batch with trades, whose predecessors were proven early; layer 1 is set back after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from straddle.commitments.challenge import Place
from straddle.commitments.policy import Data
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Receipt, Sender
from straddle.node.traders import wallet_of
from straddle.primitives.field import MODULUS
from straddle.proving.prover import ProveResult
from straddle.proving.transcript import encode
from straddle.proving.vector import PostedBatch
from straddle.research.contract_constants import contract_constant
from straddle.research.model import Clocks, Dispute, Waits
from straddle.research.settling import Settler, set_back

BONDS = "modules/bonds.vy"


def clocks_of(client: RollupClient) -> Clocks:
    """Of an optimistic rollup: from its deployment, and from the sources of its contract."""
    config = client.deployment.config
    return Clocks(
        config.challenge_window_s,
        contract_constant(BONDS, "ANSWER_TIME_S"),
        config.proving_allowance_s,
        contract_constant(BONDS, "MAX_ALLOWANCE_S"),
        contract_constant("Rollup.vy", "MAX_SLOTS") - 1,
        config.proposer_bond_wei,
        config.challenger_bond_wei,
        contract_constant(BONDS, "PROOF_GAS"),
        contract_constant(BONDS, "PROOF_WORK_WEI"),
    )


@dataclass(frozen=True, slots=True)
class WrongBatch:
    """A batch whose new state root is another than its data lead to."""

    effects_words: Sequence[int]
    body_words: Sequence[int]
    place: Place

    @classmethod
    def of(cls, batch: PostedBatch) -> WrongBatch:
        """The honest batch with its new root one off."""
        words = list(batch.effects_words)
        words[3] = (words[3] + 1) % MODULUS
        return cls(tuple(words), batch.body_words, batch.place)


@dataclass(frozen=True, slots=True)
class _Course:
    """What happened after the proposal."""

    receipts: Sequence[Receipt]
    challenged: bool
    proven: bool


@dataclass(slots=True)
class Disputes:
    """`settler` of an optimistic rollup with calldata on which nothing is proposed yet; afterwards nothing is, again."""

    settler: Settler

    def measure(self) -> tuple[Dispute, ...]:
        """Each case once. Proofs: of the first batch with trades, and of those before it."""
        settler, client = self.settler.fork(), self.settler.network.client
        with set_back(client.rpc):
            place = settler.flow.first_trading
            for earlier in range(place):
                settler.prove(settler.propose(earlier))
            settler.arrive(place)
            batch = settler.bind(place)
            made = settler.prover.prove(batch.witness)
            cases = [_Case(settler.fork(), batch, made, place) for _ in range(3)]
            self.settler.proof_seconds += [*settler.proof_seconds, made.wall_seconds]
            return (
                cases[0].measure("early proof", cases[0].prove_early),
                cases[1].measure("honest batch challenged", cases[1].challenge_honest),
                cases[2].measure("fraud challenged", cases[2].challenge_fraud),
            )


@dataclass(slots=True)
class _Case:
    """One course of the batch at `place`, whose predecessors are final."""

    settler: Settler
    batch: PostedBatch
    made: ProveResult
    place: int

    def measure(self, name: str, run: Callable[[Sender, float], _Course]) -> Dispute:
        """Wei are what each may collect at the end, less what it paid in. The prover is a party of its own: the batch's beneficiary is the sequencer only
        where nobody else proves, so its gain is what exceeds the proposer's bond."""
        network, flow = self.settler.network, self.settler.flow
        client, config = network.client, network.deployment.config
        wallet = wallet_of(network.config.seed, "challenger")
        with set_back(client.rpc):
            network.anvil.fund(wallet.address)
            owed = client.wei_owed(network.sequencer.address)
            proposal = self._propose(WrongBatch.of(self.batch) if name.startswith("fraud") else self.batch)
            begun = self.settler.clock.time_of(proposal)
            course = run(Sender(client.rpc, bytes(wallet.key)), begun)
            ended = self.settler.clock.time_of(course.receipts[-1])
            sequencer, challenger = client.wei_owed(network.sequencer.address) - owed, client.wei_owed(wallet.address)
            closed = flow.closed[self.place].batch
            return Dispute(
                name=name,
                trades=flow.trades[closed.number],
                propose_gas=proposal.gas_used,
                gas=sum(receipt.gas_used for receipt in course.receipts),
                seconds=ended - begun,
                to_final=Waits.of([ended - moment for moment in flow.moments_s(closed)]) if course.proven else None,
                prove_cpu_seconds=self.made.cpu_seconds if course.proven else 0.0,
                proposer_wei=min(sequencer, config.proposer_bond_wei) - config.proposer_bond_wei,
                challenger_wei=challenger - config.challenger_bond_wei * course.challenged,
                prover_wei=max(0, sequencer - config.proposer_bond_wei),
            )

    def prove_early(self, challenger: Sender, begun: float) -> _Course:
        """The proof is begun when the batch is complete and those before it are proven, and posted when it is made."""
        settler = self.settler
        settler.await_proof(settler.flow.ends_ms[self.batch.effects.batch_number] / 1_000, begun, self.made)
        return _Course([settler.network.client.prove(settler.sender, self.batch, self.made.proof)], challenged=False, proven=True)

    def challenge_honest(self, challenger: Sender, begun: float) -> _Course:
        """Challenged in the last second of the window, proved in the last second of the answer's time."""
        client, clock = self.settler.network.client, self.settler.clock
        clock.pass_to(int(begun) + client.clock("CHALLENGE_WINDOW_S") - 1)
        challenged = client.challenge(challenger, self.batch.effects.batch_number)
        clock.pass_to(client.stake(self.batch.effects.batch_number).due_s - 1)
        return _Course([challenged, client.prove(self.settler.sender, self.batch, self.made.proof)], challenged=True, proven=True)

    def challenge_fraud(self, challenger: Sender, begun: float) -> _Course:
        """A watcher challenges within a minute; nobody can prove."""
        client, clock, number = self.settler.network.client, self.settler.clock, self.batch.effects.batch_number
        clock.reach(begun + 60)
        challenged = client.challenge(challenger, number)
        clock.pass_to(client.stake(number).due_s + 1)
        return _Course([challenged, client.void(challenger, number)], challenged=True, proven=False)

    def _propose(self, batch: PostedBatch | WrongBatch) -> Receipt:
        """With the transcript, as every optimistic batch."""
        assert batch.place.data is Data.CALLDATA
        client, witness = self.settler.network.client, self.batch.witness
        return client.propose(self.settler.sender, batch, witness.public.c, transcript=encode(witness))
