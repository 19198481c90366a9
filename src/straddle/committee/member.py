"""A member's judgement.

It takes a batch only when its own copy of the state, moved by the batch's data, reaches the batch's new root, and has the batch and its risk inputs on disk
before it signs. It never signs two headers of one number, unless layer 1 has voided the first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from eth_account.signers.local import LocalAccount

from straddle.commitments.body import decode_body
from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.data import Body, Effects
from straddle.commitments.effects import decode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.commitments.risk import risk_root
from straddle.commitments.state_copy import StateCopyError, dump_state, load_state
from straddle.committee.offer import Offer, OfferError
from straddle.committee.store import Held, MemberStore, StoreError, StoreReader
from straddle.core.params import Params
from straddle.l1.certificates import certificate_digest, sign_digest
from straddle.l1.deployment import Deployment
from straddle.risk.inputs import RiskInputError, decode_inputs
from straddle.risk.table import build_table

COPY_EVERY = 64
"""Batches from one copy of the state on disk to the next."""


class Behind(RuntimeError):
    """The member lacks a batch before this one, or has another: it has to be offered `next` first."""

    def __init__(self, next_: int) -> None:
        super().__init__(f"batch {next_} is wanted first")
        self.next = next_


class Refused(RuntimeError):
    """The member does not take the batch, or does not sign it; the message says why."""


class Layer1View(Protocol):
    """What a member asks layer 1."""

    def stands(self, number: int, header_hash: bytes) -> bool:
        """Whether layer 1 has this header as its proposal, or final batch, of that number."""

    def is_voided(self, number: int, header_hash: bytes) -> bool:
        """Whether layer 1 had this header as a proposal of that number, voided it, and has not got it again."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after a batch of the member's chain."""

    number: int
    header_hash: bytes
    state_root: int
    copy: bytes


