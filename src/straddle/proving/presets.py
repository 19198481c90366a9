"""The presets, from the one file that the circuit reads too (native/circuit/presets.json)."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from pathlib import Path

from straddle.commitments.preset import Preset

PACKAGED = Path(__file__).with_name("presets.json")
"""Where a built wheel carries the file (pyproject.toml, force-include)."""

CHECKOUT = Path(__file__).resolve().parents[3] / "native" / "circuit" / "presets.json"
"""Where a checkout, also one installed as editable, has it."""


def load_preset(name: str) -> Preset:
    """The preset `name`; ValueError lists the known ones."""
    presets = all_presets()
    if name not in presets:
        raise ValueError(f"preset: {name!r}, expected one of {', '.join(presets)}")
    return presets[name]


@cache
def all_presets() -> dict[str, Preset]:
    """Every preset by name."""
    path = next((candidate for candidate in (CHECKOUT, PACKAGED) if candidate.exists()), None)
    if path is None:
        raise FileNotFoundError(f"presets.json: neither at {CHECKOUT} nor at {PACKAGED}")
    keys = {field.name for field in fields(Preset)} - {"name"}
    presets = {}
    for name, sizes in json.loads(path.read_text()).items():
        if sizes.keys() != keys:
            raise ValueError(f"{path}: preset {name}: unknown or missing keys {sorted(sizes.keys() ^ keys)}")
        presets[name] = Preset(name=name, **sizes)
    return presets
