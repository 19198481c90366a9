"""Files of keys: a node's (operator, sequencer and the oracles of its development committee, made at the first start), and a trader's trading key."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eth_account import Account
from eth_account.signers.local import LocalAccount

from straddle.node.config import ConfigError
from straddle.primitives.files import write_atomically
from straddle.primitives.keys import SecretKey
from straddle.primitives.nesting import decode_json


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """Ethereum accounts. The sequencer's signs receipts and pays for what is posted; the operator's owns the fee account."""

    operator: LocalAccount
    sequencer: LocalAccount
    oracles: tuple[LocalAccount, ...]
    """Ascending by address, as layer 1 wants their signatures."""

    @classmethod
    def open(cls, path: Path, oracles: int) -> Self:
        """The keys of a file, which is made, for its owner's eyes only, when there is none. ConfigError: malformed, or another number of oracles."""
        if not path.exists():
            names = ("operator", "sequencer", *(f"oracle_{i}" for i in range(oracles)))
            write_atomically(path, json.dumps({name: "0x" + secrets.token_hex(32) for name in names}, indent=2).encode() + b"\n", mode=0o600)
        try:
            raw = decode_json(path.read_text())
            keys = {name: _account(path, name, raw) for name in raw}
            operator, sequencer = keys.pop("operator"), keys.pop("sequencer")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"keys {path}: {error!r}, expected a JSON object of operator, sequencer, oracle_0, ...: 32-byte hex keys") from error
        if len(keys) != oracles:
            raise ConfigError(f"epochs.oracles: {oracles}, expected {len(keys)}, the number of oracle keys in {path}")
        return cls(operator, sequencer, tuple(sorted(keys.values(), key=lambda account: int(account.address, 16))))


def is_keys_file(text: str) -> bool:
    """Whether a file's text is that of a node's keys, and not one key's."""
    try:
        raw = decode_json(text)
    except ValueError:
        return False
    return isinstance(raw, dict) and {"operator", "sequencer"} <= raw.keys()


def named_key(path: Path, name: str) -> LocalAccount:
    """One key of a node's file. ConfigError: it has none of that name, or what it has is no key."""
    try:
        raw = decode_json(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"keys {path}: {error}, expected a JSON object of named keys") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"keys {path}: no JSON object, expected one of named keys")
    if name not in raw:
        found = f"no key {name!r} in" if name else "several keys in"
        raise ConfigError(f"{found} {path}, expected one of {', '.join(raw)}, such as {path}:sequencer")
    return _account(path, name, raw)


def open_trading_key(path: Path) -> SecretKey:
    """The trading key of a file (its secret as 64 hex digits), which is made, for its owner's eyes only, when there is none. ConfigError: it holds none."""
    if not path.exists():
        made = SecretKey.generate(os.urandom)
        write_atomically(path, f"0x{made.value:064x}\n".encode(), mode=0o600)
    try:
        return SecretKey(int(path.read_text().strip(), 16))
    except (OSError, ValueError):
        raise ConfigError(f"{path}: no trading key, expected a secret of 32 bytes in hex") from None  # what is there may still be somebody's secret


def _account(path: Path, name: str, raw: Mapping[str, Any]) -> LocalAccount:
    try:
        account: LocalAccount = Account.from_key(raw[name])
    except Exception as error:  # eth-account raises several unrelated classes; the key itself must not be shown
        raise ConfigError(f"keys {path}: {name} is no private key, expected 32 bytes in hex") from error
    return account


def warn_of_readers(path: Path) -> str | None:
    """A sentence when others may read the file."""
    mode = os.stat(path).st_mode & 0o077
    return f"keys {path}: others may read it (mode {mode:#o}); expected 0600" if mode else None
