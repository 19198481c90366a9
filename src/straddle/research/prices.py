"""What layer-1 resources and a prover's machine cost in dollars: dated quotations, each with where it was read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from straddle.node.config import ConfigError

GWEI_IN_ETHER = 10**9
GAS_A_BLOB = 131_072
"""EIP-4844."""
HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Quotation:
    """A price at a date. Read in November 2026; whoever has better ones names them by options."""

    of: str
    value: float
    date: str
    """Year, month and, where the source has it, day."""
    source: str


@dataclass(frozen=True, slots=True)
class Prices:
    """One state of the market for layer-1 resources. ConfigError: a price that is none."""

    gas_gwei: float
    blob_gwei: float
    """A unit of blob gas."""
    ether_usd: float

    def __post_init__(self) -> None:
        for name in ("gas_gwei", "blob_gwei", "ether_usd"):
            value = getattr(self, name)
            if not 0 < value < 10**9:
                raise ConfigError(f"{name}: {value}, expected above 0 and below 10^9")

    def dollars(self, gas: float, blob_gas: float = 0.0) -> float:
        """What that much gas and blob gas costs."""
        return (gas * self.gas_gwei + blob_gas * self.blob_gwei) * self.ether_usd / GWEI_IN_ETHER

    def dollars_of_wei(self, wei: float) -> float:
        """What so much ether is worth."""
        return wei / 10**18 * self.ether_usd


GAS = (
    Quotation("gas, gwei", 0.067, "2025-11-09", "dapp.expert/news, Ethereum gas fees hit record low"),
    Quotation("gas, gwei", 3.146, "2025-02", "vidyoda.com/14066.html, Ethereum Gas Fees Statistics 2025"),
    Quotation("gas, gwei", 37.0, "2024-03-27", "Blockworks, Blob base fee surges (Etherscan, the same hour as blob gas at 6)"),
    Quotation("gas, gwei", 198.0, "2021-10-28", "d1softballnews.com/ethereum-strong-drop-in-gas, a day's average"),
)
BLOB_GAS = (
    Quotation("blob gas, gwei", 1e-9, "2025-12-02", "the protocol's floor of one wei, the usual price until Fusaka (chaincatcher, December 2025)"),
    Quotation("blob gas, gwei", 0.0147, "2025-12-04", "bi.live/tr/post/status/17184672, average of the day after Fusaka"),
    Quotation("blob gas, gwei", 6.0, "2024-03-27", "Blockworks, Blob base fee surges (ultrasound.money)"),
)
ETHER = (
    Quotation("ether, dollars", 1_950.0, "2026-02", "gateex.org/post/status/18909174"),
    Quotation("ether, dollars", 2_230.0, "2023-12-07", "taranganews.com, Ethereum experienced a huge increase in gas fees"),
    Quotation("ether, dollars", 3_487.0, "2024-03-27", "CoinDesk, 2024-03-28: a blob at 582 gwei is $266"),
)
CORE_HOUR = Quotation(
    "core-hour, dollars", 0.0408, "2026-06-17", "a virtual CPU of m7g.large, us-east-1, on demand: $0.0816 for two (Amazon EC2 On-Demand Pricing, 2026)"
)
"""Of a prover's machine; `--core-hour` replaces it."""
QUOTATIONS = (*GAS, *BLOB_GAS, *ETHER, CORE_HOUR)

REFERENCE = Prices(GAS[1].value, BLOB_GAS[1].value, ETHER[0].value)
"""The prices that single figures are given at: no record day. Each has its own date. `--gas`, `--blob` and `--ether` replace them."""


def cpu_dollars(cpu_seconds: float, core_hour_usd: float) -> float:
    """What so much time of a prover's core costs."""
    return cpu_seconds / HOUR_S * core_hour_usd


def grid() -> tuple[Prices, ...]:
    """Every combination of the quoted prices."""
    return tuple(Prices(*(each.value for each in cell)) for cell in itertools.product(GAS, BLOB_GAS, ETHER))
