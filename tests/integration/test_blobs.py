"""A ZK rollup with its data in blobs on a real chain: proposed with a blob, proved with the circuit that opens it, read back from the blob, rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from support.loop import open_loop

from straddle.commitments.blob import blob_hash, blobs_bytes, cells_blob, open_blob
from straddle.commitments.body import decode_body
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.risk import risk_root
from straddle.core.capacity import Capacity
from straddle.core.commands import InternalEpoch, InternalList, L1Deposit, L1SetKey
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.messages import domain
from straddle.core.params import Params
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.state import Exchange, close_batch
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.blobs import BLOB_GAS, AnvilBlobs, BlobArchive, FirstOf
from straddle.l1.deploying import CircuitKeys, deploy
from straddle.l1.deployment import Deployment, RollupConfig
from straddle.l1.history import read_history
from straddle.l1.rollup import RollupClient, sign_epoch, words_bytes
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Receipt, Sender
from straddle.node.terms import PolicyTerms
from straddle.node.verify import verify
from straddle.primitives.keys import SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.keys import VerifyingKey
from straddle.proving.presets import load_preset
from straddle.proving.prover import Prover, ProverError
from straddle.proving.vector import ChainFacts, PostedBatch, bind
from straddle.transition import transition

pytestmark = pytest.mark.slow

PRESET = load_preset("nano")
PARAMS = Params(PRESET.account_depth, PRESET.slot_depth, 10_000, 8_000, risk_digest=12345)
ORACLES = [keccak(b"oracle %d" % i) for i in range(3)]
GENESIS_S = 1_590_105_600
USDC = 1_000_000
KEY = SecretKey(0xA1B2C3D4E5F6)
PERPETUAL = Instrument(1, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 10**6)
BENEFICIARY = 0xBE4EF


@dataclass
class Stage:
    """A rollup with a recorded epoch, and its first batch, not yet proposed."""

    anvil: Anvil
    deployment: Deployment
    client: RollupClient
    sequencer: Sender
    batch: PostedBatch
    facts: ChainFacts

    @property
    def blob(self) -> bytes:
        return cells_blob(self.batch.body_words)

    def propose(self, batch: PostedBatch | None = None, blob: bytes | None = None, **changes) -> Receipt:
        batch = batch or self.batch
        opening = replace(batch.opening, **changes)
        return self.client.propose(self.sequencer, batch, batch.witness.public.c, opening=opening, blobs=[blob or self.blob])


@pytest.fixture(scope="module")
def prover() -> Prover:
    try:
        find_anvil()
        return Prover()
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


@pytest.fixture(scope="module")
def verifying_key(prover: Prover) -> VerifyingKey:
    return prover.setup("nano-blob")


def people(anvil: Anvil) -> dict[str, Sender]:
    found = {name: Sender(anvil.rpc, keccak(name.encode())) for name in ("deployer", "sequencer", "alice", "operator")}
    for person in found.values():
        anvil.fund(person.address)
    return found


@pytest.fixture(scope="module")
def stage(verifying_key: VerifyingKey) -> Iterator[Stage]:
    with Anvil(GENESIS_S) as anvil:
        who = people(anvil)
        operator = int(who["operator"].address, 16)
        committed = CommittedState.genesis(PARAMS, operator)
        config = RollupConfig(
            sequencer=who["sequencer"].address,
            operator=who["operator"].address,
            oracles=tuple(sorted((Account.from_key(key).address for key in ORACLES), key=lambda address: int(address, 16))),
            threshold=2,
            genesis_root=committed.root,
            params_hash=params_hash(PARAMS),
            account_depth=PRESET.account_depth,
            queue_rows=PRESET.queue,
            withdrawal_rows=PRESET.withdrawals,
            body_cells=PRESET.body_words,
            data=Data.BLOB,
        )
        deployment = deploy(anvil.rpc, who["deployer"], CircuitKeys(verifying_key), config)
        client = RollupClient(anvil.rpc, deployment)
        batch, facts = first_batch(anvil, client, who["alice"], committed, operator)
        yield Stage(anvil, deployment, client, who["sequencer"], batch, facts)


def first_batch(anvil: Anvil, client: RollupClient, alice: Sender, committed: CommittedState, operator: int) -> tuple[PostedBatch, ChainFacts]:
    """A deposit, a key, a listing and an epoch, on layer 1 and in the engine."""
    deployment = client.deployment
    word = domain(deployment.chain_id, deployment.rollup_number)
    client.mint(alice, alice.address, 50 * USDC)
    account = client.deposit(alice, 50 * USDC).account
    client.set_key(alice, account, KEY.public, KEY.base)
    capacity = Capacity.of_preset({name: getattr(PRESET, name) for name in Capacity.__slots__})
    engine = Exchange.genesis(domain=word, operator=operator, params=PARAMS, capacity=capacity)
    row = RiskRow(1, NEVER_MS, True, 900_000, 0, 90_000, 9_000, 4_500, 9_000, 4_500, (0,) * SCENARIOS)
    table = RiskTable(1, anvil.time_s() * 1000, 900_000, (row,))
    owner = int(alice.address, 16)
    commands = (InternalList((PERPETUAL,)), InternalEpoch(table), L1Deposit(0, account, owner, 50 * USDC), L1SetKey(1, account, owner, KEY.public))
    for command in commands:
        outcome = transition(engine, command)
        assert outcome.accepted, outcome.rejection
    facts = ChainFacts(deployment.chain_id, deployment.rollup_number, deployment.vk_id, client.header_hash(0), BENEFICIARY, Data.BLOB)
    batch = build_witness(committed, close_batch(engine), PRESET, HeaderFacts(word, 99), facts)
    committed.apply_data(batch.effects, batch.body, batch.effects.queue)
    root = risk_root(committed.listings_root, table.rows)
    digest = client.epoch_digest(1, table.time_ms, root, b"feeds")
    client.submit_epoch(alice, 1, table.time_ms, root, b"feeds", sign_epoch(digest, ORACLES[:2]))
    return batch, facts


def refuses(reason: str):
    return pytest.raises(Reverted, match=f"reverted: {reason}")


def test_layer_1_takes_only_the_blob_that_was_opened(stage: Stage) -> None:
    wrong = refuses("Rollup: the blob does not have this value")
    opening = stage.batch.opening
    assert opening is not None
    with wrong:
        stage.propose(y=opening.y ^ 1)
    with wrong:
        stage.propose(proof=opening.commitment)
    other = cells_blob([*stage.batch.body_words, 1])
    with wrong:  # the hash in z is that of the blob sent
        stage.propose(blob=other)
    with wrong:
        stage.propose(commitment=open_blob(other, 1).commitment)
    with refuses("Rollup: "):  # no blob at all
        call = stage.client._rollup.encode_call(
            "propose_blob", words_bytes(stage.batch.effects_words), stage.batch.witness.public.c, (opening.commitment, opening.proof, opening.y)
        )
        stage.sequencer.send(stage.deployment.rollup, call)
    with refuses("Rollup: "):  # in calldata, the same batch
        call = stage.client._rollup.encode_call(
            "propose", words_bytes(stage.batch.effects_words), words_bytes(stage.batch.body_words), stage.batch.witness.public.c
        )
        stage.sequencer.send(stage.deployment.rollup, call)
    assert stage.client.proposed_batch() == 0


def test_another_circuit_does_not_take_the_batch(stage: Stage, prover: Prover) -> None:
    """The solver, without proofs: the blob's statement for the blob, the calldata statement for calldata, neither for the other."""
    in_calldata = bind(stage.batch.witness, PRESET, replace(stage.facts, data=Data.CALLDATA)).witness
    in_blob = stage.batch.witness
    honest = prover.check_many([in_blob, in_calldata])
    assert [result.ok for result in honest] == [True, True]
    swapped = prover.check_many([replace(in_blob, preset="nano"), replace(in_calldata, preset="nano-blob")])
    assert [(result.ok, result.solver) for result in swapped] == [(False, False)] * 2
    assert "public.y_body" in swapped[0].error


