"""What a transaction offers for its gas, and when the market has outgrown the offer."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.l1.rpc import Rpc

BASE_FEE_MARGIN = 2
BLOB_FEE_MARGIN = 4
"""A transaction waits while a base fee is more than so many times what it was; what is paid is the block's fee."""
LEAST_BLOB_FEE_WEI = 10**9
STEP, BLOB_STEP = (9, 8), (2, 1)
"""By so much the fees of what replaces a waiting transaction must be higher: nodes ask for 10 %, and with blobs for twice as much."""
MOST = 4
"""So many times what is usual is offered at most, to replace what waits at an unknown price."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei that are offered for each unit of gas: at most in all, of it for the proposer, and at most for blob gas (0: no blobs)."""

    gas: int
    tip: int
    blob_gas: int = 0

    @property
    def fields(self) -> dict[str, int]:
        """Of a transaction."""
        return {"maxFeePerGas": self.gas, "maxPriorityFeePerGas": self.tip} | ({"maxFeePerBlobGas": self.blob_gas} if self.blob_gas else {})


@dataclass(frozen=True, slots=True)
class Market:
    """Base fees of the newest block, wei (that of blob gas is 0 for a transaction without blobs), and the tip that is usual."""

    base: int
    tip: int
    blob_base: int = 0

    @classmethod
    def look(cls, rpc: Rpc, *, blobs: bool) -> Market:
        """As the node tells it."""
        base = int(rpc.block("latest").get("baseFeePerGas") or "0x0", 16)
        return cls(base, rpc.quantity("eth_maxPriorityFeePerGas"), max(1, rpc.blob_base_fee_wei()) if blobs else 0)

    @property
    def offer(self) -> Fees:
        """What is offered first."""
        blob_gas = max(LEAST_BLOB_FEE_WEI, BLOB_FEE_MARGIN * self.blob_base) if self.blob_base else 0
        return Fees(BASE_FEE_MARGIN * self.base + self.tip, self.tip, blob_gas)

    def takes(self, fees: Fees) -> bool:
        """Whether a transaction with these fees would get into the next block."""
        return fees.gas >= self.base + self.tip and fees.tip >= self.tip and fees.blob_gas >= self.blob_base

    def dearer(self, fees: Fees) -> Fees:
        """What replaces a waiting transaction with these fees; the same fees when they are far above the market."""
        offer, (up, down) = self.offer, BLOB_STEP if self.blob_base else STEP
        if fees.gas >= MOST * offer.gas:
            return fees
        old, new = (fees.gas, fees.tip, fees.blob_gas), (offer.gas, offer.tip, offer.blob_gas)
        return Fees(*(max(wanted, -(-up * had // down)) for had, wanted in zip(old, new, strict=True)))
