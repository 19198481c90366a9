"""What happened to a rollup on layer 1, one class an event (straddle.l1.history reads them)."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.challenge import Place

_MASK_64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Where something happened."""

    block_number: int
    log_index: int
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntryAdded(Happening):
    """An entry of the queue. Kind 1: deposit of word_1 micro-dollars; 2: key (word_1, word_2); 3: forced withdrawal of word_1 micro-dollars; 4: forced close at
    a discount of at most word_1 basis points. `owner` is the address as an integer."""

    index: int
    kind: int
    account: int
    owner: int
    word_1: int
    word_2: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch(Happening):
    """A recorded epoch."""

    epoch: int
    time_ms: int
    risk_root: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecorded(Epoch):
    """An epoch as its log tells of it."""

    inputs_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSubmitted(Epoch):
    """An epoch with the published inputs and the oracles' signatures (v, r, s)."""

    inputs: bytes
    signatures: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHeader(Happening):
    """A proposal as its log tells of it."""

    batch_number: int
    parent_header_hash: bytes
    header_hash: bytes
    state_root: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProposed(BatchHeader):
    """A proposal with its data as posted; its header hash has been recomputed from them."""

    effects: tuple[int, ...]
    body: tuple[int, ...] | None
    """As posted. None: no source has it."""
    data_commitment: int
    place: Place
    y_body: int
    """As layer 1 computed it; 0 for a committee's."""
    transcript: bytes | None
    """What follows the call in calldata, or lies in the transaction's further blobs. None: no source has one of these blobs."""

    @property
    def epoch(self) -> int:
        """Epoch of its risk table."""
        return self.effects[4] & _MASK_64

    @property
    def queue_end(self) -> int:
        """The first queue entry that it leaves unanswered."""
        return (self.effects[9] & _MASK_64) + (self.effects[9] >> 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChallenged(Happening):
    """A proposal needs a proof until `due_s` (unix seconds)."""

    batch_number: int
    header_hash: bytes
    challenger: str
    due_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProven(Happening):
    """A proof came before the batch's turn (where it is required when challenged)."""

    batch_number: int
    header_hash: bytes
    beneficiary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinalised(Happening):
    """A batch became final. `beneficiary` is the zero address when its window was over."""

    batch_number: int
    header_hash: bytes
    state_root: int
    beneficiary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesVoided(Happening):
    """Proposals first..last were removed."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPosted(Happening):
    """A part of a state's snapshot, whose bytes its log leaves out. Layer 1 has not looked into it."""

    state_root: int
    poster: str
    part: int
    parts: int
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen(Happening):
    """Proposals have ended for ever."""


Event = QueueEntryAdded | Epoch | BatchHeader | BatchChallenged | BatchProven | BatchFinalised | BatchesVoided | SnapshotPosted | Frozen
