"""Progress and tables on a terminal, or as plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from straddle.node.report import DemoReport, LiquidationReport
from straddle.node.steps import Standing, utc
from straddle.node.verify import VerifyReport
from straddle.node.verifying_keys import OPTIONS

DAY_S = 86_400
PLAIN_SECONDS = 10.0
"""Without a terminal, progress within a stage shows as a line at most this often."""


class TerminalDisplay:
    """One line for each stage; on a terminal a bar below them shows what is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=30), TaskProgressColumn(), TimeElapsedColumn())
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
        self._console.print(f"[bold]{escape(name)}[/bold]  {escape(detail)}", highlight=False, soft_wrap=True)
        self._progress.reset(self._task, description=name, total=None)
        self._shown = self._started = time.monotonic()

    def progress(self, detail: str, done: float | None = None) -> None:
        """Within the stage; `done` from 0 to 1 where it is known."""
        if self._live:
            self._progress.update(self._task, description=detail, total=None if done is None else 1.0, completed=done or 0.0)
        elif detail != self._last or time.monotonic() - self._shown > PLAIN_SECONDS:
            share = f" {done:.0%}" if done is not None else ""
            self._console.print(f"  {detail}{share} ({time.monotonic() - self._started:.0f} s)", highlight=False, markup=False)
            self._shown, self._last = time.monotonic(), detail

    def ask(self, question: str) -> bool:
        """A question that stands still; no is the answer to anything but yes."""
        self._progress.stop()
        try:
            return typer.confirm(question)
        finally:
            self._progress.start()


def demo_tables(report: DemoReport) -> list[Table]:
    """The end of a demo run."""
    return [_batches(report), _summary(report)]


def _batches(report: DemoReport) -> Table:
    table = Table(title="Batches on layer 1", title_justify="left")
    for column in ("batch", "time", "trades", "accounts", "data, bytes", "gas propose", "gas final", "proof, s", "lag, s", "status", "state root"):
        table.add_column(column, justify="left" if column in ("status", "state root") else "right")
    for batch in report.batch_details:
        style = "green" if batch.status == "verified" else "red"
        numbers = (str(batch.number), _moment(batch.time_ms)[11:16], str(batch.trades), str(batch.accounts), f"{batch.data_bytes:,}")
        costs = (f"{batch.propose_gas:,}", f"{batch.prove_gas + batch.finalise_gas:,}", f"{batch.prove_wall_seconds:.1f}", f"{batch.lag_seconds:.0f}")
        table.add_row(*numbers, *costs, f"[{style}]{batch.status}[/{style}]", batch.state_root[:10] + "...")
    return table


def _summary(report: DemoReport) -> Table:
    table = Table(title="Summary", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in {**_trading(report), **_proofs(report), **_money(report)}.items():
        table.add_row(name, text)
    return table


def _trading(report: DemoReport) -> dict[str, str]:
    market, cadence, pnl, price = report.market, report.cadence, report.pnl, report.settlement_price_usd
    span = f"{_moment(cadence.first_epoch_ms)} to {_moment(cadence.last_epoch_ms)[11:]}"
    rows = {
        "market": f"{market.chain}: {market.options} options, {market.futures} futures, the perpetual; expiries {', '.join(market.expiries)}",
        "refused": f"{market.refused_rows} rows, {market.refused_quotes} quotes of the recording",
        "cadence": f"{span}, a risk epoch every {cadence.epoch_minutes} minutes ({report.epochs}), {cadence.trading_rounds} rounds of takers",
        "trades": f"{report.trades}, {report.multi_leg_trades} of them multi-leg, {report.legs} legs, in {report.instruments_traded} instruments",
        "orders": f"{report.quotes:,} quotes, {report.orders} orders, {report.hedge_trades} hedge trades, {report.accounts} accounts; "
        f"makers' protections tripped {report.protections_tripped} times",
        "volume": f"{report.volume_lots / 10_000:,.2f} BTC, fees {report.fees_usdc:,.2f} USDC",
        "liquidations": "; ".join(_liquidation(item) for item in report.liquidation_details) or "none: nobody fell below maintenance margin",
        "settlement": "no expiry was reached" if price is None else f"{report.settled_instruments} instruments at ${price:,.2f}",
    }
    if pnl is not None:
        hedged, unhedged = (
            f"{mean:,.0f} +- {std:,.0f}" for mean, std in ((pnl.hedged_mean, report.hedged_pnl_std), (pnl.unhedged_mean, report.unhedged_pnl_std))
        )
        rows["P&L, USDC"] = f"hedged {hedged}, unhedged {unhedged} over {pnl.paths} histories (mean and standard deviation)"
        rows["attribution"] = ", ".join(f"{name} {part['mean']:,.0f} +- {part['std']:,.0f}" for name, part in pnl.attribution.items())
    return rows


def _liquidation(item: LiquidationReport) -> str:
    when = f"account {item.account} for sale at {_moment(item.begun_ms)[11:16]}"
    if item.taken_by is None:
        return f"{when}, nobody took it"
    return f"{when}, taken by account {item.taken_by} for {item.payment_usdc:,.2f} USDC"


def _proofs(report: DemoReport) -> dict[str, str]:
    lag, most = report.prove_lag_seconds, report.prove_lag_seconds_max
    return {
        "proofs": f"{report.batches_verified_on_l1} of {report.batches} batches verified; {report.constraints:,} constraints each, "
        f"{report.constraints_per_trade:,.0f} a trade",
        "prover": f"{report.prove_cpu_seconds_per_trade:.2f} CPU seconds a trade; verified {lag:.0f} s after closing, at most {most:.0f}",
        "layer 1": f"{report.l1_gas_per_trade:,.0f} gas and {report.l1_bytes_per_trade:,.0f} bytes a trade, of which risk tables "
        f"{report.l1_gas_per_trade_of_tables:,.0f} and {report.l1_bytes_per_trade_of_tables:,.0f}; a table {report.l1_gas_per_epoch:,.0f} gas",
    }


def _money(report: DemoReport) -> dict[str, str]:
    rebuild, forced = report.rebuild, sum(item.forced for item in report.withdrawals)
    return {
        "withdrawals": f"{len(report.withdrawals)} ({forced} forced): {report.received_on_l1_usdc:,.6f} USDC paid on layer 1",
        "conservation": f"cash {report.sum_of_cash_usdc:,.6f} USDC, vault {report.vault_balance_usdc:,.6f}: error {report.conservation_error} micro-dollars",
        "rebuilt": f"{rebuild.batches} batches from layer-1 data, {rebuild.tables_recomputed} risk tables recomputed: {_same(report.rebuilt_root_matches)}",
        "replayed": f"the journal from genesis: {_same(rebuild.replayed_equal)}",
        "synthetic": "; ".join(report.synthetic),
        "time": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items()),
    }


