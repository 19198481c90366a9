"""Listening sockets, and what is said of an address that cannot be had."""

from __future__ import annotations

import pytest

from straddle.primitives.listening import ListenError, listen


def test_a_free_port_is_taken_once() -> None:
    with listen("127.0.0.1", 0, "api.host, api.port") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^--host, --serve: 127.0.0.1:{port} cannot be listened on: .*Expected a free port"):
            listen("127.0.0.1", port, "--host, --serve")


@pytest.mark.parametrize(("host", "port"), [("nowhere.invalid", 0), ("127.0.0.1", 70_000), ("::zz", 0)])
def test_an_address_that_is_none_is_refused(host: str, port: int) -> None:
    with pytest.raises(ListenError, match=r"api\.host, api\.port: "):
        listen(host, port, "api.host, api.port")
