"""Hash of the parameters that never change while a rollup lives (docs/protocol/state.md)."""

from __future__ import annotations

from straddle.core.params import Params
from straddle.primitives.hashing import sponge

MAX_ACCOUNT_DEPTH = 24
"""The account of a withdrawal word has 24 bits."""

MAX_SLOT_DEPTH = 32


def params_hash(params: Params) -> int:
    """params_hash; ValueError names a parameter out of range."""
    limits = (
        ("account_depth", 1, MAX_ACCOUNT_DEPTH),
        ("slot_depth", 1, MAX_SLOT_DEPTH),
        ("k_im_bps", 0, 2**16 - 1),
        ("k_mm_bps", 0, 2**16 - 1),
        ("risk_digest", 0, 2**248 - 1),
    )
    for name, low, high in limits:
        if not low <= getattr(params, name) <= high:
            raise ValueError(f"params.{name}: {getattr(params, name)}, expected {low} to {high}")
    return sponge("straddle.params", [getattr(params, name) for name, _, _ in limits])
