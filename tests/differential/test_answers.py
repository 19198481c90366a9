"""Whatever an exchange has come to, a stranger can answer its queue: batches made from the committed state alone, which checker and circuit accept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from straddle.commitments.body import decode_body
from straddle.commitments.cells import padded
from straddle.commitments.data import QueueEntry
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import NO_KEY
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.fees import FeeSchedule
from straddle.core.orders import Side
from straddle.core.params import BPS, CASH_MAX
from straddle.core.risk_table import RiskTable
from straddle.core.settlement import settled_cash
from straddle.l1.events import EpochSubmitted
from straddle.node.answer_batch import Answer, answer_batch
from straddle.node.recovery import BatchTable
from straddle.primitives.keys import SecretKey
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.vector import ChainFacts
from tests.differential.scenes import BENEFICIARY, CHAIN_ID, DOLLARS, DOMAIN, PRESET, ROLLUP, VK_ID, ClosedBatch
from tests.differential.test_worst_queue import HELD, LONGS, SHORTS, Exchanged, close, deposit, set_key, withdraw

SAMPLE = 40
"""States of which the queue is answered."""


def priced(table: RiskTable) -> BatchTable:
    """A table as layer 1 would have recorded it."""
    place = {"block_number": 1, "log_index": 0, "transaction_hash": ""}
    return BatchTable(EpochSubmitted(**place, epoch=table.epoch, time_ms=table.time_ms, risk_root=0, inputs=b"", signatures=()), table, ())


def queue(rng: Random, state: CommittedState) -> list[QueueEntry]:
    """What layer 1 may hold: one unanswered request of a kind an account, any number of deposits, into new accounts too."""
    first, made = state.queue_pointer, []
    owners = {id_: item.account.owner for id_, item in state.accounts.items() if item.account.owner}
    fresh = max(state.accounts) + 1
    kinds = [(kind, id_) for id_ in owners for kind in (2, 3, 4) if rng.random() < 0.5] + [(1, id_) for id_ in (*rng.choices(list(owners), k=3), fresh, fresh)]
    rng.shuffle(kinds)
    for i, (kind, id_) in enumerate(kinds):
        index, owner = first + i, owners.get(id_, 0xF00D)
        key = rng.choice([NO_KEY, SecretKey.from_seed(b"answer %d" % i).public])
        amount = rng.choice([1, rng.randint(1, 10**9) * DOLLARS, CASH_MAX])
        made.append(
            {
                1: L1Deposit(index, id_, owner, rng.randint(1, 500) * DOLLARS),
                2: L1SetKey(index, id_, owner, key),
                3: L1ForceWithdraw(index, id_, owner, amount),
                4: L1ForceClose(index, id_, owner, rng.randint(0, BPS)),
            }[kind]
        )
    return made


def answers(closed: ClosedBatch, waiting: Sequence[QueueEntry]) -> list[Answer]:
    """Batch after batch until nothing waits; each is made from what the data of those before it lead to."""
    state, parent, sequence = closed.after.copy(), closed.posted.header_hash, closed.batch.last_sequence
    assert closed.batch.table is not None
    made: list[Answer] = []
    while left := waiting[state.queue_pointer - waiting[0].queue_index :]:
        facts = ChainFacts(CHAIN_ID, ROLLUP, VK_ID, parent, BENEFICIARY)
        made.append(answer_batch(state, left, priced(closed.batch.table), PRESET, FeeSchedule(), DOMAIN, sequence, facts))
        posted = made[-1].posted
        effects, body = decode_effects(posted.effects_words, PRESET), decode_body(padded(posted.body_words, PRESET.body_words), PRESET)
        assert (effects.first_sequence, effects.log_root) == (sequence + 1, 0)
        assert effects.last_sequence == sequence + 1 + len(effects.queue), "a number for the epoch, one for each entry"
        state.apply_data(effects, body, effects.queue)
        parent, sequence = posted.header_hash, effects.last_sequence
    assert sum(made_of(state, closed.batch.table)) == sum(made_of(closed.after, closed.batch.table)) + in_and_out(made)
    return made


def made_of(state: CommittedState, table: RiskTable) -> list[int]:
    """Cash of every account, what its settled positions turn into with it."""
    return [item.account.cash + settled_cash(item.account.positions, table) for item in state.accounts.values()]


def in_and_out(made: Sequence[Answer]) -> int:
    deposits = sum(entry.amount for answer in made for entry in answer.entries if isinstance(entry, L1Deposit))
    return deposits - sum(amount for answer in made for amount in answer.paid.values())


@pytest.fixture(scope="module")
def answered(closed_batches: list[ClosedBatch], told_batches: list[ClosedBatch]) -> list[Answer]:
    rng, made = Random(7), []
    for closed in rng.sample([*closed_batches, *told_batches], SAMPLE):
        waiting = queue(rng, closed.after)
        mine = answers(closed, waiting)
        assert [entry for answer in mine for entry in answer.entries] == waiting
        made += mine
    return made


def test_every_queue_is_answered_in_batches_that_the_statement_accepts(answered: list[Answer], prover: Prover) -> None:
    assert len(answered) > SAMPLE and any(any(answer.paid.values()) for answer in answered)
    for answer in answered:
        assert check(answer.posted.witness, PRESET) is None
    for answer, result in zip(answered, prover.check_many([answer.posted.witness for answer in answered]), strict=True):
        assert result.ok and result.solver, (answer.posted.effects, result)


def test_the_sequencers_own_engine_comes_to_the_same_state(tmp_path: Path) -> None:
    """Although there orders rest and reserve margin, of which the committed state knows nothing."""
    exchanged = Exchanged(tmp_path / "journal.sqlite")
    long, short = LONGS[0], SHORTS[0]
    exchanged.trade(long, HELD[0], Side.BUY)
    exchanged.sequencer.close_batch()
    assert exchanged.exchange.open_orders
    state, last, parent = exchanged.sequencer.committed.copy(), exchanged.closed[-1], exchanged.posted()[-1].header_hash
    entries = [withdraw(long), close(short), set_key(SHORTS[1]), deposit(max(state.accounts) + 1)]
    (engine,) = exchanged.answer(entries)
    facts = ChainFacts(CHAIN_ID, ROLLUP, VK_ID, parent, BENEFICIARY)
    made = answer_batch(state, engine.batch.queue, priced(exchanged.exchange.context.table), PRESET, FeeSchedule(), DOMAIN, last.batch.last_sequence, facts)
    assert (made.posted.effects.new_state_root, made.paid) == (engine.change.after.root, engine.batch.forced)
    assert made.posted.body == exchanged.posted()[-1].body
    exchanged.sequencer.close()
