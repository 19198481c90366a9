# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Queue walk
@license Apache-2.0
@notice Part of Exits and Solvency: entries of a rollup's queue, passed again and checked against its hash chain.
"""

from interfaces import IRollupState

struct Entry:
    kind: uint256
    account: uint256
    owner: address
    word_1: uint256
    word_2: uint256

KIND_DEPOSIT: constant(uint256) = 1
MAX_ENTRIES: constant(uint256) = 256


@internal
@view
def _deposits(rollup: IRollupState, first: uint256, entries: DynArray[Entry, MAX_ENTRIES]) -> uint256:
    """
    Sum of the deposits among `entries`, which are the queue's from index `first` on.
    """
    total: uint256 = 0
    digest: bytes32 = staticcall rollup.queue_hashes(first)
    for entry: Entry in entries:
        digest = self._extend(digest, entry)
        if entry.kind == KIND_DEPOSIT:
            total += entry.word_1
    assert digest == staticcall rollup.queue_hashes(first + len(entries)), "QueueWalk: entries differ from the queue"
    return total


@internal
@pure
def _extend(digest: bytes32, entry: Entry) -> bytes32:
    return keccak256(abi_encode(digest, entry.kind, entry.account, entry.owner, entry.word_1, entry.word_2))
