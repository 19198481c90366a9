"""Trading on layer 1 itself: LayerOneOptions (contracts/baseline) on a development chain, its rows and orders, and accounts that sign fast."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from coincurve import PrivateKey
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.l1.anvil import Anvil
from straddle.l1.contracts import Contract, contracts_directory, load, load_path
from straddle.l1.rpc import Reverted, Rpc
from straddle.l1.sender import Receipt, TransactionFailed

ORDER_SLOTS = 64
PAGE_ROWS = 64
DELTAS_A_WORD = 8
SCENARIO_COUNTS = (16, 48)
ENDLESS_S = 2**40 - 1
"""Expiry of an order that does not expire."""
FEE_PER_LOT = 300
"""The taker's, micro-dollars: 3 bp at 10,000 dollars."""
CASH_MICROS = 10**15
"""What every trader has: no margin refuses it."""
FIRST_NONCE = ORDER_SLOTS

GAS_LIMIT = 25_000_000
MAX_FEE_WEI = 10**11
MINED_SECONDS = 30.0

_ORDER_TYPE = keccak(b"Order(uint256 instrument,bool is_buy,uint256 lots,uint256 price,uint256 nonce,uint256 expiry_s)")
_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,uint256 chainId,address verifyingContract)")


@dataclass(frozen=True, slots=True)
class TableRow:
    """What LayerOneOptions knows of an instrument, micro-dollars a lot: charges not negative, deltas below 2^31 in size."""

    value: int
    funding: int
    long_im: int
    short_im: int
    linear: bool
    settled: bool
    time_s: int
    deltas: tuple[int, ...]

    def encode(self) -> bytes:
        """The row's words. ValueError names a field that does not fit."""
        for name, number, bits in (("value", self.value, 39), ("funding", self.funding, 39), *(("deltas", delta, 31) for delta in self.deltas)):
            if not -(2**bits) <= number < 2**bits:
                raise ValueError(f"{name}: {number}, expected at least -2^{bits} and below 2^{bits}")
        for name, number in (("long_im", self.long_im), ("short_im", self.short_im), ("time_s", self.time_s)):
            if not 0 <= number < 2**40:
                raise ValueError(f"{name}: {number}, expected 0 to 2^40 - 1")
        flags = self.linear + 2 * self.settled
        words = [self.value + 2**39 | self.funding + 2**39 << 40 | self.long_im << 80 | self.short_im << 120 | flags << 160 | self.time_s << 168]
        for start in range(0, len(self.deltas), DELTAS_A_WORD):
            words.append(sum(delta + 2**31 << 32 * i for i, delta in enumerate(self.deltas[start : start + DELTAS_A_WORD])))
        return b"".join(word.to_bytes(32, "big") for word in words)


@dataclass(frozen=True, slots=True)
class Order:
    """A maker's order; the price is in micro-dollars a lot."""

    instrument: int
    is_buy: bool
    lots: int
    price: int
    nonce: int
    expiry_s: int

    @property
    def fields(self) -> tuple[int | bool, ...]:
        """As the contract takes it."""
        return (self.instrument, self.is_buy, self.lots, self.price, self.nonce, self.expiry_s)

    def sign(self, key: bytes, chain_id: int, contract: str) -> tuple[int, int, int]:
        """(v, r, s) of its EIP-712 digest."""
        struct = keccak(encode(["bytes32", "uint256", "bool", "uint256", "uint256", "uint256", "uint256"], [_ORDER_TYPE, *self.fields]))
        compact = PrivateKey(key).sign_recoverable(keccak(b"\x19\x01" + _domain(chain_id, contract) + struct), hasher=None)
        return 27 + compact[64], int.from_bytes(compact[:32], "big"), int.from_bytes(compact[32:64], "big")


@cache
def _domain(chain_id: int, contract: str) -> bytes:
    return keccak(encode(["bytes32", "bytes32", "uint256", "address"], [_DOMAIN_TYPE, keccak(b"LayerOneOptions"), chain_id, contract]))


def baseline_contract(name: str) -> Contract:
    """LayerOneOptions or ConstantProductPool, compiled."""
    return load_path(contracts_directory() / "baseline" / f"{name}.vy")


