"""The commands, each in a module of its own that is read when it is asked for: a member of a committee must not wait for what only the demo needs.

Errors that a user can act on are one line on standard error and exit code 2; a run or check that ended badly is exit code 1.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from straddle import __version__
from straddle.cli.common import output

COMMANDS = {
    "demo": "demo:demo",
    "up": "up:up",
    "status": "status:status",
    "market": "market:market",
    "verify": "verify:verify",
    "watch": "watch:watch",
    "account": "account:account",
    "exit": "exit:exit_command",
    "answer": "answer:answer_command",
    "solvency": "solvency:solvency_command",
    "member": "member:member",
    "compare": "compare:compare",
}
"""Name -> module in this package, and function, or group of commands."""


class Commands(TyperGroup):
    """The table above as a group of commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> typer.core.TyperCommand | TyperGroup | None:
        """The command or group, whose module is read now; None: there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        named = getattr(import_module(f"straddle.cli.{module}"), name)
        if isinstance(named, typer.Typer):
            alone = named
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(cmd_name)(named)
        found = typer.main.get_command(alone)
        assert isinstance(found, typer.core.TyperCommand | TyperGroup)
        found.name = cmd_name
        return found


app = typer.Typer(
    cls=Commands, help="Straddle: an options exchange as its own Ethereum rollup.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        output.print(f"straddle {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Straddle: an options exchange as its own Ethereum rollup."""


if __name__ == "__main__":
    app()
