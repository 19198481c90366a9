"""straddle solvency: what an exchange owes and what it holds, as published on layer 1 with proofs; one's own line in it; and making such a proof."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from straddle.cli.common import clear_errors, errors, finish, output
from straddle.cli.display import TerminalDisplay
from straddle.cli.layer1 import (
    DataOption,
    DeploymentOption,
    FromBlockOption,
    KeyOption,
    L1Option,
    RollupOption,
    check_account,
    find_rollup,
    open_sender,
    open_sources,
)
from straddle.l1.deploying import deploy_single_solvency
from straddle.l1.deployment import Deployment, StatementContract
from straddle.l1.growing import GrowingHistory
from straddle.l1.history import History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.l1.solvency import SolvencyClient, Solvent
from straddle.node.config import ConfigError
from straddle.node.counting import Books, check_published, count
from straddle.node.leaving import dollars
from straddle.node.publishing import NotSolvent, Publisher, publish_for_ever
from straddle.node.recovery import final_state, recorded_table
from straddle.node.statements import StatementProver
from straddle.node.version import terms_of
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer

POLL_S = 10.0
MAX_AGE_HOURS = 24.0
HOUR_S = 3_600


def solvency_command(
    l1: L1Option,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    solvency: Annotated[str | None, typer.Option(help="Address of the Solvency contract.", show_default="the record's")] = None,
    account: Annotated[int | None, typer.Option(help="Show this account's line, and whether it is what the account has.", min=1, max=2**24 - 1)] = None,
    prove: Annotated[bool, typer.Option("--prove", help="Make the proof of the newest final state and publish it (needs --key).")] = False,
    every: Annotated[int | None, typer.Option(help="With --prove: go on, and publish again after so many final batches.", min=1)] = None,
    single: Annotated[
        bool,
        typer.Option("--single", help="With --prove: count account by account, with the exits' circuit, on a Solvency contract made for it."),
    ] = False,
    max_age: Annotated[
        float, typer.Option("--max-age", help="Hours, by layer 1's clock, that the newest proof may be old; an older one does not hold.", min=0.0)
    ] = MAX_AGE_HOURS,
    key: KeyOption = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of the exchange's proving keys.", show_default="the prover's cache")] = None,
    data: DataOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Show the newest published proof of solvency, checked against layer 1. Exit code 1 when it does not hold, is old, or there is none."""
    with clear_errors():
        if every is not None and not prove:
            raise ConfigError(f"--every: {every}, expected only together with --prove")
        if single and not prove:
            raise ConfigError("--single: expected only together with --prove")
        with Rpc(l1) as rpc, TerminalDisplay(output) as display:
            found = find_rollup(rpc, rollup, deployment, from_block, solvency)
            if account is not None:
                check_account(found, account)
            sender = open_sender(rpc, key) if prove else None
            if prove and sender is None:
                raise ConfigError("--key: missing, expected the key that pays for --prove")
            if sender is not None and single and (found.solvency is None or found.solvency.chunk_exponent):
                found = replace(found, solvency=_deploy_single(rpc, found, sender))
            command = _Command(rpc, found, SolvencyClient(rpc, found), data, display)
            if sender is not None:
                command.publish(sender, keys, every)
            tables, problems = command.show(account, max_age)
        output.print(*tables, sep="\n")
    finish(problems)


def _deploy_single(rpc: Rpc, found: Deployment, sender: Sender) -> StatementContract:
    made = deploy_single_solvency(rpc, sender, found)
    output.print(f"--solvency {made.address}: made for this rollup; name it to show what is published there, or to publish again", highlight=False)
    return made


