"""Rollup: epochs and the oracles' signatures."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_keys import keys
from eth_utils.crypto import keccak

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
SECP256K1_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ANYONE = "0x" + "00" * 18 + "0e9e"


def fails(reason: str):
    return pytest.raises(Exception, match=f"^(Rollup|Signers): {reason}$")


@pytest.fixture
def now_ms(exchange) -> int:
    return exchange.chain.time_s * 1000


def submit(exchange, epoch, time_ms, risk_root, inputs, signatures):
    return exchange.send(ANYONE, "submit_epoch", epoch, time_ms, risk_root, inputs, signatures)


def signed(exchange, epoch, time_ms, risk_root=77, inputs=b"feeds", signers=None, **digest_changes):
    return exchange.sign(exchange.epoch_digest(epoch, time_ms, risk_root, inputs, **digest_changes), signers)


@pytest.mark.parametrize("signers", [(0, 1, 2), (1, 2, 3), (0, 1, 2, 3)])
def test_enough_oracles_record_an_epoch(exchange, now_ms, signers):
    receipt = submit(exchange, 5, now_ms, 77, b"feeds", signed(exchange, 5, now_ms, signers=signers))
    assert receipt.log("EpochSubmitted") == {"epoch": 5, "time_ms": now_ms, "risk_root": 77, "inputs_hash": keccak(b"feeds")}
    assert exchange.read("epoch_hashes", 5) == keccak(encode(["uint256", "uint256"], [now_ms, 77]))


def test_a_late_epoch_is_not_locked_out_by_one_after_it(exchange, now_ms):
    """Anyone may record epochs; recording a later one first must not stop the batches of the ones before."""
    for epoch in (9, 7, 8):
        submit(exchange, epoch, now_ms, 77, b"feeds", signed(exchange, epoch, now_ms))
    with fails("epoch already recorded"):
        submit(exchange, 7, now_ms, 78, b"feeds", signed(exchange, 7, now_ms, 78))


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ((), "too few signatures"),
        ((0, 1), "too few signatures"),
        ((0, 1, 1), "signers must be valid and ascend strictly"),
        ((0, 0, 1), "signers must be valid and ascend strictly"),
        ((2, 1, 0), "signers must be valid and ascend strictly"),
        ((0, 2, 1), "signers must be valid and ascend strictly"),
        ((0, 1, 2, 1), "signers must be valid and ascend strictly"),
    ],
)
def test_missing_repeated_or_unsorted_signers_are_refused(exchange, now_ms, signers, reason):
    with fails(reason):
        submit(exchange, 1, now_ms, 77, b"feeds", signed(exchange, 1, now_ms, signers=signers))


def test_a_stranger_does_not_count(exchange, now_ms):
    digest = exchange.epoch_digest(1, now_ms, 77, b"feeds")
    strangers = (keys.PrivateKey(keccak(b"stranger %d" % i)) for i in range(1000))
    last = exchange.oracle_keys[1].public_key.to_canonical_address()
    stranger = next(key for key in strangers if key.public_key.to_canonical_address() > last)
    exchange.oracle_keys[2] = stranger
    with fails("signer is not an oracle"):
        submit(exchange, 1, now_ms, 77, b"feeds", exchange.sign(digest, (0, 1, 2)))


def test_a_malleated_signature_is_refused(exchange, now_ms):
    signatures = signed(exchange, 1, now_ms)
    for i, (v, r, s) in enumerate(signatures):
        twin = [*signatures[:i], (55 - v, r, SECP256K1_N - s), *signatures[i + 1 :]]
        with fails("signature is malleated"):
            submit(exchange, 1, now_ms, 77, b"feeds", twin)


def test_the_bound_on_s_is_half_the_order(exchange, now_ms):
    signatures = signed(exchange, 1, now_ms)
    v, r, _ = signatures[2]
    with fails("signature is malleated"):
        submit(exchange, 1, now_ms, 77, b"feeds", [*signatures[:2], (v, r, SECP256K1_N // 2 + 1)])
    with fails("(signers must be valid and ascend strictly|signer is not an oracle)"):
        submit(exchange, 1, now_ms, 77, b"feeds", [*signatures[:2], (v, r, SECP256K1_N // 2)])


@pytest.mark.parametrize("bad", [(26, 1, 1), (29, 1, 1), (0, 1, 1), (27, 0, 1), (27, 1, 0), (2**255, 1, 1), (27, SECP256K1_N, 1), (0, 0, 0)])
def test_a_signature_that_recovers_nobody_is_refused(exchange, now_ms, bad):
    """A failed recovery gives the zero address, which is nobody, first as well as last."""
    signatures = signed(exchange, 1, now_ms)
    for at in (0, 2):
        with fails("signers must be valid and ascend strictly"):
            submit(exchange, 1, now_ms, 77, b"feeds", [*signatures[:at], bad, *signatures[at + 1 :]])


@pytest.mark.parametrize("field", ["epoch", "time_ms", "risk_root", "inputs"])
def test_every_value_is_signed(exchange, now_ms, field):
    values = {"epoch": 1, "time_ms": now_ms - 5000, "risk_root": 77, "inputs": b"feeds"}
    signatures = signed(exchange, **values)
    changed = values | {field: b"food" if field == "inputs" else values[field] + 1}
    with fails("(signers must be valid and ascend strictly|signer is not an oracle)"):
        submit(exchange, *changed.values(), signatures)
    submit(exchange, *values.values(), signatures)


def test_an_epoch_cannot_be_replayed(exchange, chain, new_exchange, now_ms):
    """Neither on this rollup, nor on another with the same oracles, nor under other parameters, nor on another chain."""
    other = new_exchange(chain)
    signatures = signed(exchange, 1, now_ms)
    submit(exchange, 1, now_ms, 77, b"feeds", signatures)
    with fails("epoch already recorded"):
        submit(exchange, 1, now_ms, 77, b"feeds", signatures)
    refused = fails("(signers must be valid and ascend strictly|signer is not an oracle)")
    with refused:
        submit(other, 1, now_ms, 77, b"feeds", signatures)
    submit(other, 1, now_ms, 77, b"feeds", signed(exchange, 1, now_ms, rollup=other.rollup.address))
    exchange.chain.chain_id += 1
    foreign = signed(exchange, 2, now_ms)
    exchange.chain.chain_id -= 1
    with fails("(signers must be valid and ascend strictly|signer is not an oracle)"):
        submit(exchange, 2, now_ms, 77, b"feeds", foreign)


def test_other_parameters_are_another_digest(exchange, chain, new_exchange, now_ms):
    changed = new_exchange(chain, params_hash=889)
    with fails("(signers must be valid and ascend strictly|signer is not an oracle)"):
        submit(changed, 1, now_ms, 77, b"feeds", signed(exchange, 1, now_ms, rollup=changed.rollup.address))


def test_a_table_from_the_future_is_refused(exchange, now_ms):
    with fails("table time is in the future"):
        submit(exchange, 1, now_ms + 1, 77, b"feeds", signed(exchange, 1, now_ms + 1))
    exchange.chain.warp(1)
    submit(exchange, 1, now_ms + 1, 77, b"feeds", signed(exchange, 1, now_ms + 1))


@pytest.mark.parametrize("epoch", [0, 2**64])
def test_an_epoch_number_out_of_range_is_refused(exchange, now_ms, epoch):
    with fails("epoch must be 1 to 2\\^64 - 1"):
        submit(exchange, epoch, now_ms, 77, b"feeds", signed(exchange, epoch, now_ms))


def test_a_risk_root_at_or_above_r_is_refused(exchange, now_ms):
    with fails("risk root is not a field element"):
        submit(exchange, 1, now_ms, R, b"feeds", signed(exchange, 1, now_ms, R))
    submit(exchange, 1, now_ms, R - 1, b"feeds", signed(exchange, 1, now_ms, R - 1))


def test_inputs_may_be_empty_or_large(exchange, now_ms):
    for epoch, inputs in ((1, b""), (2, bytes(32768))):
        submit(exchange, epoch, now_ms, 77, inputs, signed(exchange, epoch, now_ms, inputs=inputs))
    with pytest.raises(Exception, match=r"^$"):
        submit(exchange, 3, now_ms, 77, bytes(32769), signed(exchange, 3, now_ms, inputs=bytes(32769)))


def test_the_transaction_itself_must_carry_the_inputs(exchange, mock, now_ms):
    forwarder = exchange.chain.deploy(mock("Forwarder"))
    calldata = exchange.rollup.contract.encode_call("submit_epoch", 1, now_ms, 77, b"feeds", signed(exchange, 1, now_ms))
    with fails("call directly, the data must lie in the transaction"):
        exchange.chain.send(ANYONE, forwarder, "forward", exchange.rollup.address, calldata)
