"""Going on after the newest final batch of layer 1, when this node's own log cannot: somebody else's batch is final, or an own one was not proposed in time.

The log that ended stays where it is. The new one (journal, poster's file, snapshots) is made beside it as a folder and gets its name with one rename: until
then nothing has happened. It begins with the state that layer 1's data give, and its head binds the log that ended (docs/reference/receipts.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.commitments.state_copy import StateCopyError, dump_state, load_state
from straddle.core.fees import FeeSchedule
from straddle.core.params import Params
from straddle.l1.blobs import AnvilBlobs, BlobArchive, FirstOf
from straddle.l1.deployment import Deployment
from straddle.l1.events import BatchFinalised, BatchProposed, EpochSubmitted
from straddle.l1.history import BodySource, History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.node.answer_batch import resumed
from straddle.node.market import genesis
from straddle.node.recovery import RecoveryError, final_state
from straddle.node.steps import utc
from straddle.primitives.errors import Actionable
from straddle.primitives.files import sync_folder
from straddle.risk.oracle import Signature65
from straddle.sequencer.batch_file import BatchFile, BatchRecord, PosterError, SignedEpoch, Status, StoredBatch
from straddle.sequencer.journal import Journal, JournalError
from straddle.sequencer.origin import LogOrigin
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ReplayError, Sequencer
from straddle.sequencer.snapshots import Restored, SnapshotStore

JOURNAL, POSTER, SNAPSHOTS = "journal.sqlite", "poster.sqlite", "snapshots"
"""What a log is, in its folder."""
BLOBS = "blobs"
"""In the exchange's folder, where data lie in blobs."""
_RESUMED = "resumed-"


class ResumeRefused(Actionable):
    """The log does not begin anew on layer 1. The message says why, and what to do; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What going on after a batch of layer 1 costs."""

    reason: str
    """Why the log cannot go on."""
    batch: int
    """The newest final batch: the new log begins after it."""
    entries: int | None
    """Entries of the log that no batch on layer 1 holds, each with a receipt. None: the log is lost."""
    open_orders: int | None
    """None: the log cannot be replayed."""
    ended: Path
    """Where the log that ends stays."""

    def __str__(self) -> str:
        orders = "all open orders" if self.open_orders is None or self.entries is None else f"{self.open_orders} open orders"
        entries = "an unknown number of" if self.entries is None else self.entries
        return (
            f"{self.reason}. The exchange can go on after batch {self.batch}, the newest final one. Lost are {entries} log entries, for which receipts "
            f"were given and which no batch on layer 1 holds, and {orders}: what they did did not happen, and those who hold the receipts can show it. "
            f"The log that ends stays in {self.ended}"
        )


def log_folder(folder: Path) -> Path:
    """Where the log in force is: in an exchange's folder itself, or where the last resumption has put it."""
    count = _resumptions(folder)
    return folder / f"{_RESUMED}{count}" if count else folder


