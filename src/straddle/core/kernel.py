"""The kernel: the C extension of native/kernel where it was built, else the same in plain Python."""

from __future__ import annotations

try:
    from straddle.core._kernel import Exposure, OrderCodec, Quotes, Table, requirement, sweep

    COMPILED = True
except ImportError:
    from straddle.core.kernel_reference import Exposure, OrderCodec, Quotes, Table, requirement, sweep  # type: ignore[assignment]

    COMPILED = False

__all__ = ["COMPILED", "Exposure", "OrderCodec", "Quotes", "Table", "requirement", "sweep"]
