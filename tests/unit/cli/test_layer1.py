"""Options that the commands of a rollup's users share: keys, addresses, sources of data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from eth_account import Account
from eth_utils.address import to_checksum_address

from straddle.cli.layer1 import checked_address, find_rollup, open_sender
from straddle.l1.rpc import Rpc
from straddle.node.config import ConfigError

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


@pytest.mark.parametrize("text", ["", "0x12", "ab" * 33, "{", "0x" + "0" * 64])
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
