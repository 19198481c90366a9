from __future__ import annotations

import ctypes
import importlib.util
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from straddle.primitives import native

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def hatch_build() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_library_was_made_from_the_sources_beside_it(hatch_build: ModuleType) -> None:
    assert native.source_digest() == hatch_build.source_digest(ROOT)
    assert hatch_build.build_library(ROOT) is False


def test_digest_follows_sources_but_not_tests(hatch_build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "native/crypto").mkdir(parents=True)
    (tmp_path / "native/crypto/a.go").write_text("package crypto\n")
    first = hatch_build.source_digest(tmp_path)
    (tmp_path / "native/crypto/a_test.go").write_text("package crypto\n")
    assert hatch_build.source_digest(tmp_path) == first
    (tmp_path / "native/crypto/a.go").write_text("package crypto // changed\n")
    assert hatch_build.source_digest(tmp_path) != first


def test_go_is_found_in_the_environment(hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    with pytest.raises(RuntimeError, match=r"needs the Go compiler.*install Go 1"):
        hatch_build.find_go()
    (tmp_path / "bin").mkdir()
    go = tmp_path / "bin" / "go"
    go.write_text("#!/bin/sh\n")
    go.chmod(0o755)
    assert hatch_build.find_go() == str(go)


def test_failed_compilation_is_reported_and_leaves_nothing(hatch_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "native").mkdir()
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(RuntimeError, match=r"compiling native/clib failed(.|\n)*no such package"):
        hatch_build.build_library(tmp_path)
    assert list((tmp_path / "src/straddle/_native").iterdir()) == []


def test_missing_library_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "LIBRARY_PATH", tmp_path / "libstraddle.so")
    with pytest.raises(native.NativeLibraryError, match=r"libstraddle\.so is missing: build it"):
        native._library.__wrapped__()


def test_another_interface_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "ABI_VERSION", 999)
    with pytest.raises(native.NativeLibraryError, match="interface version 3, expected 999"):
        native._library.__wrapped__()


def test_buffers_of_wrong_length_are_refused_before_the_call() -> None:
    cases: list[tuple[Any, ...]] = [
        (native.compress_many, bytes(65)),
        (native.sponge, b"tag", bytes(33)),
        (native.merkle_path, bytes(31), 0, bytes(32)),
        (native.merkle_path, bytes(32), 0, bytes(40)),
        (native.public_key, bytes(31)),
        (native.key_multiple, bytes(32)),
        (native.sign, bytes(32), bytes(160)),
        (native.sign, bytes(33), bytes(192)),
        (native.verify_many, bytes(64), bytes(192), bytes(95)),
        (native.verify_many, bytes(63), bytes(192), bytes(96)),
        (native.verify_many, bytes(64), bytes(191), bytes(96)),
    ]
    for function, *inputs in cases:
        with pytest.raises(ValueError, match="bytes, expected"):
            function(*inputs)


def test_statuses_become_errors() -> None:
    top = b"\xff" * 32
    for call, message in (
        (lambda: native.compress_many(top * 2), "not below the field's modulus"),
        (lambda: native.sponge(b"", bytes(32)), "out of range"),
        (lambda: native.sponge(b"tag", b""), "out of range"),
        (lambda: native.sponge(b"tag", top), "not below"),
        (lambda: native.merkle_path(top, 0, b""), "not below"),
        (lambda: native.public_key(bytes(32)), "outside"),
        (lambda: native.public_key(top), "outside"),
        (lambda: native.sign(bytes(32), bytes(192)), "outside"),
        (lambda: native.sign(bytes(31) + b"\1", top * 6), "not below"),
        (lambda: native.key_multiple(bytes(63) + b"\1"), "prime subgroup"),
        (lambda: native.verify_many(bytes(64), top * 6, bytes(96)), "not below"),
    ):
        with pytest.raises(native.NativeCallError, match=message):
            call()
    with pytest.raises(ValueError, match="index"):
        native.merkle_path(bytes(32), 2, bytes(32))


def test_library_guards_its_own_counts() -> None:
    library = native._library()
    out = ctypes.create_string_buffer(64)
    for count in (-1, 1 << 40):
        assert library.straddle_compress(bytes(64), count, out) == 2
        assert library.straddle_sponge(b"tag", 3, bytes(32), count, 1, out) == 2
        assert library.straddle_sponge(b"tag", 3, bytes(32), 1, count, out) == 2
        assert library.straddle_sponge(b"tag", count, bytes(32), 1, 1, out) == 2
        assert library.straddle_merkle_path(bytes(32), 0, bytes(32), count, out) == 2
        assert library.straddle_verify(bytes(64), bytes(192), bytes(96), count, out) == 2
        assert library.straddle_keccak256(bytes(8), count, b"", 0, out) == 2
    assert library.straddle_keccak256(bytes(8), 1, b"", -1, out) == 2
    for sizes, total in (((5,), 4), ((-1,), 4), ((2, 1), 4)):
        assert library.straddle_keccak256(struct.pack(f"={len(sizes)}q", *sizes), len(sizes), bytes(4), total, out) == 2
    assert library.straddle_source_digest(4, out) == 2
    assert library.straddle_compress(None, 1, out) == 99  # a null pointer is a Go panic, and no crash


def test_forked_child_gets_an_error_and_does_not_hang() -> None:
    program = """
import os
from straddle.primitives import native
native.keccak256(b"")
child = os.fork()
if child == 0:
    try:
        native.keccak256(b"")
    except native.NativeLibraryError as error:
        print(error, flush=True)
        os._exit(7)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert native.keccak256(b"")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "must not fork" in run.stdout


def test_calls_from_several_threads() -> None:
    expected = native.compress_many(bytes(64 * 50))
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(native.compress_many(bytes(64 * 50)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
