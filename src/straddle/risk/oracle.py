"""The oracle committee: its message, its signatures, its threshold (docs/protocol/risk.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

TAG = b"straddle.epoch".ljust(32, b"\0")
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class OracleError(ValueError):
    """Signatures that the committee's rule refuses."""


@dataclass(frozen=True, slots=True)
class EpochMessage:
    """What each oracle signs for an epoch. rollup is an address as an integer; params_hash and risk_root are field elements."""

    chain_id: int
    rollup: int
    epoch: int
    time_ms: int
    params_hash: int
    risk_root: int
    inputs: bytes

    def digest(self) -> bytes:
        """keccak256 over the tag and the 32-byte words, no prefix.

        Raises:
            OracleError: a field that does not fit its width.
        """
        words = (
            ("chain_id", self.chain_id, 256),
            ("rollup", self.rollup, 160),
            ("epoch", self.epoch, 64),
            ("time_ms", self.time_ms, 48),
            ("params_hash", self.params_hash, 256),
            ("risk_root", self.risk_root, 256),
        )
        for name, value, bits in words:
            if not 0 <= value < 2**bits:
                raise OracleError(f"{name} = {value}: expected an unsigned integer of {bits} bits")
        return keccak(TAG + b"".join(value.to_bytes(32, "big") for _, value, _ in words) + keccak(self.inputs))


@dataclass(frozen=True, slots=True)
class Signature65:
    """An Ethereum signature; v is 27 or 28 and s is in the lower half, as layer 1 wants it."""

    v: int
    r: int
    s: int

    def to_bytes(self) -> bytes:
        """r(32) s(32) v(1)."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes([self.v])


def signature_from_bytes(data: bytes) -> Signature65:
    """The inverse of `Signature65.to_bytes`.

    Raises:
        OracleError: another length.
    """
    if len(data) != 65:
        raise OracleError(f"oracle signature: {len(data)} bytes, expected 65")
    return Signature65(data[64], int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"))


def address_of(secret: bytes) -> int:
    """The Ethereum address of a 32-byte secret key, as an integer."""
    return int.from_bytes(PrivateKey(secret).public_key.to_canonical_address(), "big")


def sign_digest(secret: bytes, digest: bytes) -> Signature65:
    """Sign a digest, deterministically, without prefix. eth-keys gives the low s."""
    signature = PrivateKey(secret).sign_msg_hash(digest)
    return Signature65(signature.v + 27, signature.r, signature.s)


def recover(digest: bytes, signature: Signature65) -> int:
    """The signer's address as an integer.

    Raises:
        OracleError: not a canonical signature.
    """
    if signature.v not in (27, 28) or not 0 < signature.r < _ORDER or not 0 < signature.s <= _ORDER // 2:
        raise OracleError(f"oracle signature: v = {signature.v}, expected 27 or 28, r and s in range and s in the lower half")
    try:
        key = Signature(vrs=(signature.v - 27, signature.r, signature.s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError) as error:
        raise OracleError(f"oracle signature: {error}") from None
    return int.from_bytes(key.to_canonical_address(), "big")


def verify_signatures(digest: bytes, signatures: Sequence[Signature65], members: Sequence[int], threshold: int) -> tuple[int, ...]:
    """The signers: at least `threshold` distinct members, ascending by address, as the contract checks it.

    Raises:
        OracleError: too few, not ascending, not a member, or not canonical.
    """
    signers: list[int] = []
    for signature in signatures:
        signer = recover(digest, signature)
        if signers and signer <= signers[-1]:
            raise OracleError(f"signer {signer:#042x}: expected ascending by address, each once")
        if signer not in members:
            raise OracleError(f"signer {signer:#042x}: not an oracle")
        signers.append(signer)
    if len(signers) < threshold:
        raise OracleError(f"{len(signers)} oracle signatures: expected at least {threshold}")
    return tuple(signers)


@dataclass(frozen=True, slots=True)
class OracleCommittee:
    """m of n: the addresses that sign epochs, ascending."""

    members: tuple[int, ...]
    threshold: int

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.members):
            raise OracleError(f"threshold = {self.threshold}: expected 1 to {len(self.members)}")
        if any(a >= b for a, b in zip(self.members, self.members[1:], strict=False)) or not all(0 < member < 2**160 for member in self.members):
            raise OracleError("members: expected non-zero addresses, strictly ascending")

    def verify(self, message: EpochMessage, signatures: Sequence[Signature65]) -> tuple[int, ...]:
        """The signers of the message. Raises OracleError as `verify_signatures` does."""
        return verify_signatures(message.digest(), signatures, self.members, self.threshold)


def sign_epoch(message: EpochMessage, secrets: Sequence[bytes]) -> tuple[Signature65, ...]:
    """The signatures of those who hold `secrets`, ascending by address, as layer 1 wants them."""
    digest = message.digest()
    return tuple(sign_digest(secret, digest) for secret in sorted(secrets, key=address_of))