class Wallet:
    """An account on a development chain that mines every transaction as it comes: it counts its own nonces and wants no estimate, which takes most of a
    `l1.sender.Sender`'s time."""

    def __init__(self, rpc: Rpc, chain_id: int, name: bytes) -> None:
        self.key = bytes(keccak(name))
        self._account, self._rpc, self._chain_id = Account.from_key(self.key), rpc, chain_id
        self._nonce = int(rpc.call("eth_getTransactionCount", [self.address, "latest"]), 16)
        rpc.call("anvil_setBalance", [self.address, hex(10**21)])

    @property
    def address(self) -> str:
        """Checksummed address."""
        return str(self._account.address)

    def send(self, to: str | None, data: bytes) -> Receipt:
        """Sends and waits. TransactionFailed with the contract's reason."""
        fields = {"type": 2, "chainId": self._chain_id, "nonce": self._nonce, "gas": GAS_LIMIT, "maxFeePerGas": MAX_FEE_WEI, "maxPriorityFeePerGas": 0}
        signed = self._account.sign_transaction({**fields, "value": 0, "data": data} | ({"to": to_checksum_address(to)} if to else {}))
        self._nonce += 1
        transaction_hash = self._rpc.call("eth_sendRawTransaction", ["0x" + bytes(signed.raw_transaction).hex()])
        found = self._mined(transaction_hash)
        block, created = int(found["blockNumber"], 16), found.get("contractAddress")
        if int(found["status"], 16) != 1:
            raise TransactionFailed(f"transaction {transaction_hash}: {self._why(to, data, block)}")
        return Receipt(transaction_hash, block, int(found["gasUsed"], 16), to_checksum_address(created) if created else None, tuple(found["logs"]))

    def deploy(self, contract: Contract, *args: Any) -> tuple[str, int]:
        """Creates a contract; its address and the gas."""
        receipt = self.send(None, contract.encode_deployment(*args))
        assert receipt.contract_address is not None
        return receipt.contract_address, receipt.gas_used

    def _mined(self, transaction_hash: str) -> dict[str, Any]:
        deadline = time.monotonic() + MINED_SECONDS
        while (found := self._rpc.call("eth_getTransactionReceipt", [transaction_hash])) is None:
            if time.monotonic() > deadline:
                raise TransactionFailed(f"transaction {transaction_hash} was not mined within {MINED_SECONDS:.0f} s")
            time.sleep(0.001)
        return dict(found)

    def _why(self, to: str | None, data: bytes, block: int) -> str:
        call = {"from": self.address, "data": "0x" + data.hex()} | ({"to": to} if to else {})
        try:
            self._rpc.call("eth_call", [call, hex(block - 1)])
        except Reverted as error:
            return error.reason or "no reason given"
        return f"failed with {GAS_LIMIT:,} gas, and would succeed now"


@dataclass(slots=True)
class LayerOne:
    """A LayerOneOptions of its own on a running chain, with an oracle and traders. All blocks from here on have the time that the chain is set to."""

    anvil: Anvil
    scenarios: int
    tables_in_code: bool
    k_im_bps: int = 10_000
    max_age_s: int = 10**9
    contract: Contract = field(init=False)
    address: str = field(init=False)
    deploy_gas: int = field(init=False)
    deposit_gas: int = field(init=False, default=0)
    oracle: Wallet = field(init=False)
    token: str = field(init=False)
    _chain_id: int = field(init=False)
    _token_contract: Contract = field(init=False)

    def __post_init__(self) -> None:
        if self.scenarios not in SCENARIO_COUNTS:
            raise ValueError(f"scenarios: {self.scenarios}, expected one of {SCENARIO_COUNTS}")
        self._chain_id = self.anvil.rpc.chain_id()
        self.anvil.rpc.call("anvil_setBlockTimestampInterval", [0])
        self.contract, self._token_contract = baseline_contract("LayerOneOptions"), load("TestUSDC")
        self.oracle = self._wallet("oracle")
        self.token, _ = self.oracle.deploy(self._token_contract)
        oracle, delta_words = self.oracle.address, self.scenarios // DELTAS_A_WORD
        arguments = (self.token, oracle, oracle, FEE_PER_LOT, self.k_im_bps, self.max_age_s, delta_words, self.tables_in_code)
        self.address, self.deploy_gas = self.oracle.deploy(self.contract, *arguments)

    def trader(self, name: str) -> Wallet:
        """A new account with CASH_MICROS inside and as much outside. Its first order slot is in use already."""
        who = self._wallet(name)
        for function, args in (("mint", (who.address, 2 * CASH_MICROS)), ("approve", (self.address, 2 * CASH_MICROS))):
            who.send(self.token, self._token_contract.encode_call(function, *args))
        self.deposit_gas = self.send(who, "deposit", CASH_MICROS).gas_used
        self.send(who, "cancel", FIRST_NONCE)
        return who

    def send(self, who: Wallet, function: str, *args: Any) -> Receipt:
        """A call of the contract."""
        return who.send(self.address, self.contract.encode_call(function, *args))

    def read(self, function: str, *args: Any) -> Any:
        """Result of a view."""
        return self.contract.decode_result(function, self.anvil.rpc.eth_call(self.address, self.contract.encode_call(function, *args)))

    def post(self, first: int, rows: Sequence[bytes]) -> int:
        """The oracle posts encoded rows of instruments from `first` on; its gas."""
        return self.send(self.oracle, "post", first, b"".join(rows)).gas_used

    def fill(self, maker: Wallet, taker: Wallet, order: Order, lots: int) -> tuple[int, int]:
        """The taker fills the maker's order; gas, and bytes of calldata."""
        calldata = self.contract.encode_call("fill", order.fields, *order.sign(maker.key, self._chain_id, self.address), lots)
        return taker.send(self.address, calldata).gas_used, len(calldata)

    def token_balance(self) -> int:
        """What the contract holds, micro-dollars."""
        data = self.anvil.rpc.eth_call(self.token, self._token_contract.encode_call("balanceOf", self.address))
        return int(self._token_contract.decode_result("balanceOf", data))

    def _wallet(self, name: str) -> Wallet:
        return Wallet(self.anvil.rpc, self._chain_id, f"{self.scenarios} {self.tables_in_code} {name}".encode())
