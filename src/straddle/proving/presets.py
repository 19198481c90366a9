"""The presets, from the files that the circuits read too (native/circuit/presets.json, solvency.json)."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from straddle.commitments.holdings import HoldingsPreset
from straddle.commitments.preset import Preset
from straddle.primitives.errors import Actionable

PACKAGED = Path(__file__).parent
"""Where a built wheel carries the files (pyproject.toml, force-include)."""

CHECKOUT = Path(__file__).resolve().parents[3] / "native" / "circuit"
"""Where a checkout, also one installed as editable, has them."""


class PresetError(Actionable, ValueError):
    """No preset of that name, or a damaged file of them."""


def load_preset(name: str) -> Preset:
    """The preset `name`; PresetError lists the known ones."""
    presets = all_presets()
    if name not in presets:
        raise PresetError(f"preset: {name!r}, expected one of {', '.join(presets)}")
    return presets[name]


def load_holdings_preset(preset: str, kind: str) -> HoldingsPreset:
    """Sizes of the circuit of a kind, "exit" or "solvency", that belongs to a batch preset. PresetError lists what is known."""
    batch, sizes = load_preset(preset), _read("solvency.json")
    if kind not in sizes.get(preset, {}):
        raise PresetError(f"circuit: {preset}-{kind}, expected one of {', '.join(f'{name}-{known}' for name, kinds in sizes.items() for known in kinds)}")
    raw = sizes[preset][kind]
    if raw.keys() != {"k", "positions"}:
        raise PresetError(f"solvency.json: {preset}.{kind}: keys {sorted(raw.keys())}, expected k and positions")
    return HoldingsPreset(f"{preset}-{kind}", batch.account_depth, batch.slot_depth, batch.instruments, raw["k"], raw["positions"])


@cache
def all_presets() -> dict[str, Preset]:
    """Every preset by name."""
    keys = {field.name for field in fields(Preset)} - {"name"}
    presets = {}
    for name, sizes in _read("presets.json").items():
        if sizes.keys() != keys:
            raise PresetError(f"presets.json: preset {name}: unknown or missing keys {sorted(sizes.keys() ^ keys)}")
        presets[name] = Preset(name=name, **sizes)
    return presets


@cache
def _read(name: str) -> dict[str, Any]:
    path = next((folder / name for folder in (CHECKOUT, PACKAGED) if (folder / name).exists()), None)
    if path is None:
        raise FileNotFoundError(f"{name}: neither in {CHECKOUT} nor in {PACKAGED}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found
