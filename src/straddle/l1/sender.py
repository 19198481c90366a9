"""Signing and sending transactions, on chains that take their time too.

A wallet's transactions are numbered. Each is offered at the first number that is not mined and that nobody here waits for; what waits there unmined, of an
earlier run, is replaced or waited for: of two that a crash or a slow chain would make of one, layer 1 takes one. When the market outgrows an offer, a dearer
one takes its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.commitments.blob import blob_hash
from straddle.l1 import answers
from straddle.l1.blobs import blob_transaction_hash, sign_blob_transaction
from straddle.l1.contracts import Contract
from straddle.l1.fees import Fees, Market
from straddle.l1.rpc import Reverted, Rpc, RpcError
from straddle.primitives.errors import Actionable

GAS_MARGIN = 1.25
GWEI = 10**9
RECEIPT_SECONDS = 120.0
OFFER_S = 30.0
"""A transaction that waits for so long is looked after: whether it pays what the market asks by now."""
RECEIPT_LAG_S = 20.0
"""A node may know that a transaction is mined so long before it has the receipt."""
PAUSES_S = (0.005, 1.0)
"""Between two looks for a receipt: the first, and the longest."""


Sent_co = TypeVar("Sent_co", covariant=True)


class TransactionFailed(Actionable):
    """A transaction was mined and failed, or was not mined in time, or could not be sent."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that was mined and succeeded."""

    transaction_hash: str
    block_number: int
    gas_used: int
    contract_address: str | None
    logs: tuple[dict[str, Any], ...]
    gas_price_wei: int = 0
    blob_gas_used: int = 0
    blob_gas_price_wei: int = 0

    @property
    def fee_wei(self) -> int:
        """What the sender paid for gas and blob gas."""
        return self.gas_used * self.gas_price_wei + self.blob_gas_used * self.blob_gas_price_wei

    @property
    def gas(self) -> int:
        """`gas_used`."""
        return self.gas_used


@dataclass(slots=True)
class _Offer:
    """What is offered as the wallet's transaction of one number."""

    nonce: int
    call: dict[str, Any]
    gas: int
    blobs: Sequence[bytes]
    fees: Fees
    deadline_s: float
    """Until when it is waited for, as `time.monotonic` counts."""
    is_open: bool = True
    """Somebody waits for it, or will."""
    hashes: list[str] = field(default_factory=list)
    """Of the transactions that the node has taken: the same call with other fees."""
    refused: str = ""
    """Why the node takes none in place of what waits at this number."""

    def does(self, call: dict[str, Any], gas: int) -> bool:
        """Whether it is this call, with gas enough."""
        return self.gas >= gas and all(self.call.get(key) == call.get(key) for key in ("to", "data", "value", "blobVersionedHashes"))


class Wallet(Protocol[Sent_co]):
    """Who signs and pays; what a transaction gives: a Receipt, or what comes to be one."""

    @property
    def address(self) -> str:
        """Checksummed address."""

    def send(self, to: str | None, data: bytes, *, value_wei: int = 0, gas: int | None = None, blobs: Sequence[bytes] = ()) -> Sent_co:
        """As `Sender.send`."""

    def transact(self, address: str, contract: Contract, function: str, *args: Any, value_wei: int = 0) -> Sent_co:
        """As `Sender.transact`."""


