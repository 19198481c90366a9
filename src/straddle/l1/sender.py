"""Signing and sending transactions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from straddle.commitments.blob import blob_hash
from straddle.l1 import answers
from straddle.l1.blobs import sign_blob_transaction
from straddle.l1.contracts import Contract
from straddle.l1.rpc import Reverted, Rpc
from straddle.primitives.errors import Actionable

GAS_MARGIN = 1.25
RECEIPT_SECONDS = 120.0
BLOB_FEE_MARGIN = 4
"""A transaction waits while the blob base fee is more than so many times what it was; what is paid is the block's fee."""
LEAST_BLOB_FEE_WEI = 10**9


class TransactionFailed(Actionable):
    """A transaction was mined and failed, or was not mined in time."""


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


class Sender:
    """An Ethereum account that sends transactions, one after another, each waited for."""

    def __init__(self, rpc: Rpc, private_key: bytes | int | str) -> None:
        key = private_key.to_bytes(32, "big") if isinstance(private_key, int) else private_key
        self._account: LocalAccount = Account.from_key(key)
        self._rpc = rpc
        self._chain_id: int | None = None

    @property
    def address(self) -> str:
        """Checksummed address."""
        return str(self._account.address)

    def send(self, to: str | None, data: bytes, *, value_wei: int = 0, gas: int | None = None, blobs: Sequence[bytes] = ()) -> Receipt:
        """Sends and waits. Raises rpc.Reverted with the contract's reason before anything is sent, TransactionFailed after, BlobError for no blobs.

        `gas` replaces the estimate. With `blobs` it is a blob transaction, which calls a contract.
        """
        call: dict[str, Any] = {"from": self.address, "data": "0x" + data.hex(), "value": hex(value_wei)} | ({"to": to} if to else {})
        if blobs:
            call |= {"blobVersionedHashes": [f"0x{blob_hash(blob).hex()}" for blob in blobs], "maxFeePerBlobGas": hex(self._blob_fee_wei())}
        # The estimate runs the transaction: a refusal shows here, with its reason and for free.
        estimate = self._rpc.quantity("eth_estimateGas", call)
        transaction = self._fields(to, data, value_wei, int(estimate * GAS_MARGIN) if gas is None else gas)
        if blobs:
            signed = sign_blob_transaction(self._account, transaction | {"maxFeePerBlobGas": self._blob_fee_wei()}, blobs)
        else:
            signed = bytes(self._account.sign_transaction({"type": 2, **transaction}).raw_transaction)
        transaction_hash = "0x" + self._rpc.checked("eth_sendRawTransaction", ["0x" + signed.hex()], answers.word).hex()
        return self._wait(transaction_hash, call)

    def _fields(self, to: str | None, data: bytes, value_wei: int, gas: int) -> dict[str, Any]:
        base_fee = int(self._rpc.block("latest").get("baseFeePerGas") or "0x0", 16)
        tip = self._rpc.quantity("eth_maxPriorityFeePerGas")
        if self._chain_id is None:
            self._chain_id = self._rpc.chain_id()
        fields: dict[str, Any] = {
            "chainId": self._chain_id,
            "nonce": self._rpc.nonce(self.address, "pending"),
            "gas": gas,
            "maxFeePerGas": 2 * base_fee + tip,
            "maxPriorityFeePerGas": tip,
            "value": value_wei,
            "data": data,
        }
        return fields | ({"to": to_checksum_address(to)} if to else {})

    def _blob_fee_wei(self) -> int:
        return max(LEAST_BLOB_FEE_WEI, BLOB_FEE_MARGIN * self._rpc.blob_base_fee_wei())

    def transact(self, address: str, contract: Contract, function: str, *args: Any, value_wei: int = 0) -> Receipt:
        """`send` of a call to a contract's function."""
        return self.send(address, contract.encode_call(function, *args), value_wei=value_wei)

    def deploy(self, contract: Contract, *args: Any) -> Receipt:
        """Creates a contract; its address is in the receipt."""
        return self.send(None, contract.encode_deployment(*args))

    def _wait(self, transaction_hash: str, call: dict[str, Any]) -> Receipt:
        deadline = time.monotonic() + RECEIPT_SECONDS
        pause = 0.005
        while (found := self._rpc.receipt(transaction_hash)) is None:
            if time.monotonic() > deadline:
                raise TransactionFailed(f"transaction {transaction_hash} was not mined within {RECEIPT_SECONDS:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, 1.0)
        if int(found["status"], 16) != 1:
            raise TransactionFailed(f"transaction {transaction_hash} failed in block {int(found['blockNumber'], 16)}: {self._why(call, found)}")
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
