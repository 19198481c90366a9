"""Listening sockets."""

from __future__ import annotations

import socket

from straddle.primitives.errors import Actionable


class ListenError(Actionable):
    """The address cannot be listened on."""


def listen(host: str, port: int, name: str) -> socket.socket:
    """A listening socket; port 0 takes any free one. ListenError begins with `name`, the options that chose the address."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise ListenError(f"{name}: {host}:{port} cannot be listened on: {error}. Expected a free port; 0 takes any") from error
