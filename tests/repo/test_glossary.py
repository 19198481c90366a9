"""One glossary defines the words of the field that the code uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from straddle.sequencer.codec import OPERATIONS

REQUIRED = [
    *("tick", "lot", "micro-dollar", "strike", "expiry", "perpetual", "funding", "index", "forward", "mark", "value", "band", "listing"),
    *("order", "order set", "quote", "limit", "book", "maker", "taker", "fill", "nonce", "slot", "revision", "min nonce", "cancel", "fee cap"),
    *("account", "owner", "trading key", "key epoch", "cash", "position", "equity", "settled cash", "scenario", "scan loss", "charge"),
    *("initial margin", "maintenance margin", "reservation", "risk table", "risk epoch", "oracle committee"),
    *("sequencer", "command", "operation", "journal", "receipt", "log root", "batch", "preset", "effects", "body", "commitment", "challenge"),
    *("policy", "zk rollup", "optimistic rollup", "validium", "final", "window", "bond", "void", "finalise", "transcript", "watcher", "certificate"),
    *("snapshot", "permissionless mode", "freeze", "exit", "marks", "chunk"),
    *("witness", "proof", "state root", "leaf", "queue", "vault", "poster", "beneficiary", "conservation"),
]


def defined(markdown: str) -> set[str]:
    """Bold words, which are the ones that the glossary defines."""
    return {word.lower() for word in re.findall(r"\*\*([^*]+)\*\*", markdown)}


@pytest.mark.parametrize("word", REQUIRED)
def test_the_glossary_defines(root: Path, word: str) -> None:
    assert word in defined((root / "docs" / "glossary.md").read_text())


def test_no_word_is_defined_twice(root: Path) -> None:
    words = [word.lower() for word in re.findall(r"\*\*([^*]+)\*\*", (root / "docs" / "glossary.md").read_text())]
    assert sorted({word for word in words if words.count(word) > 1}) == []


def test_operations_are_named_after_who_starts_them() -> None:
    assert all(re.match(r"(l1|l2|internal)_[a-z_]+$", name) for name in OPERATIONS)
