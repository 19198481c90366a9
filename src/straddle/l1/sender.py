"""Signing and sending transactions, on chains that take their time too.

A wallet's transactions are numbered. Each is offered at the first number that is not mined and that nobody here waits for; what waits there unmined, of an
earlier run, is replaced or waited for: of two that a crash or a slow chain would make of one, layer 1 takes one. When the market outgrows an offer, a dearer
one takes its place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.commitments.blob import blob_hash
from straddle.l1 import answers
from straddle.l1.contracts import Contract
from straddle.l1.fees import GWEI, MOST, Fees, Market
from straddle.l1.offers import Offer, Offers
from straddle.l1.rpc import ConnectionFailed, Reverted, Rpc, RpcError
from straddle.primitives.errors import Actionable

GAS_MARGIN = 1.25
TRANSACTION_GAS_MAX = 1 << 24
RECEIPT_SECONDS = 120.0
OFFER_S = 30.0
"""A transaction that waits for so long is looked after: whether it pays what the market asks by now."""
RECEIPT_LAG_S = 20.0
"""A node may know that a transaction is mined so long before it has the receipt."""
PAUSES_S = (0.005, 1.0)
"""Between two looks for a receipt: the first, and the longest."""
VIEW_LAG_S, VIEW_PAUSE_S = 3.0, 0.2
"""A node may be so long behind what another at the same address has told; later it is believed: layer 1 went back."""


Ended = TypeVar("Ended")
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
    """An Ethereum account that sends transactions and waits for each; with `begin`, several at a time, which one block may hold. For any thread."""

    def __init__(self, rpc: Rpc, private_key: bytes | int | str, *, alone: bool = False, stopping: threading.Event | None = None, most: Fees = MOST) -> None:
        """`alone`: nobody else sends from the wallet, so that what waits at the beginning is of an earlier run and may be replaced; otherwise nothing is sent
        then. When `stopping` is set, nothing is sent or waited for any more. `most`: what is offered at most for a unit of gas."""
        key = private_key.to_bytes(32, "big") if isinstance(private_key, int) else private_key
        self._account: LocalAccount = Account.from_key(key)
        self._rpc = rpc
        self._alone = alone
        self._stopping = stopping or threading.Event()
        self._most = most
        self._chain_id = 0
        """0: not known yet."""
        self._offers = Offers()
        self._choosing = threading.RLock()
        """Held while a number is chosen, and while offers are raised."""

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

    def _begin(self, call: dict[str, Any], gas: int | None, blobs: Sequence[bytes], deadline_s: float) -> Offer:
        with self._choosing:
            if self._stopping.is_set():
                raise TransactionFailed(f"nothing is sent from wallet {self.address} any more: the process ends")
            if not self._chain_id:
                self._chain_id = self._rpc.chain_id()
            mined = self._mined_count()
            self._offers.forget(mined)
            offer = self._offers.again(call)
            if offer is None or offer.nonce >= mined:
                offer = self._offered(offer, call, gas, blobs, mined, deadline_s)
            offer.is_open = True
            return offer

    def _mined_count(self) -> int:
        """Of the wallet's transactions. A node that is behind what was seen is given a moment: it may be one of several at this address."""
        end_s = time.monotonic() + VIEW_LAG_S
        while (number := self._rpc.nonce(self.address)) < self._offers.told and time.monotonic() < end_s and not self._stopping.wait(VIEW_PAUSE_S):
            pass
        return number

    def _offered(self, offer: Offer | None, call: dict[str, Any], gas: int | None, blobs: Sequence[bytes], mined: int, deadline_s: float) -> Offer:
        """The call at a number that is not mined: `offer` again, if there is one. RpcError: the contract refuses it, or the node, for itself."""
        if offer is None:
            self._check_others(mined)
        self._clear_the_way(bool(blobs), mined, deadline_s)
        market = Market.look(self._rpc, blobs=bool(blobs), most=self._most)
        if market.too_dear:
            raise TransactionFailed(f"nothing is sent from wallet {self.address}: {market.too_dear}")
        if offer is None or not offer.may_wait:
            number = self._offers.free(max(mined, self._rpc.nonce(self.address))) if offer is None else offer.nonce
            last = self._offers.at(number)
            after = "pending" if number > mined and last is None else "latest"
            gas = self._gas(_priced(call, market.offer), after, gas)
            fees = market.dearer(last.fees) if last is not None and last.may_wait else market.offer
            if offer is None:
                offer = Offer(number, call, gas, blobs, fees)
                offer.sign(self._account, self._chain_id)  # what cannot be signed has no place in the book
                self._offers.add(offer)
            else:
                offer.gas, offer.fees = gas, fees
        if self._offers.at(offer.nonce) is offer:
            refusal = self._put(offer)
            if refusal is not None and not offer.is_taken and self._is_first(offer.nonce):
                raise refusal
        return offer

    def _gas(self, call: dict[str, Any], state: str, gas: int | None) -> int:
        """The estimate and a margin. It runs the transaction, after those that wait if it goes behind them: a refusal shows here, with its reason and for
        free."""
        estimate = self._rpc.quantity("eth_estimateGas", call, state)
        if estimate > TRANSACTION_GAS_MAX:
            raise TransactionFailed(f"eth_estimateGas: {estimate} gas, expected at most {TRANSACTION_GAS_MAX}, which a transaction may have (EIP-7825)")
        return min(int(estimate * GAS_MARGIN), TRANSACTION_GAS_MAX) if gas is None else gas

    def _check_others(self, mined: int) -> None:
        """TransactionFailed when somebody else's transactions wait."""
        own = sum(offer.may_wait for offer in self._offers.waiting(mined))
        others = 0 if self._alone else self._rpc.nonce(self.address, "pending") - mined - own
        if others > 0:
            raise TransactionFailed(
                f"{others} transactions of wallet {self.address} wait to be mined and go first: wait until they are, or replace them where they were sent"
            )

    def _clear_the_way(self, blobs: bool, mined: int, deadline_s: float) -> None:
        """Nodes keep a wallet's transactions with blobs apart from those without, and take none of one kind while one of the other waits."""
        last = max((offer.nonce for offer in self._offers.waiting(mined) if offer.may_wait and bool(offer.blobs) != blobs), default=-1)
        if last >= mined:
            kinds = ("with blobs", "without") if blobs else ("without blobs", "with")
            late = (
                f"nothing {kinds[0]} is sent from wallet {self.address} while one {kinds[1]} waits: number {last} was not mined within {RECEIPT_SECONDS:.0f} s"
            )
            self._wait(lambda: self._rpc.nonce(self.address) > last or None, last, deadline_s, lambda: late)

    def _is_first(self, number: int) -> bool:
        """Whether nothing waits at a number, as far as the node tells."""
        try:
            return self._rpc.nonce(self.address, "pending") <= number
        except (ConnectionFailed, RpcError):
            return False

    def _put(self, offer: Offer) -> RpcError | None:
        """Give it to the node, which takes it, or has it; else why it refuses. What it says nothing about it may have."""
        signed, name = offer.sign(self._account, self._chain_id)
        if name not in offer.names:
            offer.names.append(name)
        offer.refused = ""
        try:
            self._rpc.checked("eth_sendRawTransaction", ["0x" + signed.hex()], answers.word)
        except ConnectionFailed:
            return None
        except RpcError as error:
            if not self._knows(name):
                offer.refused = str(error)
                return error
        offer.is_taken = True
        return None

    def _knows(self, name: str) -> bool:
        try:
            return self._rpc.knows(name)
        except (ConnectionFailed, RpcError):
            return False

    # ---- waiting

    def _mined(self, offer: Offer, deadline_s: float) -> dict[str, Any]:
        """The receipt; nothing in it: another transaction has taken its number, and it was never given to the node."""
        return self._wait(lambda: self._outcome(offer), offer.nonce, deadline_s, lambda: self._too_late(offer))

    def _wait(self, ended: Callable[[], Ended | None], last: int, deadline_s: float, late: Callable[[], str]) -> Ended:
        """What `ended` gives in the end; TransactionFailed at the deadline. Offers up to a number are looked after. A node that does not answer is asked
        again."""
        pause, look_s, trouble = PAUSES_S[0], time.monotonic() + OFFER_S, ""
        while True:
            try:
                if (found := ended()) is not None:
                    return found
                if time.monotonic() >= look_s:
                    look_s = time.monotonic() + OFFER_S
                    self._look_after(last)
                trouble = ""
            except (ConnectionFailed, RpcError) as error:
                trouble = f"; layer 1 does not answer: {error}"
            if time.monotonic() >= deadline_s:
                raise TransactionFailed(late() + trouble)
            if self._stopping.wait(pause):
                raise TransactionFailed(f"number {last} of wallet {self.address} is not waited for any more: the process ends")
            pause = min(2 * pause, PAUSES_S[1])

    def _outcome(self, offer: Offer) -> dict[str, Any] | None:
        """As `_mined`; None: not yet."""
        for name in reversed(offer.names):
            if (found := self._rpc.receipt(name)) is not None:
                if found["transactionHash"].lower() != name:
                    raise ConnectionFailed(f"eth_getTransactionReceipt: {self._rpc.url} answered with transaction {found['transactionHash']}, expected {name}")
                return self._told(offer, found)
        if self._rpc.nonce(self.address) <= offer.nonce:
            offer.passed_s = None
            return None
        if any(self._rpc.receipt(name) is not None for name in self._offers.rivals(offer)):
            return self._told(offer, {})
        if any(self._rpc.knows(name) for name in offer.names):
            return None
        if not offer.is_taken and offer.refused:
            return self._told(offer, {})
        offer.passed_s = offer.passed_s or time.monotonic()
        if time.monotonic() >= offer.passed_s + RECEIPT_LAG_S:
            self._told(offer, {})
            raise TransactionFailed(f"another transaction was mined in place of {offer.names[-1]}, number {offer.nonce} of wallet {self.address}")
        return None

    def _told(self, offer: Offer, found: dict[str, Any]) -> dict[str, Any]:
        offer.is_told = True
        return found

    def _look_after(self, last: int) -> None:
        """Offers up to a number: those that the market has outgrown, or that the node does not take, become dearer; all are given to it again."""
        with self._choosing:
            for offer in self._offers.waiting(self._rpc.nonce(self.address), last):
                market = Market.look(self._rpc, blobs=bool(offer.blobs), most=self._most)
                if not market.takes(offer.fees):
                    offer.fees = market.dearer(offer.fees)
                elif offer.refused:
                    offer.fees = market.above(offer.fees)
                self._put(offer)

    def _too_late(self, offer: Offer) -> str:
        fees, where = offer.fees, f"number {offer.nonce} of wallet {self.address}"
        late, price = f"was not mined within {RECEIPT_SECONDS:.0f} s", f"it pays at most {fees.gas / GWEI:.3f} gwei a gas"
        try:
            market = Market.look(self._rpc, blobs=bool(offer.blobs), most=self._most)
            price += f", the base fee is {market.base / GWEI:.3f}"
            if offer.blobs:
                price += f"; {fees.blob_gas / GWEI:.3f} a blob gas, the base fee is {market.blob_base / GWEI:.3f}"
        except (ConnectionFailed, RpcError):
            pass  # the node does not say what the base fee is
        if not offer.is_taken and offer.refused:
            return f"an earlier transaction, {where}, {late}, and the node takes none in its place ({offer.refused}): {price}"
        return f"transaction {offer.names[-1]}, {where}, {late} and may still be: {price}"

    def _receipt(self, offer: Offer, found: dict[str, Any]) -> Receipt:
        if int(found["status"], 16) != 1:
            block = int(found["blockNumber"], 16)
            raise TransactionFailed(f"transaction {found['transactionHash']} failed in block {block}: {self._why(offer, found)}")
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

    def _why(self, offer: Offer, receipt: dict[str, Any]) -> str:
        try:
            self._rpc.call("eth_call", [_priced(offer.call, offer.fees), receipt["blockNumber"]])
        except Reverted as error:
            return error.reason or "no reason given"
        except (ConnectionFailed, RpcError) as error:
            return f"no reason to be had ({error})"
        return "it would succeed now; perhaps out of gas, or the state changed in between"


