"""Configuration of `straddle member`: options, or one TOML file with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from straddle.primitives.errors import Actionable
from straddle.primitives.files import read_toml
from straddle.primitives.urls import is_service

DEFAULT_FOLDER = "straddle-member"


class MemberConfigError(Actionable, ValueError):
    """A setting that cannot be used. The message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """Every key, with its default."""

    deployment: str = ""
    """The rollup's record (deployment.json); the member waits for the file."""
    l1: str = ""
    """JSON-RPC address of a layer-1 node: it says what was voided."""
    folder: str = DEFAULT_FOLDER
    """The member's key and batches; made when missing."""
    host: str = "127.0.0.1"
    port: int = 9645
    """0: a free one."""
    peers: tuple[str, ...] = ()
    """URLs of other members, to catch up from."""
    catch_up_seconds: float = 10.0
    confirmations: int = 0
    """Blocks on top of one before what layer 1 voided counts."""

    def __post_init__(self) -> None:
        for name in ("deployment", "l1", "folder", "host"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise MemberConfigError(f"{name}: {value!r}, expected a text that is not empty")
        for name, url in (("l1", self.l1), *(("peers", peer) for peer in self.peers)):
            if not isinstance(url, str) or not is_service(url):
                raise MemberConfigError(f"{name}: {url!r}, expected an address such as http://127.0.0.1:8545")
        for name, low, high in (("port", 0, 65_535), ("confirmations", 0, 10_000)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise MemberConfigError(f"{name}: {value!r}, expected an integer from {low} to {high}")
        if isinstance(self.catch_up_seconds, bool) or not isinstance(self.catch_up_seconds, int | float) or not 0.1 <= self.catch_up_seconds <= 3_600:
            raise MemberConfigError(f"catch_up_seconds: {self.catch_up_seconds!r}, expected a number from 0.1 to 3600")

    @classmethod
    def load(cls, path: Path | None, changes: Mapping[str, Any]) -> MemberConfig:
        """From a TOML file (None: defaults); `changes` come before the file's values, None leaves them."""
        raw = {} if path is None else read_toml("--config", path)
        raw |= {name: value for name, value in changes.items() if value is not None}
        known = {item.name for item in fields(cls)}
        for name in sorted(raw.keys() - known):
            raise MemberConfigError(f"{name}: unknown key, expected one of {', '.join(sorted(known))}")
        peers = raw.get("peers", ())
        if not isinstance(peers, list | tuple):
            raise MemberConfigError(f"peers: {peers!r}, expected a list of URLs")
        return cls(**{**raw, "peers": tuple(peers)})
