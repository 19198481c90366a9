"""What a layer-1 node may answer: the shapes of JSON-RPC's values, checked before anything is read from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], object]
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_SHOWN = 80


class Malformed(ValueError):
    """An answer of another form; the message names the field and what was expected."""


def quantity(value: Any) -> int:
    """A number, in hex."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise Malformed(f"{shown(value)}, expected a number in hex")
    return int(value, 16)


def count(value: Any) -> int:
    """A number below 2^64, as an account's transactions have (EIP-2681)."""
    if (found := quantity(value)) >> 64:
        raise Malformed(f"{shown(value)}, expected less than 2^64")
    return found


def data(value: Any) -> bytes:
    """Bytes, in hex."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise Malformed(f"{shown(value)}, expected bytes in hex")
    return bytes.fromhex(value[2:])


def word(value: Any) -> bytes:
    """32 bytes, such as a hash."""
    return _sized(value, 32)


def address(value: Any) -> bytes:
    """20 bytes."""
    return _sized(value, 20)


def _sized(value: Any, size: int) -> bytes:
    if len(found := data(value)) != size:
        raise Malformed(f"{shown(value)}, expected {size} bytes in hex")
    return found


def optional(check: Check) -> Check:
    """That, or null, or nothing."""
    return lambda value: None if value is None else check(value)


def listed(check: Check) -> Check:
    """A list of these."""

    def each(value: Any) -> object:
        if not isinstance(value, list):
            raise Malformed(f"{shown(value)}, expected a list")
        return [check(item) for item in value]

    return each


def fields(value: Any, shape: Mapping[str, Check]) -> dict[str, Any]:
    """An object with at least these fields, as it came."""
    if not isinstance(value, dict):
        raise Malformed(f"{shown(value)}, expected an object")
    for name, check in shape.items():
        try:
            check(value.get(name))
        except Malformed as error:
            raise Malformed(f"{name}: {error}") from None
    return value


def fields_if_any(shape: Mapping[str, Check]) -> Callable[[Any], dict[str, Any] | None]:
    """Such an object, or null."""
    return lambda value: None if value is None else fields(value, shape)


def shown(value: Any) -> str:
    """The beginning of a value."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def logs(value: Any) -> list[dict[str, Any]]:
    """Mined logs, as they came."""
    if not isinstance(value, list):
        raise Malformed(f"{shown(value)}, expected a list")
    return [fields(item, LOG) for item in value]


BLOCK = {"hash": word, "timestamp": quantity, "baseFeePerGas": optional(quantity)}
TRANSACTION = {"hash": word, "to": optional(address), "input": data, "blobVersionedHashes": optional(listed(word))}
LOG = {"address": address, "topics": listed(word), "data": data, "blockNumber": quantity, "logIndex": quantity, "transactionHash": word}
RECEIPT = {
    "transactionHash": word,
    "blockNumber": quantity,
    "status": quantity,
    "gasUsed": quantity,
    "contractAddress": optional(address),
    "logs": logs,
    "effectiveGasPrice": optional(quantity),
    "blobGasUsed": optional(quantity),
    "blobGasPrice": optional(quantity),
}
"""Null and what is not listed is not looked at."""
