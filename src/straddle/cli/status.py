"""`straddle status`: how a running node stands."""

from __future__ import annotations

from typing import Annotated

import typer

from straddle.cli.common import clear_errors, finish, output
from straddle.cli.display import status_table
from straddle.cli.remote import as_documented, fetch_status


def status(
    url: Annotated[str, typer.Option(help="Address of a node's interface.")] = "http://127.0.0.1:8645",
) -> None:
    """Show how a running node stands: log, market, batches, prover lag, money. Exit code 1 when something is wrong with it."""
    with clear_errors():
        found = fetch_status(url)
        with as_documented(url):
            problems = [str(problem) for problem in found["problems"]]
            output.print(status_table(found))
    finish(problems)
