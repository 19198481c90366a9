"""Real batches of the nano preset through the real contracts: deposit and key, then a withdrawal, proved by the real prover. And every replay and forgery
that needs no more than a valid proof at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from eth_utils.crypto import keccak

from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root
from straddle.core.capacity import Capacity
from straddle.core.commands import InternalEpoch, InternalList, L1Deposit, L1SetKey, L2Withdraw
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.messages import MessageKind, domain, signed_words, withdrawal_payload
from straddle.core.params import Params
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.state import Exchange, close_batch
from straddle.l1.contracts import load
from straddle.primitives.keys import SecretKey
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.keys import Proof
from straddle.proving.presets import load_preset
from straddle.proving.prover import Prover, find_binary
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.transition import transition

pytestmark = pytest.mark.slow

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
ALICE, EVE, BENEFICIARY = ("0x" + f"{n:040x}" for n in (0xA11CE, 0xE7E, 0xBE4EF))
USDC = 1_000_000
KEY = SecretKey(0xA1B2C3D4E5F6)
PERPETUAL = Instrument(1, Kind.PERPETUAL, BTC, NEVER_MS, 0, 50, 10, 10**6)


@dataclass
class Stage:
    """An exchange on a chain, its engine, and two proved batches that nobody has posted yet."""

    exchange: object
    batches: list[PostedBatch]
    proofs: list[Proof]


@pytest.fixture(scope="module")
def prover() -> Prover:
    if find_binary() is None:
        pytest.skip("straddle-prover is not built (make setup): no real proof was tried")
    return Prover()


@pytest.fixture(scope="module")
def verifying_key(prover):
    return prover.setup("nano")


@pytest.fixture(scope="module")
def proofs() -> dict[bytes, Proof]:
    """Proofs by header hash: chains are deterministic, so that each test posts the same batches."""
    return {}


@pytest.fixture
def stage(chain, new_exchange, verifying_key, prover, proofs) -> Stage:
    key = verifying_key
    verifier = chain.deploy(load("Groth16Verifier"), key.alpha, key.beta, key.gamma, key.delta, key.k, key.pedersen_g, key.pedersen_g_sigma_neg)
    assert chain.call(verifier, "vk_id") == key.id
    preset = load_preset("nano")
    params = Params(preset.account_depth, preset.slot_depth, 10_000, 8_000, risk_digest=12345)
    operator = 0x0FE2 << 128
    committed = CommittedState.genesis(params, operator)
    facts = {"genesis_root": committed.root, "params_hash": params_hash(params), "operator": f"0x{operator:040x}"}
    exchange = new_exchange(chain, verifier_contract=verifier, size="nano", **facts)
    word = domain(chain.chain_id, int(exchange.rollup.address, 16))
    capacity = Capacity.of_preset({name: getattr(preset, name) for name in Capacity.__slots__})
    engine = Exchange.genesis(domain=word, operator=operator, params=params, capacity=capacity)
    owner = int(ALICE, 16)
    exchange.deposit(ALICE, 50 * USDC)
    exchange.send(ALICE, "set_key", 3, tuple(KEY.public), tuple(KEY.base), value_wei=exchange.config.request_fee_wei)
    table = RiskTable(1, chain.time_s * 1000, 900_000, (RiskRow(1, NEVER_MS, True, 900_000, 0, 90_000, 9_000, 4_500, 9_000, 4_500, (0,) * SCENARIOS),))

    def run(command):
        outcome = transition(engine, command)
        assert outcome.accepted, outcome.rejection

    batches: list[PostedBatch] = []
    parent = exchange.headers[0]

    def close():
        nonlocal parent
        facts = ChainFacts(chain.chain_id, int(exchange.rollup.address, 16), key.id, parent, int(BENEFICIARY, 16))
        batch = close_batch(engine)
        batches.append(build_witness(committed, batch, preset, HeaderFacts(word, 99), facts))
        committed.apply_batch(batch)
        parent = batches[-1].header_hash

    run(InternalList((PERPETUAL,)))
    run(InternalEpoch(table))
    run(L1Deposit(0, 3, owner, 50 * USDC))
    run(L1SetKey(1, 3, owner, KEY.public))
    close()
    signature = KEY.sign(signed_words(word, MessageKind.WITHDRAWAL, 3, 1, withdrawal_payload(1, 20 * USDC)))
    run(L2Withdraw(3, 1, 1, 20 * USDC, signature))
    close()
    exchange.submit_epoch(risk_root=risk_root(committed.listings_root, table.rows), time_ms=table.time_ms)
    for batch in batches:
        if batch.header_hash not in proofs:
            proofs[batch.header_hash] = prover.prove(batch.witness).proof
    return Stage(exchange, batches, [proofs[batch.header_hash] for batch in batches])


def data(batch: PostedBatch) -> tuple[bytes, bytes]:
    return tuple(b"".join(word.to_bytes(32, "big") for word in words) for words in (batch.effects_words, batch.body_words))


def post(stage: Stage, number: int, proof: Proof | None = None, words=None, public=None, beneficiary: str = BENEFICIARY):
    """Proves batch `number`, which is proposed, with changes."""
    batch, proof = stage.batches[number - 1], proof or stage.proofs[number - 1]
    c, z, y_effects, y_body, _ = public or proof.public
    _, body = data(batch)
    return stage.exchange.send(EVE, "prove", data(batch)[0], (keccak(body), c, z, y_effects, y_body), list(words or proof.words), beneficiary)


def propose(stage: Stage, number: int) -> None:
    batch = stage.batches[number - 1]
    receipt = stage.exchange.send(stage.exchange.sequencer, "propose", *data(batch), batch.witness.public.c)
    assert receipt.log("BatchProposed")["header_hash"] == batch.header_hash


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


def test_money_goes_in_and_out(stage):
    exchange = stage.exchange
    propose(stage, 1)
    propose(stage, 2)
    post(stage, 1)
    receipt = post(stage, 2)
    assert receipt.log("BatchFinalised")["beneficiary"] == BENEFICIARY
    assert exchange.read("state_root") == stage.batches[1].effects.new_state_root
    assert exchange.chain.send(ALICE, exchange.vault, "pull").result == 20 * USDC
    assert exchange.chain.call(exchange.token, "balanceOf", ALICE) == 20 * USDC
    assert exchange.chain.call(exchange.vault, "rows", exchange.rollup.address) == 30 * USDC


def test_both_at_once(stage):
    for batch, proof in zip(stage.batches, stage.proofs, strict=True):
        stage.exchange.send(stage.exchange.sequencer, "propose_and_prove", *data(batch), proof.public[0], list(proof.words), BENEFICIARY)
    assert stage.exchange.read("final_batch") == 2


def test_attack_07_nothing_but_the_proof_of_this_batch_is_accepted(stage):
    propose(stage, 1)
    proof, other = stage.proofs
    for words in ([0] * 12, other.words, [*proof.words[:8], *other.words[8:]], [*other.words[:8], *proof.words[8:]]):
        with fails("invalid proof"):
            post(stage, 1, words=words)
    for i in range(12):
        # A changed coordinate is off the curve, or another point: a refusal by the verifier, or a precompile's failure (no reason).
        with pytest.raises(Exception, match=r"^(Rollup: invalid proof)?$"):
            post(stage, 1, words=[word ^ (1 if j == i else 0) for j, word in enumerate(proof.words)])
    for i in range(4):
        for change in (1, R):
            with fails("not what was proposed"):
                post(stage, 1, public=[value + change * (i == j) for j, value in enumerate(proof.public)])
    with fails("not what was proposed"):
        post(stage, 1, proof=other)
    with fails("invalid proof"):
        post(stage, 1, beneficiary=EVE)
    post(stage, 1)
    with fails("no such proposal"):
        post(stage, 1)


def test_a_proof_is_for_the_data_as_posted(stage):
    """Each word of effects and body, changed by the sequencer in `propose_and_prove`, and cells that it leaves out or adds."""
    batch, proof, exchange = stage.batches[0], stage.proofs[0], stage.exchange
    effects, body = list(batch.effects_words), list(batch.body_words)

    def attempt(effects, body, c=proof.public[0]):
        changed = replace(batch, effects_words=tuple(effects), body_words=tuple(body))
        with pytest.raises(Exception, match=r"^Rollup: "):
            exchange.send(exchange.sequencer, "propose_and_prove", *data(changed), c, list(proof.words), BENEFICIARY)

    for i in range(len(effects)):
        attempt([word ^ (i == j) for j, word in enumerate(effects)], body)
    for i in range(len(body)):
        attempt(effects, [word ^ (i == j) for j, word in enumerate(body)])
    attempt(effects, body[:-1])
    attempt(effects, [*body, 0])
    attempt(effects, body, c=proof.public[0] + 1)
    exchange.send(exchange.sequencer, "propose_and_prove", *data(batch), proof.public[0], list(proof.words), BENEFICIARY)


def test_a_proof_is_for_one_rollup(stage, chain, new_exchange):
    """The same batch, put to a twin with the same genesis, names another domain; and with the twin's domain it is another statement."""
    config = stage.exchange.config
    twin = new_exchange(
        chain, token=stage.exchange.token, verifier_contract=stage.exchange.verifier, genesis_root=config.genesis_root, params_hash=config.params_hash,
        operator=config.operator, size="nano",
    )  # fmt: skip
    batch, proof = stage.batches[0], stage.proofs[0]
    twin.deposit(ALICE, 50 * USDC)
    twin.send(ALICE, "set_key", 3, tuple(KEY.public), tuple(KEY.base), value_wei=config.request_fee_wei)
    twin.submit_epoch(risk_root=batch.effects.risk_root, time_ms=batch.effects.time_ms)
    with fails("wrong domain"):
        twin.send(twin.sequencer, "propose_and_prove", *data(batch), proof.public[0], list(proof.words), BENEFICIARY)
    moved = replace(batch, effects_words=(twin.read("domain"), *batch.effects_words[1:]))
    with fails("invalid proof"):
        twin.send(twin.sequencer, "propose_and_prove", *data(moved), proof.public[0], list(proof.words), BENEFICIARY)
