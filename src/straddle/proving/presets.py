"""The presets, from the files that the circuits read too (native/circuit/presets.json, solvency.json)."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from straddle.commitments.holdings import HoldingsPreset
from straddle.commitments.preset import Preset
from straddle.primitives.errors import Actionable
from straddle.primitives.files import FileError, read_text
from straddle.primitives.nesting import decode_json

PACKAGED = Path(__file__).parent
"""Where a built wheel carries the files (pyproject.toml, force-include)."""

CHECKOUT = Path(__file__).resolve().parents[3] / "native" / "circuit"
"""Where a checkout, also one installed as editable, has them."""


_SIZE_MAX = 1 << 20


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
    _check("solvency.json", f"{preset}.{kind}", raw, {"k", "positions"})
    return HoldingsPreset(f"{preset}-{kind}", batch.account_depth, batch.slot_depth, batch.instruments, raw["k"], raw["positions"])


@cache
def all_presets() -> dict[str, Preset]:
    """Every preset by name."""
    keys = {field.name for field in fields(Preset)} - {"name"}
    presets = {}
    for name, sizes in _read("presets.json").items():
        _check("presets.json", name, sizes, keys)
        presets[name] = Preset(name=name, **sizes)
    return presets


@cache
def _read(name: str) -> dict[str, dict[str, Any]]:
    path = next((folder / name for folder in (CHECKOUT, PACKAGED) if (folder / name).exists()), None)
    if path is None:
        raise PresetError(f"{name}: neither in {CHECKOUT} nor in {PACKAGED}, expected where this program was installed")
    try:
        found = decode_json(read_text("presets", path))
    except (FileError, ValueError) as error:
        raise PresetError(f"{path}: {error}, expected JSON") from error
    if not isinstance(found, dict) or not all(isinstance(inner, dict) for inner in found.values()):
        raise PresetError(f"{path}: expected a JSON object of objects")
    return found


def _check(file: str, where: str, sizes: object, keys: set[str]) -> None:
    """PresetError unless these are sizes by exactly those keys."""
    if not isinstance(sizes, dict) or sizes.keys() != keys:
        found = sorted(sizes.keys() ^ keys) if isinstance(sizes, dict) else repr(sizes)
        raise PresetError(f"{file}: {where}: unknown or missing keys {found}, expected {', '.join(sorted(keys))}")
    for key, size in sizes.items():
        if type(size) is not int or not 0 <= size <= _SIZE_MAX:
            raise PresetError(f"{file}: {where}.{key}: {size!r}, expected an integer from 0 to {_SIZE_MAX}")