class Sender:
    """An Ethereum account that sends transactions and waits for each; with `begin`, several at a time, which one block may hold."""

    def __init__(self, rpc: Rpc, private_key: bytes | int | str, *, alone: bool = False, stopping: threading.Event | None = None) -> None:
        """`alone`: nobody else sends from the wallet, so that what waits at the beginning is of an earlier run and may be replaced; otherwise nothing is sent
        then. When `stopping` is set, nothing is sent or waited for any more."""
        key = private_key.to_bytes(32, "big") if isinstance(private_key, int) else private_key
        self._account: LocalAccount = Account.from_key(key)
        self._rpc = rpc
        self._alone = alone
        self._stopping = stopping or threading.Event()
        self._chain_id: int | None = None
        self._offers: dict[int, _Offer] = {}
        """Those of this process that were not mined when it was last looked, by number."""

    @property
    def address(self) -> str:
        """Checksummed address."""
        return str(self._account.address)

    @property
    def begin(self) -> Wallet[Sending]:
        """The same, without waiting."""
        return _Beginning(self)

    def send(self, to: str | None, data: bytes, *, value_wei: int = 0, gas: int | None = None, blobs: Sequence[bytes] = ()) -> Receipt:
        """Sends and waits. Raises rpc.Reverted with the contract's reason before anything is sent, TransactionFailed after, BlobError for no blobs.

        `gas` replaces the estimate. With `blobs` it is a blob transaction, which calls a contract. What was not mined in time still may be; sent again by this
        Sender, it is the same transaction.
        """
        return self.begin.send(to, data, value_wei=value_wei, gas=gas, blobs=blobs).receipt()

    def transact(self, address: str, contract: Contract, function: str, *args: Any, value_wei: int = 0) -> Receipt:
        """`send` of a call to a contract's function."""
        return self.send(address, contract.encode_call(function, *args), value_wei=value_wei)

    def deploy(self, contract: Contract, *args: Any) -> Receipt:
        """Creates a contract; its address is in the receipt."""
        return self.send(None, contract.encode_deployment(*args))

    # ---- offers

    def _begin(self, call: dict[str, Any], gas: int | None, blobs: Sequence[bytes], deadline_s: float) -> _Offer:
        if self._stopping.is_set():
            raise TransactionFailed(f"nothing is sent from wallet {self.address} any more: the process ends")
        market = Market.look(self._rpc, blobs=bool(blobs))
        if blobs:
            call |= {"maxFeePerBlobGas": hex(market.offer.blob_gas)}
        # The estimate runs the transaction: a refusal shows here, with its reason and for free.
        estimate = self._rpc.quantity("eth_estimateGas", call)
        gas = int(estimate * GAS_MARGIN) if gas is None else gas
        offer = self._offer_at(self._free_number(), call, gas, blobs, market)
        offer.deadline_s, offer.is_open = deadline_s, True
        self._put(offer)
        return offer

    def _free_number(self) -> int:
        """The first that is neither mined nor waited for here."""
        number = self._rpc.nonce(self.address)
        self._offers = {nonce: offer for nonce, offer in self._offers.items() if nonce >= number}
        others = 0 if self._alone else self._rpc.nonce(self.address, "pending") - number - len(self._offers)
        if others > 0:
            raise TransactionFailed(
                f"{others} transactions of wallet {self.address} wait to be mined and go first: wait until they are, or replace them where they were sent"
            )
        while number in self._offers and self._offers[number].is_open:
            number += 1
        return number

    def _offer_at(self, number: int, call: dict[str, Any], gas: int, blobs: Sequence[bytes], market: Market) -> _Offer:
        """A new offer, in place of another that nobody waits for any more; or that one, when it is the same."""
        last = self._offers.get(number)
        if last is None or not last.does(call, gas):
            last = _Offer(number, call, gas, blobs, market.offer if last is None else market.dearer(last.fees), deadline_s=0.0)
        self._offers[number] = last
        return last

    def _put(self, offer: _Offer) -> None:
        """Give it to the node, which takes it, or has it, or keeps what it has at that number. RpcError: it is refused for itself."""
        if self._chain_id is None:
            self._chain_id = self._rpc.chain_id()
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": offer.nonce,
            "gas": offer.gas,
            "value": int(offer.call["value"], 16),
            "data": offer.call["data"],
            **offer.fees.fields,
        }
        if "to" in offer.call:
            fields["to"] = to_checksum_address(offer.call["to"])
        if offer.blobs:
            signed = sign_blob_transaction(self._account, fields, offer.blobs)
            name = blob_transaction_hash(signed)
        else:
            made = self._account.sign_transaction({"type": 2, **fields})
            signed, name = bytes(made.raw_transaction), "0x" + made.hash.hex()
        offer.refused = ""
        try:
            self._rpc.checked("eth_sendRawTransaction", ["0x" + signed.hex()], answers.word)
        except RpcError as error:
            if self._rpc.nonce(self.address, "pending") <= offer.nonce:  # nothing is in its way
                self._offers.pop(offer.nonce, None)
                raise
            if not self._rpc.knows(name):
                offer.refused = str(error)
                return
        if name not in offer.hashes:
            offer.hashes.append(name)

    # ---- waiting

    def _mined(self, offer: _Offer) -> dict[str, Any] | None:
        """The receipt. None: a transaction that waited before has taken its number, and nothing of it was sent."""
        pause, passed_s, look_s = PAUSES_S[0], None, time.monotonic() + OFFER_S
        while True:
            for name in reversed(offer.hashes):
                if (found := self._rpc.receipt(name)) is not None:
                    return found
            now = time.monotonic()
            if self._rpc.nonce(self.address) > offer.nonce:
                if not offer.hashes:
                    return None
                passed_s = passed_s or now
                if now >= passed_s + RECEIPT_LAG_S:
                    raise TransactionFailed(f"another transaction was mined in place of {offer.hashes[-1]}, number {offer.nonce} of wallet {self.address}")
            elif now >= offer.deadline_s:
                raise TransactionFailed(self._too_late(offer))
            elif now >= look_s:
                look_s = now + OFFER_S
                self._look_after(offer.nonce)
            if self._stopping.wait(pause):
                raise TransactionFailed(f"number {offer.nonce} of wallet {self.address} is not waited for any more: the process ends")
            pause = min(2 * pause, PAUSES_S[1])

    def _look_after(self, last: int) -> None:
        """Offers up to a number: those that the market has outgrown, or that the node does not take, become dearer; all are given to it again."""
        for offer in [offer for nonce, offer in sorted(self._offers.items()) if nonce <= last]:
            market = Market.look(self._rpc, blobs=bool(offer.blobs))
            if offer.refused or not market.takes(offer.fees):
                offer.fees = market.dearer(offer.fees)
            self._put(offer)

    def _too_late(self, offer: _Offer) -> str:
        fees, market = offer.fees, Market.look(self._rpc, blobs=bool(offer.blobs))
        where = f"number {offer.nonce} of wallet {self.address}"
        price = f"it pays at most {fees.gas / GWEI:.3f} gwei a gas, the base fee is {market.base / GWEI:.3f}"
        if offer.blobs:
            price += f"; {fees.blob_gas / GWEI:.3f} a blob gas, the base fee is {market.blob_base / GWEI:.3f}"
        if not offer.hashes:
            late = f"was not mined within {RECEIPT_SECONDS:.0f} s"
            return f"an earlier transaction, {where}, {late}, and the node takes none in its place ({offer.refused}): {price}"
        return f"transaction {offer.hashes[-1]}, {where}, was not mined within {RECEIPT_SECONDS:.0f} s and may still be: {price}"

    def _receipt(self, call: dict[str, Any], found: dict[str, Any]) -> Receipt:
        if int(found["status"], 16) != 1:
            block = int(found["blockNumber"], 16)
            raise TransactionFailed(f"transaction {found['transactionHash']} failed in block {block}: {self._why(call, found)}")
        created = found.get("contractAddress")
        return Receipt(
            transaction_hash=found["transactionHash"],
            block_number=int(found["blockNumber"], 16),
            gas_used=int(found["gasUsed"], 16),
            contract_address=to_checksum_address(created) if created else None,
            logs=tuple(found["logs"]),
            gas_price_wei=int(found.get("effectiveGasPrice") or "0x0", 16),
            blob_gas_used=int(found.get("blobGasUsed") or "0x0", 16),
            blob_gas_price_wei=int(found.get("blobGasPrice") or "0x0", 16),
        )

    def _why(self, call: dict[str, Any], receipt: dict[str, Any]) -> str:
        try:
            self._rpc.call("eth_call", [call, receipt["blockNumber"]])
        except Reverted as error:
            return error.reason or "no reason given"
        return "it would succeed now; perhaps out of gas, or the state changed in between"


