"""Progress and tables on a terminal, or as plain lines where there is none."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from straddle.node.report import DemoReport
from straddle.node.verify import VerifyReport

PLAIN_SECONDS = 10.0
"""Without a terminal, progress within a stage shows as a line at most this often."""


class TerminalDisplay:
    """One line for each stage; on a terminal a bar below them shows what is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not self._live)
        self._task = self._progress.add_task("", total=None)
        self._started = self._shown = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def stage(self, name: str, detail: str = "") -> None:
        """A new stage begins."""
        self._console.print(f"[bold]{name}[/bold]  {detail}", highlight=False)
        self._progress.reset(self._task, description=name, total=None)
        self._shown = self._started = time.monotonic()

    def progress(self, detail: str, done: float | None = None) -> None:
        """Within the stage; `done` from 0 to 1 where it is known."""
        if self._live:
            self._progress.update(self._task, description=detail, total=None if done is None else 1.0, completed=done or 0.0)
        elif detail != self._last or time.monotonic() - self._shown > PLAIN_SECONDS:
            share = f" {done:.0%}" if done is not None else ""
            self._console.print(f"  {detail}{share} ({time.monotonic() - self._started:.0f} s)", highlight=False)
            self._shown, self._last = time.monotonic(), detail


def demo_tables(report: DemoReport) -> list[Table]:
    """The end of a demo run."""
    return [_batches(report), _summary(report)]


def _batches(report: DemoReport) -> Table:
    table = Table(title="Batches on layer 1", title_justify="left")
    for column in ("batch", "trades", "data, bytes", "gas propose", "gas prove", "proof, s", "status", "state root"):
        table.add_column(column, justify="left" if column in ("status", "state root") else "right")
    for batch in report.batches:
        style = "green" if batch.status == "verified" else "red"
        numbers = (str(batch.number), str(batch.trades), f"{batch.data_bytes:,}", f"{batch.propose_gas:,}", f"{batch.prove_gas:,}")
        table.add_row(*numbers, f"{batch.prove_wall_seconds:.1f}", f"[{style}]{batch.status}[/{style}]", batch.state_root[:14] + "...")
    return table


def _summary(report: DemoReport) -> Table:
    money, rebuild, withdrawal = report.conservation, report.rebuild, report.withdrawal
    rows = {
        "market": f"{report.market.chain}: {report.market.instruments} instruments, expiries {', '.join(report.market.expiries)}",
        "refused": f"{report.market.refused_rows} rows, {report.market.refused_quotes} quotes of the recording",
        "trades": f"{report.trades} by {report.traders} traders in {report.instruments_traded} instruments, {report.expiries_traded} option expiries",
        "volume": f"{report.volume_lots / 10_000:,.2f} BTC, fees {report.fees_micros / 1e6:,.2f} USDC",
        "withdrawal": f"{withdrawal.paid_micros / 1e6:,.6f} USDC paid on layer 1, asked {withdrawal.amount_micros / 1e6:,.6f}",
        "conservation": f"cash {money.cash_micros / 1e6:,.6f} USDC, vault {money.vault_row_micros / 1e6:,.6f}: error {money.error_micros} micro-dollars",
        "rebuilt": f"{rebuild.batches} batches from layer-1 data, {rebuild.tables_recomputed} risk tables recomputed: {_same(rebuild.equal)}",
        "replayed": f"the journal from genesis: {_same(rebuild.replayed_equal)}",
        "time": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items()),
    }
    table = Table(title="Summary", title_justify="left", show_header=False)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def verify_table(report: VerifyReport) -> Table:
    """What `straddle verify` compared."""
    rows = {
        "layer-1 block": str(report.block),
        "batches": f"{report.batches} proven, {report.proposals} proposed and not yet proven",
        "accounts": str(report.accounts),
        "risk tables": f"{report.tables} recomputed from published inputs",
        "state root": f"{report.state_root:#x}: {_same(report.state_root == report.state_root_on_layer_1)}",
        "cash": f"{report.cash_micros / 1e6:,.6f} USDC; vault row {report.vault_row_micros / 1e6:,.6f}, of it queued {report.queued_micros / 1e6:,.6f}",
        "conservation": f"error {report.conservation_error_micros} micro-dollars",
    }
    table = Table(show_header=False)
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def _same(equal: bool) -> str:
    return "[green]equal[/green]" if equal else "[red]DIFFERENT[/red]"
