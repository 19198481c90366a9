"""The WebSocket side: one connection's subscriptions.

{"subscribe": ["trades", "book.3"], "unsubscribe": ["epochs"]}
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from straddle.api.hub import Client, Hub
from straddle.api.requests import BadRequest, parse_json, shown
from straddle.api.service import Service, Unavailable
from straddle.api.tape import Tape
from straddle.core.state import Exchange

MESSAGE_CHARACTERS_MAX = 64 * 1024
CHANNELS_MAX = 1_000
"""Of one connection."""
CONNECTIONS_MAX = 500
CHANNEL = re.compile(r"trades|epochs|batches|auctions|combinations|(?:trades|book|account)\.[1-9][0-9]{0,9}")
CHANNELS_TEXT = "trades, trades.{instrument}, book.{instrument}, combinations, account.{account}, auctions, epochs or batches"
POLICY = 1008
TRY_AGAIN = 1013


class SocketEndpoint:
    """`serve` is the ASGI endpoint."""

    def __init__(self, service: Service, hub: Hub, tape: Tape) -> None:
        self._service = service
        self._hub = hub
        self._tape = tape
        self._clients = 0

    async def serve(self, socket: WebSocket) -> None:
        """One connection, until either side ends it."""
        await socket.accept()
        if self._clients >= CONNECTIONS_MAX:
            await socket.close(TRY_AGAIN, f"{CONNECTIONS_MAX} connections already, try again later")
            return
        client = Client()
        self._clients += 1
        reader = asyncio.create_task(self._read(socket, client))
        try:
            await self._write(socket, client)
        except WebSocketDisconnect:
            pass
        finally:
            self._clients -= 1
            reader.cancel()
            self._hub.forget(client)
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await reader

    async def _write(self, socket: WebSocket, client: Client) -> None:
        while (message := await client.queue.get()) is not None:
            await socket.send_text(message)
        with suppress(RuntimeError):  # it is closed already
            await socket.close(POLICY, (client.dropped or "")[:120])

    async def _read(self, socket: WebSocket, client: Client) -> None:
        try:
            while True:
                await self._handle(client, await socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            client.drop("closed" if socket.client_state.name == "DISCONNECTED" else "text messages only")

    async def _handle(self, client: Client, text: str) -> None:
        try:
            wanted, left = _parse(text)
            if len(client.channels | set(wanted)) > CHANNELS_MAX:
                raise BadRequest(400, "subscribe", f"{len(client.channels | set(wanted))} channels", f"at most {CHANNELS_MAX} on a connection")
            self._hub.unsubscribe(client, left)
            for channel in wanted:
                if channel not in client.channels:
                    await self._subscribe(client, channel)
            if left:
                client.put(_text({"unsubscribed": left}))
        except BadRequest as error:
            client.put(_text({"error": {"code": "bad_request", "field": error.field, "value": shown(error.value), "expected": error.expected}}))
        except Unavailable as error:
            client.drop(str(error))

    async def _subscribe(self, client: Client, channel: str) -> None:
        """In the writer, so that nothing is published between a book's snapshot and its first change."""
        kind, _, number = channel.partition(".")

        def subscribe(exchange: Exchange) -> bool:
            if kind in ("book", "trades") and number and int(number) not in exchange.instruments:
                return False
            if kind == "account" and int(number) not in exchange.accounts:
                return False
            match kind:
                case "book":
                    self._tape.subscribe_book(client, exchange, int(number))
                case "combinations":
                    self._tape.subscribe_combinations(client, exchange)
                case "auctions":
                    self._tape.subscribe_auctions(client, exchange)
                case _:
                    self._hub.subscribe(client, channel)
            return True

        if not await self._service.read(subscribe):
            raise BadRequest(404, "subscribe", channel, "a listed instrument, an existing account")


def _parse(text: str) -> tuple[list[str], list[str]]:
    """Channels to subscribe and to leave."""
    if len(text) > MESSAGE_CHARACTERS_MAX:
        raise BadRequest(413, "message", f"{len(text)} characters", f"at most {MESSAGE_CHARACTERS_MAX}")
    content = parse_json(text, "message")
    if not isinstance(content, dict) or not content or content.keys() - {"subscribe", "unsubscribe"}:
        raise BadRequest(400, "message", content, "an object with subscribe, unsubscribe or both")
    for name, channels in content.items():
        if not isinstance(channels, list) or not channels:
            raise BadRequest(400, name, channels, "a list of channels")
        for i, channel in enumerate(channels):
            if not isinstance(channel, str) or not CHANNEL.fullmatch(channel):
                raise BadRequest(400, f"{name}[{i}]", channel, CHANNELS_TEXT)
    return list(dict.fromkeys(content.get("subscribe", ()))), list(dict.fromkeys(content.get("unsubscribe", ())))


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content)