class _Command:
    """One run of the command."""

    def __init__(self, rpc: Rpc, found: Deployment, client: SolvencyClient, data: str | None, display: TerminalDisplay) -> None:
        self._rpc, self._found, self._client, self._data, self._display = rpc, found, client, data, display
        self._rollup = RollupClient(rpc, found)
        self._preset, self._params = terms_of(found)

    def publish(self, sender: Sender, keys: Path | None, every: int | None) -> None:
        """Once, or for ever."""
        facts = (self._rollup.domain(), sender.address, lambda report: self._display.progress(f"proof: {report.stage}", report.done))
        statement = self._client.statement
        prover, kind = Prover(cache=keys), "solvency" if statement.chunk_exponent else "exit"
        made = StatementProver.of(prover, self._found, statement, self._preset.name, kind, *facts)
        blobs, bodies = open_sources(self._rpc, self._found, self._data)
        history = GrowingHistory(self._rpc, self._found, blobs=blobs, bodies=bodies)
        with ProvingServer(prover, made.preset.name) as server:
            publisher = Publisher(self._client, self._rollup, history, replace(made, prover=server), sender, self._display.progress)
            self._display.stage("counting and publishing the newest final state")
            self._publish(publisher, server, every)

    def _publish(self, publisher: Publisher, server: ProvingServer, every: int | None) -> None:
        def pause() -> None:
            server.close()  # until the next proof it would only hold memory
            time.sleep(POLL_S)

        if every is not None:
            publish_for_ever(publisher, self._rollup, every, _say, pause)
        try:
            publisher.publish()
        except NotSolvent as error:
            for problem in error.problems:
                _say(f"not solvent, nothing published: {problem}")
            raise typer.Exit(1) from error

    def show(self, account: int | None, max_age_hours: float) -> tuple[list[Table], list[str]]:
        """The newest published proof, the account's line, and what does not hold."""
        self._display.stage("reading layer 1")
        history = self._history()
        published = self._client.published(history.to_block)
        if not published:
            return [], ["no proof was published yet: `straddle solvency --prove` makes one"]
        newest = published[-1]
        books, problems = check_published(newest, history, self._rpc, self._found)
        age_s = max(0, self._rpc.time_s() - newest.time_ms // 1000)
        if age_s > max_age_hours * HOUR_S:
            problems.append(f"the newest proof is of {_hours(age_s)} ago, expected at most {max_age_hours:g} hours (--max-age)")
        tables = [solvency_table(newest, books, len(published), self._client.statement.vk_id, behind=len(history.final) - newest.batch_number, age_s=age_s)]
        if account is not None:
            table, faults = self._line(newest, history, account)
            tables, problems = [*tables, table], problems + faults
        return tables, problems

    def _line(self, newest: Solvent, history: History, account: int) -> tuple[Table, list[str]]:
        """The account as it was counted, and as the state rebuilt up to that batch has it."""
        line = next((line for chunk in newest.chunks for line in chunk.lines if line.account == account), None)
        then = replace(history, final=history.final[: newest.batch_number])
        state = final_state(then, self._found, self._preset, self._params)
        epoch = history.epochs[newest.epoch]
        risk = recorded_table(epoch, state.listed, self._found.parameters.risk)
        if risk is None:
            return Table(), [f"epoch {newest.epoch}: its table does not follow from the published inputs"]
        bits = self._client.statement.chunk_exponent
        own = count(state, risk, self._rollup.domain(), bits, len(newest.chunks)).line_of(account)
        table = Table(title=f"Account {account}", show_header=False, title_justify="left")
        table.add_row("counted as", "not at all" if line is None else f"{dollars(line.claim)}, owner {line.owner:#042x}")
        table.add_row("rebuilt from the data", "no such account" if own is None else f"{dollars(own.claim)}, owner {own.owner:#042x}")
        return table, [] if line == own else [f"account {account}: counted as {line}, the rebuilt state has {own}"]

    def _history(self) -> History:
        blobs, bodies = open_sources(self._rpc, self._found, self._data)
        return read_history(self._rpc, self._found, blobs=blobs, bodies=bodies)


def _say(text: str) -> None:
    errors.print(f"[red]solvency:[/red] {escape(text)}", highlight=False, soft_wrap=True)


def _hours(seconds: int) -> str:
    return f"{seconds / HOUR_S:,.1f} hours"


def solvency_table(newest: Solvent, books: Books, published: int, vk_id: bytes, behind: int, age_s: int) -> Table:
    """The newest proof in words."""
    whole = books.holdings
    ago = f"{behind} final batch{'' if behind == 1 else 'es'} ago"
    rows = {
        "state": f"after batch {newest.batch_number}, {ago}; proof {published} of those published, by {newest.publisher}",
        "valued on": f"the risk table of epoch {newest.epoch}, {datetime.fromtimestamp(newest.time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC, "
        f"{_hours(age_s)} ago by layer 1's clock",
        "owed to accounts": f"{dollars(newest.liabilities)}, {len(whole.lines)} accounts",
        "held for them": "the layer-1 node has forgotten that block" if books.row is None else f"{dollars(books.row - books.deposits)} in the vault",
        "deposits on their way": dollars(books.deposits),
        "positions": "sum to zero in every instrument" if not any(whole.nets) else "do not sum to zero",
        "below maintenance margin": f"{newest.below} accounts, which lack {dollars(-(-newest.lacking_e4 // 10_000))} together",
        "insurance fund": ("-" if newest.fund < 0 else "") + dollars(abs(newest.fund)),
        "verifying key": f"0x{vk_id.hex()}",
    }
    table = Table(title="Solvency", show_header=False, title_justify="left")
    for name, text in rows.items():
        table.add_row(name, escape(text))
    return table
