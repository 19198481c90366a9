"""docs/reference/config.md is what the program prints."""

from __future__ import annotations

from pathlib import Path

from straddle.node.settings import Settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "config.md"


def test_the_reference_shows_every_key_with_its_default() -> None:
    assert PAGE.read_text().split("```toml\n")[1].split("```")[0] == Settings().to_toml()
