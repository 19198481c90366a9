"""An undo log: the exchange is changed in place, and put back step by step when an order or a whole set cannot stand."""

from __future__ import annotations

from collections.abc import Callable


class UndoLog:
    """Calls that undo what was done, newest last."""

    __slots__ = ("note", "steps")

    def __init__(self) -> None:
        self.steps: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.note = self.steps.append
        """`note((step, arguments))`: `step(*arguments)` undoes what was just done. The list's own method: an order notes seven steps."""

    def back_to(self, length: int) -> None:
        """Undoes everything since the log had this length, newest first."""
        steps = self.steps
        while len(steps) > length:
            step, arguments = steps.pop()
            step(*arguments)
