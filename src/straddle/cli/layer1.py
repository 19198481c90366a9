"""What the commands for users of a rollup share: which rollup, whose key, and who has data that are not on layer 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from eth_account import Account
from eth_utils.address import is_address, to_checksum_address

from straddle.commitments.policy import Data
from straddle.committee.client import MemberBodies, MemberClient
from straddle.l1.blobs import AnvilBlobs, BeaconBlobs, BlobArchive, FirstOf
from straddle.l1.deployment import Deployment, DeploymentError, read_deployment, read_statement
from straddle.l1.history import BlobSource, BodySource
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.config import ConfigError
from straddle.node.keys import is_keys_file, named_key
from straddle.node.version import terms_of
from straddle.primitives.files import read_text
from straddle.primitives.nesting import decode_json
from straddle.primitives.urls import checked_url, is_url
from straddle.watcher.peer import Peer, PeerError

L1Option = Annotated[str, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")]
RollupOption = Annotated[str | None, typer.Option(help="Address of the rollup.", show_default="the record's")]
DeploymentOption = Annotated[Path | None, typer.Option(help="The deployment's record (JSON); what is on the chain is compared with it.")]
FromBlockOption = Annotated[int, typer.Option(help="First block that may hold an event of the rollup, without a record.", min=0)]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        help="Ethereum key that pays for transactions: 32 bytes in hex, a keystore (asks for its password), or one of a node's, FOLDER/keys.json:sequencer.",
        show_default="none: only look",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(help="Who has data that are not on layer 1: address of a member, a watcher or a beacon node, or a folder of blobs.", show_default="nobody"),
]


def find_rollup(rpc: Rpc, rollup: str | None, record: Path | None, from_block: int, solvency: str | None = None) -> Deployment:
    """The deployment of a record, held against the chain; or what the chain says of an address. DeploymentError, ConfigError: neither."""
    if record is not None:
        deployment = Deployment.from_json(read_text("--deployment", record))
        deployment.check(rpc)
        terms_of(deployment)
        if rollup is not None and to_checksum_address(checked_address("--rollup", rollup)) != deployment.rollup:
            raise ConfigError(f"--rollup: {rollup}, expected {deployment.rollup}, the record's")
    elif rollup is not None:
        deployment = read_deployment(rpc, checked_address("--rollup", rollup), start_block=from_block)
    else:
        raise ConfigError("--rollup: missing, expected the rollup's address, or --deployment with its record")
    if solvency is not None:
        found = read_statement(rpc, "Solvency", checked_address("--solvency", solvency), deployment.rollup)
        if found is None:
            raise DeploymentError(f"--solvency: {solvency} is no Solvency contract of this version for rollup {deployment.rollup}")
        deployment = replace(deployment, solvency=found)
    return deployment


def open_sender(rpc: Rpc, key: Path | None) -> Sender | None:
    """Who signs and pays. ConfigError: the file is no key; it never shows what is in it."""
    if key is None:
        return None
    path, name = key, ""
    if not key.exists() and ":" in key.name[1:]:
        file, _, name = key.name.rpartition(":")
        path = key.with_name(file)
    text = read_text("--key", path).strip()
    try:
        if is_keys_file(text):
            return Sender(rpc, bytes(named_key(path, name).key))
        if text.startswith("{"):
            return Sender(rpc, bytes(Account.decrypt(decode_json(text), typer.prompt(f"Password of {key}", hide_input=True))))
        return Sender(rpc, bytes(Account.from_key(text).key))
    except (typer.Abort, ConfigError):
        raise
    except Exception as error:  # eth-account raises several unrelated classes
        raise ConfigError(f"--key: {key} is no private key, expected 32 bytes in hex, or a keystore and its password") from error


def check_account(deployment: Deployment, account: int) -> None:
    """ConfigError unless the tree has a place of that number."""
    if account >> deployment.config.account_depth:
        raise ConfigError(f"--account: {account}, expected less than {1 << deployment.config.account_depth}, the places of this exchange")


def checked_address(name: str, text: str) -> str:
    """An address. ConfigError names the option."""
    if not is_address(text):
        raise ConfigError(f"{name}: {text!r}, expected an address (0x and 40 hex digits)")
    return str(to_checksum_address(text))


def open_sources(rpc: Rpc, deployment: Deployment, data: str | None) -> tuple[BlobSource | None, BodySource | None]:
    """Who has the bodies that are not in calldata: blobs, and a committee's. What they give is checked against layer 1.

    UrlError, ConfigError: `data` is neither the address of a service nor, where blobs are wanted, a folder.
    """
    url = checked_url("--data", data) if data is not None and is_url(data) else None
    other = _watcher_at(url, deployment)
    match deployment.config.data:
        case Data.CALLDATA:
            return None, None
        case Data.COMMITTEE:
            if data is not None and url is None:
                raise ConfigError(f"--data: {data!r}, expected the address of a member or a watcher, such as http://HOST:9645")
            return None, other or (MemberBodies([MemberClient(url)]) if url else None)
        case Data.BLOB:
            if data is None:
                return AnvilBlobs(rpc), None
            return FirstOf(other or (BeaconBlobs(url, rpc) if url else BlobArchive(Path(data))), AnvilBlobs(rpc)), None


def _watcher_at(url: str | None, deployment: Deployment) -> Peer | None:
    """A watcher of this rollup, if that is what answers there."""
    if url is None:
        return None
    try:
        peer = Peer(url)
        peer.check(deployment)
        return peer
    except PeerError:
        return None


def folder(value: Path) -> Path:
    """A folder of this program's own, which is made when missing: never an address that was put there by mistake."""
    if is_url(str(value)):
        raise typer.BadParameter(f"{str(value)!r}, expected a folder, not an address")
    return value
