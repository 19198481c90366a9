"""The interface's server and whatever bytes arrive: it answers or hangs up, says no stack, changes nothing, and goes on for the others."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from straddle.api.app import Api
from straddle.node.served import MESSAGE_BYTES_MAX, http_server
from straddle.primitives.listening import listen

from .conftest import Small

ROUNDS = 60
COMMAND = b'{"op": "l2_cancel", "account": 3, "key_epoch": 1, "min_nonce": 5, "signature": {"r_x": 1, "r_y": 2, "s": 3}}'
POST = b"POST /commands HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(COMMAND), COMMAND)
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: here\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
WAIT_S = 10.0


def frame(rng: Random, opcode: int, payload: bytes, *, said: int | None = None) -> bytes:
    """A client's frame that says a length, its own or another."""
    length, mask = len(payload) if said is None else said, rng.randbytes(4)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xff" + length.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def garbage(rng: Random) -> bytes:
    return rng.randbytes(rng.randint(1, 400))


def torn_request(rng: Random) -> bytes:
    content = bytearray(POST)
    for _ in range(rng.choice((0, 0, 1, 3))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content[: rng.choice((len(content), rng.randint(1, len(content))))])


def lying_request(rng: Random) -> bytes:
    length = rng.choice((b"-1", b"99999999999999999999", b"0x5", b"5, 6", b"1_0", b""))
    return POST.replace(
        b"content-length: %d" % len(COMMAND), rng.choice((b"content-length: " + length, b"transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF"))
    )


def frames(rng: Random) -> bytes:
    parts = []
    for _ in range(rng.randint(1, 4)):
        payload = rng.choice((b'{"subscribe": ["trades"]}', b"[" * 500, b"\xff\xfe", b"", rng.randbytes(200), b'{"subscribe": [' + b"9" * 5_000 + b"]}"))
        said = rng.choice((None, None, None, 0, 125, 1 << 17, MESSAGE_BYTES_MAX + 1, (1 << 63) - 1, 1 << 63))
        parts.append(frame(rng, rng.choice((0, 1, 1, 2, 3, 8, 9, 10, 15)), payload, said=said))
    return UPGRADE + b"".join(parts)[: rng.choice((None, -1, -10))]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Small, int]]:
    small = Small(tmp_path_factory.mktemp("wire"))
    server, listener = http_server(Api(small, small.hub, small.tape)), listen("127.0.0.1", 0, "here")

    async def run() -> None:
        small.hub.attach(asyncio.get_running_loop())
        await server.serve(sockets=[listener])
        small.hub.detach()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield small, listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    small.writer.stop()
    small.sequencer.close()
    assert small.failures == []


class Stacks(logging.Handler):
    """Exceptions that nobody took."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@pytest.fixture
def stacks() -> Iterator[list[str]]:
    handler, loggers = Stacks(), [logging.getLogger(name) for name in ("uvicorn", "asyncio")]  # the server's own does not tell the root
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.found
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("make", "said"), [(garbage, b"HTTP/1.1 400"), (torn_request, b"HTTP/1.1 422"), (lying_request, b"HTTP/1.1 400"), (frames, b"HTTP/1.1 101")]
)
def test_any_bytes_leave_the_server_and_the_exchange_as_they_were(
    make: Callable[[Random], bytes], said: bytes, served: tuple[Small, int], stacks: list[str]
) -> None:
    small, port = served
    before, open_files = (small.sequencer.sequence, small.sequencer.state_root), len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    answers = []
    for i in range(ROUNDS):
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection, suppress(ConnectionError):
            content = make(Random(f"{make.__name__}/{i}"))
            connection.sendall(content)
            if content == POST or (i % 2 and content.startswith(UPGRADE)):  # else whoever hangs up is not waited for
                answers.append(connection.recv(65_536))
            connection.shutdown(socket.SHUT_WR)
            while answer := connection.recv(65_536):
                answers.append(answer)
    assert any(answer.startswith(said) for answer in answers), answers[:5]
    assert (small.sequencer.sequence, small.sequencer.state_root) == before
    assert httpx.get(f"http://127.0.0.1:{port}/trades", trust_env=False).status_code == 200
    assert stacks == []
    if open_files:
        deadline = time.monotonic() + WAIT_S
        while len(os.listdir("/proc/self/fd")) > open_files + 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(os.listdir("/proc/self/fd")) <= open_files + 2, "connections stay open"
