"""What SQLite leaves to its users about damaged files: the errors that one gives, and a checksum of each row, since SQLite keeps none."""

from __future__ import annotations

import hashlib
import sqlite3

UNREADABLE = (sqlite3.Error, UnicodeDecodeError, TypeError)
"""What reading a damaged file raises: a message may quote bytes that are no text, and a row or a value may not be there."""

_SUM_BYTES = 8


def add_row_sum(db: sqlite3.Connection) -> None:
    """Gives SQL on this connection the function row_sum(value, ...)."""
    db.create_function("row_sum", -1, row_sum, deterministic=True)


def row_sum(*values: str | bytes | float | None) -> bytes:
    """Tells a row from one that a disk spoilt. It is no secret: whoever may write the file can make one."""
    digest = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else str(value).encode()
        digest.update(f"{type(value).__name__} {len(content)} ".encode() + content)
    return digest.digest()[:_SUM_BYTES]
