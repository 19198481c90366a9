"""What the interface needs of a node. Every call may be made from the event loop; what reads or changes the exchange runs in the node's one writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from straddle.core.commands import Command
from straddle.core.events import Event
from straddle.core.rejections import Rejection
from straddle.core.state import Exchange

T = TypeVar("T")


class Unavailable(RuntimeError):
    """The node takes no more for the moment (too much waits), or no more at all (it stops). Nothing was submitted."""


@dataclass(frozen=True, slots=True)
class Receipted:
    """An accepted command."""

    receipt: Mapping[str, Any]
    """docs/reference/receipts.md, as JSON."""
    events: tuple[Event, ...]


class Service(Protocol):
    """A running node."""

    def command(self, operation: object, content: dict[str, Any]) -> Command:
        """The command of a JSON object without its `op`; ValueError names the field that does not fit."""

    async def submit(self, commands: Sequence[Command]) -> list[Receipted | Rejection]:
        """Run commands in order; answers in order, once durable. Unavailable: see there."""

    async def read(self, view: Callable[[Exchange], T]) -> T:
        """`view` of the exchange between two commands."""

    async def saved(self, account: int) -> Mapping[str, Any] | None:
        """The account at the newest closed batch with its path, as `commitments.saved` has it; None when no batch has closed with it."""

    async def receipt(self, sequence: int) -> Mapping[str, Any] | None:
        """The receipt of an earlier entry, or None."""

    async def status(self) -> Mapping[str, Any]:
        """docs/reference/api.md, GET /status."""

    def parameters(self) -> Mapping[str, Any]:
        """The market's parameters, docs/reference/parameters.md."""

    def trades(self, instrument: int | None, limit: int) -> list[Mapping[str, Any]]:
        """The newest trades, newest first."""

    def batches(self, first: int, limit: int) -> list[Mapping[str, Any]]:
        """Batches from `first` on."""
