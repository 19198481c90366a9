"""What happened, as messages: trades, fills of accounts, epochs, and the changes of books that somebody follows. Runs in the node's writer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from straddle.api.hub import Client, Hub
from straddle.api.views import Levels, event_json, levels
from straddle.core.events import EpochStarted, Event, Trade
from straddle.core.state import Exchange

TRADES_KEPT = 10_000
BOOK_SECONDS = 0.05
"""Changes of a book are told together, at most this often."""


class Entry(Protocol):
    """An entry of the log with what it did."""

    @property
    def sequence(self) -> int:
        """Place in the log."""

    @property
    def events(self) -> tuple[Event, ...]:
        """What it did."""


class Tape:
    """The newest trades, and the hub's messages about them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._trades: deque[dict[str, Any]] = deque(maxlen=TRADES_KEPT)
        self._told: dict[int, Levels] = {}
        """instrument -> its book as subscribers know it."""
        self._looked = 0.0
        self._changed = False
        self._time_ms = 0

    def record(self, entries: Sequence[Entry]) -> None:
        """Durable entries, in order."""
        for entry in entries:
            for event in entry.events:
                self._record(entry.sequence, event)
        self._changed = self._changed or bool(entries)

    def flush(self, exchange: Exchange) -> None:
        """Tell the changes of books that are followed, if something changed and it is time."""
        if self._changed and time.monotonic() - self._looked >= BOOK_SECONDS:
            self._looked, self._changed = time.monotonic(), False
            followed = {int(channel.split(".")[1]) for channel in self._hub.wanted("book.")}
            self._told = {instrument: self._told[instrument] for instrument in followed & self._told.keys()}
            for instrument in sorted(followed):
                self._tell(exchange, instrument)

    def subscribe_book(self, client: Client, exchange: Exchange, instrument: int) -> None:
        """The book as the channel's other subscribers know it, then its changes."""
        if instrument not in self._told or not self._hub.wanted(f"book.{instrument}"):
            self._told[instrument] = levels(exchange, instrument) or {"bids": {}, "asks": {}}
        told = self._told[instrument]
        self._hub.subscribe(client, f"book.{instrument}", {side: [list(level) for level in told[side].items()] for side in told})
        self._changed = True

    def trades(self, instrument: int | None, limit: int) -> list[Mapping[str, Any]]:
        """The newest first. Callable from any thread."""
        found: list[Mapping[str, Any]] = []
        for trade in reversed(self._trades.copy()):
            if instrument is None or trade["instrument"] == instrument:
                found.append(trade)
                if len(found) == limit:
                    break
        return found

    def _record(self, sequence: int, event: Event) -> None:
        message = None
        if isinstance(event, EpochStarted):
            self._time_ms = event.time_ms
            self._hub.publish("epochs", {**event_json(event), "log_sequence": sequence})
        elif isinstance(event, Trade):
            message = {**event_json(event), "log_sequence": sequence, "table_time_ms": self._time_ms}
            self._trades.append(message)
            self._hub.publish("trades", message)
            self._hub.publish(f"trades.{event.instrument}", message)
        for account in {getattr(event, name) for name in ("account", "taker", "maker", "winner", "to") if hasattr(event, name)}:
            message = message or {**event_json(event), "log_sequence": sequence}
            self._hub.publish(f"account.{account}", message)

    def _tell(self, exchange: Exchange, instrument: int) -> None:
        now = levels(exchange, instrument)
        before = self._told.get(instrument)
        if now is None or before is None or now == before:
            return
        changes = {side: [[price, lots] for price, lots in _changes(before[side], now[side])] for side in now}
        self._told[instrument] = now
        self._hub.publish(f"book.{instrument}", {"instrument": instrument, "log_sequence": exchange.next_sequence - 1, **changes})


def _changes(before: Mapping[int, int], now: Mapping[int, int]) -> list[tuple[int, int]]:
    """(price, lots) of every level that differs; 0 lots: the level is gone."""
    return [(price, now.get(price, 0)) for price in sorted(before.keys() | now.keys()) if before.get(price) != now.get(price)]
