"""Whether money was made or lost: what all accounts own against what layer 1 holds for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from straddle.core.batch import OpenBatch
from straddle.core.state import Exchange
from straddle.node.chain import Observation

EVERY_S = 1.0
"""All accounts are valued at most this often, however often somebody asks: it takes the writer's time."""


@dataclass(frozen=True, slots=True)
class Money:
    """At one moment, micro-dollars."""

    cash: int
    """Of all accounts, what settled positions will turn into among it."""
    vault_row: int | None
    """What the vault holds for the rollup; None before layer 1 was read."""
    error: int | None
    """The row less queued deposits and withdrawals under way less all cash; 0 unless money was made or lost."""


class MoneyCheck:
    """`look` values all accounts, or gives what it found a moment ago."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._found: tuple[float, Money] | None = None

    def look(self, exchange: Exchange, seen: Observation | None, pending_withdrawals: Mapping[int, int]) -> Money:
        """In the writer. `pending_withdrawals`: closed batch -> what it withdraws, those at least that are not final."""
        now = self._now_s()
        if self._found is None or now - self._found[0] >= EVERY_S:
            self._found = (now, money_of(exchange, seen, pending_withdrawals))
        return self._found[1]


def money_of(exchange: Exchange, seen: Observation | None, pending_withdrawals: Mapping[int, int]) -> Money:
    """All accounts valued."""
    if exchange.table is None:
        cash = sum(account.cash for account in exchange.accounts.values())
    else:
        cash = sum(exchange.settled_side(number)[0] for number in exchange.accounts)
    if seen is None:
        return Money(cash, None, None)
    queued = sum(amount for index, amount in seen.deposits if index >= exchange.queue_pointer)
    leaving = sum(amount for batch, amount in pending_withdrawals.items() if batch > seen.final)
    return Money(cash, seen.row_micros, seen.row_micros - queued - leaving - leaving_in(exchange.open_batch) - cash)


def leaving_in(batch: OpenBatch) -> int:
    """Micro-dollars that a batch takes out of the exchange: signed and forced withdrawals."""
    return sum(command.amount for command in batch.withdrawals.values()) + sum(batch.forced.values())
