"""Layer 1 as a member asks it: which headers stand, which were voided."""

from __future__ import annotations

from dataclasses import dataclass, field

from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment
from straddle.l1.history import BLOCKS_PER_QUERY
from straddle.l1.rpc import Rpc


@dataclass(slots=True)
class HeadersOnLayer1:
    """`straddle.committee.member.Layer1View` over a node. Asked rarely, so it reads the rollup's events anew each time.

    ConnectionFailed, RpcError: layer 1 does not answer, and nothing is decided.
    """

    rpc: Rpc
    deployment: Deployment
    confirmations: int = 0
    """Blocks on top of one before its events count."""
    _standing: dict[int, bytes] = field(default_factory=dict)
    _voided: set[tuple[int, bytes]] = field(default_factory=set)

    def stands(self, number: int, header_hash: bytes) -> bool:
        """Whether layer 1 has this header as its proposal, or final batch, of that number."""
        self._read()
        return self._standing.get(number) == header_hash

    def is_voided(self, number: int, header_hash: bytes) -> bool:
        """Whether layer 1 had this header as a proposal of that number, voided it, and has not got it again."""
        self._read()
        return (number, header_hash) in self._voided

    def _read(self) -> None:
        contract = load("Rollup")
        self._standing, self._voided = {}, set()
        last = self.rpc.block_number() - self.confirmations
        for start in range(self.deployment.start_block, last + 1, BLOCKS_PER_QUERY):
            for raw in self.rpc.logs(self.deployment.rollup, start, min(start + BLOCKS_PER_QUERY - 1, last)):
                log = contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
                if log is not None and log.name == "BatchProposed":
                    number, header = log.fields["batch_number"], bytes(log.fields["header_hash"])
                    self._standing[number] = header
                    self._voided.discard((number, header))
                elif log is not None and log.name == "BatchesVoided":
                    for number in range(log.fields["first"], log.fields["last"] + 1):
                        self._voided.add((number, self._standing.pop(number)))
