"""Bodies with a committee: certificates over the header, and calldata after a snapshot when the quorum is away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_keys import keys
from eth_utils.crypto import keccak

from straddle.commitments.challenge import genesis_header_hash

USDC = 1_000_000
DAY_S = 86_400
SECP256K1_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ALICE, EVE, PROVER = ("0x" + "00" * 18 + f"{n:04x}" for n in (0xA1, 0xE7, 0x9407))
SIX = range(6)


def fails(reason: str, contract: str = "Rollup"):
    return pytest.raises(Exception, match=f"^{contract}: {reason}$")


@pytest.fixture
def x(chain, new_exchange):
    exchange = new_exchange(chain, data=3)
    exchange.deposit(ALICE, 100 * USDC)
    exchange.submit_epoch()
    return exchange


def certify(x, batch, certificates):
    return x.send(x.sequencer, "propose_certified", batch.effects_bytes, batch.c, certificates)


def in_calldata(x, **of_batch):
    return replace(x.batch(**of_batch), in_calldata=True)


def snapshot(x, root: int, parts: int = 1, who: str | None = None) -> None:
    for part in range(parts):
        x.chain.send(who or x.sequencer, x.committee, "post_snapshot", root, part, parts, b"state")


# ---------------------------------------------------------------- certificates


def test_a_certified_batch_is_proposed_and_proved(x):
    batch = x.batch(withdrawals=[(3, ALICE, USDC)])
    x.propose(batch)
    assert x.read("batch", 1)[0] == x.headers[1]
    x.prove(batch, PROVER)
    assert x.chain.call(x.vault, "claimable", ALICE) == USDC
    x.propose_and_prove(x.batch())
    assert x.read("final_batch") == 2


def test_the_value_of_the_body_is_the_proofs(x):
    """Layer 1 does not know the body; C, which is certified, fixes it. The proof holds for one value and no other."""
    batch = x.batch()
    x.propose(batch)
    header = x.header(batch)
    assert header[0] == bytes(32) and header[4] != 0
    for value in (0, header[4] + 1):
        with fails("invalid proof"):
            x.send(EVE, "prove", batch.effects_bytes, (*header[:4], value), x.mock_proof(batch, EVE), EVE)
    for place in range(4):
        changed = [(word if i != place else keccak(b"x") if i == 0 else word + 1) for i, word in enumerate(header)]
        with fails("not what was proposed"):
            x.send(EVE, "prove", batch.effects_bytes, tuple(changed), x.mock_proof(batch, EVE), EVE)
    x.prove(batch)


@pytest.mark.parametrize("members", [SIX, (1, 2, 3, 4, 5, 6), (0, 2, 3, 4, 5, 6), range(7)])
def test_six_of_seven_are_enough(x, members):
    batch = x.batch()
    certify(x, batch, x.certificates(batch, members))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ((), "Committee: too few certificates"),
        (range(5), "Committee: too few certificates"),
        ((0, 0, 1, 2, 3, 4), "Signers: signers must be valid and ascend strictly"),
        ((1, 0, 2, 3, 4, 5), "Signers: signers must be valid and ascend strictly"),
    ],
)
def test_fewer_repeated_or_unsorted_members_are_refused(x, members, reason):
    batch = x.batch()
    with pytest.raises(Exception, match=f"^{reason}$"):
        certify(x, batch, x.certificates(batch, members))
    assert x.read("proposed_batch") == 0


def test_a_stranger_does_not_count(x):
    batch = x.batch()
    certificates = x.certificates(batch)
    strangers = (keys.PrivateKey(keccak(b"stranger %d" % i)) for i in range(1000))
    stranger = next(key for key in strangers if key.public_key.to_canonical_address() > b"\xfc")
    signature = stranger.sign_msg_hash(x.certificate_digest(batch))
    with fails("signer is not a member", "Committee"):
        certify(x, batch, [*certificates, (signature.v + 27, signature.r, signature.s)])
    certify(x, batch, certificates)


def test_malleated_certificates_are_refused(x):
    batch = x.batch()
    certificates = x.certificates(batch)
    v, r, s = certificates[3]
    certificates[3] = (55 - v, r, SECP256K1_N - s)
    with fails("signature is malleated", "Signers"):
        certify(x, batch, certificates)


@pytest.mark.parametrize("changed", ["chain_id", "rollup", "number", "header_hash"])
def test_attack_05_a_certificate_is_for_one_header_of_one_rollup(x, changed):
    """Neither another chain's, nor another rollup's with the same committee, nor another batch's."""
    batch = x.batch()
    other = {"chain_id": 5, "rollup": x.vault.address, "number": 2, "header_hash": genesis_header_hash(5)}[changed]
    with pytest.raises(Exception, match=r"^(Committee: signer is not a member|Signers: signers must be valid and ascend strictly)$"):
        certify(x, batch, x.certificates(batch, **{changed: other}))
    certify(x, batch, x.certificates(batch))


