"""The optimistic rollup's other ways: a proof before the window ends, an honest batch that is challenged, and a wrong one. All start from the same first batch,
proposed on the same layer 1, which is set back after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from straddle.commitments.challenge import Place
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender
from straddle.node.traders import wallet_of
from straddle.primitives.field import MODULUS
from straddle.proving.keys import Proof
from straddle.proving.vector import PostedBatch
from straddle.research.model import Dispute
from straddle.research.settling import Settler


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


@dataclass(slots=True)
class Disputes:
    """`settler` of an optimistic rollup on which nothing is proposed yet."""

    settler: Settler
    batch: PostedBatch
    proof: Proof

    def measure(self) -> tuple[Dispute, ...]:
        """Each case once."""
        return (
            self._case("early proof", self._prove_early),
            self._case("honest batch challenged", self._challenge_honest),
            self._case("fraud challenged", self._challenge_fraud),
        )

    def _case(self, name: str, run: Callable[[Sender], tuple[list[Receipt], float]]) -> Dispute:
        """Wei are what each may collect at the end, less what it paid in. The prover is a party of its own: the batch's beneficiary is the sequencer only
        where nobody else proves, so its gain is what exceeds the proposer's bond."""
        network = self.settler.network
        client, config = network.client, network.deployment.config
        wallet = wallet_of(network.config.seed, "challenger")
        with _set_back(client.rpc):
            network.anvil.fund(wallet.address)
            receipts, seconds = run(Sender(client.rpc, bytes(wallet.key)))
            sequencer, challenger = client.wei_owed(network.sequencer.address), client.wei_owed(wallet.address)
            return Dispute(
                name=name,
                gas=sum(receipt.gas_used for receipt in receipts),
                seconds=seconds,
                proposer_wei=min(sequencer, config.proposer_bond_wei) - config.proposer_bond_wei,
                challenger_wei=challenger - config.challenger_bond_wei * (len(receipts) > 1),
                prover_wei=max(0, sequencer - config.proposer_bond_wei),
            )

    def _prove_early(self, challenger: Sender) -> tuple[list[Receipt], float]:
        begun = self._propose(self.batch)
        proved = self.settler.network.client.prove(self.settler.sender, self.batch, self.proof)
        return [proved], self.settler.clock.time_of(proved) - begun

    def _challenge_honest(self, challenger: Sender) -> tuple[list[Receipt], float]:
        """Challenged in the last second of the window, proved in the last second of the answer's time."""
        client, clock = self.settler.network.client, self.settler.clock
        begun = self._propose(self.batch)
        clock.pass_to(int(begun) + client.clock("CHALLENGE_WINDOW_S") - 1)
        challenged = client.challenge(challenger, self.batch.effects.batch_number)
        clock.pass_to(client.stake(self.batch.effects.batch_number).due_s - 1)
        proved = client.prove(self.settler.sender, self.batch, self.proof)
        return [challenged, proved], clock.time_of(proved) - begun

    def _challenge_fraud(self, challenger: Sender) -> tuple[list[Receipt], float]:
        """A watcher challenges within a minute; nobody can prove."""
        client, clock, number = self.settler.network.client, self.settler.clock, self.batch.effects.batch_number
        begun = self._propose(WrongBatch.of(self.batch))
        clock.reach(begun + 60)
        challenged = client.challenge(challenger, number)
        clock.pass_to(client.stake(number).due_s + 1)
        voided = client.void(challenger, number)
        return [challenged, voided], clock.time_of(voided) - begun

    def _propose(self, batch: PostedBatch | WrongBatch) -> float:
        client = self.settler.network.client
        return self.settler.clock.time_of(client.propose(self.settler.sender, batch, self.batch.witness.public.c))


@contextmanager
def _set_back(rpc: Rpc) -> Iterator[None]:
    """Whatever happens to layer 1 inside is undone."""
    kept = rpc.call("evm_snapshot", [])
    try:
        yield
    finally:
        rpc.call("evm_revert", [kept])
