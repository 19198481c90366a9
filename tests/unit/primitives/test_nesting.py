from __future__ import annotations

import json

import pytest

from straddle.primitives.nesting import NESTING_MAX, check_nesting


def test_what_our_formats_need_passes() -> None:
    for value in ({}, [], 5, {"a": [[[1, [2, {"b": []}]]]]}, [[0] * 1000] * 1000):
        check_nesting(json.dumps(value).encode())


@pytest.mark.parametrize("text", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"[{" * 3 * NESTING_MAX, b'{"a":' * 50 + b"1" + b"}" * 50, b"]["])
def test_deep_or_unpaired_brackets_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        check_nesting(text)