def _resumptions(folder: Path) -> int:
    names = (path.name.removeprefix(_RESUMED) for path in folder.glob(f"{_RESUMED}*"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an exchange's first state follows from."""

    preset: Preset
    params: Params
    fees: FeeSchedule
    domain: int
    operator: int
    """Address as an integer."""

    def beginning(self, journal: Journal) -> Restored:
        """The state before a log's first entry. JournalError: what the log says of it is not of this exchange."""
        origin = journal.origin
        if origin is None:
            return Restored(*genesis(self.preset, self.params, self.fees, self.domain, self.operator), journal.beginning)
        try:
            state = load_state(origin.state, self.params)
        except StateCopyError as error:
            raise JournalError(f"journal {journal.path}: the state that it begins with: {error}") from error
        if (state.root, state.batch_number) != (origin.state_root, origin.batch_number):
            raise JournalError(
                f"journal {journal.path}: begins with state root {state.root:#x}, expected {origin.state_root:#x} of batch {origin.batch_number}"
            )
        return Restored(resumed(state, self.preset, self.fees, self.domain, origin.last_sequence, origin.time_ms), state, journal.beginning)


@dataclass(frozen=True, slots=True)
class OwnBodies:
    """Bodies that lie with a committee: the poster's own, then whoever else has them (straddle.l1.history.BodySource)."""

    file: BatchFile
    others: BodySource

    def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
        """The body of the batch with that header."""
        try:
            stored = self.file.stored(batch_number)
        except PosterError:
            return self.others.body(batch_number, header_hash)
        return stored.body if stored.header_hash == header_hash else self.others.body(batch_number, header_hash)


def past_of(rpc: Rpc, deployment: Deployment, folder: Path, members: BodySource | None) -> Callable[[BatchFile], History]:
    """Layer 1's past, with the data that the exchange in `folder`, its members or its anvil have besides."""

    def past(file: BatchFile) -> History:
        blobs = FirstOf(AnvilBlobs(rpc), archive=BlobArchive(folder / BLOBS)) if deployment.config.data is Data.BLOB else None
        return read_history(rpc, deployment, blobs=blobs, bodies=OwnBodies(file, members) if members else None)

    return past


@dataclass(frozen=True, slots=True)
class Resuming:
    """One exchange that may have to go on from layer 1."""

    folder: Path
    client: RollupClient
    identity: LogIdentity
    terms: Terms
    sequencer: LocalAccount
    history: Callable[[BatchFile], History]
    """Layer 1's past; the poster's file of the log that ends may have bodies that layer 1 has not."""
    confirmations: int
    """Blocks on top of the one that made the batch final."""
    say: Callable[[str], None]

    def resume(self, agreed: Callable[[Loss], bool]) -> Path:
        """Begin a new log after the newest final batch, if that is the only way on and `agreed` says so; its folder.

        ResumeRefused: it is not needed, not possible yet, or not wanted. RecoveryError: the data of a final batch are missing.
        """
        ended = log_folder(self.folder)
        with ExitStack() as stack:
            journal = Journal(ended / JOURNAL, self.identity)  # from here on no other process can run this log
            stack.callback(journal.close)
            file = BatchFile(ended / POSTER, lambda record: None)
            stack.callback(file.close)
            history = self.history(file)
            self._check_settled(history)
            shared = _shared(journal, history)
            reason = self._reason(journal, file, history, shared)
            state = self._state(history)
            empty = journal.sequence == journal.beginning.sequence and not journal.batches
            entries = None if empty else journal.sequence - (journal.mark(shared).last_sequence if shared else journal.beginning.sequence)
            if not agreed(Loss(reason, state.batch_number, entries, self._open_orders(journal, ended), ended)):
                raise ResumeRefused("not confirmed: nothing was changed")
            if {self.client.final_batch(), self.client.proposed_batch()} != {state.batch_number}:
                raise ResumeRefused(f"layer 1 went on after batch {state.batch_number} meanwhile: nothing was changed. Try again")
            return self._begin(state, history, journal.head, file)

    # ---- whether

    def _check_settled(self, history: History) -> None:
        """Layer 1 stands still: what is final stays, nothing else is proposed, and the next batch may be any."""
        client, final = self.client, len(history.final)
        if history.frozen or client.frozen():
            raise ResumeRefused("the rollup is frozen: no batch can follow. `straddle exit` is the way out")
        if len(history.batches) > final:
            raise ResumeRefused(
                f"batches {final + 1} to {len(history.batches)} are proposed and not final: wait until they are, or void. Own ones the node itself proves or "
                'finalises, started without --resume-from-layer1 (where a window runs, rollup.prove = "early" ends it)'
            )
        wallet = self.sequencer.address
        waiting = client.rpc.nonce(wallet, "pending") - client.rpc.nonce(wallet)
        if waiting:
            raise ResumeRefused(f"{waiting} transactions of the sequencer's wallet {wallet} wait to be mined, and would go first: wait, or replace them")
        if client.permissionless():
            raise ResumeRefused(
                "a queue entry waits for 7 days, and until it is answered every batch must answer one: `straddle answer --key FOLDER/keys.json:sequencer` does"
            )
        if history.final and history.final[-1].block_number + self.confirmations > history.to_block:
            block = history.final[-1].block_number
            raise ResumeRefused(
                f"batch {final} is final since block {block}, the newest is {history.to_block}: wait for layer1.confirmations = {self.confirmations}"
            )

    def _reason(self, journal: Journal, file: BatchFile, history: History, shared: int | None) -> str:
        """Why this log cannot go on. ResumeRefused: it can."""
        final = len(history.final)
        if shared is None:
            return f"batch {journal.beginning.batches}, after which this log begins, is not on layer 1 any more"
        if shared < final:
            foreign = history.final[shared]
            return f"batch {foreign.batch_number} is final on layer 1 with header {foreign.header_hash.hex()}, and this log leads elsewhere"
        if journal.batches == final:
            raise ResumeRefused(
                f"batch {final}, the newest that this log has closed, is final on layer 1: nothing is in its way. Start without --resume-from-layer1"
            )
        return self._late(final + 1, file, history)

    def _late(self, number: int, file: BatchFile, history: History) -> str:
        """Layer 1 takes the own batch no more (Rollup.vy, _check_age)."""
        record, clock = file.record(number), self.client.clock
        signed = {epoch.epoch: epoch for epoch in file.epochs(record.epoch - 1, record.epoch)} if record else {}
        if record is None or record.epoch not in signed:
            raise ResumeRefused(f"batch {number}: the poster's file does not have it, or its table. Start without --resume-from-layer1 once")
        until_ms = signed[record.epoch].time_ms + clock("MAX_TABLE_AGE_MS")
        if any(isinstance(event, BatchProposed) and event.header_hash.hex() == record.header_hash for event in history.events):
            until_ms += 2_000 * clock("PROVING_WINDOW_S")  # it was proposed once and void: the very same batch may come later
        if 1000 * self.client.rpc.time_s() <= until_ms:
            raise ResumeRefused(f"batch {number}: layer 1 takes it until {utc(until_ms // 1000)} by its clock. Start without --resume-from-layer1")
        return f"batch {number} was not proposed in time: its risk table, epoch {record.epoch}, is too old for layer 1 for ever"

    # ---- from where

    def _state(self, history: History) -> CommittedState:
        """After the newest final batch, as the data give it; its root is the contract's."""
        state, root = final_state(history, self.client.deployment, self.terms.preset, self.terms.params), self.client.state_root()
        if state.root != root or state.batch_number != len(history.final):
            raise RecoveryError(f"batch {state.batch_number}: the data give root {state.root:#x}, layer 1 has {root:#x} now. Try again")
        return state

    def _open_orders(self, journal: Journal, ended: Path) -> int | None:
        try:
            start = SnapshotStore(ended / SNAPSHOTS, self.identity).restore(journal, journal.batches, self.say) or self.terms.beginning(journal)
            exchange = start.exchange
            Sequencer(
                exchange,
                start.committed,
                journal,
                self.sequencer,
                clock_ms=lambda: 0,
                inclusion_ms=0,
                on_batch=lambda closed: None,
                start=start.position,
            )
        except (ReplayError, JournalError) as error:
            self.say(f"the log that ends cannot be replayed: {error}")
            return None
        return sum(map(len, exchange.open_orders.values()))

    # ---- the new log

    def _begin(self, state: CommittedState, history: History, ended_head: bytes, ended: BatchFile) -> Path:
        """All of it beside what is there; then it has its name, or was never made."""
        place = self.folder / f"{_RESUMED}{_resumptions(self.folder) + 1}"
        part = place.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)  # of a resumption that was killed
        part.mkdir()
        epochs = _epochs(history, ended)
        Journal(part / JOURNAL, self.identity, self._origin(state, history, ended_head, epochs)).close()
        file = BatchFile(part / POSTER, lambda record: None)
        try:
            records = [self._record(posted, final, ended) for posted, final in zip(history.batches, history.final, strict=True)]
            stored = [self._stored(posted) for posted in history.batches] if self.client.deployment.config.data is Data.COMMITTEE else []
            file.fill(records, epochs, stored)
            if stored:
                file.save_copy(state.batch_number, dump_state(state))
        finally:
            file.close()
        sync_folder(part)
        part.rename(place)
        sync_folder(self.folder)
        return place

    def _origin(self, state: CommittedState, history: History, ended_head: bytes, epochs: Sequence[SignedEpoch]) -> LogOrigin:
        header, last = genesis_header_hash(self.client.deployment.config.genesis_root), 0
        if history.final:
            header, last = history.final[-1].header_hash, decode_effects(history.batches[-1].effects, self.terms.preset).last_sequence
        epoch, time_ms = (epochs[-1].epoch, epochs[-1].time_ms) if epochs else (0, 0)
        return LogOrigin(state.batch_number, last, header, ended_head, state.root, epoch, time_ms, dump_state(state))

    def _record(self, posted: BatchProposed, final: BatchFinalised, ended: BatchFile) -> BatchRecord:
        """What the poster that ends knows of its own batch, or what layer 1 says of another's."""
        known = ended.record(posted.batch_number)
        if known is not None and known.header_hash == posted.header_hash.hex():
            return replace(known, status=Status.VERIFIED)
        words = len(posted.effects) + (0 if posted.place.data is Data.COMMITTEE else len(posted.body or ()))
        return BatchRecord(
            posted.batch_number,
            Status.VERIFIED,
            posted.header_hash.hex(),
            f"{posted.state_root:#066x}",
            propose_transaction=posted.transaction_hash,
            prove_transaction=final.transaction_hash,
            data_bytes=32 * words,
            epoch=decode_effects(posted.effects, self.terms.preset).epoch,
            data=posted.place.data.name.lower(),
        )

    def _stored(self, posted: BatchProposed) -> StoredBatch:
        """What members of the committee may ask for."""
        if posted.body is None:
            raise RecoveryError(f"batch {posted.batch_number}: no member has its data, and the committee's members must be able to ask for them")
        effects = decode_effects(posted.effects, self.terms.preset)
        words = (posted.effects, posted.body)
        return StoredBatch(
            posted.batch_number, posted.parent_header_hash, posted.header_hash, posted.place, *words, c=posted.data_commitment, epoch=effects.epoch
        )


def _shared(journal: Journal, history: History) -> int | None:
    """The newest final batch that is the journal's (roots bind those before them); None: not even the one after which it begins."""
    begins = journal.beginning.batches
    for number in range(min(len(history.final), journal.batches), begins, -1):
        if journal.batch_root(number) == history.final[number - 1].state_root:
            return number
    if begins and (begins > len(history.final) or journal.batch_root(begins) != history.final[begins - 1].state_root):
        return None
    return begins


def _epochs(history: History, ended: BatchFile) -> list[SignedEpoch]:
    """In order: those that layer 1 has recorded, and those that the log that ends may have sent there: all but its newest, and that one with a batch. Anybody
    may still have these recorded, so they stay what they are."""
    known = ended.epochs(0)
    used = max((record.epoch for record in ended.records(len(history.final) + 1)), default=0)
    signed = {epoch.epoch: epoch for epoch in known if epoch.epoch <= used or epoch is not known[-1]}
    signed |= {number: _signed(epoch) for number, epoch in history.epochs.items()}
    return [signed[number] for number in sorted(signed)]


def _signed(epoch: EpochSubmitted) -> SignedEpoch:
    signatures = tuple(Signature65(*signature).to_bytes() for signature in epoch.signatures)
    return SignedEpoch(epoch.epoch, epoch.time_ms, epoch.risk_root, epoch.inputs, signatures)
