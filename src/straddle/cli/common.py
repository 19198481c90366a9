"""What the commands share: where they print, and how a failure ends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from straddle.primitives.errors import Actionable

output = Console()
errors = Console(stderr=True)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Errors that a user can act on become one message and exit code 2; anything else is a bug and shows its trace."""
    try:
        yield
    except (Actionable, OSError) as error:
        errors.print(f"[red]straddle:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error


def finish(problems: Sequence[str]) -> None:
    """The end of a check: each problem is shown, and any makes the exit code 1."""
    for problem in problems:
        errors.print(f"[red]does not hold:[/red] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
