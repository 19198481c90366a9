"""What users send, checked: every refusal names the field, what it was and what was expected, and is made before anything is submitted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from straddle.core.commands import Command

BODY_BYTES_MAX = 512 * 1024
COMMANDS_MAX = 64
"""Commands of one request."""
NESTING_MAX = 12
SIGNED_PREFIX = "l2_"
"""Operations that a trading key signs. The others come from layer 1 and from the operator, not from here."""
_SHOWN = 80
_BRACKET_OR_STRING = re.compile(r'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class BadRequest(Exception):
    """A request that is refused as a whole."""

    def __init__(self, status: int, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {shown(value)}, expected {expected}")
        self.status = status
        self.field = field
        self.value = value
        self.expected = expected


MakeCommand = Callable[[object, dict[str, Any]], Command]


def parse_commands(body: bytes, content_type: str, make: MakeCommand) -> tuple[list[Command], bool]:
    """The commands of a request's body, and whether it was a list of them."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(415, "content-type", content_type, "application/json")
    content = parse_json(body, "body")
    if isinstance(content, dict):
        return [_command(content, "body", make)], False
    if not isinstance(content, list) or not 1 <= len(content) <= COMMANDS_MAX:
        found = f"a list of {len(content)}" if isinstance(content, list) else content
        raise BadRequest(400, "body", found, f"a command (an object) or a list of 1 to {COMMANDS_MAX} of them")
    return [_command(item, f"body[{i}]", make) for i, item in enumerate(content)], True


def _command(content: object, where: str, make: MakeCommand) -> Command:
    if not isinstance(content, dict):
        raise BadRequest(400, where, content, "a command: an object with op and its fields")
    operation = content.pop("op", None)
    if not isinstance(operation, str) or not operation.startswith(SIGNED_PREFIX):
        raise BadRequest(400, f"{where}.op", operation, "a signed operation: l2_trade, l2_cancel, l2_withdraw, ... (docs/protocol/operations.md)")
    try:
        return make(operation, content)
    except ValueError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise BadRequest(400, where + path.rstrip("`"), reason, "the fields of the operation, each of its type (docs/reference/api.md)") from error


def parse_json(body: bytes | str, where: str) -> Any:
    """JSON without NaN, without repeated names, not nested deeper than any command is. Floats are left to whoever knows the field."""

    def no_number(text: str) -> NoReturn:
        raise BadRequest(400, where, text, "JSON, which has no such number")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            raise BadRequest(400, where, next(name for name in names if names.count(name) > 1), "each name once in an object")
        return found

    try:
        text = body if isinstance(body, str) else body.decode()
        _check_nesting(text, where)
        content = json.loads(text, parse_constant=no_number, object_pairs_hook=pairs)
    except BadRequest:
        raise
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or an integer of thousands of digits
        raise BadRequest(400, where, str(error), "JSON") from error
    return content


def _check_nesting(text: str, where: str) -> None:
    """Before the parser sees it: in a thread's small stack thousands of levels end the process."""
    level = 0
    for found in _BRACKET_OR_STRING.finditer(text):
        bracket = found[0][0]
        level += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
        if level > NESTING_MAX:
            raise BadRequest(400, where, "deeper", f"at most {NESTING_MAX} levels")


def integer(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """An integer of the query string, within bounds."""
    text = query.get(name)
    return default if text is None else parse_integer(name, text, low, high)


def parse_integer(name: str, text: str, low: int, high: int) -> int:
    """A decimal integer of the path or the query, within bounds."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high):
        raise BadRequest(400, name, text, f"an integer from {low} to {high}")
    return int(text)


def check_names(query: Mapping[str, str], *known: str) -> None:
    """No parameter but the known ones."""
    for name in query:
        if name not in known:
            raise BadRequest(400, name, query[name], f"no such parameter; known: {', '.join(known) or 'none'}")


def shown(value: object) -> str:
    """A value in an error, cut short. Integers beyond any field's width are told by their size."""
    if isinstance(value, int) and value.bit_length() > 512:
        return f"an integer of {value.bit_length()} bits"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
