"""What a transaction offers for its gas, when the market has outgrown the offer, and the most that is ever offered."""

from __future__ import annotations

from dataclasses import dataclass, replace

from straddle.l1.rpc import Rpc

GWEI = 10**9
BASE_FEE_MARGIN = 2
BLOB_FEE_MARGIN = 4
"""A transaction waits while a base fee is more than so many times what it was; what is paid is the block's fee."""
LEAST_BLOB_FEE_WEI = GWEI
STEP, BLOB_STEP = (9, 8), (2, 1)
"""By so much the fees of what replaces a waiting transaction must be higher: nodes ask for 10 %, and with blobs for twice as much."""
FAR, USUAL_TIP_WEI = 4, GWEI
"""A tip of so many times the usual one, or this, is raised no more to replace what waits at an unknown price."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for each unit of gas: at most in all, of it for the proposer, and at most for blob gas (0: no blobs)."""

    gas: int
    tip: int
    blob_gas: int = 0

    @property
    def fields(self) -> dict[str, int]:
        """Of a transaction."""
        return {"maxFeePerGas": self.gas, "maxPriorityFeePerGas": self.tip} | ({"maxFeePerBlobGas": self.blob_gas} if self.blob_gas else {})

    def within(self, most: Fees) -> bool:
        """Whether none is above that."""
        return self.gas <= most.gas and self.tip <= most.tip and self.blob_gas <= most.blob_gas


MOST = Fees(1_000 * GWEI, 50 * GWEI, 5_000 * GWEI)
"""What a wallet offers at most unless it is told otherwise. Base fees are the chain's; the tip is the node's word, and is paid in full."""


@dataclass(frozen=True, slots=True)
class Market:
    """Base fees of the newest block, wei (that of blob gas is 0 for a transaction without blobs), the tip that is usual, and the most that is offered."""

    base: int
    tip: int
    blob_base: int = 0
    most: Fees = MOST

    @classmethod
    def look(cls, rpc: Rpc, *, blobs: bool, most: Fees = MOST) -> Market:
        """As the node tells it."""
        base = int(rpc.block("latest").get("baseFeePerGas") or "0x0", 16)
        tip = min(rpc.quantity("eth_maxPriorityFeePerGas"), most.tip, most.gas)
        return cls(base, tip, max(1, rpc.blob_base_fee_wei()) if blobs else 0, most)

    @property
    def too_dear(self) -> str:
        """Which base fee is above the most that is offered; empty when none is."""
        for name, base, most in (("gas", self.base, self.most.gas), ("blob gas", self.blob_base, self.most.blob_gas)):
            if base > most:
                return f"the base fee is {base / GWEI:.3f} gwei a unit of {name}, expected at most {most / GWEI:.3f}, which is all that this wallet may pay"
        return ""

    @property
    def offer(self) -> Fees:
        """What is offered first."""
        blob_gas = max(LEAST_BLOB_FEE_WEI, BLOB_FEE_MARGIN * self.blob_base) if self.blob_base else 0
        return Fees(min(BASE_FEE_MARGIN * self.base + self.tip, self.most.gas), self.tip, min(blob_gas, self.most.blob_gas))

    def takes(self, fees: Fees) -> bool:
        """Whether a transaction with these fees would get into the next block. A tip that is less than a step below the usual one is as good."""
        up, down = self._step
        tip = min(fees.tip, fees.gas - self.base)
        return tip >= 0 and up * tip >= down * self.tip and fees.blob_gas >= self.blob_base

    def dearer(self, fees: Fees) -> Fees:
        """What replaces a waiting transaction with these fees. The same fees: when that were more than the most, or the tip is far above the usual one and
        they are enough for the next block."""
        offer = self.offer
        raised = Fees(*(self._raised(had, wanted) for had, wanted in ((fees.gas, offer.gas), (fees.tip, offer.tip))))
        if self.blob_base:
            raised = replace(raised, blob_gas=self._raised(fees.blob_gas, offer.blob_gas))
        is_enough = self.takes(fees) and fees.tip >= FAR * max(self.tip, USUAL_TIP_WEI)
        return raised if raised.within(self.most) and not is_enough else fees

    def above(self, fees: Fees) -> Fees:
        """`dearer`, when the node refuses these fees because of what waits at an unknown price: its tip may have been the usual one of another day."""
        more = max(0, min(USUAL_TIP_WEI, self.most.tip) - fees.tip)
        start = replace(fees, gas=fees.gas + more, tip=fees.tip + more)
        raised = self.dearer(start)
        return fees if raised == start else raised

    def _raised(self, had: int, wanted: int) -> int:
        up, down = self._step
        return max(wanted, had + 1, -(-up * had // down))

    @property
    def _step(self) -> tuple[int, int]:
        return BLOB_STEP if self.blob_base else STEP
