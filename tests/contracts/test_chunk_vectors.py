"""Real proofs of the exit and the solvency circuit, made once (native/internal/groth16fixture), before the verifier contract. No prover is needed."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from pathlib import Path

import pytest

from straddle.l1.contracts import load
from straddle.proving.holdings import HoldingsWitness
from straddle.proving.holdings_checker import check_holdings
from straddle.proving.keys import Proof, VerifyingKey
from straddle.proving.presets import load_holdings_preset

HERE = Path(__file__).parent
WITNESSES = HERE.parents[1] / "native" / "circuit" / "solvency" / "testdata"
FILES = {"nano-exit": ("nano-exit", "nano-exit-debt"), "nano-solvency": ("nano-solvency",)}


@dataclass(frozen=True)
class Vectors:
    """A key and proofs of one circuit, and the witnesses that they prove."""

    key: VerifyingKey
    proofs: list[Proof]
    witnesses: list[HoldingsWitness]


def load_vectors(circuit: str) -> Vectors:
    made = json.loads((HERE / "fixtures" / f"{circuit}.json").read_text())
    witnesses = [HoldingsWitness.from_json((WITNESSES / f"{name}.json").read_text()) for name in FILES[circuit]]
    return Vectors(VerifyingKey.from_json(made["verifying_key"]), [Proof.from_json(proof) for proof in made["proofs"]], witnesses)


def deploy(chain, key: VerifyingKey):
    return chain.deploy(load("Groth16Verifier"), key.alpha, key.beta, key.gamma, key.delta, key.k, key.pedersen_g, key.pedersen_g_sigma_neg)


def accepts(chain, verifier, words: list[int], public: list[int]) -> bool:
    """Whether the contract says True; a revert is a refusal too."""
    try:
        return chain.call(verifier, "verify", words, public)
    except Exception as error:
        assert type(error).__name__ == "Reverted"
        return False


@pytest.mark.parametrize("circuit", FILES)
def test_the_verifier_takes_the_proof_of_the_witness_and_no_other_words(chain, circuit):
    vectors = load_vectors(circuit)
    verifier = deploy(chain, vectors.key)
    assert len(vectors.proofs) == len(vectors.witnesses)
    for proof, witness in zip(vectors.proofs, vectors.witnesses, strict=True):
        assert list(proof.public) == list(astuple(witness.public))
        assert accepts(chain, verifier, list(proof.words), list(proof.public))
        for i in range(5):
            assert not accepts(chain, verifier, list(proof.words), [value + (i == j) for j, value in enumerate(proof.public)])


def test_a_proof_is_for_one_circuit(chain):
    exits, solvency = (load_vectors(circuit) for circuit in FILES)
    assert not accepts(chain, deploy(chain, exits.key), list(solvency.proofs[0].words), list(solvency.proofs[0].public))
    assert not accepts(chain, deploy(chain, solvency.key), list(exits.proofs[0].words), list(exits.proofs[0].public))


def test_a_proof_is_for_one_account(chain):
    vectors = load_vectors("nano-exit")
    verifier, (first, second) = deploy(chain, vectors.key), vectors.proofs
    assert not accepts(chain, verifier, list(first.words), list(second.public))
    assert not accepts(chain, verifier, [*first.words[:8], *second.words[8:]], list(first.public))


@pytest.mark.parametrize("circuit", FILES)
def test_the_checker_agrees_with_what_go_made(circuit):
    """Words, roots and the challenge's polynomials, written once in Go and once in Python."""
    preset = load_holdings_preset(*circuit.split("-"))
    assert [check_holdings(witness, preset) for witness in load_vectors(circuit).witnesses] == [None] * len(FILES[circuit])
