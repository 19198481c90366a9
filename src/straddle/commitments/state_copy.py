"""A whole state as bytes, for whoever would start from a copy: another watcher, a committee's member, layer 1 when the committee is away.

The reader builds every tree anew, so that the copy has a root of its own, which its caller compares with layer 1's. Nothing else in it needs to be believed:
the root binds all of it, the terms of the instruments through the words of the listings chain.

    zlib of JSON {"format", "batch_number", "queue_pointer", "words": [[word, ...] of each batch that had any], "accounts": [[id, owner, key_x, key_y,
    key_epoch, cash, min_nonce, action_nonce, auction, [[instrument, lots], ...], [[nonce, revision, filled], ...]], ...]}

Accounts, instruments and slots ascend.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from straddle.commitments.accounts import AUCTION, auction_word, empty_account, slot_leaf
from straddle.commitments.committed import CommittedAccount, multiple_of
from straddle.commitments.ledger import CommittedState
from straddle.commitments.listings import Listings, decode_listing, listing_word
from straddle.core.accounts import EMPTY_SLOT, Account, Auction, PublicKey, Slot
from straddle.core.params import Params
from straddle.primitives.merkle import SparseMerkleTree
from straddle.primitives.nesting import decode_json

FORMAT = "straddle.state.1"
BYTES_MAX = 1 << 30
"""Largest copy that is read, once inflated."""
_PIECE_BYTES = 1 << 20

_KEYS = {"format", "batch_number", "queue_pointer", "words", "accounts"}


class StateCopyError(ValueError):
    """Bytes that are no copy of a state; the message says where."""


def dump_state(state: CommittedState) -> bytes:
    """The same bytes for the same state."""
    content = {
        "format": FORMAT,
        "batch_number": state.batch_number,
        "queue_pointer": state.queue_pointer,
        "words": [[listing_word(item) for item in group] for group in state.listed.words],
        "accounts": [_plain(state.accounts[identifier].account) for identifier in sorted(state.accounts)],
    }
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)


def load_state(data: bytes, params: Params) -> CommittedState:
    """The state of `dump_state`'s bytes, of a rollup with these parameters. The caller compares its root. StateCopyError: anything else."""
    content = _content(data)
    try:
        listed = Listings()
        for group in content["words"]:
            listed = listed.extended([decode_listing(word) for word in group])
        accounts = [_account(raw, params) for raw in content["accounts"]]
        numbers = [account.account.id for account in accounts]
        if any(a >= b for a, b in zip([0, *numbers], numbers, strict=False)):
            raise StateCopyError("accounts: not ascending from 1")
        leaves = {account.account.id: account.leaf.hash for account in accounts}
        tree = SparseMerkleTree.from_leaves(params.account_depth, empty_account(params.slot_depth).hash, leaves)
        known = {account.account.id: account for account in accounts}
        return CommittedState(params, tree, known, listed, _integer(content["batch_number"]), _integer(content["queue_pointer"]))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise error if isinstance(error, StateCopyError) else StateCopyError(f"state copy: {error}") from error


def inflated_bytes(data: bytes) -> int:
    """Length of a copy once inflated, found in little memory; more than BYTES_MAX for one that `load_state` would not read.

    Of several copies by strangers the shortest is read first: a megabyte can hold a thousand, and another multiple of it takes their parser's memory.
    """
    unpacker, length = zlib.decompressobj(), 0
    try:
        while not unpacker.eof and length <= BYTES_MAX:
            piece = unpacker.decompress(data, _PIECE_BYTES)
            length, data = length + len(piece), unpacker.unconsumed_tail
            if not piece:
                break
    except zlib.error:
        return BYTES_MAX + 1
    return length if unpacker.eof else BYTES_MAX + 1


def _content(data: bytes) -> dict[str, Any]:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, BYTES_MAX + 1)
        content = decode_json(text) if len(text) <= BYTES_MAX and unpacker.eof else None
    except (zlib.error, ValueError) as error:
        raise StateCopyError(f"state copy: {error}") from None
    if not isinstance(content, dict) or content.keys() != _KEYS or content["format"] != FORMAT:
        raise StateCopyError(f"state copy: expected a JSON object of format {FORMAT} with the keys {', '.join(sorted(_KEYS))}")
    return content


def _plain(account: Account) -> list[Any]:
    fixed = [account.id, account.owner, account.key.x, account.key.y, account.key_epoch, account.cash, account.min_nonce, account.action_nonce]
    slots = [list(account.slots[index]) for index in sorted(account.slots)]
    return [*fixed, auction_word(account.auction), [list(item) for item in sorted(account.positions.items())], slots]


def _account(raw: list[Any], params: Params) -> CommittedAccount:
    *fixed, positions, slots = raw
    identifier, owner, key_x, key_y, key_epoch, cash, min_nonce, action_nonce, auction = map(_integer, fixed)
    held = {_integer(item): _integer(size) for item, size in positions}
    used = [Slot(*map(_integer, slot)) for slot in slots]
    places = {slot.nonce % params.slots: slot for slot in used}
    if len(held) != len(positions) or len(places) != len(used) or 0 in held.values():
        raise StateCopyError(f"account {identifier}: an instrument or a slot twice, or a position of 0")
    orders = SparseMerkleTree.from_leaves(params.slot_depth, slot_leaf(EMPTY_SLOT), {index: slot_leaf(slot) for index, slot in places.items()})
    key = PublicKey(key_x, key_y)
    account = Account(identifier, owner, key, key_epoch, cash, held, places, min_nonce, action_nonce, _auction(auction))
    return CommittedAccount(account, multiple_of(key), orders)


def _auction(word: int) -> Auction | None:
    start_ms, forced, limit_bps = AUCTION.unpack("auction", word)
    return Auction(start_ms, bool(forced), limit_bps) if word else None


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise StateCopyError(f"state copy: {value!r}, expected an integer")
    return value
