"""Files that are either as they were or as they should be."""

from __future__ import annotations

import hashlib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import NESTING_MAX

TOML_MAX = 1 << 15
"""Characters: the parser takes the square of a key's length."""


class FileError(Actionable):
    """A file that somebody named cannot be read."""


def read_text(name: str, path: Path) -> str:
    """The text of a file. FileError begins with `name`, the option or key that it came from."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{name} {path}: {error.strerror or error}, expected a file that can be read") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{name} {path}: byte {error.start} is no text, expected a file of text (UTF-8)") from error


def read_toml(name: str, path: Path) -> dict[str, Any]:
    """The tables of a TOML file. FileError begins with `name` and tells the line."""
    text = read_text(name, path)
    if len(text) > TOML_MAX:
        raise FileError(f"{name} {path}: {len(text)} characters, expected at most {TOML_MAX}")
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: an integer of thousands of digits too
        raise FileError(f"{name} {path}: {error}, expected TOML") from error
    level: list[Any] = [tables]
    for _ in range(NESTING_MAX):  # whoever shows a value walks into it
        level = [inner for value in level if isinstance(value, dict | list) for inner in (value.values() if isinstance(value, dict) else value)]
    if level:
        raise FileError(f"{name} {path}: nested deeper than {NESTING_MAX} levels, expected tables of values")
    return tables


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write, sync, rename: a reader or a crash sees the old file or the whole new one, whoever else writes it. The folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    sync_folder(path.parent)


def write_sealed(path: Path, content: bytes) -> None:
    """Write what can be made again, for `read_sealed`: behind its digest. OSError: it cannot be written."""
    write_atomically(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote; None when it is not there or not as it was written: to be made again, since another value would be taken for the right one."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest().encode() == digest else None


def sync_folder(folder: Path) -> None:
    """Makes a rename in the folder last: it is part of the folder, not of the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
