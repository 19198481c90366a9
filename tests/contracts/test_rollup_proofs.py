"""Rollup: what a proof must be for, and voiding, with a mock verifier that ties a proof to its public inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.commitments import challenge

ALICE, BOB, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xE7))
USDC = 1_000_000
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
DAY_S = 86_400


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture
def ready(exchange):
    """Six deposits (nano answers four a batch), and a fresh epoch."""
    for who, amount in ((ALICE, 5), (BOB, 7), (ALICE, 1), (EVE, 2), (BOB, 3), (EVE, 4)):
        exchange.deposit(who, amount * USDC)
    exchange.submit_epoch()
    return exchange


def test_a_wrong_proof_is_refused(ready):
    batch = ready.batch()
    ready.propose(batch)
    good = ready.mock_proof(batch, EVE)
    for proof in ([0] * 12, [good[0] ^ 1, *good[1:]]):
        with fails("invalid proof"):
            ready.prove(batch, beneficiary=EVE, proof=proof)
    ready.prove(batch, beneficiary=EVE, proof=good)


def test_a_copied_proof_names_no_other_beneficiary(ready):
    batch = ready.batch()
    ready.propose(batch)
    proof = ready.mock_proof(batch, BOB)
    with fails("invalid proof"):
        ready.prove(batch, beneficiary=EVE, proof=proof, sender=EVE)
    assert ready.prove(batch, beneficiary=BOB, proof=proof, sender=EVE).log("BatchFinalised")["beneficiary"] == BOB


def test_another_batchs_proof_is_refused(ready):
    first, second = ready.batch(), None
    ready.propose(first)
    second = ready.batch()
    ready.propose(second)
    with fails("invalid proof"):
        ready.prove(first, proof=ready.mock_proof(second, "0x" + "00" * 18 + "beef"))
    ready.prove(first)
    with fails("no such proposal"):
        ready.prove(first)
    with fails("invalid proof"):
        ready.prove(second, proof=ready.mock_proof(first, "0x" + "00" * 18 + "beef"))
    ready.prove(second)


@pytest.mark.parametrize("field", range(5))
@pytest.mark.parametrize("change", [1, R])
def test_every_header_field_is_bound(ready, field, change):
    batch = ready.batch()
    ready.propose(batch)
    header = list(ready.header(batch))
    header[field] = (int.from_bytes(header[0], "big") + change).to_bytes(33, "big")[-32:] if field == 0 else header[field] + change
    with fails("not what was proposed"):
        ready.send(EVE, "prove", batch.effects_bytes, tuple(header), ready.mock_proof(batch, EVE), EVE)


@pytest.mark.parametrize("word", range(24))
def test_every_word_of_the_effects_is_bound(ready, word):
    """At `prove` by the header hash; at `propose_and_prove` by the checks or by the public inputs."""
    batch = ready.batch(withdrawals=[(3, ALICE, USDC)])
    proof = ready.mock_proof(batch, EVE)
    changed = replace(batch, effects=[*batch.effects[:word], batch.effects[word] ^ 1, *batch.effects[word + 1 :]])
    with fails("[^:]*"):
        ready.send(ready.sequencer, "propose_and_prove", changed.effects_bytes, changed.body_bytes, changed.c, proof, EVE)
    ready.propose(batch)
    reason = "no such proposal" if word == 1 else "not what was proposed"
    with fails(reason):
        ready.send(EVE, "prove", changed.effects_bytes, ready.header(batch), proof, EVE)
    with fails(reason):
        ready.send(EVE, "prove", changed.effects_bytes, ready.header(changed), ready.mock_proof(changed, EVE), EVE)


def test_effects_cut_short_at_prove_are_refused(ready):
    batch = ready.batch(withdrawals=[(3, ALICE, USDC)])
    ready.propose(batch)
    for effects in (b"", batch.effects_bytes[:-32], batch.effects_bytes[:-64], batch.effects_bytes + b"\0" * 32):
        with fails("wrong effects length"):
            ready.send(EVE, "prove", effects, ready.header(batch), ready.mock_proof(batch, EVE), EVE)


@pytest.mark.parametrize("change", ["cell", "zero cell more", "zero cell fewer", "c"])
def test_body_and_commitment_are_bound(ready, change):
    batch = ready.batch(body=[5, 6, 0])
    changed = replace(
        batch,
        body={"cell": [5, 7, 0], "zero cell more": [5, 6, 0, 0], "zero cell fewer": [5, 6], "c": batch.body}[change],
        c=batch.c + (change == "c"),
    )
    proof = ready.mock_proof(batch, EVE)
    with fails("invalid proof"):
        ready.send(ready.sequencer, "propose_and_prove", changed.effects_bytes, changed.body_bytes, changed.c, proof, EVE)


def test_the_challenge_depends_on_the_rollup_and_the_parent(ready, chain, new_exchange):
    twin = new_exchange(chain)
    batch = ready.batch()
    here = ready.public_inputs(batch, EVE)
    assert here[1] != twin.public_inputs(batch, EVE)[1]
    assert here[1] != ready.public_inputs(batch, EVE, parent=challenge.genesis_header_hash(5))[1]


# ---------------------------------------------------------------- void


def test_void_waits_for_the_window(ready):
    with fails("no such proposal"):
        ready.void()
    ready.propose(ready.batch())
    ready.chain.warp(DAY_S)
    with fails("proving window is open"):
        ready.void()
    ready.chain.warp(1)
    assert ready.void().log("BatchesVoided") == {"first": 1, "last": 1}


def test_void_takes_the_descendants_and_restores_the_queue(ready):
    doomed = []
    for withdrawals in ([], [(3, ALICE, USDC)], []):
        doomed.append(ready.batch(withdrawals=withdrawals))
        ready.propose(doomed[-1])
        ready.chain.warp(100)
    ready.chain.warp(DAY_S - 299)
    assert ready.void().log("BatchesVoided") == {"first": 1, "last": 3}
    assert (ready.read("proposed_batch"), ready.read("final_batch"), ready.read("state_root")) == (0, 0, ready.config.genesis_root)
    for batch in doomed:
        with fails("no such proposal" if batch.number == 1 else "not the oldest unproved proposal"):
            ready.send(EVE, "prove", batch.effects_bytes, (b"\0" * 32, 0, 0, 0, 0), [0] * 12, EVE)
    ready.submit_epoch()
    again = ready.batch(new_root=2001, withdrawals=[(3, ALICE, USDC)])
    assert again.effects[9] == 4 << 64
    ready.propose(again)
    with fails("not what was proposed"):
        ready.send(EVE, "prove", doomed[0].effects_bytes, ready.header(doomed[0]), ready.mock_proof(doomed[0], EVE), EVE)
    ready.prove(again)
    assert ready.chain.call(ready.vault, "claimable", ALICE) == USDC


def test_void_leaves_proven_batches_and_their_children_start_over(ready):
    first = ready.batch()
    ready.propose(first)
    ready.chain.warp(100)
    second = ready.batch()
    ready.propose(second)
    ready.prove(first)
    ready.chain.warp(DAY_S - 99)
    with fails("proving window is open"):
        ready.void()
    ready.chain.warp(100)
    assert ready.void().log("BatchesVoided") == {"first": 2, "last": 2}
    assert ready.read("state_root") == 1001
    ready.submit_epoch()
    again = ready.batch()
    assert again.effects[9] == 4 | 2 << 64
    ready.propose_and_prove(again)


def test_a_late_proof_counts_until_somebody_voids(ready):
    batch = ready.batch()
    ready.propose(batch)
    ready.chain.warp(2 * DAY_S)
    ready.prove(batch)
    with fails("no such proposal"):
        ready.void()
