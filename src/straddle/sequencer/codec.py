"""Commands as bytes in the journal: versioned JSON, the same bytes for the same command on every machine."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec

from straddle.core.commands import Command, InternalEpoch, InternalList, InternalMarket, L1Deposit, L1SetKey, L2Cancel, L2Protect, L2Trade, L2Withdraw
from straddle.core.risk_table import RiskRow, RiskTable

VERSION = 1


class CodecError(ValueError):
    """Bytes that are no journal entry of this version."""


OPERATIONS: dict[str, type[Command]] = {
    "l1_deposit": L1Deposit,
    "l1_set_key": L1SetKey,
    "l2_trade": L2Trade,
    "l2_withdraw": L2Withdraw,
    "l2_cancel": L2Cancel,
    "l2_protect": L2Protect,
    "internal_list": InternalList,
    "internal_epoch": InternalEpoch,
    "internal_market": InternalMarket,
}
"""Name of an operation -> its command."""

_NAMES = {cls: name for name, cls in OPERATIONS.items()}


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """A risk table without what is derived from its rows."""

    epoch: int
    time_ms: int
    index_ticks: int
    rows: tuple[RiskRow, ...]


def operation_name(command: Command) -> str:
    """The command's operation, as in docs/protocol/operations.md."""
    return _NAMES[type(command)]


def encode_command(command: Command) -> bytes:
    """The command's bytes."""
    content = {"v": VERSION, "op": operation_name(command), **_plain(command)}
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def decode_command(payload: bytes) -> Command:
    """The command of `encode_command`'s bytes. CodecError names the field that does not fit."""
    try:
        content = json.loads(payload)
        version, name = content.pop("v"), content.pop("op")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CodecError(f"journal entry: {error!r}, expected a JSON object with v and op") from error
    if version != VERSION:
        raise CodecError(f"journal entry: version {version}, expected {VERSION}")
    if name not in OPERATIONS:
        raise CodecError(f"journal entry: operation {name!r}, expected one of {', '.join(OPERATIONS)}")
    try:
        if OPERATIONS[name] is InternalEpoch:
            table = msgspec.convert(content["table"], _Table, strict=True)
            return InternalEpoch(RiskTable(table.epoch, table.time_ms, table.index_ticks, table.rows))
        return msgspec.convert(content, OPERATIONS[name], strict=True)
    except (msgspec.ValidationError, KeyError) as error:
        raise CodecError(f"journal entry {name}: {error}") from error


def _plain(value: Any) -> Any:
    """Dataclasses as objects of their fields, tuples as arrays, integers as they are (of any size)."""
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value) if item.init}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
