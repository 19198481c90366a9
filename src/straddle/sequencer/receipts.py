"""Receipts: the sequencer's signed word that a command stands at a place in the log.

Receipts form a hash chain, which is the journal's chain too. The head of the chain at a batch's last entry is the batch's
`log_root` (docs/protocol/data.md): a receipt that contradicts it convicts the sequencer.
"""

from __future__ import annotations

from dataclasses import dataclass

from coincurve import PrivateKey
from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.primitives.hashing import keccak256

LOG_ROOT_BITS = 248
_RECEIPT_TAG = b"straddle.receipt".ljust(32, b"\0")
_LOG_TAG = b"straddle.log".ljust(32, b"\0")


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log this is: a receipt says it, and a journal of another rollup is refused."""

    chain_id: int
    rollup: int
    """Address of the rollup contract as an integer."""

    @property
    def genesis_hash(self) -> bytes:
        """The previous hash of the first entry."""
        return keccak256(_LOG_TAG + _word(self.chain_id) + _word(self.rollup))


@dataclass(frozen=True, slots=True)
class LogPlace:
    """One place in the log: everything that its hash covers."""

    identity: LogIdentity
    epoch: int
    """Risk epoch in which the command ran."""
    sequence: int
    """1 for the first entry."""
    previous_hash: bytes
    command_hash: bytes
    """keccak256 of the command's bytes (codec.py)."""
    deadline_ms: int
    """Until then the command is to be in a batch on layer 1."""

    @property
    def hash(self) -> bytes:
        """keccak256 over tag, chain, rollup, epoch, sequence, previous hash, command hash and deadline, 32 bytes each."""
        numbers = (self.identity.chain_id, self.identity.rollup, self.epoch, self.sequence)
        return keccak256(_RECEIPT_TAG + b"".join(map(_word, numbers)) + self.previous_hash + self.command_hash + _word(self.deadline_ms))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A place in the log with the sequencer's Ethereum signature of its hash (65 bytes: r, s, v; no prefix)."""

    place: LogPlace
    signature: bytes

    @property
    def signer(self) -> str:
        """Address that signed, checksummed. ValueError when the signature is malformed."""
        try:
            return to_checksum_address(EthereumAccount._recover_hash(self.place.hash, signature=self.signature))
        except Exception as error:  # eth-keys raises several unrelated classes
            raise ValueError(f"receipt {self.place.sequence}: malformed signature ({error})") from error


class ReceiptSigner:
    """Signs with libsecp256k1 itself: through eth-account a signature costs seven times as much, with eth-keys' own Python seventy times."""

    def __init__(self, signer: LocalAccount) -> None:
        self.address: str = signer.address
        self._key = PrivateKey(bytes(signer.key))

    def sign(self, place: LogPlace) -> Receipt:
        """The receipt of a place in the log. The same place gives the same signature (RFC 6979)."""
        signature = self._key.sign_recoverable(place.hash, hasher=None)
        return Receipt(place, signature[:64] + bytes([27 + signature[64]]))


def log_root(head: bytes) -> int:
    """The batch header's log_root: the lowest 248 bits of the last entry's hash."""
    return int.from_bytes(head, "big") & ((1 << LOG_ROOT_BITS) - 1)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
