"""Channels: who publishes never waits, who reads gets every message in order, and who reads too slowly is dropped with the reason.

Each channel counts its messages from 1: a client that sees a number skipped has missed something and subscribes again.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

BACKLOG_MAX = 1_000
"""Messages that may wait for one client."""


class Client:
    """One connection's queue. `None` in it ends the connection."""

    def __init__(self, backlog_max: int = BACKLOG_MAX) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.channels: set[str] = set()
        self.dropped: str | None = None
        """Why the connection ends, once it does."""
        self._backlog_max = backlog_max

    def put(self, message: str) -> None:
        """Queue a message, or give the client up."""
        if self.dropped is None and self.queue.qsize() >= self._backlog_max:
            self.drop(f"too slow: {self._backlog_max} messages wait. Connect again and subscribe to less")
        if self.dropped is None:
            self.queue.put_nowait(message)

    def drop(self, reason: str) -> None:
        """End the connection after what waits now."""
        self.dropped = self.dropped or reason
        self.queue.put_nowait(None)


class Hub:
    """Clients live in the event loop; publishers in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequences: dict[str, int] = {}
        self._subscribers: dict[str, set[Client]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which clients live. What is published before that only counts."""
        self._loop = loop

    def detach(self) -> None:
        """No more clients."""
        with self._lock:
            self._loop = None

    def wanted(self, prefix: str) -> list[str]:
        """Channels with subscribers whose names begin with `prefix`."""
        return [channel for channel, clients in list(self._subscribers.items()) if clients and channel.startswith(prefix)]

    def publish(self, channel: str, make: Callable[..., Any], *facts: Any) -> None:
        """The next message of a channel, `make(*facts)`, to whoever subscribed. Without anybody it is only counted and never made."""
        with self._lock:
            sequence = self._sequences[channel] = self._sequences.get(channel, 0) + 1
            if channel in self._subscribers and self._loop is not None:
                message = json.dumps({"channel": channel, "sequence": sequence, "data": make(*facts)})
                self._loop.call_soon_threadsafe(self._fan_out, channel, message)

    def subscribe(self, client: Client, channel: str, snapshot: Any = None) -> None:
        """From the next message on; first the number of the last one, and what the channel's messages are changes to."""
        with self._lock:
            if self._loop is None or client.dropped is not None:
                return
            answer = {"subscribed": channel, "sequence": self._sequences.get(channel, 0)} | ({} if snapshot is None else {"snapshot": snapshot})
            self._subscribers.setdefault(channel, set()).add(client)
            self._loop.call_soon_threadsafe(self._welcome, client, channel, json.dumps(answer))

    def unsubscribe(self, client: Client, channels: Iterable[str]) -> None:
        """No more messages of these channels."""
        with self._lock:
            for channel in list(channels):
                client.channels.discard(channel)
                subscribers = self._subscribers.get(channel, set())
                subscribers.discard(client)
                if not subscribers:
                    self._subscribers.pop(channel, None)

    def forget(self, client: Client) -> None:
        """The connection has ended: no more messages, whatever it still subscribes."""
        with self._lock:
            client.dropped = client.dropped or "closed"
            for channel, subscribers in list(self._subscribers.items()):
                subscribers.discard(client)
                if not subscribers:
                    del self._subscribers[channel]

    def _welcome(self, client: Client, channel: str, answer: str) -> None:
        client.channels.add(channel)
        client.put(answer)

    def _fan_out(self, channel: str, message: str) -> None:
        with self._lock:  # publishers' threads subscribe clients too
            clients = tuple(self._subscribers.get(channel, ()))
        for client in clients:
            if channel in client.channels:
                client.put(message)