def test_certificates_are_not_replayed(x, chain, new_exchange):
    """Over the next batch, over the same batch with another C, on a twin with the same committee."""
    batch = x.batch()
    used = x.certificates(batch)
    certify(x, batch, used)
    x.note(batch)
    second = x.batch()
    twin = new_exchange(chain, data=3, committee=x.committee.address)
    twin.deposit(ALICE, 100 * USDC)
    twin.submit_epoch()
    for exchange, replayed in ((x, second), (twin, twin.batch())):
        with pytest.raises(Exception, match=r"^(Committee: signer is not a member|Signers: signers must be valid and ascend strictly)$"):
            certify(exchange, replayed, used)
    wrong = replace(second, c=second.c + 1)
    with pytest.raises(Exception, match=r"^(Committee: signer is not a member|Signers: signers must be valid and ascend strictly)$"):
        certify(x, wrong, x.certificates(second))


def test_a_committee_that_only_says_no_is_believed(chain, new_exchange, mock):
    """A contract in the committee's place that answers False instead of reverting."""
    naysayer = chain.deploy(mock("Naysayer"))
    x = new_exchange(chain, data=3, committee=naysayer.address)
    x.submit_epoch()
    batch = x.batch()
    with fails("not certified"):
        certify(x, batch, x.certificates(batch))


# ---------------------------------------------------------------- when the quorum is away


def test_without_a_quorum_batches_go_on_in_calldata_after_a_snapshot(x):
    x.propose_and_prove(x.batch())
    batch = in_calldata(x, withdrawals=[(3, ALICE, USDC)])
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(batch)
    snapshot(x, x.roots[-1])
    x.propose(batch)
    # The next ones follow their parent's calldata, without another snapshot.
    second = in_calldata(x)
    x.propose(second)
    x.prove(batch)
    x.prove(second)
    x.propose_and_prove(in_calldata(x))
    assert (x.read("final_batch"), x.chain.call(x.vault, "claimable", ALICE)) == (4, USDC)


def test_a_certified_batch_ends_that_mode(x):
    snapshot(x, x.roots[-1])
    x.propose(in_calldata(x))
    x.propose(x.batch())
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(in_calldata(x))
    snapshot(x, x.roots[-1])
    x.propose(in_calldata(x))


def test_a_void_takes_that_mode_back(x):
    """The mode is the parent's: with the batch in calldata gone, its parent needs a snapshot again (the one from before counts)."""
    x.propose_and_prove(x.batch())
    snapshot(x, x.roots[-1])
    x.propose(in_calldata(x))
    x.chain.warp(DAY_S + 1)
    x.void()
    x.submit_epoch()
    snapshot(x, 4444)
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(in_calldata(x, new_root=5))
    snapshot(x, x.roots[-1])
    x.propose(in_calldata(x, new_root=5))


