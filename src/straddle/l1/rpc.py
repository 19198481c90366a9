"""Ethereum JSON-RPC over HTTP."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from straddle.l1 import answers
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json
from straddle.primitives.urls import checked_url

Checked = TypeVar("Checked")
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


class NotFound(RpcError):
    """The node does not have the block or the transaction."""


class ConnectionFailed(Actionable):
    """The node could not be reached, or what answers does not speak JSON-RPC as Ethereum's nodes do."""


class Rpc:
    """A connection to one node. Reads are tried again after a failed connection; transactions never are, since the first try may have arrived."""

    def __init__(self, url: str, *, name: str = "--l1", timeout_s: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        """UrlError: no address; it begins with `name`, where the address came from."""
        self.url = checked_url(name, url)
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
            except httpx.RequestError as error:
                if delay is None:
                    raise ConnectionFailed(f"{method}: no answer from {self.url}: {type(error).__name__} {error}") from error
                time.sleep(delay)
        raise AssertionError("unreachable")

    def _call_once(self, method: str, params: Sequence[Any]) -> Any:
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        response = self._client.post(self.url, json=request)
        status = f"{self.url} answered with status {response.status_code}"
        try:
            answer = decode_json(response.content)
        except ValueError as error:
            raise ConnectionFailed(f"{method}: {status} and no JSON") from error
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise ConnectionFailed(f"{method}: {status} and no JSON-RPC result")
        if answer.get("error") is not None:
            raise _error(method, answer["error"])
        if "result" not in answer:
            raise ConnectionFailed(f"{method}: {status} and no JSON-RPC result")
        return answer["result"]

    def checked(self, method: str, params: Sequence[Any], check: Callable[[Any], Checked]) -> Checked:
        """What `check` (of straddle.l1.answers) makes of the result. As `call`; ConnectionFailed too when the result has another form."""
        found = self.call(method, params)
        try:
            return check(found)
        except answers.Malformed as error:
            raise ConnectionFailed(f"{method}: {self.url} answered {error}") from error

    def quantity(self, method: str, *params: Any) -> int:
        """A result that is a number."""
        return self.checked(method, params, answers.quantity)

    # ---- the reads that everybody needs

    def chain_id(self) -> int:
        """The chain's id."""
        return self.quantity("eth_chainId")

    def block_number(self) -> int:
        """Number of the newest block."""
        return self.quantity("eth_blockNumber")

    def blob_base_fee_wei(self) -> int:
        """Price of a unit of blob gas in the next block."""
        return self.quantity("eth_blobBaseFee")

    def block(self, number: int | str) -> dict[str, Any]:
        """A block without its transactions' contents, by number or by 'latest'. NotFound: the node has none."""
        params = [number if isinstance(number, str) else hex(number), False]
        found = self.checked("eth_getBlockByNumber", params, answers.fields_if_any(answers.BLOCK))
        if found is None:
            raise NotFound("eth_getBlockByNumber", 0, f"no block {number}")
        return found

    def time_s(self, number: int | str = "latest") -> int:
        """Time of a block, unix seconds."""
        return int(self.block(number)["timestamp"], 16)

    def code(self, address: str) -> bytes:
        """Code at an address; empty when it is no contract."""
        return self.checked("eth_getCode", [address, "latest"], answers.data)

    def balance_wei(self, address: str) -> int:
        """Ether of an address."""
        return self.quantity("eth_getBalance", address, "latest")

    def nonce(self, address: str, tag: str = "latest") -> int:
        """Transactions that an address has sent; with those that wait, when `tag` is 'pending'."""
        return self.checked("eth_getTransactionCount", [address, tag], answers.count)

    def eth_call(self, to: str, data: bytes, block: int | str = "latest") -> bytes:
        """Result of a call that changes nothing."""
        params = [{"to": to, "data": "0x" + data.hex()}, block if isinstance(block, str) else hex(block)]
        return self.checked("eth_call", params, answers.data)

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        """A mined transaction. NotFound: the node has none."""
        found = self.checked("eth_getTransactionByHash", [transaction_hash], answers.fields_if_any(answers.TRANSACTION))
        if found is None:
            raise NotFound("eth_getTransactionByHash", 0, f"no transaction {transaction_hash}")
        return found

    def knows(self, transaction_hash: str) -> bool:
        """Whether the node has a transaction, mined or waiting."""
        return self.checked("eth_getTransactionByHash", [transaction_hash], answers.fields_if_any(answers.TRANSACTION)) is not None

    def receipt(self, transaction_hash: str) -> dict[str, Any] | None:
        """The receipt of a mined transaction; None when the node has none."""
        return self.checked("eth_getTransactionReceipt", [transaction_hash], answers.fields_if_any(answers.RECEIPT))

    def logs(self, address: str | Sequence[str], from_block: int, to_block: int, topics: Sequence[str | None] = ()) -> list[dict[str, Any]]:
        """Logs of contracts in a range of blocks, both ends included, in the order of the chain; with `topics` only those that have them, None being any."""
        addresses = address if isinstance(address, str) else list(address)
        wanted = {"address": addresses, "fromBlock": hex(from_block), "toBlock": hex(to_block)} | ({"topics": list(topics)} if topics else {})
        return sorted(self.checked("eth_getLogs", [wanted], answers.logs), key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))


def _is_read(method: str) -> bool:
    return method.startswith(_READS)


def _error(method: str, error: Any) -> RpcError:
    """Some services answer with a text, or without a code."""
    said = error if isinstance(error, dict) else {"message": error}
    code, message, data = said.get("code"), str(said.get("message", "")), said.get("data")
    code = code if type(code) is int else 0
    if code != 3 and "revert" not in message:
        return RpcError(method, code, message, data)
    return Reverted(method, code, _reason(data, message), data)


def _reason(data: Any, message: str) -> str:
    try:
        raw = answers.data(data) if data else b""
        if raw[:4] == _ERROR_SELECTOR:
            return str(decode(["string"], raw[4:])[0])
        if raw[:4] == _PANIC_SELECTOR:
            return f"panic {decode(['uint256'], raw[4:])[0]:#x}"
    except (ValueError, DecodingError):
        pass  # malformed data; the message may still say something
    return message.removeprefix("execution reverted").removeprefix(": ").strip()
