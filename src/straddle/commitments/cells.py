"""Checks that effects and body share: words that are field elements, rows that come first and ascend."""

from __future__ import annotations

from collections.abc import Sequence

from straddle.commitments.layout import DataError
from straddle.primitives.field import MODULUS


def check_words(table: str, words: Sequence[int]) -> None:
    """DataError unless every word is a field element."""
    for i, word in enumerate(words):
        if not 0 <= word < MODULUS:
            raise DataError(f"{table}[{i}]: {word}, expected a field element (0 to {MODULUS - 1})")


def check_fits(name: str, rows: int, limit: int) -> None:
    """DataError when a table has more rows than the preset."""
    if rows > limit:
        raise DataError(f"{name}: {rows} rows, expected at most {limit} in this preset")


def check_positive(where: str, name: str, value: int) -> None:
    """DataError unless `value` is 1 or more."""
    if value < 1:
        raise DataError(f"{where}.{name}: {value}, expected 1 or more")


def check_ascending(where: str, name: str, previous: int, value: int) -> None:
    """DataError unless `value` is above the row's before."""
    if value <= previous:
        raise DataError(f"{where}.{name}: {value}, expected more than {previous} (rows ascend)")


def used_rows(words: Sequence[int], names: Sequence[str]) -> list[tuple[str, int]]:
    """The used rows, each with its name; DataError when an unused one comes before a used one."""
    used = trimmed(words)
    for name, word in zip(names, used, strict=False):
        if not word:
            raise DataError(f"{name}: unused, expected no used row after an unused one")
    return list(zip(names, used, strict=False))


def trimmed(words: Sequence[int]) -> list[int]:
    """The words without their trailing zeros: the body as it is posted."""
    end = len(words)
    while end and not words[end - 1]:
        end -= 1
    return list(words[:end])


def padded(words: Sequence[int], length: int) -> list[int]:
    """The words with zeros up to `length`."""
    return [*words, *[0] * (length - len(words))]
