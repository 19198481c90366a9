"""Signatures around a committee's batches: members certify a header, the sequencer vouches for what it offers them (docs/protocol/policies.md)."""

from __future__ import annotations

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from eth_utils.crypto import keccak

CERTIFICATE_TAG = b"straddle.certificate".ljust(32, b"\0")
OFFER_TAG = b"straddle.offer".ljust(32, b"\0")


def certificate_digest(chain_id: int, rollup: int, batch_number: int, header_hash: bytes) -> bytes:
    """What a member signs, and the Committee contract checks. `rollup` is the address as an integer."""
    return _digest(CERTIFICATE_TAG, chain_id, rollup, batch_number, header_hash)


def offer_digest(chain_id: int, rollup: int, batch_number: int, header_hash: bytes) -> bytes:
    """What the sequencer signs so that members know a batch as its own."""
    return _digest(OFFER_TAG, chain_id, rollup, batch_number, header_hash)


def sign_digest(account: LocalAccount, digest: bytes) -> bytes:
    """r, s, v (65 bytes), without prefix, with low s."""
    return bytes(account.unsafe_sign_hash(Hash32(digest)).signature)


def signer_of(digest: bytes, signature: bytes) -> str:
    """Address that signed, checksummed; empty when the signature is none."""
    try:
        return str(Account._recover_hash(digest, signature=signature))
    except Exception:  # eth-account raises several unrelated classes
        return ""


def _digest(tag: bytes, chain_id: int, rollup: int, batch_number: int, header_hash: bytes) -> bytes:
    if len(header_hash) != 32:
        raise ValueError(f"header_hash: {len(header_hash)} bytes, expected 32")
    return bytes(keccak(tag + b"".join(value.to_bytes(32, "big") for value in (chain_id, rollup, batch_number)) + header_hash))