class Sending:
    """A transaction that was sent. `receipt` must be asked for: nobody else looks after it."""

    def __init__(self, sender: Sender, call: dict[str, Any], gas: int | None, blobs: Sequence[bytes]) -> None:
        """Sends it."""
        self._sender, self._call, self._gas, self._blobs = sender, call, gas, blobs
        self._deadline_s = time.monotonic() + RECEIPT_SECONDS
        self._offer = sender._begin(call, gas, blobs, self._deadline_s)

    def receipt(self) -> Receipt:
        """When it is mined. TransactionFailed: it failed, or was not mined in time, as far as is known."""
        try:
            while (found := self._sender._mined(self._offer)) is None:
                self._offer = self._sender._begin(self._call, self._gas, self._blobs, self._deadline_s)
        finally:
            self._offer.is_open = False
        return self._sender._receipt(self._call, found)


class _Beginning:
    """A sender as a Wallet that does not wait."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @property
    def address(self) -> str:
        return self._sender.address

    def send(self, to: str | None, data: bytes, *, value_wei: int = 0, gas: int | None = None, blobs: Sequence[bytes] = ()) -> Sending:
        call: dict[str, Any] = {"from": self.address, "data": "0x" + data.hex(), "value": hex(value_wei)} | ({"to": to} if to else {})
        if blobs:
            call |= {"blobVersionedHashes": [f"0x{blob_hash(blob).hex()}" for blob in blobs]}
        return Sending(self._sender, call, gas, blobs)

    def transact(self, address: str, contract: Contract, function: str, *args: Any, value_wei: int = 0) -> Sending:
        return self.send(address, contract.encode_call(function, *args), value_wei=value_wei)
