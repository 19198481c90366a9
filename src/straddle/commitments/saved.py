"""An account saved for its exit: everything of the state that its exit proof needs, in a file of its own (docs/guides/leave-an-exchange.md).

With it an account leaves a frozen exchange even when nobody has the rest of the state any more. It serves the batch that it was saved at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from straddle.commitments.accounts import AccountLeaf
from straddle.commitments.chunk import ChunkOpening, open_chunk
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState, StateParts
from straddle.commitments.listings import Listings, decode_listing, listing_word
from straddle.core.params import Params
from straddle.primitives.nesting import decode_json

FORMAT = "straddle.saved-account.1"


@dataclass(frozen=True, slots=True)
class SavedAccount:
    """An account's opening at one state, and the listings that risk tables are made over."""

    chain_id: int
    rollup: int
    """Address as an integer."""
    opening: ChunkOpening
    """Of the account alone."""
    listed: Listings

    @property
    def account(self) -> int:
        """The account's id."""
        return self.opening.chunk

    @property
    def batch_number(self) -> int:
        """The batch after which it was saved."""
        return self.opening.parts.batch_number

    @property
    def state_root(self) -> int:
        """Root of the state that it was saved at."""
        return self.opening.parts.root

    def check(self, state_root: int) -> None:
        """DataError unless everything here lies under `state_root`; the message names what does not."""
        if self.state_root != state_root:
            raise DataError(f"state_root: saved at {self.state_root:#x} (batch {self.batch_number}), expected {state_root:#x}")
        if len(self.opening.leaves) != 1:
            raise DataError(f"leaves: {len(self.opening.leaves)}, expected the account's alone")
        self.opening.check()
        found, expected = (self.listed.root, len(self.listed.instruments)), (self.opening.parts.listings_root, self.opening.parts.listing_count)
        if found != expected:
            raise DataError(f"listings: {found[1]} with root {found[0]:#x}, expected {expected[1]} with root {expected[0]:#x}, the state's")

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(self.to_plain(), indent=1) + "\n"

    def to_plain(self) -> dict[str, Any]:
        """The file's JSON. Numbers are decimal strings, since JSON readers differ on large ones."""
        opening = self.opening
        content: dict[str, Any] = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "rollup": f"{self.rollup:#042x}",
            "account": self.account,
            "params": asdict(opening.params),
            "state": opening.parts._asdict(),
            "leaf": opening.leaves[0]._asdict(),
            "positions": {str(instrument): size for instrument, size in opening.positions.get(self.account, {}).items()},
            "path": list(opening.path),
            "listings": [[listing_word(item) for item in group] for group in self.listed.words],
        }
        return {key: _texts(item) for key, item in content.items()}

    @classmethod
    def from_json(cls, text: str) -> SavedAccount:
        """The inverse of `to_json`; DataError names a missing or malformed field. `check` is what makes it trustworthy."""
        try:
            raw = decode_json(text)
        except ValueError as error:
            raise DataError(f"saved account: not JSON ({error})") from None
        names = {"format", "chain_id", "rollup", "account", "params", "state", "leaf", "positions", "path", "listings"}
        _check_keys("saved account", raw, names)
        if raw["format"] != FORMAT:
            raise DataError(f"format: {raw['format']!r}, expected {FORMAT!r}")
        try:
            params = Params(**_integers("params", raw["params"], {field.name for field in fields(Params)}))
        except ValueError as error:
            raise DataError(str(error)) from None
        parts = StateParts(**_integers("state", raw["state"], set(StateParts._fields)))
        leaf = AccountLeaf(**_integers("leaf", raw["leaf"], set(AccountLeaf._fields)))
        account = _integer("account", raw["account"])
        held = {_integer("positions", key): size for key, size in _integers("positions", raw["positions"], None).items()}
        path = tuple(_list("path", raw["path"]))
        opening = ChunkOpening(params, parts, account, (leaf,), {account: held} if held else {}, path)
        rollup = raw["rollup"]
        if not isinstance(rollup, str) or len(rollup) != 42 or not _is_hex(rollup):
            raise DataError(f"rollup: {rollup!r}, expected an address")
        return cls(_integer("chain_id", raw["chain_id"]), int(rollup, 16), opening, _listings(raw["listings"]))


def save_account(state: CommittedState, account: int, chain_id: int, rollup: int) -> SavedAccount:
    """The account as the state has it. DataError: there is no such place."""
    return SavedAccount(chain_id, rollup, open_chunk(state, account, 0), state.listed.copy())


def _listings(raw: Any) -> Listings:
    """From the words of each batch that had any."""
    if not isinstance(raw, list):
        raise DataError(f"listings: {type(raw).__name__}, expected a list")
    listed = Listings()
    for i, group in enumerate(raw):
        listed = listed.extended([decode_listing(word, f"listings[{i}]") for word in _list(f"listings[{i}]", group)])
    return listed


def _texts(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return str(value) if isinstance(value, int) else value


def _check_keys(where: str, raw: Any, names: set[str]) -> None:
    if not isinstance(raw, dict) or raw.keys() != names:
        found = sorted(raw) if isinstance(raw, dict) else type(raw).__name__
        raise DataError(f"{where}: found {found}, expected the fields {sorted(names)}")


def _integers(where: str, raw: Any, names: set[str] | None) -> dict[str, int]:
    if names is not None or not isinstance(raw, dict):
        _check_keys(where, raw, names or set())
    return {key: _integer(f"{where}.{key}", item) for key, item in raw.items()}


def _list(where: str, raw: Any) -> list[int]:
    if not isinstance(raw, list):
        raise DataError(f"{where}: {type(raw).__name__}, expected a list")
    return [_integer(f"{where}[{i}]", item) for i, item in enumerate(raw)]


def _integer(where: str, raw: Any) -> int:
    digits = raw.removeprefix("-") if isinstance(raw, str) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 80):
        raise DataError(f"{where}: {raw!r}, expected a decimal number as a string")
    return int(raw)


def _is_hex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
