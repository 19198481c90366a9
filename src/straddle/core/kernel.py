"""The kernel: the C extension of native/kernel where it was built, else the same in plain Python."""

from __future__ import annotations

try:
    # One that is there but lacks a name is older than these sources: that must not pass for one that was never built.
    from straddle.core._kernel import SOURCE_DIGEST, Cap, Exposure, OrderCodec, Quotes, Table, requirement, sweep
except ModuleNotFoundError:
    from straddle.core.cap_reference import Cap  # type: ignore[assignment]
    from straddle.core.kernel_reference import Exposure, OrderCodec, Quotes, Table, requirement, sweep  # type: ignore[assignment]

    SOURCE_DIGEST = ""

COMPILED = bool(SOURCE_DIGEST)

__all__ = ["COMPILED", "SOURCE_DIGEST", "Cap", "Exposure", "OrderCodec", "Quotes", "Table", "requirement", "sweep"]
