"""Commands as bytes in the journal: versioned JSON, the same bytes for the same command on every machine. The interface takes the same form from its users."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import msgspec

from straddle.core.commands import Command, InternalEpoch, L2Trade
from straddle.core.messages import ORDER_CODEC
from straddle.core.orders import OrderSet
from straddle.core.risk_table import RiskTable
from straddle.primitives.plain import to_plain

VERSION = 1


class CodecError(ValueError):
    """Something that is no command. The message names the field that does not fit."""


def _operation_of(cls: type) -> str:
    """L1SetKey -> l1_set_key."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


OPERATIONS: dict[str, type[Command]] = {_operation_of(cls): cls for cls in get_args(Command)}
"""Name of an operation -> its command."""

_NAMES = {cls: name for name, cls in OPERATIONS.items()}
_FIELDS = {cls: tuple(item.name for item in fields(cls)) for cls in _NAMES}
_ENCODER = msgspec.json.Encoder(order="sorted")

_Table = msgspec.defstruct("_Table", [(item.name, get_type_hints(RiskTable)[item.name]) for item in fields(RiskTable) if item.init])
"""A risk table without what is derived from its rows."""


def operation_name(command: Command) -> str:
    """The command's operation, as in docs/protocol/operations.md."""
    return _NAMES[type(command)]


def encode_command(command: Command) -> bytes:
    """The command's bytes."""
    if isinstance(command, InternalEpoch):  # msgspec would include what a table derives from its rows
        content = to_plain(command)
    elif isinstance(command, L2Trade):
        content = {"order_set": _order_set(command.order_set)}
    else:
        content = {name: getattr(command, name) for name in _FIELDS[type(command)]}
    return _ENCODER.encode({"v": VERSION, "op": _NAMES[type(command)], **content})


def _order_set(order_set: OrderSet) -> Any:
    """A set with its orders written by the kernel, to the same bytes: most of what is journaled are orders."""
    orders = ORDER_CODEC.json(order_set.orders)
    if orders is None:
        return order_set
    return {"account": order_set.account, "key_epoch": order_set.key_epoch, "orders": msgspec.Raw(orders), "signature": order_set.signature}


def decode_command(payload: bytes) -> Command:
    """The command of `encode_command`'s bytes. CodecError names the field that does not fit."""
    try:
        content = json.loads(payload)  # as nested as `encode_command` made it: the journal's hashes vouch for each byte
        version, name = content.pop("v"), content.pop("op")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CodecError(f"journal entry: {error!r}, expected a JSON object with v and op") from error
    if version != VERSION:
        raise CodecError(f"journal entry: version {version}, expected {VERSION}")
    try:
        return command_of(name, content)
    except CodecError as error:
        raise CodecError(f"journal entry: {error}") from error


def command_of(operation: object, content: dict[str, Any]) -> Command:
    """The command whose fields `content` holds: exactly those, each of its type. CodecError names the one that does not fit."""
    if not isinstance(operation, str) or operation not in OPERATIONS:
        raise CodecError(f"operation {operation!r}, expected one of {', '.join(OPERATIONS)}")
    try:
        command = _convert(OPERATIONS[operation], content)
    except msgspec.ValidationError as error:
        raise CodecError(f"{operation}: {error}") from error
    for path in _unknown_fields(content, to_plain(command)):
        raise CodecError(f"{operation}: unknown field - at `${path}`")
    return command


def _convert(cls: type[Command], content: dict[str, Any]) -> Command:
    if cls is InternalEpoch:
        table = msgspec.convert(content.get("table"), _Table, strict=True)
        return InternalEpoch(RiskTable(**{name: getattr(table, name) for name in _Table.__struct_fields__}))
    return msgspec.convert(content, cls, strict=True)


def _unknown_fields(found: Any, known: Any, path: str = "") -> Iterator[str]:
    """Paths of the fields that a conversion left out: msgspec ignores those that a dataclass does not have."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _unknown_fields(value, known[name], f"{path}.{name}") if name in known else (f"{path}.{name}",)
    elif isinstance(found, list):
        for i, (value, expected) in enumerate(zip(found, known, strict=True)):
            yield from _unknown_fields(value, expected, f"{path}[{i}]")
