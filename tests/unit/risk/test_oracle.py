from __future__ import annotations

from dataclasses import fields, replace

import pytest
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.risk.oracle import (
    EpochMessage,
    OracleCommittee,
    OracleError,
    Signature65,
    address_of,
    recover,
    sign_digest,
    sign_epoch,
    signature_from_bytes,
    verify_signatures,
)

SECRETS = [bytes([i]) * 32 for i in (1, 2, 3)]
MEMBERS = tuple(sorted(address_of(secret) for secret in SECRETS))
MESSAGE = EpochMessage(31_337, 0xABCDEF, 7, 1_590_103_380_000, 2**250, 2**251 + 1, b"inputs")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_digest_is_that_of_the_page():
    """docs/protocol/risk.md, written out by hand."""
    words = [31_337, 0xABCDEF, 7, 1_590_103_380_000, 2**250, 2**251 + 1]
    packed = b"straddle.epoch" + bytes(18) + b"".join(word.to_bytes(32, "big") for word in words) + keccak(b"inputs")
    assert len(packed) == 8 * 32 and MESSAGE.digest() == keccak(packed)


def test_every_field_changes_the_digest():
    for field in fields(EpochMessage):
        value = getattr(MESSAGE, field.name)
        assert replace(MESSAGE, **{field.name: value + b"x" if isinstance(value, bytes) else value + 1}).digest() != MESSAGE.digest()


def test_addresses_are_ethereums():
    for secret in SECRETS:
        assert address_of(secret) == int(Account.from_key(secret).address, 16)


def test_signatures_are_those_of_eth_account():
    digest = MESSAGE.digest()
    for secret in SECRETS:
        mine, theirs = sign_digest(secret, digest), Account.unsafe_sign_hash(digest, secret)
        assert (mine.v, mine.r, mine.s) == (theirs.v, theirs.r, theirs.s)
        assert recover(digest, mine) == address_of(secret)
        assert signature_from_bytes(mine.to_bytes()) == mine and mine.to_bytes() == bytes(theirs.signature)


def test_committee_accepts_enough_members_in_order():
    committee = OracleCommittee(MEMBERS, 2)
    signatures = sign_epoch(MESSAGE, SECRETS)
    assert committee.verify(MESSAGE, signatures) == MEMBERS
    assert committee.verify(MESSAGE, signatures[1:]) == MEMBERS[1:]
    assert sign_epoch(MESSAGE, SECRETS[::-1]) == signatures


def test_committee_refuses():
    committee, signatures = OracleCommittee(MEMBERS, 2), sign_epoch(MESSAGE, SECRETS)
    outsider = sign_digest(b"\x09" * 32, MESSAGE.digest())
    refused = {
        "1 oracle signatures": (MESSAGE, signatures[:1]),
        "ascending": (MESSAGE, signatures[::-1]),
        "each once": (MESSAGE, (signatures[0], signatures[0])),
        "not an oracle": (MESSAGE, (outsider,)),
    }
    for match, (message, given_signatures) in refused.items():
        with pytest.raises(OracleError, match=match):
            committee.verify(message, given_signatures)
    with pytest.raises(OracleError):
        committee.verify(replace(MESSAGE, epoch=8), signatures)


def test_malleable_and_malformed_signatures_are_refused():
    good = sign_digest(SECRETS[0], MESSAGE.digest())
    twin = Signature65(55 - good.v, good.r, ORDER - good.s)
    for bad in (twin, replace(good, v=0), replace(good, v=29), replace(good, r=0), replace(good, s=0), replace(good, r=ORDER), replace(good, s=ORDER)):
        with pytest.raises(OracleError, match="oracle signature"):
            recover(MESSAGE.digest(), bad)
    with pytest.raises(OracleError, match="65"):
        signature_from_bytes(bytes(64))


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=65, max_size=65))
def test_any_bytes_are_refused_or_someone_else(data):
    try:
        assert recover(MESSAGE.digest(), signature_from_bytes(data)) not in MEMBERS
    except OracleError as error:
        assert "oracle signature" in str(error)


@pytest.mark.parametrize(("members", "threshold"), [(MEMBERS, 0), (MEMBERS, 4), (MEMBERS[::-1], 2), ((0, *MEMBERS), 2), (MEMBERS[:1] * 2, 1), ((), 0)])
def test_bad_committees_are_refused(members, threshold):
    with pytest.raises(OracleError):
        OracleCommittee(members, threshold)


@pytest.mark.parametrize("change", [{"time_ms": 2**48}, {"epoch": -1}, {"rollup": 2**160}, {"risk_root": 2**256}])
def test_fields_too_wide_are_refused(change):
    with pytest.raises(OracleError, match=next(iter(change))):
        replace(MESSAGE, **change).digest()


def test_verify_signatures_without_a_committee():
    with pytest.raises(OracleError, match="at least 1"):
        verify_signatures(MESSAGE.digest(), (), MEMBERS, 1)
