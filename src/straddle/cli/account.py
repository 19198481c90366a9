"""straddle account: what the owner of an account does on layer 1 with an Ethereum key. Nobody else is asked: not the operator, not its servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from straddle.cli.common import clear_errors, output
from straddle.cli.layer1 import DeploymentOption, FromBlockOption, KeyOption, L1Option, RollupOption, checked_address, find_rollup, open_sender
from straddle.core.accounts import FEE_ACCOUNT
from straddle.l1.deployment import Deployment
from straddle.l1.queue import owned_entries
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.node.config import ConfigError
from straddle.node.keys import open_trading_key
from straddle.node.leaving import dollars
from straddle.node.owning import EVERYTHING, Answers, Owner, Request, accounts_of, entry_text, one_account, outcome_text

_DOLLARS = re.compile(r"\d{1,12}(\.\d{1,6})?")

OwnerKeyOption = Annotated[
    Path,
    typer.Option(help="The owner's Ethereum key, which signs and pays: 32 bytes in hex, a keystore, or one of a node's (FOLDER/keys.json:operator)."),
]
AccountOption = Annotated[int | None, typer.Option(help="The account's number.", min=FEE_ACCOUNT, max=2**24 - 1, show_default="the one that the key owns")]
AmountOption = Annotated[str, typer.Option(help="USDC, such as 2500 or 0.01.")]

account = typer.Typer(
    help="What an account's owner does on layer 1: deposit, trading keys, forced withdrawal and close, pull; and what became of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@account.command()
def show(
    l1: L1Option,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    key: KeyOption = None,
    owner: Annotated[str | None, typer.Option(help="The owner's address, in place of its key.", show_default="the key's")] = None,
    from_block: FromBlockOption = 0,
) -> None:
    """The accounts of an Ethereum address, what was asked for them on layer 1 and what became of it, and what the address may pull."""
    with clear_errors(), Rpc(l1) as rpc:
        found = find_rollup(rpc, rollup, deployment, from_block)
        sender = open_sender(rpc, key)
        if (sender is None) == (owner is None):
            raise ConfigError("--key, --owner: expected one of them")
        address = sender.address if sender is not None else checked_address("--owner", str(owner))
        for table in _tables(RollupClient(rpc, found), found, address):
            output.print(table)


@account.command()
def deposit(
    l1: L1Option,
    key: OwnerKeyOption,
    amount: AmountOption,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    account: AccountOption = None,
    owner: Annotated[str | None, typer.Option(help="Address that has --account, when it is not the key's.", show_default="the key's")] = None,
    new: Annotated[bool, typer.Option("--new", help="Open another account for the key.")] = False,
    mint: Annotated[bool, typer.Option("--mint", help="On a development chain: make the test dollars first.")] = False,
    from_block: FromBlockOption = 0,
) -> None:
    """Pay USDC in: allow the vault to take them, and deposit. The first deposit of a key opens its account."""
    with _owner(l1, rollup, deployment, key, from_block) as payer:
        wanted, whose = micros("--amount", amount), payer.sender.address if owner is None else checked_address("--owner", owner)
        if account is None and owner is not None:
            raise ConfigError(f"--owner: {owner}, expected together with --account")
        if new and account is not None:
            raise ConfigError(f"--new: expected without --account {account}")
        first = account is None and not accounts_of(payer.client, payer.sender.address)
        target = 0 if new or first else one_account(payer.client, whose, account)
        if mint:
            payer.mint(wanted)
        _send(payer, payer.deposit(wanted, target, whose))


@account.command("set-key")
def set_key(
    l1: L1Option,
    key: OwnerKeyOption,
    trading_key: Annotated[Path, typer.Option(help="File of the trading key, which signs orders; made, for your eyes only, when there is none.")],
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    account: AccountOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Give the account a trading key, in place of the one it has."""
    with _owner(l1, rollup, deployment, key, from_block) as owner:
        number, made = owner.account(account), not trading_key.exists()
        secret = open_trading_key(trading_key)
        _say(f"trading key {'made in' if made else 'read from'} {trading_key}")
        _send(owner, owner.set_key(number, secret))


