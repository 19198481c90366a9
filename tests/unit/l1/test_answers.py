"""Malformed answers of a layer-1 node, from a server of its own: each is an error that passes, none ends the program."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from straddle.l1.answers import Malformed, data, quantity
from straddle.l1.rpc import ConnectionFailed, NotFound, Rpc, RpcError

HASH, ADDRESS = "0x" + "11" * 32, "0x" + "22" * 20
LOG = {"address": ADDRESS, "topics": [HASH], "data": "0x", "blockNumber": "0x5", "logIndex": "0x0", "transactionHash": HASH}
RECEIPT = {"transactionHash": HASH, "blockNumber": "0x5", "status": "0x1", "gasUsed": "0x5208", "contractAddress": None, "logs": [LOG]}
TRANSACTION = {"hash": HASH, "to": None, "input": "0x", "gas": 3}
BLOCK = {"hash": HASH, "timestamp": "0x5"}


class Answering(BaseHTTPRequestHandler):
    """Says the same to everybody."""

    body: ClassVar[bytes] = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def rpc(url: str) -> Iterator[Rpc]:
    with Rpc(url) as found:
        yield found


def say(answer: Any) -> None:
    Answering.body = answer if isinstance(answer, bytes) else json.dumps({"jsonrpc": "2.0", "id": 1} | answer).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ({"error": "project id rejected"}, RpcError, r"eth_blockNumber: project id rejected \(code 0\)"),
        ({"error": ["no"]}, RpcError, "no"),
        ({"error": 5}, RpcError, "5"),
        ({"error": {"code": None, "message": "x"}}, RpcError, r"x \(code 0\)"),
        ({"error": {"code": "-32000", "message": None}}, RpcError, "code 0"),
        ({"error": {"code": 3, "message": "execution reverted", "data": {"deep": 1}}}, RpcError, "no reason given"),
        ({"error": {"code": 3, "message": "execution reverted", "data": "0xzz"}}, RpcError, "no reason given"),
        ({"error": None}, ConnectionFailed, "no JSON-RPC result"),
        ({"result": None}, ConnectionFailed, "None, expected a number in hex"),
        ({"result": 5}, ConnectionFailed, "5, expected a number in hex"),
        ({"result": "0x"}, ConnectionFailed, "'0x', expected a number in hex"),
        ({"result": "five"}, ConnectionFailed, "'five', expected a number in hex"),
        ({"result": "0x" + "1" * 65}, ConnectionFailed, "expected a number in hex"),
        ({"result": {"x": 1}}, ConnectionFailed, "expected a number in hex"),
        ({}, ConnectionFailed, "no JSON-RPC result"),
        (b"[]", ConnectionFailed, "no JSON-RPC result"),
        (b"", ConnectionFailed, "no JSON"),
        (b"<html>", ConnectionFailed, "no JSON"),
        (b'{"result": "\xff\xfe"}', ConnectionFailed, "no JSON"),
        (b"[" * 200_000 + b"]" * 200_000, ConnectionFailed, "no JSON"),
        (b'{"result": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, ConnectionFailed, "no JSON"),
    ],
)
def test_a_malformed_answer_is_an_error_that_passes(rpc: Rpc, answer: Any, kind: type[Exception], message: str) -> None:
    say(answer)
    with pytest.raises(kind, match=message):
        rpc.block_number()


READS: dict[str, tuple[Callable[[Rpc], Any], Any]] = {
    "block": (lambda rpc: rpc.block(5), BLOCK),
    "transaction": (lambda rpc: rpc.transaction(HASH), TRANSACTION),
    "receipt": (lambda rpc: rpc.receipt(HASH), RECEIPT),
    "logs": (lambda rpc: rpc.logs(ADDRESS, 0, 5), [LOG]),
    "code": (lambda rpc: rpc.code(ADDRESS), "0x01"),
    "call": (lambda rpc: rpc.eth_call(ADDRESS, b""), "0x01"),
}


@pytest.mark.parametrize("name", READS)
def test_what_is_as_it_should_be_comes_through(rpc: Rpc, name: str) -> None:
    read, good = READS[name]
    say({"result": good})
    assert read(rpc) == (b"\1" if good == "0x01" else good)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("block", {"hash": None}, "hash: None, expected bytes in hex"),
        ("block", {"hash": "0x11"}, "hash: '0x11', expected 32 bytes"),
        ("block", {"timestamp": 5}, "timestamp: 5, expected a number"),
        ("block", {"baseFeePerGas": "much"}, "baseFeePerGas: 'much', expected a number"),
        ("transaction", {"to": "0x22"}, "to: '0x22', expected 20 bytes"),
        ("transaction", {"input": "0x123"}, "input: '0x123', expected bytes"),
        ("transaction", {"input": None}, "input: None"),
        ("transaction", {"blobVersionedHashes": ["0x"]}, "blobVersionedHashes: '0x', expected 32 bytes"),
        ("transaction", {"blobVersionedHashes": HASH}, "blobVersionedHashes: .*expected a list"),
        ("receipt", {"status": None}, "status: None, expected a number"),
        ("receipt", {"contractAddress": "nowhere"}, "contractAddress: 'nowhere'"),
        ("receipt", {"logs": [LOG | {"logIndex": None}]}, "logs: logIndex: None, expected a number"),
        ("receipt", {"effectiveGasPrice": 7}, "effectiveGasPrice: 7"),
        ("logs", {"blockNumber": None}, "blockNumber: None, expected a number"),
        ("logs", {"topics": None}, "topics: None, expected a list"),
        ("logs", {"topics": [5]}, "topics: 5, expected bytes"),
        ("logs", {"data": "none"}, "data: 'none', expected bytes"),
        ("logs", {"address": HASH}, "address: .*expected 20 bytes"),
        ("logs", {"transactionHash": "0x"}, "transactionHash: '0x', expected 32 bytes"),
    ],
)
def test_a_wrong_field_is_named(rpc: Rpc, name: str, wrong: dict[str, Any], message: str) -> None:
    read, good = READS[name]
    say({"result": [LOG, LOG | wrong] if name == "logs" else good | wrong})
    with pytest.raises(ConnectionFailed, match=rf"eth_\w+: http://127.0.0.1:\d+ answered {message}"):
        read(rpc)


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("wrong", [5, "", "no", [], {}, [1], True])
def test_another_type_is_refused(rpc: Rpc, name: str, wrong: Any) -> None:
    if name == "logs" and wrong == []:
        return
    say({"result": wrong})
    with pytest.raises(ConnectionFailed, match="expected"):
        READS[name][0](rpc)


def test_null_is_not_found(rpc: Rpc) -> None:
    say({"result": None})
    for name in ("block", "transaction"):
        with pytest.raises(NotFound):
            READS[name][0](rpc)
    assert READS["receipt"][0](rpc) is None


def test_values_are_read_and_the_message_stays_short() -> None:
    assert (quantity("0x0"), quantity("0xFf"), data("0x"), data("0xAB")) == (0, 255, b"", b"\xab")
    with pytest.raises(Malformed) as refused:
        quantity("x" * 10_000)
    assert len(str(refused.value)) < 200
