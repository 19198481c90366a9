"""Files are as they were or as they should be, also with several writers and with a failure in the middle."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from straddle.primitives.files import FileError, read_toml, write_atomically


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_atomically(path, b"one")
    write_atomically(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two" and path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_several_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([i]) * 100_000 for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            for done in [pool.submit(write_atomically, path, content) for content in contents]:
                done.result()
            assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"good")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"bad")
    assert path.read_bytes() == b"good" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "byte 0 is no text"),
        (b"[api\n", "Expected ']' at the end of a table declaration .at line 1, column 5., expected TOML"),
        (b"port = " + b"9" * 5_000, "expected TOML"),
        (b"deep = " + b"[" * 30_000, "expected TOML"),
        (b"deep = " + b"[" * 100 + b"]" * 100, "nested deeper than 16 levels"),
        (b"deep = " + b"{a=" * 100 + b"1" + b"}" * 100, "nested deeper than 16 levels"),
        (b"a" + b".a" * 100_000 + b" = 1", "200005 characters, expected at most 32768"),
    ],
    ids=["no text", "syntax", "digits", "open", "arrays", "tables", "size"],
)
def test_toml_that_is_none_is_told_with_its_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(FileError, match=rf"^--config {path}: .*{message}"):
        read_toml("--config", path)
