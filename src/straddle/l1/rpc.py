"""Ethereum JSON-RPC over HTTP."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from straddle.primitives.errors import Actionable

RETRY_DELAYS_S = (0.1, 0.5, 2.0)
_ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
_PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
_ETH_READS = ("get", "call", "block", "blob", "chain", "estimate", "fee", "gasPrice", "maxPriority")
_READS = (*(f"eth_{name}" for name in _ETH_READS), "net_", "web3_")


class RpcError(Actionable):
    """The node answered with an error."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
        self.data = data


class Reverted(RpcError):
    """A contract refused; `reason` is what it said, such as 'Rollup: wrong domain', or empty."""

    def __init__(self, method: str, code: int, reason: str, data: Any = None) -> None:
        super().__init__(method, code, f"reverted: {reason or 'no reason given'}", data)
        self.reason = reason


class ConnectionFailed(Actionable):
    """The node could not be reached, or what answers does not speak JSON-RPC."""


class Rpc:
    """A connection to one node. Reads are tried again after a failed connection; transactions never are, since the first try may have arrived."""

    def __init__(self, url: str, *, timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        # trust_env off: a proxy from the environment has no business between us and a local node.
        self._client = httpx.Client(timeout=timeout_s, transport=transport, trust_env=False)
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of `method`. Raises RpcError (Reverted for a contract's refusal) or ConnectionFailed."""
        delays = RETRY_DELAYS_S if _is_read(method) else ()
        for delay in (*delays, None):
            try:
                return self._call_once(method, params)
            except httpx.TransportError as error:
                if delay is None:
                    raise ConnectionFailed(f"{method}: no answer from {self.url}: {type(error).__name__} {error}") from error
                time.sleep(delay)
        raise AssertionError("unreachable")

    def _call_once(self, method: str, params: Sequence[Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        response = self._client.post(self.url, json=request)
        try:
            answer = response.json()
        except ValueError as error:
            raise ConnectionFailed(f"{method}: {self.url} answered with status {response.status_code} and no JSON") from error
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise ConnectionFailed(f"{method}: {self.url} answered with status {response.status_code} and no JSON-RPC result")
        if answer.get("error") is not None:
            raise _error(method, answer["error"])
        return answer["result"]

    # ---- the reads that everybody needs

    def chain_id(self) -> int:
        """The chain's id."""
        return int(self.call("eth_chainId"), 16)

    def block_number(self) -> int:
        """Number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)

    def blob_base_fee_wei(self) -> int:
        """Price of a unit of blob gas in the next block."""
        return int(self.call("eth_blobBaseFee"), 16)

    def block(self, number: int | str) -> dict[str, Any]:
        """A block without its transactions' contents, by number or by 'latest'."""
        found = self.call("eth_getBlockByNumber", [number if isinstance(number, str) else hex(number), False])
        if found is None:
            raise RpcError("eth_getBlockByNumber", 0, f"no block {number}")
        return dict(found)

    def time_s(self) -> int:
        """Time of the newest block, unix seconds."""
        return int(self.block("latest")["timestamp"], 16)

    def code(self, address: str) -> bytes:
        """Code at an address; empty when it is no contract."""
        return _bytes(self.call("eth_getCode", [address, "latest"]))

    def balance_wei(self, address: str) -> int:
        """Ether of an address."""
        return int(self.call("eth_getBalance", [address, "latest"]), 16)

    def eth_call(self, to: str, data: bytes, block: int | str = "latest") -> bytes:
        """Result of a call that changes nothing."""
        return _bytes(self.call("eth_call", [{"to": to, "data": "0x" + data.hex()}, block if isinstance(block, str) else hex(block)]))

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """A mined transaction."""
        found = self.call("eth_getTransactionByHash", [transaction_hash])
        if found is None:
            raise RpcError("eth_getTransactionByHash", 0, f"no transaction {transaction_hash}")
        return dict(found)

    def logs(self, address: str | Sequence[str], from_block: int, to_block: int) -> list[dict[str, Any]]:
        """Logs of contracts in a range of blocks, both ends included, in the order of the chain."""
        addresses = address if isinstance(address, str) else list(address)
        found = self.call("eth_getLogs", [{"address": addresses, "fromBlock": hex(from_block), "toBlock": hex(to_block)}])
        return sorted(found, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))


def _is_read(method: str) -> bool:
    return method.startswith(_READS)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _error(method: str, error: Any) -> RpcError:
    code, message, data = int(error.get("code", 0)), str(error.get("message", "")), error.get("data")
    if code != 3 and "revert" not in message:
        return RpcError(method, code, message, data)
    return Reverted(method, code, _reason(data, message), data)


def _reason(data: Any, message: str) -> str:
    try:
        raw = _bytes(data) if isinstance(data, str) else b""
        if raw[:4] == _ERROR_SELECTOR:
            return str(decode(["string"], raw[4:])[0])
        if raw[:4] == _PANIC_SELECTOR:
            return f"panic {decode(['uint256'], raw[4:])[0]:#x}"
    except (ValueError, DecodingError):
        pass  # malformed data; the message may still say something
    return message.removeprefix("execution reverted").removeprefix(": ").strip()
