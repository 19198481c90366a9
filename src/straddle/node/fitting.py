"""The fitted surface of a recording, kept in the user's cache: fitting is most of a node's start, and the same recording gives the same surface."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import platformdirs

from straddle.primitives.files import read_sealed, write_sealed
from straddle.risk import expiry, surface, svi
from straddle.risk.parameters import RiskParameters
from straddle.risk.recording import Recording
from straddle.risk.surface import SliceReport, Surface, fit_surface
from straddle.risk.svi import Slice

SOURCES = (surface, svi, expiry)


def fitted_surface(recording: Recording, parameters: RiskParameters, cache_directory: Path | None = None) -> Surface:
    """As `fit_surface`, or read from the cache when neither the options, the parameters nor the fit have changed."""
    directory = cache_directory or platformdirs.user_cache_path("straddle", appauthor=False) / "surfaces"
    kept = directory / f"{_digest(recording, parameters)}.json"
    if (content := read_sealed(kept)) is not None:
        return _decode(content)
    fitted = fit_surface(recording, parameters)
    write_sealed(kept, _encode(fitted))
    return fitted


def _digest(recording: Recording, parameters: RiskParameters) -> str:
    """Digest of everything that the surface may depend on."""
    hasher = hashlib.sha256(f"numpy {version('numpy')} scipy {version('scipy')}\0{parameters!r}\0{recording.options!r}\0".encode())
    for module in SOURCES:
        assert module.__file__
        text = Path(module.__file__).read_bytes()
        hasher.update(f"{module.__name__}\0{len(text)}\0".encode() + text)
    return hasher.hexdigest()[:32]


def _encode(fitted: Surface) -> bytes:
    """JSON writes a float so that reading gives the same one."""
    slices = [[expiry_ms, asdict(smile)] for expiry_ms, smile in fitted.slices.items()]
    return json.dumps({"slices": slices, "reports": [asdict(report) for report in fitted.reports], "refused": fitted.refused}).encode()


def _decode(data: bytes) -> Surface:
    record = json.loads(data)
    slices = {int(expiry_ms): Slice(**smile) for expiry_ms, smile in record["slices"]}
    refused = tuple((int(expiry_ms), str(reason)) for expiry_ms, reason in record["refused"])
    return Surface(slices, tuple(SliceReport(**report) for report in record["reports"]), refused)
