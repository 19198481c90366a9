"""Receipts name their signer and bind every field."""

from __future__ import annotations

import pytest
from eth_account import Account as EthereumAccount

from straddle.sequencer.receipts import LOG_ROOT_BITS, SIBLINGS_MAX, LogIdentity, LogPlace, Receipt, ReceiptSigner, log_root

SIGNER = EthereumAccount.from_key(bytes(31) + b"\x07")
PLACE = LogPlace(LogIdentity(1, 2), epoch=3, sequence=4, previous_hash=b"p" * 32, command_hash=b"c" * 32, deadline_ms=5)


def test_a_receipt_names_its_signer() -> None:
    receipt = ReceiptSigner(SIGNER).sign(PLACE)
    assert len(receipt.signature) == 65
    assert receipt.signer == SIGNER.address


def test_a_changed_receipt_names_somebody_else() -> None:
    receipt = ReceiptSigner(SIGNER).sign(PLACE)
    for change in ({"epoch": 4}, {"sequence": 5}, {"deadline_ms": 6}, {"command_hash": bytes(32)}, {"previous_hash": bytes(32)}):
        assert receipt._replace(place=PLACE._replace(**change)).signer != SIGNER.address


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\xff" * 65, bytes(64)])
def test_a_malformed_signature_is_an_error(signature: bytes) -> None:
    with pytest.raises(ValueError, match="receipt 4: malformed signature"):
        _ = Receipt(PLACE, signature).signer


def test_the_hash_is_as_specified() -> None:
    """The encoding is fixed: tag, then seven words of 32 bytes."""
    from eth_utils import keccak

    words = [1, 2, 3, 4, b"p" * 32, b"c" * 32, 5]
    encoded = b"".join(word if isinstance(word, bytes) else word.to_bytes(32, "big") for word in words)
    assert PLACE.hash == keccak(b"straddle.receipt" + bytes(16) + encoded)
    assert PLACE.identity.genesis_hash == keccak(b"straddle.log" + bytes(20) + (1).to_bytes(32, "big") + (2).to_bytes(32, "big"))


def test_log_root_keeps_the_lowest_248_bits() -> None:
    assert log_root(b"\xff" * 32) == 2**LOG_ROOT_BITS - 1
    assert log_root(b"\x01" + bytes(30) + b"\x09") == 9


def test_signatures_are_those_of_eth_account() -> None:
    signer = ReceiptSigner(SIGNER)
    assert signer.address == SIGNER.address
    for sequence in range(1, 40):  # both parities of R
        place = PLACE._replace(sequence=sequence)
        assert signer.sign(place).signature == bytes(SIGNER.unsafe_sign_hash(place.hash).signature)


def group(count: int) -> list[LogPlace]:
    return [PLACE._replace(sequence=1 + i, command_hash=bytes([i]) * 32) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_a_group_shares_one_signature(count: int) -> None:
    places = group(count)
    receipts = ReceiptSigner(SIGNER).sign_group(places, [place.hash for place in places])
    assert [receipt.place for receipt in receipts] == places
    assert {receipt.signer for receipt in receipts} == {SIGNER.address}
    assert len({receipt.signature for receipt in receipts}) == 1
    assert max(len(receipt.siblings) for receipt in receipts) == (count - 1).bit_length()


def test_the_tree_of_a_group_is_as_specified() -> None:
    """Lower child first, behind a tag; the last node of an odd level goes up as it is."""
    from eth_utils import keccak

    def node(one: bytes, other: bytes) -> bytes:
        return keccak(b"straddle.receipts".ljust(32, b"\0") + min(one, other) + max(one, other))

    places = group(5)
    receipts = ReceiptSigner(SIGNER).sign_group(places, [place.hash for place in places])
    a, b, c, d, e = (place.hash for place in places)
    left, right = node(a, b), node(c, d)
    assert receipts[0].siblings == (b, right, e)
    assert receipts[3].siblings == (c, left, e)
    assert receipts[4].siblings == (node(left, right),)
    assert receipts[2].signature == bytes(SIGNER.unsafe_sign_hash(node(node(left, right), e)).signature)


def test_another_entry_does_not_stand_under_a_groups_signature() -> None:
    places = group(6)
    receipts = ReceiptSigner(SIGNER).sign_group(places, [place.hash for place in places])
    for i, receipt in enumerate(receipts):
        assert receipt._replace(place=receipt.place._replace(command_hash=b"x" * 32)).signer != SIGNER.address
        assert receipt._replace(siblings=receipt.siblings[:-1]).signer != SIGNER.address
        assert receipt._replace(siblings=(*receipt.siblings, bytes(32))).signer != SIGNER.address
        assert receipt._replace(siblings=(bytes(32), *receipt.siblings[1:])).signer != SIGNER.address
        assert receipt._replace(place=places[i - 1]).signer != SIGNER.address or i % 2 == 1  # siblings may be swapped: both are in the group
    assert receipts[0]._replace(place=places[1], siblings=(places[0].hash, *receipts[0].siblings[1:])) == receipts[1]


def test_malformed_siblings_are_an_error() -> None:
    receipt = ReceiptSigner(SIGNER).sign(PLACE)
    with pytest.raises(ValueError, match=f"receipt 4: {SIBLINGS_MAX + 1} siblings, expected at most {SIBLINGS_MAX}"):
        _ = receipt._replace(siblings=(bytes(32),) * (SIBLINGS_MAX + 1)).signer
    with pytest.raises(ValueError, match="receipt 4: a sibling of 31 bytes, expected 32"):
        _ = receipt._replace(siblings=(bytes(31),)).signer


def test_eth_keys_uses_libsecp256k1() -> None:
    """Everything else that signs or recovers goes through eth-keys, which falls back to its own Python, forty times slower, without a word."""
    from eth_keys import keys

    assert type(keys.backend).__name__ == "CoinCurveECCBackend"
    assert type(SIGNER._key_obj.backend).__name__ == "CoinCurveECCBackend"
