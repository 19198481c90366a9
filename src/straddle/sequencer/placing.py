"""Where the bodies of batches go: onto layer 1, or to a committee whose quorum may be away (docs/protocol/policies.md)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from straddle.commitments.body import decode_body
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.commitments.state_copy import dump_state, load_state
from straddle.core.params import Params
from straddle.sequencer.batch_file import BatchFile, PosterError, StoredBatch

COPY_EVERY = 64
"""Batches from one kept copy of the state to the next."""
Rebind = Callable[[Data], None]
"""Gives the batch about to be proposed (and those after it) the headers of another place."""


class QuorumAway(RuntimeError):
    """Too few members certify a batch. It is tried again, and after a while the batch goes to layer 1."""


class Certifier(Protocol):
    """The way to the committee."""

    def certify(self, number: int, data_of: Callable[[int], tuple[StoredBatch, bytes]]) -> tuple[bytes, ...]:
        """Certificates of a batch's header, ascending by member, as many as there are. `data_of` gives any batch up to it, with its epoch's inputs."""


class SnapshotLayer1(Protocol):
    """What falling back needs of layer 1."""

    def has_snapshot(self, state_root: int) -> bool:
        """Whether the copy of a state is there, whole."""

    def snapshot_s(self, data: bytes) -> float:
        """Seconds that posting the copy of a state takes."""

    def post_snapshot(self, state_root: int, data: bytes) -> None:
        """Post the copy of a state, in as many parts as it takes; what is there already is not posted again."""


class Placing(Protocol):
    """How a batch gets its place."""

    data: Data
    """Where a new batch is meant to lie."""

    def prepare(self, number: int, rebind: Rebind) -> tuple[bytes, ...]:
        """Whatever has to happen before the batch is proposed, in this place or another; the certificates to propose it with."""


class OnLayer1:
    """In the proposal's own transaction: nothing to prepare."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def prepare(self, number: int, rebind: Rebind) -> tuple[bytes, ...]:
        """No certificates."""
        return ()


class WithCommittee:
    """With the members. When their quorum has been away for `patience_s`, in calldata, behind a copy of the state; every later batch asks them first again.

    A batch has a quarter of an hour from its table to layer 1. So the state is at hand (a copy is kept every 64 batches), and a copy that takes long to post
    is begun before the patience is over.
    """

    data = Data.COMMITTEE

    def __init__(
        self,
        file: BatchFile,
        layer1: SnapshotLayer1,
        certifier: Certifier,
        preset: Preset,
        params: Params,
        operator: int,
        threshold: int,
        *,
        patience_s: float,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`operator`: owner of the service accounts at genesis, an address as an integer."""
        self._file, self._layer1, self._certifier = file, layer1, certifier
        self._preset, self._params, self._operator, self._threshold = preset, params, operator, threshold
        self._patience_s, self._now_s = patience_s, now_s
        self._away_since: float | None = None
        self._copy: tuple[int, bytes] = (-1, b"")
        """(batch, state after it) while the quorum is away."""
        self._kept_copy = -1
        """The batch whose state was put into the file last."""

    def prepare(self, number: int, rebind: Rebind) -> tuple[bytes, ...]:
        """QuorumAway: too few certificates, and not for long enough."""
        rebind(Data.COMMITTEE)
        certificates = self._certifier.certify(number, self._data_of)
        if len(certificates) >= self._threshold:
            self._away_since, self._copy = None, (-1, b"")
            if number % COPY_EVERY == 0 and self._kept_copy != number - 1:
                self._file.save_copy(number - 1, dump_state(self.state(number - 1)))
                self._kept_copy = number - 1
            return certificates[: self._threshold]
        self._away_since = self._now_s() if self._away_since is None else self._away_since
        if number == 1 or self._file.known(number - 1).data != Data.CALLDATA.name.lower():
            root = int(self._file.known(number - 1).state_root, 16) if number > 1 else self._genesis().root
            if not self._layer1.has_snapshot(root):
                try:
                    copy = self._copied(number - 1)
                except PosterError:
                    self._wait(number, len(certificates), 0.0)  # the quorum may come back
                    raise
                self._wait(number, len(certificates), self._layer1.snapshot_s(copy))
                self._layer1.post_snapshot(root, copy)
            self._wait(number, len(certificates), 0.0)
        rebind(Data.CALLDATA)
        return ()

    def _wait(self, number: int, certified: int, ahead_s: float) -> None:
        """QuorumAway: until the patience, less `ahead_s`, is over."""
        assert self._away_since is not None
        if self._now_s() - self._away_since < self._patience_s - ahead_s:
            wanted = f"expected {self._threshold}; after {self._patience_s:.0f} s batches go to layer 1"
            raise QuorumAway(f"batch {number}: {certified} members certify it, {wanted}")

    def _copied(self, number: int) -> bytes:
        """The copy of the state after a batch, made once while the quorum is away."""
        if self._copy[0] != number:
            self._copy = number, dump_state(self.state(number))
        return self._copy[1]

    def _genesis(self) -> CommittedState:
        return CommittedState.genesis(self._params, self._operator)

    def _data_of(self, number: int) -> tuple[StoredBatch, bytes]:
        stored = self._file.stored(number)
        (epoch,) = self._file.epochs(stored.epoch - 1, stored.epoch)
        return stored, epoch.inputs

    def state(self, number: int) -> CommittedState:
        """The state after a batch, from the newest kept copy and the kept data of all batches since."""
        copy = self._file.copy(number)
        state = self._genesis() if copy is None else load_state(copy, self._params)
        for batch in map(self._file.stored, range(state.batch_number + 1, number + 1)):
            effects = decode_effects(batch.effects, self._preset)
            state.apply_data(effects, decode_body(batch.body, self._preset), effects.queue)
        return state
