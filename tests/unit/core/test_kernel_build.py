from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest
from support.kernels import compiled

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_kernel_was_made_from_the_sources_beside_it(hatch_build: ModuleType) -> None:
    assert hatch_build.source_digest(ROOT, hatch_build.KERNEL_SOURCES) == compiled.SOURCE_DIGEST
    assert Path(compiled.__file__) == ROOT / hatch_build.KERNEL
    assert hatch_build.build_kernel(ROOT) is False


def _tree(root: Path, hatch_build: ModuleType, source: str) -> None:
    (root / "native/kernel").mkdir(parents=True)
    (root / "native/kernel/kernel.c").write_text(source)


def test_it_compiles_once_and_again_when_a_source_changes(hatch_build: ModuleType, tmp_path: Path) -> None:
    _tree(tmp_path, hatch_build, "const char *digest(void) { return SOURCE_DIGEST; }\n")
    assert [hatch_build.build_kernel(tmp_path) for _ in range(2)] == [True, False]
    (tmp_path / "native/kernel/other.h").write_text("/* new */\n")
    assert [hatch_build.build_kernel(tmp_path) for _ in range(2)] == [True, False]
    assert [path.name for path in (tmp_path / "src/straddle/core").iterdir()] == [hatch_build.KERNEL.name]


def test_failed_compilation_is_reported_and_leaves_nothing(hatch_build: ModuleType, tmp_path: Path) -> None:
    _tree(tmp_path, hatch_build, "#error not today\n")
    with pytest.raises(RuntimeError, match=r"compiling native/kernel failed(.|\n)*not today"):
        hatch_build.build_kernel(tmp_path)
    assert list((tmp_path / "src/straddle/core").iterdir()) == []


def test_without_headers_it_is_left_out_with_a_warning(
    hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert hatch_build.build_kernel(ROOT) is None
    assert "margin kernel not compiled: no Python.h" in capsys.readouterr().err


def test_the_compiler_is_cc_or_found(hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "ccache gcc-12")
    assert hatch_build.find_cc() == ["ccache", "gcc-12"]
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="needs a C compiler"):
        hatch_build.find_cc()
    (tmp_path / "clang").write_text("#!/bin/sh\n")
    (tmp_path / "clang").chmod(0o755)
    assert hatch_build.find_cc() == [str(tmp_path / "clang")]
