"""JSON-RPC: what is tried again, and what errors become."""

from __future__ import annotations

import json

import httpx
import pytest
from eth_abi.abi import encode

from straddle.l1 import rpc as module
from straddle.l1.rpc import ConnectionFailed, Reverted, Rpc, RpcError


class Node:
    """Fails to connect `failures` times, then answers."""

    def __init__(self, answer=None, failures: int = 0, error: type[httpx.TransportError] = httpx.ConnectError) -> None:
        self.answer, self.failures, self.error, self.calls = answer, failures, error, 0

    def rpc(self) -> Rpc:
        return Rpc("http://node", transport=httpx.MockTransport(self.handle))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("down", request=request)
        if isinstance(self.answer, httpx.Response):
            return self.answer
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": json.loads(request.content)["id"], **self.answer})


@pytest.fixture(autouse=True)
def no_delays(monkeypatch):
    monkeypatch.setattr(module, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.DecodingError])
def test_reads_are_tried_again(error):
    node = Node({"result": "0x2a"}, failures=3, error=error)
    assert node.rpc().block_number() == 42
    assert node.calls == 4


def test_reads_give_up_in_the_end():
    node = Node({"result": "0x2a"}, failures=99)
    with pytest.raises(ConnectionFailed, match="eth_blockNumber: no answer from http://node: ConnectError down"):
        node.rpc().block_number()
    assert node.calls == 4


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "evm_mine", "evm_setNextBlockTimestamp", "anvil_setBalance"])
def test_whatever_changes_something_is_tried_once(method):
    node = Node({"result": "0x"}, failures=1)
    with pytest.raises(ConnectionFailed):
        node.rpc().call(method)
    assert node.calls == 1


def test_errors_carry_method_code_and_message():
    with pytest.raises(RpcError, match=r"eth_foo: method not found \(code -32601\)") as caught:
        Node({"error": {"code": -32601, "message": "method not found"}}).rpc().call("eth_foo")
    assert not isinstance(caught.value, Reverted)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"code": 3, "message": "execution reverted: x", "data": "0x08c379a0" + encode(["string"], ["Rollup: wrong domain"]).hex()}, "Rollup: wrong domain"),
        ({"code": 3, "message": "execution reverted", "data": "0x"}, ""),
        ({"code": -32000, "message": "execution reverted: Vault: nothing to pull"}, "Vault: nothing to pull"),
        ({"code": 3, "message": "execution reverted", "data": "0x4e487b71" + encode(["uint256"], [0x11]).hex()}, "panic 0x11"),
        ({"code": 3, "message": "execution reverted", "data": "0x08c379a0ff"}, ""),
    ],
)
def test_a_contracts_refusal_has_its_reason(error, reason):
    with pytest.raises(Reverted) as caught:
        Node({"error": error}).rpc().call("eth_call")
    assert caught.value.reason == reason


@pytest.mark.parametrize("response", [httpx.Response(502, text="<html>bad gateway</html>"), httpx.Response(200, json=[1]), httpx.Response(200, json={"id": 1})])
def test_what_is_no_json_rpc_is_reported(response):
    with pytest.raises(ConnectionFailed, match=f"answered with status {response.status_code} and no JSON"):
        Node(response).rpc().chain_id()


def test_missing_blocks_and_transactions_are_errors():
    rpc = Node({"result": None}).rpc()
    with pytest.raises(RpcError, match="no block 7"):
        rpc.block(7)
    with pytest.raises(RpcError, match="no transaction 0x1"):
        rpc.transaction("0x1")


@pytest.mark.parametrize("found", ["0x" + "ff" * 9, "-1", 7, None])
def test_a_number_of_transactions_is_checked(found):
    with pytest.raises(ConnectionFailed, match="eth_getTransactionCount: http://node answered"):
        Node({"result": found}).rpc().nonce("0x" + "11" * 20)
