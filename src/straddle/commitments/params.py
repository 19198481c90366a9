"""Hash of the parameters that never change while a rollup lives (docs/protocol/state.md)."""

from __future__ import annotations

from collections.abc import Sequence

from straddle.core.params import Params
from straddle.primitives.hashing import sponge

MAX_ACCOUNT_DEPTH = 24
"""The account of a withdrawal word has 24 bits."""

MAX_SLOT_DEPTH = 32


LIMITS = (
    ("account_depth", 1, MAX_ACCOUNT_DEPTH),
    ("slot_depth", 1, MAX_SLOT_DEPTH),
    ("k_im_bps", 0, 2**16 - 1),
    ("k_mm_bps", 0, 2**16 - 1),
    ("discount_bps", 1, 2**16 - 1),
    ("auction_ms", 1, 2**32 - 1),
    ("risk_digest", 0, 2**248 - 1),
)
"""Name, lowest and highest value of each parameter, in the order of the hash."""


def params_hash(params: Params) -> int:
    """params_hash; ValueError names a parameter out of range."""
    return hash_values([getattr(params, name) for name, _, _ in LIMITS])


def hash_values(values: Sequence[int]) -> int:
    """params_hash of the values of LIMITS, in their order; ValueError names one out of range."""
    for (name, low, high), value in zip(LIMITS, values, strict=True):
        if not low <= value <= high:
            raise ValueError(f"params.{name}: {value}, expected {low} to {high}")
    return sponge("straddle.params", values)
