"""A chunk of accounts opened under a state root: all that a proof of the solvency or exit statement takes from the state (docs/protocol/solvency.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from straddle.commitments.accounts import AccountLeaf, positions_digest
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState, StateParts
from straddle.commitments.params import params_hash
from straddle.core.accounts import FIRST_USER_ACCOUNT
from straddle.core.params import Params
from straddle.primitives.hashing import compress_many
from straddle.primitives.merkle import SparseMerkleTree


@dataclass(frozen=True, slots=True)
class ChunkOpening:
    """Accounts chunk x 2^k to chunk x 2^k + 2^k - 1 of one state, places without an account included."""

    params: Params
    parts: StateParts
    chunk: int
    leaves: tuple[AccountLeaf, ...]
    """2^k of them, in the order of the ids."""
    positions: Mapping[int, Mapping[int, int]]
    """account -> instrument -> lots, signed, never 0; accounts without positions are absent."""
    path: tuple[int, ...]
    """Siblings of the chunk's subtree, upward."""

    @property
    def first_account(self) -> int:
        """Lowest account of the chunk."""
        return self.chunk * len(self.leaves)

    def check(self) -> None:
        """DataError unless everything here lies under `parts.root`; the message names what does not."""
        try:
            self._check()
        except DataError:
            raise
        except ValueError as error:  # values that nothing hashes
            raise DataError(str(error)) from None

    def _check(self) -> None:
        count = len(self.leaves)
        if count.bit_count() != 1 or len(self.path) != self.params.account_depth - (count.bit_length() - 1):
            raise DataError(f"path: {len(self.path)} siblings above {count} leaves, expected a subtree of a tree of depth {self.params.account_depth}")
        if not 0 <= self.chunk < 1 << len(self.path):
            raise DataError(f"chunk: {self.chunk}, expected 0 to {(1 << len(self.path)) - 1}")
        if self.parts.params_hash != params_hash(self.params):
            raise DataError(f"params_hash: {self.parts.params_hash:#x}, expected {params_hash(self.params):#x}, that of the parameters")
        strangers = sorted(self.positions.keys() - set(range(self.first_account, self.first_account + count)))
        if strangers:
            raise DataError(f"positions: of account {strangers[0]}, expected accounts {self.first_account} to {self.first_account + count - 1}")
        for account, leaf in enumerate(self.leaves, self.first_account):
            if positions_digest(self.positions.get(account, {})) != leaf.positions_digest:
                raise DataError(f"account {account} positions: their digest differs from the leaf's")
        root = SparseMerkleTree.fold(subtree_root([leaf.hash for leaf in self.leaves]), self.chunk, self.path)
        if root != self.parts.accounts_root:
            raise DataError(f"path: leads to {root:#x}, expected the accounts root {self.parts.accounts_root:#x}")


def open_chunk(state: CommittedState, chunk: int, chunk_bits: int) -> ChunkOpening:
    """The chunk of a state. DataError: there is no such chunk."""
    depth = state.params.account_depth
    if not 0 <= chunk_bits <= depth or not 0 <= chunk < 1 << (depth - chunk_bits):
        raise DataError(f"chunk: {chunk} of 2^{chunk_bits} accounts, expected one of a tree of depth {depth}")
    accounts = [state.account((chunk << chunk_bits) + place) for place in range(1 << chunk_bits)]
    positions = {item.account.id: dict(sorted(item.account.positions.items())) for item in accounts if item.account.positions}
    leaves, path = tuple(item.leaf for item in accounts), state.tree.path(chunk << chunk_bits)
    return ChunkOpening(state.params, state.parts, chunk, leaves, positions, path[chunk_bits:])


def chunks_in_use(state: CommittedState, chunk_bits: int) -> int:
    """How many chunks, from the first on, hold all accounts."""
    return (max([*state.accounts, FIRST_USER_ACCOUNT - 1]) >> chunk_bits) + 1


def subtree_root(leaves: list[int]) -> int:
    """Root over 2^k leaves."""
    while len(leaves) > 1:
        leaves = compress_many(list(zip(leaves[::2], leaves[1::2], strict=True)))
    return leaves[0]
