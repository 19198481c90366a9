"""What layer-1 resources cost in dollars: a price of gas, of blob gas and of ether."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

GWEI_IN_ETHER = 10**9
GAS_A_BLOB = 131_072
"""EIP-4844."""


@dataclass(frozen=True, slots=True)
class Prices:
    """One state of the market for layer-1 resources."""

    gas_gwei: float
    blob_gwei: float
    """A unit of blob gas."""
    ether_usd: float

    def __post_init__(self) -> None:
        for name in ("gas_gwei", "blob_gwei", "ether_usd"):
            value = getattr(self, name)
            if not 0 < value < 10**9:
                raise ValueError(f"{name}: {value}, expected above 0 and below 10^9")

    def dollars(self, gas: float, blob_gas: float = 0.0) -> float:
        """What that much gas and blob gas costs."""
        return (gas * self.gas_gwei + blob_gas * self.blob_gwei) * self.ether_usd / GWEI_IN_ETHER


REFERENCE = Prices(gas_gwei=2.0, blob_gwei=0.5, ether_usd=3_000.0)
"""The prices that single figures are given at. Not a quotation: a round middle of the grid; `--gas`, `--blob` and `--ether` replace it."""

GAS_GWEI = (0.2, 2.0, 20.0, 100.0)
BLOB_GWEI = (1e-9, 0.5, 10.0)
"""From the protocol's floor of one wei to a contested market."""
ETHER_USD = (1_500.0, 3_000.0, 4_500.0)


def grid() -> tuple[Prices, ...]:
    """Every combination of the three ranges."""
    return tuple(Prices(*cell) for cell in itertools.product(GAS_GWEI, BLOB_GWEI, ETHER_USD))
