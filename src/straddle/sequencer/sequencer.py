"""The single writer. A command is run by the engine, journaled when it was accepted, and only then answered with a receipt.

Running first keeps the journal free of refused commands and of anything that the engine could not survive; nothing leaves before the disk has it
(docs/decisions/0006-journal-of-inputs.md). Batches are cut when the engine says that a command does not fit the open one, or on request; each cut is marked in
the journal with the state root that it reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eth_account.signers.local import LocalAccount

from straddle.commitments.ledger import CommittedState, StateChange
from straddle.core.authority import check_sets
from straddle.core.batch import OpenBatch
from straddle.core.commands import Command, InternalDeleverage, InternalLiquidate, L2Bid, L2Cancel, L2Protect, L2Trade, L2Transfer, L2Withdraw
from straddle.core.events import Event
from straddle.core.rejections import InvariantBroken, Rejection, RejectionCode
from straddle.core.state import Exchange, close_batch
from straddle.primitives.errors import Actionable
from straddle.sequencer.codec import CodecError, decode_command, encode_command, operation_name
from straddle.sequencer.journal import BatchMark, Journal, JournalEntry, JournalError, LogPosition, Pending
from straddle.sequencer.receipts import Receipt, ReceiptSigner, log_root
from straddle.transition import transition

MAX_COMMANDS = 1024
"""Commands of one `submit_many` at most: one disk sync for all of them."""
CAN_WAIT = (L2Trade, L2Withdraw, L2Transfer, L2Bid, L2Cancel, L2Protect, InternalLiquidate, InternalDeleverage)
"""Commands that are refused when they do not fit the open batch and no other may begin."""


class Accepted(NamedTuple):
    """The command changed the state, is on disk, and stands at the receipt's place in the log."""

    receipt: Receipt
    events: tuple[Event, ...]


class Logged(NamedTuple):
    """An entry of the log that is on disk, with what it did."""

    sequence: int
    command: Command
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class ClosedBatch:
    """A finished batch with the change of the committed state: what a proof is made from."""

    batch: OpenBatch
    change: StateChange
    log_root: int
    """Lowest 248 bits of the hash of the batch's last entry."""


class ReplayError(Actionable):
    """The journal does not lead where it led before: the engine changed, or the journal is not this exchange's."""


class SequencerStopped(RuntimeError):
    """An earlier failure left memory and disk apart; a restart replays the journal."""


