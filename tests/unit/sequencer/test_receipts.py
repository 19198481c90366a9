"""Receipts name their signer and bind every field."""

from __future__ import annotations

import dataclasses

import pytest
from eth_account import Account as EthereumAccount

from straddle.sequencer.receipts import LOG_ROOT_BITS, LogIdentity, LogPlace, Receipt, ReceiptSigner, log_root

SIGNER = EthereumAccount.from_key(bytes(31) + b"\x07")
PLACE = LogPlace(LogIdentity(1, 2), epoch=3, sequence=4, previous_hash=b"p" * 32, command_hash=b"c" * 32, deadline_ms=5)


def test_a_receipt_names_its_signer() -> None:
    receipt = ReceiptSigner(SIGNER).sign(PLACE)
    assert len(receipt.signature) == 65
    assert receipt.signer == SIGNER.address


def test_a_changed_receipt_names_somebody_else() -> None:
    receipt = ReceiptSigner(SIGNER).sign(PLACE)
    for change in ({"epoch": 4}, {"sequence": 5}, {"deadline_ms": 6}, {"command_hash": bytes(32)}, {"previous_hash": bytes(32)}):
        assert dataclasses.replace(receipt, place=dataclasses.replace(PLACE, **change)).signer != SIGNER.address


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
        place = dataclasses.replace(PLACE, sequence=sequence)
        assert signer.sign(place).signature == bytes(SIGNER.unsafe_sign_hash(place.hash).signature)


def test_eth_keys_uses_libsecp256k1() -> None:
    """Everything else that signs or recovers goes through eth-keys, which falls back to its own Python, forty times slower, without a word."""
    from eth_keys import keys

    assert type(keys.backend).__name__ == "CoinCurveECCBackend"
    assert type(SIGNER._key_obj.backend).__name__ == "CoinCurveECCBackend"
