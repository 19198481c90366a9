"""The book of what a wallet has given to layer 1: which call at which number, and who knows how it ended. No connection here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.l1.blobs import blob_transaction_hash, sign_blob_transaction
from straddle.l1.fees import Fees

REMEMBERED = 32
"""So many mined numbers stay in the book: layer 1 may go back, and a call of which nobody heard how it ended may be sent again."""
_CALL = ("to", "data", "value", "blobVersionedHashes")


@dataclass(slots=True, eq=False)
class Offer:
    """A call that is offered as the wallet's transaction of one number."""

    nonce: int
    call: Mapping[str, Any]
    gas: int
    blobs: Sequence[bytes]
    fees: Fees
    names: list[str] = field(default_factory=list)
    """Hashes of the transactions that the node may have: the same call with other fees. None is ever left out, since any of them may be mined."""
    is_taken: bool = False
    """The node has said that it has one of them."""
    refused: str = ""
    """Why the node does not take the newest."""
    is_open: bool = False
    """Somebody waits for it, or will."""
    is_told: bool = False
    """Whoever sent it knows how it ended."""
    passed_s: float | None = None
    """Since when its number is mined, as far as the node tells, and no receipt is found."""

    def does(self, call: Mapping[str, Any]) -> bool:
        """Whether it is this call."""
        return all(self.call.get(key) == call.get(key) for key in _CALL)

    def sign(self, account: LocalAccount, chain_id: int) -> tuple[bytes, str]:
        """The transaction as it goes to layer 1, and its hash. BlobError: no blobs, or too many."""
        fields: dict[str, Any] = {"chainId": chain_id, "nonce": self.nonce, "gas": self.gas, "value": int(self.call["value"], 16), "data": self.call["data"]}
        fields |= self.fees.fields | ({"to": to_checksum_address(self.call["to"])} if "to" in self.call else {})
        if self.blobs:
            signed = sign_blob_transaction(account, fields, self.blobs)
            return signed, blob_transaction_hash(signed)
        made = account.sign_transaction({"type": 2, **fields})
        return bytes(made.raw_transaction), "0x" + made.hash.hex()

    @property
    def may_wait(self) -> bool:
        """Whether the node may have it."""
        return self.is_taken or not self.refused


class Offers:
    """In the order in which they were made. Of those with one number the last one counts; the others may still be mined in its place."""

    def __init__(self) -> None:
        self._all: list[Offer] = []

    def add(self, offer: Offer) -> None:
        """The newest of its number."""
        self._all = [*self._all, offer]

    def forget(self, mined: int) -> None:
        """What will not be asked for again, when so many transactions are mined: the oldest, and those told as mined that layer 1 has undone, unless one that
        waits needs them."""
        last = max((offer.nonce for offer in self._all if not offer.is_told), default=-1)
        self._all = [offer for offer in self._all if mined - REMEMBERED <= offer.nonce < mined or mined <= offer.nonce <= last]

    def again(self, call: Mapping[str, Any]) -> Offer | None:
        """The first that is this call, of which nobody heard how it ended and for which nobody waits any more."""
        return next((offer for offer in self._all if not offer.is_open and not offer.is_told and offer.does(call)), None)

    def at(self, number: int) -> Offer | None:
        """The newest of a number."""
        return next((offer for offer in reversed(self._all) if offer.nonce == number), None)

    def rivals(self, offer: Offer) -> Iterator[str]:
        """The hashes of other calls' transactions with its number."""
        return (name for other in self._all if other.nonce == offer.nonce and other is not offer for name in other.names)

    def free(self, mined: int) -> int:
        """The first number that is neither mined nor waited for here."""
        number = mined
        while (offer := self.at(number)) is not None and (offer.is_open or offer.is_told):
            number += 1
        return number

    def waiting(self, mined: int, last: int | None = None) -> list[Offer]:
        """The newest of each number that is not mined, up to `last`, by number."""
        newest = {offer.nonce: offer for offer in self._all if offer.nonce >= mined and (last is None or offer.nonce <= last)}
        return [newest[number] for number in sorted(newest)]

    @property
    def told(self) -> int:
        """So many transactions are mined at least, unless layer 1 went back."""
        return max((offer.nonce + 1 for offer in self._all if offer.is_told), default=0)