class Sequencer:
    """Owns the exchange, the committed state and the journal. Not for several threads."""

    def __init__(
        self,
        exchange: Exchange,
        committed: CommittedState,
        journal: Journal,
        signer: LocalAccount,
        *,
        clock_ms: Callable[[], int],
        inclusion_ms: int,
        on_batch: Callable[[ClosedBatch], None],
        on_logged: Callable[[Sequence[Logged]], None] = lambda entries: None,
        may_close: Callable[[], bool] = lambda: True,
        start: LogPosition | None = None,
    ) -> None:
        """`exchange` and `committed` are at `start` (the log's beginning when None); the journal after it is replayed before the constructor returns.

        `clock_ms` gives the time from which a receipt's deadline is `inclusion_ms` away. `on_batch` is told of every closed batch and
        `on_logged` of the entries of each group, once they are on disk; the replayed ones too, in order. `may_close` tells whether a command that can wait may
        end the open batch; else it is refused with BATCH_BOUNDARY.
        ReplayError, JournalError: see there.
        """
        self.exchange = exchange
        self.committed = committed
        self._journal = journal
        self._signer = ReceiptSigner(signer)
        self._clock_ms = clock_ms
        self._inclusion_ms = inclusion_ms
        self._on_batch = on_batch
        self._on_logged = on_logged
        self._may_close = may_close
        self._stopped: str | None = None
        self._replay(start or journal.beginning)

    @property
    def state_root(self) -> int:
        """State root after the last closed batch."""
        return self.committed.root

    @property
    def sequence(self) -> int:
        """Number of the last entry in the log."""
        return self._journal.sequence

    @property
    def epoch(self) -> int:
        """The newest risk epoch: that of the table in force, or the newest that layer 1 had where the log begins; 0 before the first."""
        origin = self._journal.origin
        return self.exchange.table.epoch if self.exchange.table else origin.epoch if origin else 0

    @property
    def position(self) -> LogPosition:
        """Where exchange and committed state stand in the log."""
        return self._journal.end

    def submit(self, command: Command) -> Accepted | Rejection:
        """Run one command. A rejection changed nothing and takes no place in the log; the batch may have been cut before the command was tried again."""
        return self.submit_many([command])[0]

    def submit_many(self, commands: Sequence[Command]) -> list[Accepted | Rejection]:
        """Run commands in order with one sync to disk; the answers in the same order."""
        if len(commands) > MAX_COMMANDS:
            raise ValueError(f"commands: {len(commands)} at once, expected at most {MAX_COMMANDS}")
        check_sets(self.exchange, [command.order_set for command in commands if isinstance(command, L2Trade)])  # together it is faster
        with _StopOnError(self):
            group = _Group(self._journal.sequence)
            outcomes = [self._run(command, group) for command in commands]
            entries, closed = self._commit(group)
            receipts = iter(self._receipts(entries))
            answers = [outcome if isinstance(outcome, Rejection) else Accepted(next(receipts), outcome) for outcome in outcomes]
            self._announce(closed)
            accepted = [(command, answer) for command, answer in zip(commands, answers, strict=True) if isinstance(answer, Accepted)]
            self._on_logged([Logged(answer.receipt.place.sequence, command, answer.events) for command, answer in accepted])
        return answers

    def close_batch(self) -> ClosedBatch:
        """End the open batch now. ValueError when no entry was added since the last one, or when listed instruments wait for their table."""
        if not self.exchange.trading_open:
            raise ValueError(f"batch {self.exchange.open_batch.number}: listed instruments have no table yet, expected an epoch first")
        if self.exchange.open_batch.first_sequence == self.exchange.next_sequence:
            raise ValueError(f"batch {self.exchange.open_batch.number}: no command since the last batch")
        with _StopOnError(self):
            group = _Group(self._journal.sequence)
            self._cut(group)
            _, closed = self._commit(group)
            self._announce(closed)
        return closed[0]

    def receipt(self, sequence: int) -> Receipt:
        """The receipt of an earlier entry, signed anew and by itself (Ethereum signatures here are deterministic). KeyError when there is none."""
        return self._signer.sign(self._journal.entry(sequence).place)

    def close(self) -> None:
        """Close the journal. Nothing is accepted afterwards."""
        self._stopped = self._stopped or "close"
        self._journal.close()

    def _run(self, command: Command, group: _Group) -> tuple[Event, ...] | Rejection:
        outcome = transition(self.exchange, command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            if isinstance(command, CAN_WAIT) and not self._may_close():
                return outcome.rejection
            self._cut(group)
            outcome = transition(self.exchange, command)
            if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
                raise InvariantBroken(f"{operation_name(command)}: does not fit an empty batch either ({outcome.rejection.message})")
        if outcome.rejection is not None:
            return outcome.rejection
        table = self.exchange.table
        group.add(Pending(table.epoch if table else 0, self._clock_ms() + self._inclusion_ms, encode_command(command)))
        if outcome.sequence != group.sequence:
            raise InvariantBroken(f"{operation_name(command)}: the engine says entry {outcome.sequence}, expected {group.sequence}")
        return outcome.events

    def _cut(self, group: _Group) -> None:
        finished = close_batch(self.exchange)
        change = self.committed.apply_batch(finished)
        group.cut(finished, change)

    def _commit(self, group: _Group) -> tuple[list[JournalEntry], list[ClosedBatch]]:
        """Make the group durable; its entries, and its batches with the log roots that are known only now."""
        entries = self._journal.append(group.items)
        hashes = {entry.place.sequence: entry.hash for entry in entries}
        closed = []
        for finished, change in group.closed:
            head = hashes.get(finished.last_sequence) or self._journal.entry(finished.last_sequence).hash
            closed.append(ClosedBatch(finished, change, log_root(head)))
        return entries, closed

    def _announce(self, closed: Sequence[ClosedBatch]) -> None:
        """Within _StopOnError: who missed a batch would take the next one for its successor. A restart announces all again."""
        for batch in closed:
            self._on_batch(batch)

    def _receipts(self, entries: Sequence[JournalEntry]) -> list[Receipt]:
        if not entries:
            return []
        return self._signer.sign_group([entry.place for entry in entries], [entry.hash for entry in entries])

    def _replay(self, start: LogPosition) -> None:
        head = start.head
        for item in self._journal.items(start):
            if isinstance(item, BatchMark):
                self._replay_cut(item, head)
            else:
                self._replay_entry(item)
                head = item.hash

    def _replay_entry(self, entry: JournalEntry) -> None:
        where = f"journal {self._journal.path}: entry {entry.place.sequence}"
        try:
            command = decode_command(entry.command)
            outcome = transition(self.exchange, command)
        except CodecError as error:
            raise ReplayError(f"{where}: {error}") from error
        if outcome.rejection is not None:
            raise ReplayError(f"{where} was accepted once and is refused now: {outcome.rejection.code.value}, {outcome.rejection.message}")
        if outcome.sequence != entry.place.sequence:
            raise ReplayError(f"{where}: the engine says {outcome.sequence}")
        self._on_logged([Logged(entry.place.sequence, command, outcome.events)])

    def _replay_cut(self, mark: BatchMark, head: bytes) -> None:
        finished = close_batch(self.exchange)
        change = self.committed.apply_batch(finished)
        if finished.number != mark.batch_number or change.after.root != mark.state_root:
            raise ReplayError(
                f"journal {self._journal.path}: batch {finished.number} replayed to state root {change.after.root:#x}, "
                f"expected batch {mark.batch_number} and {mark.state_root:#x}"
            )
        self._on_batch(ClosedBatch(finished, change, log_root(head)))


class _Group:
    """Entries and marks that go to disk together."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.items: list[Pending | BatchMark] = []
        self.closed: list[tuple[OpenBatch, StateChange]] = []

    def add(self, pending: Pending) -> None:
        """One more entry."""
        self.items.append(pending)
        self.sequence += 1

    def cut(self, finished: OpenBatch, change: StateChange) -> None:
        """The end of a batch after the entries so far."""
        self.items.append(BatchMark(finished.number, self.sequence, change.after.root))
        self.closed.append((finished, change))


class _StopOnError:
    """A failure between the engine's step and the disk's answer leaves them apart: nothing more is accepted."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    def __enter__(self) -> None:
        if self._sequencer._stopped is not None:
            raise SequencerStopped(f"stopped after: {self._sequencer._stopped}; restart to replay the journal")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            self._sequencer._stopped = f"{type(error).__name__}: {error}"


__all__ = ["MAX_COMMANDS", "Accepted", "ClosedBatch", "JournalError", "Logged", "ReplayError", "Sequencer", "SequencerStopped"]
