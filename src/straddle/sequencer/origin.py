"""Where a log begins that does not begin at genesis: after a batch that layer 1 has, with the state that it left (docs/reference/receipts.md)."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.primitives.hashing import keccak256
from straddle.sequencer.receipts import LogIdentity

_HEAD_TAG = b"straddle.log.resumed".ljust(32, b"\0")
_ORIGIN_TAG = b"straddle.log.origin".ljust(32, b"\0")


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """A final batch of layer 1, and what is needed to go on after it. Hashes are 32 bytes."""

    batch_number: int
    last_sequence: int
    """Of the batch: the log's first entry has the next number."""
    header_hash: bytes
    ended_head: bytes
    """Hash of the last entry of the log that ended."""
    state_root: int
    """After the batch."""
    epoch: int
    """Newest risk epoch that layer 1 has, or may have been sent; the next one has a higher number."""
    time_ms: int
    """Of that epoch's table, unix milliseconds."""
    state: bytes
    """The state after the batch, straddle.commitments.state_copy."""

    def head(self, identity: LogIdentity) -> bytes:
        """The previous hash of the first entry. It binds the batch, and the log that ended: two logs after one batch have different ones."""
        return keccak256(_HEAD_TAG + identity.encoded + self.header_hash + self.ended_head)

    @property
    def hash(self) -> bytes:
        """Of everything here: what was written is what is read."""
        numbers = (self.batch_number, self.last_sequence, self.state_root, self.epoch, self.time_ms)
        return keccak256(b"".join([_ORIGIN_TAG, *(number.to_bytes(32, "big") for number in numbers), self.header_hash, self.ended_head, self.state]))
