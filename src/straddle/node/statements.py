"""Proofs of the exit and solvency statements for a contract that stands on layer 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from straddle.commitments.chunk import ChunkOpening
from straddle.commitments.holdings import HoldingsPreset
from straddle.core.risk_table import RiskTable
from straddle.l1.deployment import Deployment, DeploymentError, StatementContract
from straddle.node.proving_keys import held_key
from straddle.proving.holdings import HoldingsFacts, PostedHoldings, post_holdings
from straddle.proving.keys import Proof
from straddle.proving.presets import load_holdings_preset
from straddle.proving.prover import Progress, Prover, ProveResult, WitnessFile


class WitnessProver(Protocol):
    """Who makes proofs with the keys of this machine: a Prover, or a ProvingServer of the circuit."""

    def prove(self, witness: WitnessFile, progress: Callable[[Progress], None] | None = None) -> ProveResult:
        """The proof of a witness."""


@dataclass(frozen=True, slots=True)
class StatementProver:
    """Makes the proofs that one contract takes."""

    prover: WitnessProver
    preset: HoldingsPreset
    domain: int
    facts: HoldingsFacts
    progress: Callable[[Progress], None] | None = None

    @classmethod
    def of(
        cls,
        prover: Prover,
        deployment: Deployment,
        contract: StatementContract,
        preset: str,
        kind: str,
        domain: int,
        beneficiary: str,
        progress: Callable[[Progress], None] | None = None,
    ) -> StatementProver:
        """For `contract` of a deployment with the batch preset `preset`. DeploymentError: this machine's proving key is not the contract's."""
        sizes = load_holdings_preset(preset, kind)
        if (sizes.chunk_bits, sizes.body_words) != (contract.chunk_exponent, contract.body_cells):
            found = f"2^{contract.chunk_exponent} accounts, {contract.body_cells} cells"
            raise DeploymentError(f"{kind}: the contract {contract.address} takes {found}, expected those of {sizes.name}")
        held_key(prover, sizes.name, contract.vk_id, progress)
        facts = HoldingsFacts(deployment.chain_id, deployment.rollup_number, contract.vk_id, int(beneficiary, 16))
        return cls(prover, sizes, domain, facts, progress)

    def prove(self, opening: ChunkOpening, table: RiskTable) -> tuple[PostedHoldings, Proof]:
        """The statement about a chunk on a table, with its proof. WitnessError, DataError: it cannot be proved; ProverError: the prover failed."""
        posted = post_holdings(opening, table, self.preset, self.domain, self.facts)
        return posted, self.prover.prove(posted.witness, self.progress).proof
