"""The surface that is kept is the one that was fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from straddle.node import fitting
from straddle.node.fitting import fitted_surface
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.recording import Recording
from straddle.risk.surface import Surface


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch, surface: Surface) -> list[Recording]:
    """What was fitted: each time the session's surface, with a refused expiry."""
    fitted: list[Recording] = []

    def fit(recording: Recording, parameters: object) -> Surface:
        fitted.append(recording)
        return replace(surface, refused=((7, "no quotes"),))

    monkeypatch.setattr(fitting, "fit_surface", fit)
    return fitted


def test_a_surface_is_fitted_once(tmp_path: Path, recording: Recording, surface: Surface, fits: list[Recording]) -> None:
    first, second = (fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path) for _ in range(2))
    assert first == second == replace(surface, refused=((7, "no quotes"),))
    assert list(second.slices) == list(surface.slices) and len(fits) == 1


def test_another_recording_or_other_parameters_are_fitted_anew(tmp_path: Path, recording: Recording, fits: list[Recording]) -> None:
    higher = replace(recording, options=(replace(recording.options[0], bid_vol_bps=1), *recording.options[1:]))
    for chain, parameters in (
        (recording, DEFAULT_PARAMETERS),
        (higher, DEFAULT_PARAMETERS),
        (recording, replace(DEFAULT_PARAMETERS, range_bps=1_700)),
    ):
        fitted_surface(chain, parameters, tmp_path)
    assert len(fits) == 3


def test_a_changed_fit_fits_anew(tmp_path: Path, recording: Recording, fits: list[Recording], monkeypatch: pytest.MonkeyPatch) -> None:
    fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path)
    source = tmp_path / "svi.py"
    source.write_text("# another fit\n")
    monkeypatch.setattr(fitting.svi, "__file__", str(source))
    fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path)
    assert len(fits) == 2


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-1], lambda data: data.replace(b"1", b"2", 1), lambda data: b"[" * 100_000])
def test_a_damaged_entry_is_fitted_anew(tmp_path: Path, recording: Recording, fits: list[Recording], damage: Callable[[bytes], bytes]) -> None:
    whole = fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path)
    (kept,) = tmp_path.glob("*.json")
    kept.write_bytes(damage(kept.read_bytes()))
    assert fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path) == whole
    assert fitted_surface(recording, DEFAULT_PARAMETERS, tmp_path) == whole and len(fits) == 2