@account.command("revoke-key")
def revoke_key(
    l1: L1Option,
    key: OwnerKeyOption,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    account: AccountOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Take the account's trading key away: it trades no more until it has another one."""
    with _owner(l1, rollup, deployment, key, from_block) as owner:
        _send(owner, owner.revoke_key(owner.account(account)))


@account.command("force-withdraw")
def force_withdraw(
    l1: L1Option,
    key: OwnerKeyOption,
    amount: Annotated[str | None, typer.Option(help="USDC at most, such as 2500 or 0.01.", show_default="all that may be withdrawn")] = None,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    account: AccountOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Withdraw by layer 1's queue, without the trading key and without the operator's consent: it is paid what may be withdrawn when it is answered."""
    with _owner(l1, rollup, deployment, key, from_block) as owner:
        number = owner.account(account)
        _send(owner, owner.force_withdraw(number, EVERYTHING if amount is None else micros("--amount", amount)))


@account.command("force-close")
def force_close(
    l1: L1Option,
    key: OwnerKeyOption,
    limit_bps: Annotated[int, typer.Option(help="Largest discount, in basis points of the maintenance margin that is set free.", min=0, max=10_000)],
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    account: AccountOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Put the account's whole portfolio up for sale by layer 1's queue, without the operator's consent."""
    with _owner(l1, rollup, deployment, key, from_block) as owner:
        _send(owner, owner.force_close(owner.account(account), limit_bps))


@account.command()
def pull(
    l1: L1Option,
    key: OwnerKeyOption,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    from_block: FromBlockOption = 0,
) -> None:
    """Take what final batches have paid to the key's address out of the vault."""
    with _owner(l1, rollup, deployment, key, from_block) as owner:
        amount = owner.pull()
        _say(f"pulled {dollars(amount)} to {owner.sender.address}" if amount else f"nothing to pull: the vault holds nothing for {owner.sender.address}")


def micros(name: str, text: str) -> int:
    """Micro-dollars of an amount in USDC. ConfigError names the option."""
    if not _DOLLARS.fullmatch(text):
        raise ConfigError(f"{name}: {text!r}, expected USDC with at most six decimals, such as 2500 or 0.01")
    whole, _, part = text.partition(".")
    return int(whole) * 10**6 + int(part.ljust(6, "0"))


@contextmanager
def _owner(l1: str, rollup: str | None, deployment: Path | None, key: Path, from_block: int) -> Iterator[Owner]:
    with clear_errors(), Rpc(l1) as rpc:
        found = find_rollup(rpc, rollup, deployment, from_block)
        sender = open_sender(rpc, key)
        assert sender is not None
        yield Owner(RollupClient(rpc, found), sender)


def _send(owner: Owner, request: Request) -> None:
    """Says what it is and costs, sends it, and says what comes next."""
    fee = f"request fee {request.fee_wei:,} wei ({request.fee_wei / 10**18:.18f}".rstrip("0").rstrip(".") + " ETH)" if request.fee_wei else "no request fee"
    _say(f"{request.what}: {fee}, and gas, paid by {owner.sender.address}")
    entry = request.send()
    _say(f"queue entry {entry.index} for account {entry.account}, transaction {entry.receipt.transaction_hash}")
    _say(outcome_text(owner.client, entry.index, None))


def _say(text: str) -> None:
    output.print(escape(text), highlight=False, soft_wrap=True)


def _tables(client: RollupClient, found: Deployment, address: str) -> Iterator[Table]:
    entries = list(owned_entries(client.rpc, found, address))
    accounts = accounts_of(client, address)
    summary = Table(title=f"Owner {address}", show_header=False, title_justify="left")
    summary.add_row("accounts", ", ".join(map(str, accounts)) or "none on this rollup: `straddle account deposit` opens one")
    summary.add_row("may pull", f"{dollars(client.claimable(address))} (straddle account pull)")
    summary.add_row("in the wallet", f"{dollars(client.token_balance(address))} of token {found.token}; {client.rpc.balance_wei(address):,} wei")
    summary.add_row("request fee", f"{found.config.request_fee_wei:,} wei for a key, a forced withdrawal or a forced close")
    yield summary
    if entries:
        answers = Answers(client)
        queue = Table(title="Asked for on layer 1", title_justify="left")
        for column in ("entry", "account", "what", "what became of it"):
            queue.add_column(column, justify="right" if column in ("entry", "account") else "left", overflow="fold")
        for entry in entries:
            queue.add_row(str(entry.index), str(entry.account), entry_text(entry), outcome_text(client, entry.index, answers.of(entry.index)))
        yield queue
