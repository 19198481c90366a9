"""A batch that answers queue entries and does nothing else, made from the committed state by the exchange's own engine: what anyone may post in permissionless
mode (docs/protocol/policies.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from straddle.commitments.challenge import evaluate
from straddle.commitments.data import QueueEntry
from straddle.commitments.ledger import CommittedState
from straddle.commitments.preset import Preset
from straddle.core.batch import OpenBatch
from straddle.core.book import Book
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, InternalEpoch, InternalSettle
from straddle.core.fees import FeeSchedule
from straddle.core.params import Limits
from straddle.core.rejections import RejectionCode
from straddle.core.state import Exchange, close_batch
from straddle.node.recovery import BatchTable
from straddle.primitives.errors import Actionable
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.checker import check
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.transition import transition

NO_LOG_ROOT = 0
"""Of a batch that no log stands behind: whoever makes it has signed no receipts."""


class AnswerError(Actionable):
    """The queue cannot be answered; the message says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A batch that answers the queue's next entries, ready to be proved or proposed."""

    posted: PostedBatch
    entries: tuple[QueueEntry, ...]
    paid: dict[int, int]
    """account -> what its forced withdrawal is paid, micro-dollars."""


def resumed(state: CommittedState, preset: Preset, fees: FeeSchedule, domain: int, last_sequence: int, time_ms: int) -> Exchange:
    """The exchange of a committed state, between two batches: no orders rest, no table is in force. `last_sequence`: the newest batch's."""
    params, tabled = state.params, state.listed.tabled
    capacity = Capacity.of_preset({name: getattr(preset, name) for name in Capacity.__slots__})
    return Exchange(
        domain,
        params,
        Limits(positions=capacity.positions // 2),
        capacity,
        fees,
        {id_: state.accounts[id_].account.copy() for id_ in sorted(state.accounts)},
        OpenBatch(state.batch_number + 1, None, last_sequence + 1, last_sequence, state.queue_pointer, len(state.listings)),
        instruments={item.id: item for item in tabled},
        listing_count=len(state.listings),
        settlements={item.id: state.listed.settled[item.id] for item in tabled if item.id in state.listed.settled},
        books={item.id: Book() for item in tabled},
        queue_pointer=state.queue_pointer,
        next_sequence=last_sequence + 1,
        time_ms=time_ms,
    )


def answer_batch(
    state: CommittedState,
    waiting: Sequence[QueueEntry],
    priced: BatchTable,
    preset: Preset,
    fees: FeeSchedule,
    domain: int,
    last_sequence: int,
    chain: ChainFacts,
) -> Answer:
    """The batch after `state` that answers as many of the entries that wait, the oldest first, as one batch can; `state` stays as it is.

    Its log entries are its commands, one number each: the settlement words if there are any, the epoch, the queue entries; its log root is 0.
    AnswerError: the engine refuses an entry, or the statement the batch: a fault of this program, since layer 1 admits only what can be applied.
    """
    exchange = resumed(state, preset, fees, domain, last_sequence, priced.table.time_ms)
    if priced.words:
        _must(exchange, InternalSettle(priced.words, ()))
    _must(exchange, InternalEpoch(priced.table))
    for entry in waiting:
        if not _may(exchange, entry):
            break
    if not exchange.open_batch.queue:
        raise AnswerError(f"batch {state.batch_number + 1}: no queue entry fits it, expected the oldest one to")
    batch = close_batch(exchange)
    change = state.copy().apply_batch(batch)
    posted = post_change(change, batch, state.params, preset, HeaderFacts(domain, NO_LOG_ROOT), chain)
    _check_statement(posted, preset)
    return Answer(posted, tuple(batch.queue), dict(batch.forced))


def _check_statement(posted: PostedBatch, preset: Preset) -> None:
    """Before a proof is paid for, or a bond put behind it. The checker knows no blobs: it evaluates the body as calldata's is."""
    public = posted.witness.public
    failure = check(replace(posted.witness, public=replace(public, y_body=evaluate(posted.body_words, public.z))), preset)
    if failure is not None:
        raise AnswerError(f"batch {posted.effects.batch_number}: breaks the statement, {failure.rule}: {failure.detail}")


def _must(exchange: Exchange, command: Command) -> None:
    if not _may(exchange, command):
        raise AnswerError(f"{type(command).__name__}: does not fit an empty batch")


def _may(exchange: Exchange, command: Command) -> bool:
    """False when the batch has no room for it, or for its account once more."""
    rejection = transition(exchange, command).rejection
    if rejection is None:
        return True
    if rejection.code is RejectionCode.BATCH_BOUNDARY:
        return False
    raise AnswerError(f"{type(command).__name__} refused: {rejection.code.value}, {rejection.message}")