class Sending:
    """A transaction that was sent. Its `receipt` must be asked for, or it must be left: nobody else looks after it."""

    def __init__(self, sender: Sender, call: dict[str, Any], gas: int | None, blobs: Sequence[bytes]) -> None:
        """Sends it."""
        self._sender, self._call, self._gas, self._blobs = sender, call, gas, blobs
        self._deadline_s = time.monotonic() + RECEIPT_SECONDS
        self._offer = sender._begin(call, gas, blobs, self._deadline_s)

    def receipt(self) -> Receipt:
        """When it is mined. TransactionFailed: it failed, or was not mined in time, as far as is known."""
        try:
            while not (found := self._sender._mined(self._offer, self._deadline_s)):
                self._offer.is_open = False
                if self._sender._stopping.wait(PAUSES_S[1]) or time.monotonic() >= self._deadline_s:
                    raise TransactionFailed(f"other transactions of wallet {self._sender.address} were mined at the numbers that were free")
                self._offer = self._sender._begin(self._call, self._gas, self._blobs, self._deadline_s)
        finally:
            self.leave()
        return self._sender._receipt(self._offer, found)

    def leave(self) -> None:
        """Nobody will ask for the receipt. It may still be mined; the same call sent again is this transaction."""
        self._offer.is_open = False


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


def _priced(call: Mapping[str, Any], fees: Fees) -> dict[str, Any]:
    """As the node is asked about it: a transaction with blobs says what it pays for them."""
    return {**call} | ({"maxFeePerBlobGas": hex(fees.blob_gas)} if fees.blob_gas else {})
