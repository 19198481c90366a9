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
from straddle.commitments.state_copy import dump_state
from straddle.core.params import Params
from straddle.sequencer.batch_file import BatchFile, StoredBatch

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

    def post_snapshot(self, state_root: int, data: bytes) -> None:
        """Post the copy of a state, in as many parts as it takes."""


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
    """With the members. When their quorum has been away for `patience_s`, in calldata, behind a copy of the state; every later batch asks them first again."""

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

    def prepare(self, number: int, rebind: Rebind) -> tuple[bytes, ...]:
        """QuorumAway: too few certificates, and not for long enough."""
        rebind(Data.COMMITTEE)
        certificates = self._certifier.certify(number, self._data_of)
        if len(certificates) >= self._threshold:
            self._away_since = None
            return certificates[: self._threshold]
        before_in_calldata = number > 1 and self._file.known(number - 1).data == Data.CALLDATA.name.lower()
        self._away_since = self._now_s() if self._away_since is None else self._away_since
        if not before_in_calldata and self._now_s() - self._away_since < self._patience_s:
            wanted = f"expected {self._threshold}; after {self._patience_s:.0f} s batches go to layer 1"
            raise QuorumAway(f"batch {number}: {len(certificates)} members certify it, {wanted}")
        rebind(Data.CALLDATA)
        if not before_in_calldata:
            state = self.state(number - 1)
            self._layer1.post_snapshot(state.root, dump_state(state))
        return ()

    def _data_of(self, number: int) -> tuple[StoredBatch, bytes]:
        stored = self._file.stored(number)
        (epoch,) = self._file.epochs(stored.epoch - 1, stored.epoch)
        return stored, epoch.inputs

    def state(self, number: int) -> CommittedState:
        """The state after a batch, from the kept data of all batches up to it."""
        state = CommittedState.genesis(self._params, self._operator)
        for batch in map(self._file.stored, range(1, number + 1)):
            effects = decode_effects(batch.effects, self._preset)
            state.apply_data(effects, decode_body(batch.body, self._preset), effects.queue)
        return state
