"""The witness file: exactly the keys of docs/reference/witness.md, strictly read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from straddle.proving.witness import Witness, WitnessError
from tests.differential.stories import STORIES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "witness.md"


@pytest.fixture(scope="module")
def witness() -> Witness:
    """A batch with rows in every table: parts of several."""
    parts = {name: STORIES[name]().closed for name in ("trades", "transfers", "takeovers", "deleverages")}
    last = {name: closed[-1].posted.witness for name, closed in parts.items()}
    first, busy = parts["trades"][0].posted.witness, parts["trades"][1].posted.witness
    transfers = parts["transfers"][2].posted.witness
    return replace(
        busy,
        listings=first.listings,
        queue=first.queue,
        withdrawals=transfers.withdrawals,
        transfers=transfers.transfers,
        takeovers=last["takeovers"].takeovers,
        deleverages=last["deleverages"].deleverages,
    )


def keys_of(value: Any, where: str = "") -> set[str]:
    """Every key path of a JSON document."""
    if isinstance(value, list):
        return {path for item in value for path in keys_of(item, where)}
    if isinstance(value, dict):
        return {path for key, item in value.items() for path in {f"{where}.{key}", *keys_of(item, f"{where}.{key}")}}
    return set()


def documented_keys() -> set[str]:
    """Key paths of the page's example, with its comments and elisions taken out."""
    block = re.search(r"```jsonc\n(.*?)```", REFERENCE.read_text(), re.S)
    assert block is not None
    text = re.sub(r"//.*|/\*.*?\*/", "", block.group(1)).replace('["..", "... account_depth siblings, after the updates of the rows before this one"]', "[]")
    return keys_of(json.loads(text))


def test_the_file_has_the_documented_keys(witness: Witness) -> None:
    documented = documented_keys()
    documented |= {path.replace(".old.", ".new.") for path in documented if path.startswith(".accounts.old.")}
    found = keys_of(json.loads(witness.to_json()))
    assert found == documented


def test_field_elements_are_strings_and_numbers_are_integers(witness: Witness) -> None:
    raw = json.loads(witness.to_json())
    assert isinstance(raw["header"]["risk_root"], str)
    assert isinstance(raw["header"]["epoch"], int)
    assert all(isinstance(sibling, str) for row in raw["accounts"] for sibling in row["path"])
    assert all(isinstance(row["value"], int) and isinstance(row["deltas"][0], int) for row in raw["instruments"])


def test_round_trip(witness: Witness) -> None:
    assert Witness.from_json(witness.to_json()) == witness


def broken(witness: Witness, path: str, value: Any) -> str:
    """The file with the value at a dotted path replaced, or removed when `value` is None."""
    raw = json.loads(witness.to_json())
    target = raw
    *parents, last = path.split(".")
    for part in parents:
        target = target[int(part)] if part.isdigit() else target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("header.epoch", None, r"witness\.header: unknown or missing keys \['epoch'\]"),
        ("header.colour", 1, r"witness\.header: unknown or missing keys \['colour'\]"),
        ("header.epoch", 1.5, r"witness\.header\.epoch: 1\.5, expected an integer"),
        ("header.epoch", "0x1", r"witness\.header\.epoch: '0x1'"),
        ("header.epoch", True, r"witness\.header\.epoch: True"),
        ("accounts.0.old.cash", "--1", r"witness\.accounts\[0\]\.old\.cash"),
        ("accounts.0.path", 3, r"witness\.accounts\[0\]\.path: int, expected a list"),
        ("accounts", {}, r"witness\.accounts: dict, expected a list"),
        ("preset", 3, r"witness\.preset: 3, expected a string"),
        ("public", [], r"witness\.public: unknown or missing keys list"),
    ],
)
def test_a_bad_file_is_named(witness: Witness, path: str, value: Any, message: str) -> None:
    with pytest.raises(WitnessError, match=message):
        Witness.from_json(broken(witness, path, value))


def test_text_that_is_not_json_is_named() -> None:
    with pytest.raises(WitnessError, match="not JSON"):
        Witness.from_json("{")
