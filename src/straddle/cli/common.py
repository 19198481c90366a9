"""What the commands share: where they print, and how a failure ends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from straddle.cli.remote import NodeUnreachable
from straddle.commitments.policy import PolicyError
from straddle.committee.client import MemberUnreachable
from straddle.committee.store import StoreError
from straddle.l1.anvil import AnvilError
from straddle.l1.contracts import ContractError
from straddle.l1.deployment import DeploymentError
from straddle.l1.history import HistoryError
from straddle.l1.rpc import ConnectionFailed, RpcError
from straddle.l1.sender import TransactionFailed
from straddle.node.chain import ChainMismatch
from straddle.node.config import ConfigError
from straddle.node.session import SessionError
from straddle.node.upkeep import OperatorError
from straddle.proving.keys import ProverOutputError
from straddle.proving.prover import ProverError
from straddle.sequencer.journal import JournalError
from straddle.sequencer.poster import PosterError
from straddle.sequencer.sequencer import ReplayError

EXPECTED_ERRORS: tuple[type[Exception], ...] = (
    *(ConfigError, SessionError, ProverError, ProverOutputError, JournalError, ReplayError, PosterError, ChainMismatch, NodeUnreachable, OperatorError),
    *(PolicyError, StoreError, MemberUnreachable),
    *(AnvilError, ContractError, DeploymentError, HistoryError, ConnectionFailed, RpcError, TransactionFailed, OSError),
)

output = Console()
errors = Console(stderr=True)


@contextmanager
def clear_errors(*expected: type[Exception]) -> Iterator[None]:
    """Errors that a user can act on become one message and exit code 2; anything else is a bug and shows its trace. `expected`: a command's own."""
    try:
        yield
    except (*EXPECTED_ERRORS, *expected) as error:
        errors.print(f"[red]straddle:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error


def finish(problems: Sequence[str]) -> None:
    """The end of a check: each problem is shown, and any makes the exit code 1."""
    for problem in problems:
        errors.print(f"[red]does not hold:[/red] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
