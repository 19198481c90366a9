"""Receipts: the sequencer's signed word that a command stands at a place in the log.

Receipts form a hash chain, which is the journal's chain too. The head of the chain at a batch's last entry is the batch's
`log_root` (docs/protocol/data.md): a receipt that contradicts it convicts the sequencer. Entries that reached the disk together share one signature
(docs/decisions/0013-one-signature-a-group.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from coincurve import PrivateKey
from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.primitives.hashing import keccak256, keccak256_many

LOG_ROOT_BITS = 248
_NODE_TAG = b"straddle.receipts".ljust(32, b"\0")
_RECEIPT_TAG = b"straddle.receipt".ljust(32, b"\0")
_LOG_TAG = b"straddle.log".ljust(32, b"\0")
SIBLINGS_MAX = 16
"""Groups are smaller than 2^16."""


@dataclass(frozen=True)
class LogIdentity:
    """Which log this is: a receipt says it, and a journal of another rollup is refused."""

    chain_id: int
    rollup: int
    """Address of the rollup contract as an integer."""

    @cached_property
    def encoded(self) -> bytes:
        """Chain and rollup, 32 bytes each."""
        return _word(self.chain_id) + _word(self.rollup)

    @property
    def genesis_hash(self) -> bytes:
        """The previous hash of the first entry."""
        return keccak256(_LOG_TAG + self.encoded)


class LogPlace(NamedTuple):
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
        identity, epoch, sequence, previous_hash, command_hash, deadline_ms = self
        return keccak256(
            b"".join((_RECEIPT_TAG, identity.encoded, _word(epoch), _word(sequence), previous_hash, command_hash, _word(deadline_ms)))  # once for each entry
        )


class Receipt(NamedTuple):
    """A place in the log with the sequencer's Ethereum signature (65 bytes: r, s, v; no prefix) of the root of its group's tree, which for a group of one
    is the place's hash."""

    place: LogPlace
    signature: bytes
    siblings: tuple[bytes, ...] = ()
    """From the place's hash up to the root; none for a group of one."""

    @property
    def root(self) -> bytes:
        """What is signed. ValueError for more siblings than a tree has."""
        if len(self.siblings) > SIBLINGS_MAX:
            raise ValueError(f"receipt {self.place.sequence}: {len(self.siblings)} siblings, expected at most {SIBLINGS_MAX}")
        node = self.place.hash
        for sibling in self.siblings:
            if len(sibling) != len(node):
                raise ValueError(f"receipt {self.place.sequence}: a sibling of {len(sibling)} bytes, expected {len(node)}")
            node = keccak256(_node(node, sibling))
        return node

    @property
    def signer(self) -> str:
        """Address that signed, checksummed. ValueError when the signature or a sibling is malformed."""
        root = self.root
        try:
            return to_checksum_address(EthereumAccount._recover_hash(root, signature=self.signature))
        except Exception as error:  # eth-keys raises several unrelated classes
            raise ValueError(f"receipt {self.place.sequence}: malformed signature ({error})") from error


class ReceiptSigner:
    """Signs with libsecp256k1 itself: through eth-account a signature costs seven times as much, with eth-keys' own Python seventy times."""

    def __init__(self, signer: LocalAccount) -> None:
        self.address: str = signer.address
        self._key = PrivateKey(bytes(signer.key))

    def sign(self, place: LogPlace) -> Receipt:
        """The receipt of a place in the log by itself. The same place gives the same signature (RFC 6979)."""
        return self.sign_group([place], [place.hash])[0]

    def sign_group(self, places: Sequence[LogPlace], hashes: Sequence[bytes]) -> list[Receipt]:
        """Receipts of one or more places, whose hashes are given, under one signature."""
        levels = _tree(hashes)
        compact = self._key.sign_recoverable(levels[-1][0], hasher=None)
        signature = compact[:64] + bytes([27 + compact[64]])
        return [Receipt(place, signature, _siblings(levels, i)) for i, place in enumerate(places)]


def _node(one: bytes, other: bytes) -> bytes:
    """What the hash of a node is of: its children, the lower one first, so that nobody needs to know on which side they were."""
    return _NODE_TAG + (one + other if one < other else other + one)


def _tree(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Levels from the leaves to the root; the last node of an odd level goes up as it is."""
    levels = [leaves]
    while len(leaves) > 1:
        above = keccak256_many([_node(one, other) for one, other in zip(leaves[::2], leaves[1::2], strict=False)])
        leaves = [*above, leaves[-1]] if len(leaves) % 2 else above
        levels.append(leaves)
    return levels


def _siblings(levels: Sequence[Sequence[bytes]], index: int) -> tuple[bytes, ...]:
    found = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            found.append(level[sibling])
        index >>= 1
    return tuple(found)


def log_root(head: bytes) -> int:
    """The batch header's log_root: the lowest 248 bits of the last entry's hash."""
    return int.from_bytes(head, "big") & ((1 << LOG_ROOT_BITS) - 1)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
