"""straddle exit: leave an exchange that has stopped, with nobody's help; and keep, while it runs, what that takes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from straddle.cli.common import clear_errors, output
from straddle.cli.display import TerminalDisplay, steps_table
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
from straddle.cli.remote import fetch_saved
from straddle.commitments.layout import DataError
from straddle.commitments.saved import SavedAccount, save_account
from straddle.l1.deployment import Deployment
from straddle.l1.exits import ExitsClient
from straddle.l1.history import History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.config import ConfigError
from straddle.node.leaving import Leaving, Stage
from straddle.node.owning import one_account
from straddle.node.proving_keys import key_report
from straddle.node.recovery import RecoveryError, final_state
from straddle.node.statements import StatementProver
from straddle.node.version import preset_of, terms_of
from straddle.primitives.files import read_text, write_atomically
from straddle.proving.presets import load_holdings_preset
from straddle.proving.prover import Prover

WAIT_S = 180.0
"""How long `--save` waits for layer 1 to show the batch that a node saved at."""
POLL_S = 2.0

AccountOption = Annotated[int | None, typer.Option(help="The account's number.", min=1, max=2**24 - 1, show_default="the one that the key owns")]
SavedOption = Annotated[Path | None, typer.Option(help="The account as saved before, in place of rebuilding the state.", show_default="rebuild the state")]
SaveOption = Annotated[Path | None, typer.Option(help="Do not leave: save the account in this file, for an exit without anybody's data.")]
NodeOption = Annotated[str | None, typer.Option(help="With --save: a running node's interface, in place of layer-1 data.", show_default="layer-1 data")]
StartOption = Annotated[
    bool,
    typer.Option(
        "--start",
        help="When no request waits: make one with the owner's --key, a forced withdrawal of 0.000001 USDC, which costs the request fee. If nobody answers it, "
        "the rollup can be frozen.",
    ),
]
KeysOption = Annotated[Path | None, typer.Option(help="Folder of the exchange's proving keys.", show_default="the prover's cache")]


def exit_command(
    l1: L1Option,
    account: AccountOption = None,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    saved: SavedOption = None,
    save: SaveOption = None,
    node: NodeOption = None,
    start: StartOption = False,
    keys: KeysOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Leave a stopped exchange: do every step that is possible now, and say what comes next and when. Anyone can do it for any account.

    The state is rebuilt from layer-1 data; only the account's owner is ever paid.
    """
    with clear_errors():
        with Rpc(l1) as rpc, TerminalDisplay(output) as display:
            found = find_rollup(rpc, rollup, deployment, from_block)
            sender = open_sender(rpc, key)
            number = _account(rpc, found, account, sender)
            if save is not None:
                kept = _save(rpc, found, number, node, data, display)
                write_atomically(save, kept.to_json().encode())
                text = f"account {number} at batch {kept.batch_number} is in {save}: checked against layer 1, good for an exit while that batch is the newest"
                output.print(text, highlight=False, markup=False, soft_wrap=True)
                return
            if node is not None:
                raise ConfigError(f"--node: {node}, expected only together with --save")
            leaving = replace(_leaving(rpc, found, number, data, saved, keys, display), start=start)
            if start and (sender is None or sender.address != leaving.client.owner_of(number)):
                raise ConfigError(f"--start: expected together with the --key of the owner of account {number}")
            standing = leaving.advance(sender)
            table = steps_table(f"Exit of account {number}", standing, ended=standing.next.stage is Stage.ENDED, with_key=sender is not None)
            if standing.next.stage not in (Stage.PAYMENT, Stage.ENDED) and not leaving.claimed:
                circuit, statement = load_holdings_preset(preset_of(found).name, "exit").name, leaving.exits.statement
                table.add_row("proving key", escape(key_report(keys, circuit, statement.vk_id, lambda report: display.progress(report.stage, report.done))))
        output.print(table)


def _account(rpc: Rpc, found: Deployment, account: int | None, sender: Sender | None) -> int:
    """The account that was named, anybody's; or the key's own."""
    if account is not None:
        check_account(found, account)
        return account
    if sender is None:
        raise ConfigError("--account: missing, expected its number, or its owner's --key")
    return one_account(RollupClient(rpc, found), sender.address, None)


def _leaving(rpc: Rpc, found: Deployment, account: int, data: str | None, saved: Path | None, keys: Path | None, display: TerminalDisplay) -> Leaving:
    client, exits = RollupClient(rpc, found), ExitsClient(rpc, found)
    preset, params = terms_of(found)

    def past() -> History:
        blobs, bodies = open_sources(rpc, found, data)
        return read_history(rpc, found, blobs=blobs, bodies=bodies)

    def account_of(history: History) -> SavedAccount:
        if saved is not None:
            return read_saved(saved, found, account)
        return save_account(final_state(history, found, preset, params), account, found.chain_id, found.rollup_number)

    def prover(sender: Sender) -> StatementProver:
        facts = (client.domain(), sender.address, lambda report: display.progress(f"proof: {report.stage}", report.done))
        return StatementProver.of(Prover(cache=keys), found, exits.statement, preset.name, "exit", *facts)

    return Leaving(client, exits, account, past, account_of, prover, tell=display.stage)


def read_saved(path: Path, found: Deployment, account: int) -> SavedAccount:
    """A saved account of this rollup. DataError: the file is malformed; ConfigError: it is another rollup's or account's."""
    kept = SavedAccount.from_json(read_text("--saved", path))
    facts = (("chain_id", kept.chain_id, found.chain_id), ("rollup", kept.rollup, found.rollup_number), ("account", kept.account, account))
    for name, value, expected in facts:
        if value != expected:
            raise ConfigError(f"--saved {path}: {name} {value:#x}, expected {expected:#x}")
    return kept


def _save(rpc: Rpc, found: Deployment, account: int, node: str | None, data: str | None, display: TerminalDisplay) -> SavedAccount:
    """The account at the newest batch that its source knows, checked against the root that layer 1 has for that batch (`final_state` does so too)."""
    if node is not None:
        kept = SavedAccount.from_json(fetch_saved(node, account))
        if (kept.chain_id, kept.rollup, kept.account) != (found.chain_id, found.rollup_number, account):
            raise DataError(f"--node {node}: it saved account {kept.account} of rollup {kept.rollup:#042x}, expected account {account} of {found.rollup}")
        display.stage(f"waiting for batch {kept.batch_number} on layer 1")
        kept.check(_root_of(RollupClient(rpc, found), kept.batch_number))
        return kept
    preset, params = terms_of(found)
    blobs, bodies = open_sources(rpc, found, data)
    display.stage("reading layer 1")
    state = final_state(read_history(rpc, found, blobs=blobs, bodies=bodies), found, preset, params)
    return save_account(state, account, found.chain_id, found.rollup_number)


def _root_of(client: RollupClient, batch_number: int) -> int:
    """The root of a batch on layer 1, waited for. RecoveryError: it does not come, or layer 1 has gone on."""
    deadline = time.monotonic() + WAIT_S
    while client.proposed_batch() < batch_number:
        if time.monotonic() > deadline:
            raise RecoveryError(f"batch {batch_number}: not proposed on layer 1 within {WAIT_S:.0f} s. Try again later")
        time.sleep(POLL_S)
    if client.final_batch() > batch_number:
        raise RecoveryError(f"batch {batch_number}: layer 1 is at batch {client.final_batch()} meanwhile. Try again")
    return client.batch(batch_number).state_root
