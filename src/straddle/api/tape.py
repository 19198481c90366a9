"""What happened, as messages: trades, events of accounts, auctions, epochs, and the changes of books that somebody follows.

Runs in the node's writer, so an event becomes a message only when somebody has subscribed to it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Protocol, get_args

from straddle.api.hub import Client, Hub
from straddle.api.views import Levels, auctions, combination, combination_levels, event_json, levels
from straddle.core.events import AuctionBegun, AuctionEnded, Deleveraged, EpochStarted, Event, TakenOver, Trade
from straddle.core.orders import Legs
from straddle.core.state import Exchange

TRADES_KEPT = 10_000
BOOK_SECONDS = 0.05
"""Changes of a book are told together, at most this often."""


EMPTY: Levels = {"bids": {}, "asks": {}}
_NAMES_OF_ACCOUNTS = ("account", "taker", "maker", "winner", "to")
ACCOUNT_FIELDS = {kind.__name__: tuple(item.name for item in fields(kind) if item.name in _NAMES_OF_ACCOUNTS) for kind in get_args(Event)}
"""Event -> those of its fields that name an account."""
ON_MORE_CHANNELS = (Trade, EpochStarted, AuctionBegun, AuctionEnded, TakenOver, Deleveraged)
SOLE_ACCOUNT = {
    kind.__name__: ACCOUNT_FIELDS[kind.__name__][0] for kind in get_args(Event) if len(ACCOUNT_FIELDS[kind.__name__]) == 1 and kind not in ON_MORE_CHANNELS
}
"""Event that concerns one account and nobody else -> the field that names it."""


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
        self._trades: deque[tuple[int, Trade, int]] = deque(maxlen=TRADES_KEPT)
        """(place in the log, trade, time of its table); JSON when somebody asks."""
        self._told: dict[int, Levels] = {}
        """instrument -> its book as subscribers know it."""
        self._told_combinations: dict[Legs, Levels] = {}
        """The same of combinations; empty while nobody follows them."""
        self._looked = 0.0
        self._changed = False
        self._time_ms = 0

    def record(self, entries: Sequence[Entry]) -> None:
        """Durable entries, in order."""
        publish = self._hub.publish
        for entry in entries:
            for event in entry.events:
                field = SOLE_ACCOUNT.get(type(event).__name__)
                if field is not None:  # nearly all of them
                    publish(_account_channel(getattr(event, field)), _message, entry.sequence, event)
                else:
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
            self._tell_combinations(exchange)

    def subscribe_book(self, client: Client, exchange: Exchange, instrument: int) -> None:
        """The book as the channel's other subscribers know it, then its changes."""
        if instrument not in self._told or not self._hub.wanted(f"book.{instrument}"):
            self._told[instrument] = levels(exchange, instrument) or EMPTY
        told = self._told[instrument]
        self._hub.subscribe(client, f"book.{instrument}", {side: [list(level) for level in told[side].items()] for side in told})
        self._changed = True

    def subscribe_combinations(self, client: Client, exchange: Exchange) -> None:
        """All books of combinations as the other subscribers know them, then their changes."""
        if not self._hub.wanted("combinations"):
            self._told_combinations = combination_levels(exchange)
        books = [combination(legs, {side: list(found[side].items()) for side in found}) for legs, found in self._told_combinations.items()]
        self._hub.subscribe(client, "combinations", books)
        self._changed = True

    def subscribe_auctions(self, client: Client, exchange: Exchange) -> None:
        """What is for sale, then what happens to it."""
        self._hub.subscribe(client, "auctions", auctions(exchange))

    def trades(self, instrument: int | None, limit: int) -> list[Mapping[str, Any]]:
        """The newest first. Callable from any thread."""
        found: list[Mapping[str, Any]] = []
        for sequence, trade, time_ms in reversed(self._trades.copy()):
            if instrument is None or trade.instrument == instrument:
                found.append(_trade_message(sequence, trade, time_ms))
                if len(found) == limit:
                    break
        return found

    def _record(self, sequence: int, event: Event) -> None:
        publish = self._hub.publish
        match event:
            case Trade():
                taped = (sequence, event, self._time_ms)
                self._trades.append(taped)
                accounts = (event.taker, event.maker)
                for channel in ("trades", f"trades.{event.instrument}", *map(_account_channel, accounts)):
                    publish(channel, _trade_message, *taped)
                return
            case EpochStarted():
                self._time_ms = event.time_ms
                publish("epochs", _message, sequence, event)
            case AuctionBegun() | AuctionEnded() | TakenOver() | Deleveraged():
                publish("auctions", _message, sequence, event)
        for account in dict.fromkeys(getattr(event, field) for field in ACCOUNT_FIELDS[type(event).__name__]):
            publish(_account_channel(account), _message, sequence, event)

    def _tell(self, exchange: Exchange, instrument: int) -> None:
        now = levels(exchange, instrument)
        before = self._told.get(instrument)
        if now is None or before is None or now == before:
            return
        changes = {side: [[price, lots] for price, lots in _changes(before[side], now[side])] for side in now}
        self._told[instrument] = now
        message = {"instrument": instrument, "log_sequence": exchange.next_sequence - 1, **changes}
        self._hub.publish(f"book.{instrument}", lambda: message)

    def _tell_combinations(self, exchange: Exchange) -> None:
        if not self._hub.wanted("combinations"):
            self._told_combinations = {}
            return
        before, now = self._told_combinations, combination_levels(exchange)
        self._told_combinations = now
        changed = []
        for legs in [*now, *(legs for legs in before if legs not in now)]:
            old, new = before.get(legs, EMPTY), now.get(legs, EMPTY)
            if old != new:
                changed.append(combination(legs, {side: _changes(old[side], new[side]) for side in EMPTY}))
        if changed:
            message = {"log_sequence": exchange.next_sequence - 1, "books": changed}
            self._hub.publish("combinations", lambda: message)


def _message(sequence: int, event: Event) -> dict[str, Any]:
    return {**event_json(event), "log_sequence": sequence}


def _trade_message(sequence: int, trade: Trade, time_ms: int) -> dict[str, Any]:
    return {**event_json(trade), "log_sequence": sequence, "table_time_ms": time_ms}


@cache
def _account_channel(account: int) -> str:
    return f"account.{account}"


def _changes(before: Mapping[int, int], now: Mapping[int, int]) -> list[tuple[int, int]]:
    """(price, lots) of every level that differs; 0 lots: the level is gone."""
    return [(price, now.get(price, 0)) for price in sorted(before.keys() | now.keys()) if before.get(price) != now.get(price)]