def test_a_batch_in_a_blob_becomes_final_and_is_read_back(stage: Stage, prover: Prover, tmp_path: Path) -> None:
    receipt = stage.propose()
    assert receipt.blob_gas_used == BLOB_GAS
    assert stage.client.header_hash(1) == stage.batch.header_hash
    proof = prover.prove(stage.batch.witness).proof
    changed = replace(proof, public=(*proof.public[:3], proof.public[3] ^ 1, proof.public[4]))
    with refuses("Rollup: not what was proposed"):
        stage.client.prove(stage.sequencer, stage.batch, changed)
    stage.client.prove(stage.sequencer, stage.batch, proof)
    assert stage.client.final_batch() == 1 and stage.client.state_root() == stage.batch.effects.new_state_root

    archive = BlobArchive(tmp_path)
    source = FirstOf(AnvilBlobs(stage.anvil.rpc), archive=archive)
    history = read_history(stage.anvil.rpc, stage.deployment, blobs=source)
    (read,) = history.batches
    assert read.body == (*stage.batch.body_words, *[0] * (PRESET.body_words - len(stage.batch.body_words)))
    state = CommittedState.genesis(PARAMS, int(stage.deployment.config.operator, 16))
    effects = decode_effects(read.effects, PRESET)
    state.apply_data(effects, decode_body(read.body, PRESET), effects.queue)
    assert state.root == stage.client.state_root()
    # And once more from the archive alone, as after the 18 days for which layer 1 keeps blobs.
    assert archive.blob(blob_hash(stage.blob), read.block_number) == stage.blob
    assert read_history(stage.anvil.rpc, stage.deployment, blobs=archive).batches == history.batches
    assert read_history(stage.anvil.rpc, stage.deployment).batches[0].body is None


def test_the_poster_puts_bodies_into_blobs_and_proves_them(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, PolicyTerms(Proofs.ALWAYS, Data.BLOB)) as loop:
        loop.poster.post()
        assert loop.client.final_batch() == len(loop.exchange.closed) >= 1
        report = verify(loop.anvil.rpc, loop.network.deployment, blobs=AnvilBlobs(loop.anvil.rpc))
        assert report.ok, report.mismatches


def test_an_optimistic_batch_has_its_transcript_in_further_blobs(prover: Prover, tmp_path: Path) -> None:
    window_s = 3_600
    with open_loop(prover, tmp_path, PolicyTerms(Proofs.WHEN_CHALLENGED, Data.BLOB, challenge_window_s=window_s)) as loop:
        loop.trade()
        assert loop.poster.advance() == []
        rpc, deployment, source = loop.anvil.rpc, loop.network.deployment, AnvilBlobs(loop.anvil.rpc)
        batches, count = read_history(rpc, deployment, blobs=source).batches, len(loop.exchange.closed)
        assert len(batches) == count >= 2
        for batch in batches:
            hashes = rpc.transaction(batch.transaction_hash)["blobVersionedHashes"]
            assert len(hashes) == 2 and batch.body is not None
            blob = source.blob(bytes.fromhex(hashes[1][2:]), batch.block_number)
            assert blobs_bytes([blob]) == batch.transcript != b""
        loop.anvil.set_time(loop.anvil.time_s() + window_s + 1)
        assert len(loop.poster.advance()) == loop.client.final_batch() == count
        report = verify(rpc, deployment, blobs=source)
        assert report.ok, report.mismatches
