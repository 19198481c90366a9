"""What the commands for users of a rollup share: which rollup, whose key, and who has data that are not on layer 1."""

from __future__ import annotations

import json
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
from straddle.watcher.peer import Peer, PeerError

L1Option = Annotated[str, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")]
RollupOption = Annotated[str | None, typer.Option(help="Address of the rollup.", show_default="the record's")]
DeploymentOption = Annotated[Path | None, typer.Option(help="The deployment's record (JSON); what is on the chain is compared with it.")]
FromBlockOption = Annotated[int, typer.Option(help="First block that may hold an event of the rollup, without a record.", min=0)]
KeyOption = Annotated[
    Path | None,
    typer.Option(help="Ethereum key that pays for transactions: 32 bytes in hex, or a keystore (asks for its password).", show_default="none: only look"),
]
DataOption = Annotated[
    str | None,
    typer.Option(help="Who has data that are not on layer 1: address of a member, a watcher or a beacon node, or a folder of blobs.", show_default="nobody"),
]


def find_rollup(rpc: Rpc, rollup: str | None, record: Path | None, from_block: int, solvency: str | None = None) -> Deployment:
    """The deployment of a record, held against the chain; or what the chain says of an address. DeploymentError, ConfigError: neither."""
    if record is not None:
        deployment = Deployment.from_json(record.read_text())
        deployment.check(rpc)
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
    text = key.read_text().strip()
    try:
        if text.startswith("{"):
            return Sender(rpc, bytes(Account.decrypt(json.loads(text), typer.prompt(f"Password of {key}", hide_input=True))))
        return Sender(rpc, bytes(Account.from_key(text).key))
    except typer.Abort:
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
    """Who has the bodies that are not in calldata: blobs, and a committee's. What they give is checked against layer 1."""
    other = _watcher_at(data, deployment)
    match deployment.config.data:
        case Data.CALLDATA:
            return None, None
        case Data.COMMITTEE:
            return None, other or (MemberBodies([MemberClient(data)]) if data else None)
        case Data.BLOB:
            if data is None:
                return AnvilBlobs(rpc), None
            given = BeaconBlobs(data, rpc) if data.startswith(("http://", "https://")) else BlobArchive(Path(data))
            return FirstOf(other or given, AnvilBlobs(rpc)), None


def _watcher_at(url: str | None, deployment: Deployment) -> Peer | None:
    """A watcher of this rollup, if that is what answers there."""
    if url is None or not url.startswith(("http://", "https://")):
        return None
    try:
        peer = Peer(url)
        peer.check(deployment)
        return peer
    except PeerError:
        return None
