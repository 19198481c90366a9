"""A layer-1 node with one wallet's transactions, as geth keeps them, whose answers can be made to fail: for `straddle.l1.sender`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import rlp
from eth_utils.crypto import keccak

from straddle.l1 import rpc as rpc_module
from straddle.l1 import sender as sender_module
from straddle.l1.rpc import Rpc

GWEI, BLOCK_S = 10**9, 12
Fault = Callable[[str], str]
"""What goes wrong with a call of a method: '' nothing, 'lost' it never arrives, 'late' it is done and the answer lost, or another answer in JSON, not done
('!...') or done ('...')."""


@dataclass(frozen=True)
class Item:
    """A transaction."""

    name: str
    nonce: int
    tip: int
    gas_fee: int
    blob_fee: int
    data: bytes

    @property
    def prices(self) -> tuple[int, ...]:
        """What a replacement must exceed."""
        return (self.gas_fee, self.tip) + ((self.blob_fee,) if self.blob_fee else ())


class Refused(Exception):
    """A JSON-RPC error."""


class WalletNode:
    """Blocks come every twelve seconds of its own clock and take what pays the base fees, in order. The pool is geth's: replacements are a tenth dearer, or
    twice as dear with blobs; those with blobs and those without exclude each other, and those with blobs have no gaps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.base, self.tip, self.blob_base = 10 * GWEI, GWEI, GWEI
        self.chain: list[list[Item]] = []
        self.pool: dict[int, Item] = {}
        self.fault: Fault = lambda method: ""
        self.methods: list[str] = []
        self.gas, self.nonce_lag = 100_000, 0
        self._later: list[tuple[float, Callable[[], None]]] = []
        self.sent: list[Item] = []
        """What was taken, in order."""
        self.stops = self.stands = False
        """The process ends; no blocks are made."""
        self.reverts: Callable[[bytes, list[bytes]], str] = lambda data, before: ""
        """Why a call is refused by the contract after those before it; '' when it is not."""

    # ---- the clock of straddle.l1.sender and rpc, and the event that ends a sender

    def monotonic(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return self.stops

    def wait(self, seconds: float) -> bool:
        self.sleep(seconds)
        return self.stops

    def on_clock(self, at_s: float, what: Callable[[], None]) -> None:
        """Done when the clock is there."""
        self._later.append((at_s, what))

    def sleep(self, seconds: float) -> None:
        before, self.now = self.now, self.now + seconds
        for at_s, what in self._later:
            if before < at_s <= self.now:
                what()
        for _ in range(int(self.now / BLOCK_S) - int(before / BLOCK_S)):
            self.mine()

    # ---- the chain

    @property
    def mined(self) -> list[Item]:
        return [item for block in self.chain for item in block]

    @property
    def executed(self) -> list[bytes]:
        """The calls' data, in order."""
        return [item.data for item in self.mined]

    def mine(self) -> None:
        if self.stands:
            return
        number, block = len(self.mined), list[Item]()
        while (item := self.pool.get(number)) and item.gas_fee >= self.base and (not item.blob_fee or item.blob_fee >= self.blob_base):
            block.append(self.pool.pop(number))
            number += 1
        self.chain.append(block)

    def reorg(self, depth: int, *, keep: bool) -> None:
        """The newest blocks are undone; their transactions wait again if `keep`, as in geth."""
        undone = [item for block in self.chain[-depth:] for item in block]
        del self.chain[-depth:]
        if keep:
            self.pool |= {item.nonce: item for item in undone}

    def take(self, raw: bytes) -> str:
        item = parsed(raw)
        there, next_number = self.pool.get(item.nonce), self.pending
        if there is not None and there.name == item.name:
            raise Refused("already known")
        if item.nonce < len(self.mined):
            raise Refused("nonce too low")
        if any(bool(other.blob_fee) != bool(item.blob_fee) for other in self.pool.values()):
            raise Refused("address already reserved")
        if item.blob_fee and item.nonce > next_number:
            raise Refused("nonce too high")
        percent = 100 if item.blob_fee else 10
        if there is not None and any(100 * new < (100 + percent) * old or new <= old for new, old in zip(item.prices, there.prices, strict=True)):
            raise Refused("replacement transaction underpriced")
        self.pool[item.nonce] = item
        self.sent.append(item)
        return item.name

    @property
    def pending(self) -> int:
        number = len(self.mined)
        while number in self.pool:
            number += 1
        return number

    def receipt(self, name: str) -> dict[str, Any] | None:
        for number, block in enumerate(self.chain):
            if any(item.name == name for item in block):
                return {"status": "0x1", "transactionHash": name, "blockNumber": hex(number), "gasUsed": "0x5208", "logs": []}
        return None

    # ---- JSON-RPC

    def rpc(self) -> Rpc:
        made = Rpc("http://node")
        made._client = self  # type: ignore[assignment]  # an httpx.Client would take most of the tests' time
        return made

    def post(self, url: str, json: dict[str, Any]) -> httpx.Response:
        """As httpx.Client's."""
        method = json["method"]
        self.methods.append(method)
        fault = self.fault(method)
        if fault == "lost":
            raise httpx.ConnectError("down")
        if fault.startswith("!"):
            return httpx.Response(200, text=fault[1:])
        try:
            answer = {"result": self.answer(method, json["params"])}
        except Refused as error:
            code = 3 if method == "eth_estimateGas" else -32000
            answer = {"error": {"code": code, "message": str(error)}}
        if fault == "late":
            raise httpx.ReadTimeout("no answer")
        if fault:
            return httpx.Response(200, text=fault)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": json["id"], **answer})

    def answer(self, method: str, params: list[Any]) -> Any:
        match method:
            case "eth_chainId":
                return "0x1"
            case "eth_getBlockByNumber":
                return {"hash": "0x" + "00" * 32, "timestamp": hex(int(self.now)), "baseFeePerGas": hex(self.base)}
            case "eth_maxPriorityFeePerGas":
                return hex(self.tip)
            case "eth_blobBaseFee":
                return hex(self.blob_base)
            case "eth_estimateGas":
                waiting = [self.pool[number].data for number in range(len(self.mined), self.pending)] if params[1] == "pending" else []
                if reason := self.reverts(bytes.fromhex(params[0]["data"][2:]), self.executed + waiting):
                    raise Refused("execution reverted: " + reason)
                return hex(self.gas)
            case "eth_getTransactionCount":
                return hex((self.pending if params[1] == "pending" else len(self.mined)) - self.nonce_lag)
            case "eth_sendRawTransaction":
                return self.take(bytes.fromhex(params[0][2:]))
            case "eth_getTransactionByHash":
                known = any(item.name == params[0] for item in (*self.pool.values(), *self.mined))
                return {"hash": params[0], "input": "0x"} if known else None
            case "eth_getTransactionReceipt":
                return self.receipt(params[0])
        raise Refused(f"{method}: unknown")


def clocked(node: WalletNode, monkeypatch: pytest.MonkeyPatch, *, look_s: float | None = None) -> WalletNode:
    """The sender's time is the node's; `look_s`: between two looks for a receipt."""
    monkeypatch.setattr(sender_module, "time", node)
    monkeypatch.setattr(rpc_module, "time", node)
    if look_s is not None:
        monkeypatch.setattr(sender_module, "PAUSES_S", (look_s, look_s))
    return node


def parsed(raw: bytes) -> Item:
    """A signed transaction."""
    words = rlp.decode(raw[1:])
    if raw[0] == 3:
        words = words[0]
        raw = raw[:1] + rlp.encode(words)
    nonce, tip, gas_fee = (int.from_bytes(words[i], "big") for i in (1, 2, 3))
    blob_fee = int.from_bytes(words[9], "big") if raw[0] == 3 else 0
    return Item("0x" + keccak(raw).hex(), nonce, tip, gas_fee, blob_fee, bytes(words[7]))
