"""Files that are either as they were or as they should be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from straddle.primitives.errors import Actionable


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


def sync_folder(folder: Path) -> None:
    """Makes a rename in the folder last: it is part of the folder, not of the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