def _trust(name: str, trusted: bool) -> str:
    return "as expected" if trusted else f"on the chain as in the record; name the one that you trust with {OPTIONS[name]}"


def verify_table(report: VerifyReport, keys: Mapping[str, bytes], trusted: Collection[str]) -> Table:
    """What `straddle verify` compared; `trusted` are the statements whose verifying key the user named."""
    rows = {
        **{f"verifying key, {name}": f"0x{key.hex()}, {_trust(name, name in trusted)}" for name, key in keys.items()},
        "layer-1 block": str(report.block),
        "batches": f"{report.batches} final, {report.proposals} proposed and not yet final",
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


def steps_table(title: str, standing: Standing, *, ended: bool, with_key: bool) -> Table:
    """What was done of a way, and what comes next."""
    table = Table(title=title, show_header=False, title_justify="left")
    for item in standing.done:
        table.add_row("done", escape(item))
    step = standing.next
    if step.act is not None and not with_key:
        table.add_row("possible now", escape(f"{step.what} (run this command again with --key)"))
    elif ended:
        table.add_row("ended", escape(step.what))
    else:
        table.add_row("next", escape(step.what))
        if step.due_s is not None:
            table.add_row("not before", f"{utc(step.due_s)}, by layer 1's clock: run this command again then")
    return table


def status_table(status: Mapping[str, Any]) -> Table:
    """What `straddle status` shows: the node's GET /status."""
    batches, money = status["batches"], status["money"]
    age = status["epoch_age_ms"]
    index = status["index_ticks"]
    error = money["conservation_error"]
    state = status["market_state"]
    rows = {
        "node": f"straddle {status['version']}, preset {status['preset']}, started from {status['started_from']}",
        "rollup": f"{status['rollup']} on chain {status['chain_id']} at {status['layer1_url']}, block {status['layer1_block']}",
        "verifying key": status["vk_id"],
        "log": f"entry {status['sequence']:,}" + _resumed(status["resumed_from"]),
        "state root": status["state_root"],
        "market": f"[{'green' if state == 'open' else 'yellow'}]{state}[/], {_moment(status['market_time_ms'])}, index {_dollars(index, 100)}",
        **_market(status["market"], status["market_time_ms"]),
        "risk epoch": f"{status['epoch']}, {'no table yet' if age is None else f'{age / 1000:.1f} s old'}",
        "instruments": f"{status['instruments']:,}, {status['open_orders']:,} open orders",
        "accounts": f"{status['accounts']:,}, {status['auctions']:,} of them for sale in an auction",
        "open batch": f"{batches['open']}, {batches['open_entries']:,} entries",
        "batches": _progress(batches, status["settlement"]),
        "prover lag": f"{batches['lag']} batches; from {batches['lag_max']} on the market is cancel-only",
        "cash": f"{_dollars(money['cash'], 10**6)} USDC; vault row {_dollars(money['vault_row'], 10**6)}",
        "conservation": "layer 1 was not read yet" if error is None else f"[{'red' if error else 'green'}]error {error} micro-dollars[/]",
        **_solvency(status["solvency"], status["market_time_ms"]),
    }
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, text in {**rows, **_settlement(status["settlement"], batches)}.items():
        table.add_row(name, text)
    return table


def _market(market: Mapping[str, Any], now_ms: int) -> dict[str, str]:
    """Why the market is not open, and the end of the recording when it is near."""
    rows = {}
    if market["reason"]:
        rows["market allowed"] = f"{market['allowed']}: {market['reason']}"
    if market["by_hand"] != "open":
        rows["market by hand"] = f"[yellow]{market['by_hand']}[/], until straddle market open"
    left_s = (market["recording_ends_ms"] - now_ms) // 1000
    if left_s < DAY_S:
        rows["recording"] = f"[yellow]{f'ends in {_span(left_s)} of the market' if left_s > 0 else 'has ended'}[/]"
    return rows


def _solvency(published: Mapping[str, Any] | None, now_ms: int) -> dict[str, str]:
    """The newest proof of solvency, where the node publishes them."""
    if published is None:
        return {}
    every = f"every {published['every_hours']:g} hours of the market"
    if published["batch"] is None:
        return {"solvency": f"nothing published yet, {every}"}
    return {"solvency": f"batch {published['batch']} proved and published, {_span(max(0, now_ms - published['time_ms']) // 1000)} of the market ago; {every}"}


def _resumed(origin: Mapping[str, Any] | None) -> str:
    return f"; resumed after entry {origin['sequence']:,}, at batch {origin['batch']} of layer 1 (folder {origin['log']})" if origin else ""


def _progress(batches: Mapping[str, Any], settlement: Mapping[str, Any]) -> str:
    proved = "" if settlement["challenge_window_s"] else f"{batches['proved']} proved, "
    return f"{batches['closed']} closed, {batches['proposed']} proposed, {proved}{batches['verified']} final"


def _settlement(settlement: Mapping[str, Any], batches: Mapping[str, Any]) -> dict[str, str]:
    """Policy, finality, bonds, challenges and the clocks."""
    now, clocks, window = settlement["now"], settlement["clocks"], settlement["challenge_window_s"]
    final = f"a batch is final {_span(window)} after its proposal, or with a proof" if window else "a batch is final with its proof"
    rows = {"policy": f"{settlement['policy']}; {final}"}
    if settlement["members"]:
        away = {address: problem for address, problem in settlement["members"].items() if problem}
        rows["committee"] = f"{len(settlement['members'])} members, {len(away)} did not certify the newest batch" + "".join(
            f"; {address[:10]}...: {problem}" for address, problem in away.items()
        )
    if now is None:
        return rows
    if window:
        challenges = f"[{'red' if now['open_challenges'] else 'green'}]{now['open_challenges']} open challenges[/]"
        held = f"{_ether(now['reserved_wei'] - now['owed_wei'])} ETH of bonds held, {_ether(now['owed_wei'])} ETH to collect"
        rows["stakes"] = f"{challenges}; {held}; a challenge costs {_ether(settlement['challenger_bond_wei'])} ETH"
        rows["waiting"] = f"{(batches['proposed'] or 0) - (batches['verified'] or 0)} proposals within their window"
    rows["queue"] = _queue_clock(now, clocks)
    if now["frozen"]:
        rows["frozen"] = "[red]proposals have ended for ever; exits are open[/]"
    return rows


def _queue_clock(now: Mapping[str, Any], clocks: Mapping[str, int]) -> str:
    oldest = now["oldest_unanswered_s"]
    limits = f"anyone may propose after {_span(clocks['PERMISSIONLESS_AFTER_S'])}, freeze after {_span(clocks['FREEZE_AFTER_S'])}"
    if oldest is None:
        return f"every queue entry is answered for good; {limits}"
    age = now["time_s"] - oldest
    colour = "red" if now["permissionless"] else "yellow" if age > DAY_S else "green"
    return f"[{colour}]{now['unanswered']} entries wait for a final batch, the oldest for {_span(age)}[/]; {limits}"


def _span(seconds: int) -> str:
    """A time in words: the largest unit that gives a whole number, or two digits of hours and minutes."""
    for unit, size in (("days", DAY_S), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit if seconds > size else unit[:-1]}"
    return f"{seconds // 3_600}:{seconds // 60 % 60:02}:{seconds % 60:02} h" if seconds >= 3_600 else f"{seconds} s"


def _ether(wei: int) -> str:
    return f"{wei / 10**18:.4f}".rstrip("0").rstrip(".")


def _dollars(amount: int | None, unit: int) -> str:
    return "unknown" if amount is None else f"{amount / unit:,.2f}"


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _same(equal: bool) -> str:
    return "[green]equal[/green]" if equal else "[red]DIFFERENT[/red]"
