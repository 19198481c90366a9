"""A round: transactions that are sent one after the other and waited for together, so that one block of layer 1 may hold them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from straddle.l1.rpc import RpcError
from straddle.l1.sender import TransactionFailed

TRANSACTIONS_MAX = 16
"""Of one round: so many of one wallet every node of layer 1 keeps waiting."""
REFUSALS = (RpcError, TransactionFailed)
"""Layer 1 does not take a transaction."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction that layer 1 executed."""

    transaction_hash: str
    gas: int
    blob_gas: int = 0


class Sent(Protocol):
    """A transaction on its way."""

    def landed(self) -> Landed:
        """When it is mined. Raises when it failed, or was not mined in time."""


class RoundOver(Exception):
    """Nothing more can be sent before what is on its way has landed. `Round` takes it."""


class Round:
    """Transactions in the order of their sending, each of which may build on those before. At its end all are waited for, and each is noted when it has landed,
    whatever becomes of the others; then the first failure is raised."""

    def __init__(self) -> None:
        self._sent: list[tuple[Sent, Callable[[Landed], None]]] = []
        self._refusal: Exception | None = None
        self._most = TRANSACTIONS_MAX
        self.epochs: set[int] = set()
        """Whose tables are among them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error is not None and not isinstance(error, Exception):  # the process ends
            return False
        failure = self._land() or self._refusal
        if error is None or isinstance(error, RoundOver):
            if failure is not None:
                raise failure
            return True
        return False

    @contextmanager
    def part(self, most: int = TRANSACTIONS_MAX) -> Iterator[None]:
        """At most so many transactions that are of no concern to those after the part: a refusal ends the part, and is raised at the round's end."""
        self._most = self.count + most
        try:
            yield
        except RoundOver:
            pass
        except REFUSALS as error:
            self._refusal = self._refusal or error
        finally:
            self._most = TRANSACTIONS_MAX

    @property
    def count(self) -> int:
        """Transactions that were sent."""
        return len(self._sent)

    def send(self, send: Callable[[], Sent], note: Callable[[Landed], None] = lambda landed: None) -> None:
        """One more; `note` records it when it has landed.

        RoundOver: it has to wait for those before. A refusal says nothing while they are on their way, since it may build on them: the next round tries again.
        """
        if self.count >= self._most:
            raise RoundOver
        try:
            sent = send()
        except REFUSALS as error:
            if self._sent:
                raise RoundOver from error
            raise
        self._sent.append((sent, note))

    def _land(self) -> Exception | None:
        """Note what has landed; the first failure."""
        failure: Exception | None = None
        for sent, note in self._sent:
            try:
                landed = sent.landed()
            except Exception as error:
                failure = failure or error
            else:
                note(landed)
        return failure
