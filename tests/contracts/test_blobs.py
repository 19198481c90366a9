"""Bodies in blobs: `propose_blob` takes the value of the transaction's first blob at z from the point-evaluation precompile, and nothing else."""

from __future__ import annotations

import pytest

from straddle.commitments import blob
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place, challenge
from straddle.commitments.policy import Data

USDC = 1_000_000
ALICE, BOB, EVE = ("0x" + "00" * 18 + f"{n:04x}" for n in (0xA1, 0xB0, 0xE7))
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
BODY = (5, 6, R - 1)


def fails(reason: str):
    return pytest.raises(Exception, match=f"^Rollup: {reason}$")


@pytest.fixture
def x(chain, new_exchange):
    exchange = new_exchange(chain, data=2)
    exchange.deposit(ALICE, 100 * USDC)
    exchange.submit_epoch()
    return exchange


def parts(x, batch):
    """Effects, C, commitment, proof, value, versioned hash of the honest call."""
    _, (effects, c, (commitment, proof, value)), options = x.proposal(batch)
    return effects, c, commitment, proof, value, options["blob_hashes"][0]


def post(x, effects, c, commitment, proof, value, *hashes: bytes, **options):
    return x.send(x.sequencer, "propose_blob", effects, c, (commitment, proof, value), blob_hashes=list(hashes), **options)


def test_a_batch_in_a_blob_is_proposed_and_proved(x):
    batch = x.batch(body=BODY, withdrawals=[(3, ALICE, USDC)])
    _, z, _, y_body, _ = x.public_inputs(batch, BOB)
    # The body's polynomial over BLS12-381's field, then modulo r: not its value over BN254's.
    value = sum(cell * pow(z, i, blob.BLOB_MODULUS) for i, cell in enumerate(BODY, 1)) % blob.BLOB_MODULUS
    assert y_body == value % R
    assert value >= R, "take other cells: these do not tell the value from its remainder"
    x.propose(batch)
    assert x.read("batch", 1)[0] == x.headers[1]
    x.prove(batch, BOB)
    assert x.chain.call(x.vault, "claimable", ALICE) == USDC
    x.propose_and_prove(x.batch(body=(1, 2)))
    assert x.read("final_batch") == 2


def test_only_the_first_blob_is_the_body(x):
    """The others are the transcript's, where the contract does not look."""
    batch = x.batch(body=BODY)
    *call, versioned_hash = parts(x, batch)
    with fails("the blob does not have this value"):
        post(x, *call, b"\1" + bytes(31), versioned_hash)
    post(x, *call, versioned_hash, b"\1" + bytes(31))
    x.note(batch)
    x.prove(batch)


@pytest.mark.parametrize("which", ["commitment", "proof", "value", "value + order", "blob", "batch", "c", "effects", "short", "long"])
def test_attack_02_nothing_but_this_blobs_value_at_z_is_taken(x, which):
    """z binds everything that is fixed before: with any of it changed, the opening is for another point."""
    batch = x.batch(body=BODY)
    effects, c, commitment, proof, value, versioned_hash = parts(x, batch)
    other = blob.open_blob(blob.cells_blob((9, 9)), 12345)
    if which == "commitment":
        commitment = other.commitment
    elif which == "proof":
        proof = other.proof
    elif which == "value":
        value += 1
    elif which == "value + order":
        value += blob.BLOB_MODULUS
    elif which == "blob":
        versioned_hash = blob.versioned_hash(other.commitment)
    elif which == "batch":
        effects, _, commitment, proof, value, _ = parts(x, x.batch(body=BODY, new_root=31))
        effects = parts(x, batch)[0]
    elif which == "c":
        c += 1
    elif which == "effects":
        effects = parts(x, x.batch(body=BODY, new_root=31))[0]
    elif which == "short":
        proof = proof[:47]
    elif which == "long":
        # Together as long as they should be, but split elsewhere: the same bytes, so the same opening. The blob's name still comes from the transaction.
        commitment, proof = commitment[:47], commitment[47:] + proof[:47]
    with fails("the blob does not have this value"):
        post(x, effects, c, commitment, proof, value, versioned_hash)


def test_a_transaction_without_a_blob_is_refused(x):
    batch = x.batch(body=BODY)
    *call, _ = parts(x, batch)
    with fails("the transaction has no blob"):
        post(x, *call)


def test_attack_07_with_little_gas_nothing_passes(x):
    """At every gas limit the call either does all or nothing: a precompile that fails for want of gas is not a precompile that agrees. A wrong opening
    passes at none."""
    batch = x.batch(body=BODY)
    *call, versioned_hash = parts(x, batch)
    wrong = [*call[:4], call[4] + 1]
    full = None
    for gas in range(60_000, 400_000, 5_000):
        with pytest.raises(Exception):  # noqa: B017 (out of gas has no reason)
            post(x, *wrong, versioned_hash, gas=gas)
        assert x.read("proposed_batch") == 0
        try:
            post(x, *call, versioned_hash, gas=gas)
        except Exception:
            assert x.read("proposed_batch") == 0
            continue
        full = gas
        break
    assert full is not None
    assert x.read("batch", 1)[0] == x.header_hash(batch)


def test_the_other_ways_are_closed(x, exchange, chain, new_exchange):
    batch = x.batch(body=BODY)
    with fails("the body must be a blob"):
        x.send(x.sequencer, "propose", batch.effects_bytes, batch.body_bytes, batch.c)
    with fails("no committee"):
        x.send(x.sequencer, "propose_certified", batch.effects_bytes, batch.c, [])
    effects, c, *opening, versioned_hash = parts(x, batch)
    for other in (exchange, new_exchange(chain, data=3), new_exchange(chain, policy=2)):
        with fails("no blobs here"):
            other.send(other.sequencer, "propose_blob", effects, c, tuple(opening), blob_hashes=[versioned_hash], value_wei=other.config.proposer_bond_wei)


def test_attack_05_the_place_of_the_body_changes_the_challenge(x):
    """The same word as a body's hash in calldata, as a blob's name, or the zero of a committee: three challenges."""
    batch = x.batch(body=BODY)
    fixed = (1, int(x.rollup.address, 16), bytes(32), 1, x.headers[0], batch.effects, batch.body, batch.c)
    calldata = challenge(*fixed, IN_CALLDATA)
    places = [Place(Data.BLOB, IN_CALLDATA.word(batch.body)), Place(Data.BLOB, bytes(32)), WITH_COMMITTEE]
    assert len({calldata, *(challenge(*fixed, place) for place in places)}) == 4