class Member:
    """One member of one rollup's committee. Calls may come from any thread.

    Batches are taken one by one, and only those that the sequencer vouches for are looked at any further. Who asks for data keeps no batch waiting.
    """

    def __init__(
        self,
        deployment: Deployment,
        preset: Preset,
        params: Params,
        store: MemberStore,
        account: LocalAccount,
        layer1: Layer1View,
    ) -> None:
        """StoreError: the batches on disk do not lead to the roots that they name."""
        self.deployment = deployment
        self.account = account
        self._preset, self._params = preset, params
        self._store, self._layer1 = store, layer1
        self._lock = threading.Lock()
        self._state: CommittedState | None = None
        """After the chain's newest batch; None: to be made again from the disk."""
        self._tip = store.tip
        self._current()

    @property
    def tip(self) -> int:
        """Number of the newest batch that it has."""
        return self._tip

    @property
    def state_root(self) -> int:
        """State root after it."""
        with self._lock:
            return self._current().root

    def certify(self, offer: Offer) -> tuple[bytes, bytes]:
        """Takes the batch and signs its header: (header hash, signature). Behind, Refused, OfferError: see there."""
        header = self._vouched(offer)
        if offer.data is not Data.COMMITTEE:
            raise OfferError(f"data: {offer.data.name.lower()}, expected committee: what lies in calldata needs no certificate")
        with self._lock:
            for other in self._store.signed(offer.number):
                if other != header and not self._layer1.is_voided(offer.number, other):
                    raise Refused(f"batch {offer.number}: header {other.hex()} was certified before, and layer 1 has not voided it")
            self._take(offer, header)
            self._store.sign(offer.number, header)
        digest = certificate_digest(self.deployment.chain_id, self.deployment.rollup_number, offer.number, header)
        return header, sign_digest(self.account, digest)

    def take(self, offer: Offer) -> None:
        """Checks the batch and keeps it, on disk when this returns. Behind, Refused, OfferError: see there; nothing was changed then."""
        header = self._vouched(offer)
        with self._lock:
            self._take(offer, header)

    def batch(self, number: int) -> Held | None:
        """A batch of the chain."""
        return next(iter(self.batches(number, 1)), None)

    def batches(self, first: int, limit: int) -> list[Held]:
        """Batches of the chain from `first` on."""
        with self._store.reading() as store:
            return store.held(first, first + limit - 1)

    def by_header(self, header_hash: bytes) -> Held | None:
        """Any batch ever taken, also one that layer 1 voided."""
        with self._store.reading() as store:
            return store.batch(header_hash)

    def snapshot(self, number: int | None = None) -> Snapshot | None:
        """The state after a batch of the chain (the newest when None); None when there is no such batch."""
        with self._store.reading() as store:
            number = store.tip if number is None else number
            header = self._header(store, number)
            if header is None:
                return None
            state = self._rebuilt(store, number)
        return Snapshot(number, header, state.root, dump_state(state))

    def _vouched(self, offer: Offer) -> bytes:
        """Header hash of an offer of the sequencer's. OfferError: anybody else's. Hashed before the lock is taken: strangers send offers too."""
        header = offer.header_of(self.deployment)
        offer.check_signature(self.deployment, header)
        return header

    def _take(self, offer: Offer, header: bytes) -> None:
        if self._store.header(offer.number) == header:
            return
        if offer.number > self._tip + 1:
            raise Behind(self._tip + 1)
        if self._header(self._store, offer.number - 1) != offer.parent_header_hash:
            if offer.number == 1:
                raise Refused("batch 1: its parent is not the genesis of this rollup")
            raise Behind(offer.number - 1)
        self._check_replaceable(offer.number, header)
        self._apply(offer, header)

    def _header(self, store: StoreReader, number: int) -> bytes | None:
        return genesis_header_hash(self.deployment.config.genesis_root) if number == 0 else store.header(number)

    def _check_replaceable(self, number: int, header: bytes) -> None:
        """What the chain holds from `number` on gives way only when nothing of it was signed, or layer 1 says so."""
        if number > self._tip or self._layer1.stands(number, header):
            return
        for held in self._store.held(number, self._tip):
            other = held.offer.number
            signed = held.header_hash in self._store.signed(other)
            if signed and not self._layer1.is_voided(other, held.header_hash):
                raise Refused(f"batch {other}: header {held.header_hash.hex()} was certified before, and layer 1 has not voided it")

    def _apply(self, offer: Offer, header: bytes) -> None:
        at_tip = offer.number == self._tip + 1
        state = self._current() if at_tip else self._rebuilt(self._store, offer.number - 1)
        try:
            effects, body = decode_effects(offer.effects, self._preset), decode_body(offer.body, self._preset)
            self._check_risk(state, effects, body, offer.inputs)
            # Layer 1 compares the entries with its queue when the batch is proposed. What does not fit leaves the state as it was.
            state.apply_data(effects, body, effects.queue)
        except (LedgerError, DataError, RiskInputError, ValueError) as error:
            raise Refused(f"batch {offer.number}: {error}") from error
        self._state = None  # until the disk has it, memory is not to be believed
        self._store.extend(header, offer, dump_state(state) if offer.number % COPY_EVERY == 0 else None)
        self._state, self._tip = state, offer.number

    def _check_risk(self, state: CommittedState, effects: Effects, body: Body, inputs: bytes) -> None:
        """The published inputs, over the instruments listed after the batch, give the batch's risk root."""
        decoded, listed = decode_inputs(inputs), state.listed.extended(body.listings)
        found = risk_root(listed.root, build_table(decoded, listed.tabled, self.deployment.parameters.risk, listed.settled).rows)
        for name, value, expected in (
            ("risk_root", found, effects.risk_root),
            ("epoch", decoded.epoch, effects.epoch),
            ("time_ms", decoded.time_ms, effects.time_ms),
        ):
            if value != expected:
                raise ValueError(f"inputs: {name} {value}, expected {expected} (effects)")

    def _current(self) -> CommittedState:
        if self._state is None:
            self._state = self._rebuilt(self._store, self._tip)
        return self._state

    def _rebuilt(self, store: StoreReader, number: int) -> CommittedState:
        """The state after a batch of the chain, from the disk. StoreError: what is there does not lead to it."""
        state = self._copied(store, number)
        for offer in (held.offer for held in store.held(state.batch_number + 1, number)):
            try:
                effects = decode_effects(offer.effects, self._preset)
                state.apply_data(effects, decode_body(offer.body, self._preset), effects.queue)
            except (LedgerError, DataError) as error:
                raise StoreError(f"batch {offer.number} on disk: {error}. Start with an empty folder: the other members have the batches") from error
        if state.batch_number != number:
            raise StoreError(f"batch {state.batch_number + 1} is missing on disk, expected all up to {number}. Start with an empty folder")
        return state

    def _copied(self, store: StoreReader, last: int) -> CommittedState:
        """The newest state up to a batch whose copy on disk can be read, or the first one."""
        for number, copy in store.copies(last):
            try:
                state = load_state(copy, self._params)
            except StateCopyError:  # an older one leads to the same state
                continue
            if state.batch_number == number:
                return state
        return CommittedState.genesis(self._params, int(self.deployment.config.operator, 16))
