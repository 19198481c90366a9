"""The files of sizes: what is damaged in them is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from straddle.proving import presets as module
from straddle.proving.presets import PresetError, all_presets, load_holdings_preset, load_preset


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("presets.json", "solvency.json"):
        (tmp_path / name).write_bytes((module.CHECKOUT / name).read_bytes())
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    module._read.cache_clear()
    all_presets.cache_clear()
    yield tmp_path
    module._read.cache_clear()
    all_presets.cache_clear()


def test_the_sizes_of_the_files(folder: Path) -> None:
    assert load_preset("nano").account_depth == 8 and load_holdings_preset("nano", "exit").positions == 18
    with pytest.raises(PresetError, match="preset: 'pico', expected one of nano, demo, standard"):
        load_preset("pico")
    with pytest.raises(PresetError, match="circuit: nano-none, expected one of nano-exit, nano-solvency"):
        load_holdings_preset("nano", "none")


@pytest.mark.parametrize("content", [b"", b"[" * 200_000, b"\xff\xfe", b"[]", b"null", b'{"nano": 7}', b"{"])
def test_a_file_that_is_none_is_named(folder: Path, content: bytes) -> None:
    (folder / "presets.json").write_bytes(content)
    with pytest.raises(PresetError, match=r"presets\.json"):
        load_preset("nano")


@pytest.mark.parametrize("size", [None, "8", -1, 1.5, True, 1 << 40, [8]])
def test_a_size_that_is_none_is_named(folder: Path, size: Any) -> None:
    for file, path in (("presets.json", ("nano", "orders")), ("solvency.json", ("nano", "exit", "k"))):
        raw = json.loads((folder / file).read_text())
        inner = raw
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = size
        (folder / file).write_text(json.dumps(raw))
    with pytest.raises(PresetError, match=r"presets\.json: nano\.orders: .*, expected an integer from 0"):
        load_preset("nano")
    (folder / "presets.json").write_bytes((Path(__file__).parents[3] / "native" / "circuit" / "presets.json").read_bytes())
    module._read.cache_clear()
    with pytest.raises(PresetError, match=r"solvency\.json: nano\.exit\.k: .*, expected an integer from 0"):
        load_holdings_preset("nano", "exit")
