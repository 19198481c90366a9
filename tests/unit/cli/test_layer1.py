"""Options that the commands of a rollup's users share: keys, addresses, sources of data."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from eth_account import Account
from eth_utils.address import to_checksum_address

from straddle.cli.layer1 import checked_address, find_rollup, open_sender, open_sources
from straddle.commitments.policy import Data
from straddle.l1.blobs import AnvilBlobs
from straddle.l1.rpc import Rpc
from straddle.node.config import ConfigError
from straddle.node.keys import NodeKeys, open_trading_key
from straddle.primitives.files import FileError
from straddle.primitives.keys import SUBGROUP_ORDER
from straddle.primitives.urls import UrlError

KEY = b"\7" * 32


@pytest.fixture
def rpc() -> Rpc:
    return Rpc("http://127.0.0.1:1")


def test_a_key_is_hex_or_a_keystore(rpc: Rpc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = Account.from_key(KEY).address
    assert open_sender(rpc, None) is None
    plain, store = tmp_path / "plain", tmp_path / "store"
    for text in (KEY.hex(), f"0x{KEY.hex()}\n"):
        plain.write_text(text)
        sender = open_sender(rpc, plain)
        assert sender is not None and sender.address == address
    store.write_text(json.dumps(Account.encrypt(KEY, "right", iterations=2)))
    monkeypatch.setattr(typer, "prompt", lambda *args, **options: "right")
    sender = open_sender(rpc, store)
    assert sender is not None and sender.address == address
    monkeypatch.setattr(typer, "prompt", lambda *args, **options: "wrong")
    with pytest.raises(ConfigError, match="is no private key"):
        open_sender(rpc, store)


def test_a_key_of_a_nodes_file_is_named(rpc: Rpc, tmp_path: Path) -> None:
    """Its file is a JSON object, and no keystore that would ask for a password."""
    path = tmp_path / "an: exchange" / "keys.json"
    node = NodeKeys.open(path, 2)
    for name, account in (("sequencer", node.sequencer), ("operator", node.operator)):
        sender = open_sender(rpc, path.with_name(f"keys.json:{name}"))
        assert sender is not None and sender.address == account.address
    for given, message in ((path, "several keys in"), (path.with_name("keys.json:nobody"), "no key 'nobody' in"), (path.with_name("keys.json:"), "several")):
        with pytest.raises(ConfigError, match=message) as refused:
            open_sender(rpc, given)
        assert "expected one of operator, sequencer, oracle_0, oracle_1, such as" in str(refused.value)
    with pytest.raises(FileError, match=r"^--key .*none: No such file"):
        open_sender(rpc, tmp_path / "none:sequencer")
    path.write_text(path.read_text().replace(bytes(node.sequencer.key).hex(), "12"))
    with pytest.raises(ConfigError, match="sequencer is no private key"):
        open_sender(rpc, path.with_name("keys.json:sequencer"))


def test_a_trading_key_is_made_once_and_for_its_owners_eyes(tmp_path: Path) -> None:
    path, other = tmp_path / "trading", tmp_path / "other"
    made = open_trading_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and open_trading_key(path) == made != open_trading_key(other)
    for text in ("", "hidden", "0x0", "-0x1", f"{SUBGROUP_ORDER:#x}"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="no trading key, expected a secret of 32 bytes in hex") as refused:
            open_trading_key(path)
        assert not text or text not in str(refused.value)


@pytest.mark.parametrize("text", ["", "0x12", "ab" * 33, "{", "0x" + "0" * 64, "{" * 100_000])
def test_what_is_no_key_is_refused_and_not_shown(rpc: Rpc, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typer, "prompt", lambda *args, **options: "any")
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is no private key") as refused:
        open_sender(rpc, path)
    assert not text or text not in str(refused.value)


def test_a_rollup_is_named_by_its_address_or_its_record(rpc: Rpc) -> None:
    assert checked_address("--rollup", "0x" + "ab" * 20) == to_checksum_address("0x" + "ab" * 20)
    with pytest.raises(ConfigError, match="--solvency: '0xzz', expected an address"):
        checked_address("--solvency", "0xzz")
    with pytest.raises(ConfigError, match="--rollup: missing"):
        find_rollup(rpc, None, None, 0)


def with_data(data: Data) -> Any:
    return SimpleNamespace(chain_id=1, rollup="0x1", config=SimpleNamespace(data=data))


def test_sources_of_data_are_what_the_policy_asks_for(rpc: Rpc) -> None:
    assert open_sources(rpc, with_data(Data.CALLDATA), None) == (None, None)
    blobs, bodies = open_sources(rpc, with_data(Data.BLOB), None)
    assert isinstance(blobs, AnvilBlobs) and bodies is None
    for text in ("member", "./member:9645", "blobs"):
        with pytest.raises(ConfigError, match=r"--data: .*expected the address of a member or a watcher"):
            open_sources(rpc, with_data(Data.COMMITTEE), text)
    for data in Data:
        with pytest.raises(UrlError, match="--data: 'http://member:port', expected an address"):
            open_sources(rpc, with_data(data), "http://member:port")