def test_the_snapshot_is_of_the_parents_state_and_complete(x):
    for root in (x.roots[-1] + 1, 0):
        snapshot(x, root)
        with fails("the caller has posted no snapshot of the parent's state"):
            x.propose(in_calldata(x))
    root = x.roots[-1]
    for part in range(3):
        with fails("the caller has posted no snapshot of the parent's state"):
            x.propose(in_calldata(x))
        receipt = x.chain.send(x.sequencer, x.committee, "post_snapshot", root, part, 3, b"state")
        assert receipt.log("SnapshotPosted") == {"state_root": root, "poster": x.sequencer, "part": part, "parts": 3}
    x.propose(in_calldata(x))


@pytest.mark.parametrize(("root", "part", "parts"), [(999, 0, 0), (999, 1, 1), (999, 3, 3), (999, 0, 2**16 + 1), (999, 2**255, 2**255 + 1)])
def test_parts_are_below_their_number(x, root, part, parts):
    with fails("part must be below parts, and parts at most 65536", "Committee"):
        x.chain.send(x.sequencer, x.committee, "post_snapshot", root, part, parts, b"state")


@pytest.mark.parametrize(("root", "part", "parts"), [(998, 1, 3), (999, 1, 4), (999, 2, 3), (998, 2, 3)])
def test_parts_come_in_order(x, root, part, parts):
    x.chain.send(x.sequencer, x.committee, "post_snapshot", 999, 0, 3, b"state")
    with fails("not the next part of the poster's snapshot", "Committee"):
        x.chain.send(x.sequencer, x.committee, "post_snapshot", root, part, parts, b"state")
    x.chain.send(x.sequencer, x.committee, "post_snapshot", 999, 1, 3, b"state")
    with fails("not the next part of the poster's snapshot", "Committee"):
        x.chain.send(x.sequencer, x.committee, "post_snapshot", 999, 1, 3, b"state")


def test_a_part_has_content_that_lies_in_the_transaction(x, mock):
    with fails("the part is empty", "Committee"):
        x.chain.send(x.sequencer, x.committee, "post_snapshot", 999, 0, 1, b"")
    forwarder = x.chain.deploy(mock("Forwarder"))
    call = x.committee.contract.encode_call("post_snapshot", 999, 0, 1, b"state")
    with pytest.raises(Exception, match="Committee: call directly, the data must lie in the transaction"):
        x.chain.send(x.sequencer, forwarder, "forward", x.committee.address, call)


def test_attack_17_nobody_elses_snapshot_counts_and_none_is_complete_unset(x):
    """Nor can anybody disturb the sequencer's; and a state root of 0 is not the snapshot that nobody has posted."""
    assert not x.chain.call(x.committee, "has_snapshot", x.sequencer, 0)
    snapshot(x, x.roots[-1], who=x.chain.fund(EVE))
    with fails("the caller has posted no snapshot of the parent's state"):
        x.propose(in_calldata(x))
    x.chain.send(x.sequencer, x.committee, "post_snapshot", x.roots[-1], 0, 2, b"state")
    snapshot(x, 4, 3, who=EVE)
    x.chain.send(x.sequencer, x.committee, "post_snapshot", x.roots[-1], 1, 2, b"state")
    x.propose(in_calldata(x))
    x.propose(replace(x.batch(new_root=0)))
    with fails("the caller has posted no snapshot of the parent's state"):
        x.chain.fund(EVE)
        x.propose(in_calldata(x, new_root=3))


def test_blobs_are_closed(x):
    with fails("no blobs here"):
        x.send(x.sequencer, "propose_blob", x.batch().effects_bytes, 5, (bytes(48), bytes(48), 0))


def test_a_body_in_calldata_is_checked_as_ever(x):
    snapshot(x, x.roots[-1])
    batch = in_calldata(x)
    for body, reason in ((b"\1", "wrong body length"), (b"\xff" * 32, "body cell is not a field element"), (bytes(32 * 27), "wrong body length")):
        with fails(reason):
            x.send(x.sequencer, "propose", batch.effects_bytes, body, batch.c)
