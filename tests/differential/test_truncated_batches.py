"""Attack 6 of research/rollup.md: part of an execution passes for the whole. A batch without the last row of a table is refused, whatever follows from it."""

from __future__ import annotations

from dataclasses import replace

from straddle.commitments.effects import QUEUE_FORCE_CLOSE, QUEUE_FORCE_WITHDRAW
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import Witness
from tests.differential.cheats import Settling, settle
from tests.differential.scenes import PRESET, ClosedBatch

TABLES = ("accounts", "positions", "orders", "legs", "fills", "queue", "withdrawals", "transfers", "takeovers", "deleverages")
CLAIMED = Settling(roots=False)
"""The state root is still that of the whole batch."""
FOLLOWING = Settling(old_side=False)
"""The roots follow from the rows that are left."""
CASES = [*((table, CLAIMED) for table in (*TABLES, "instruments", "listings")), *((table, FOLLOWING) for table in TABLES)]
"""A shorter risk table or list of words is another batch, which layer 1 knows by the table's root; passed off as the whole it is refused here too."""


def truncated(table: str, how: Settling, told: list[ClosedBatch]) -> Witness:
    """The last batch that has rows in the table, without the last of them."""
    closed = next(item for item in reversed(told) if getattr(item.posted.witness, table))
    assert check(closed.posted.witness, PRESET) is None
    return settle(replace(closed.posted.witness, **{table: getattr(closed.posted.witness, table)[:-1]}), closed, how)


def refused(witnesses: list[Witness], prover: Prover) -> None:
    """By checker and circuit."""
    assert witnesses
    assert [at for at, witness in enumerate(witnesses) if check(witness, PRESET) is None] == []
    assert [result for result in prover.check_many(witnesses) if result.ok or result.solver] == []


def test_attack_06_a_truncated_batch_is_refused(told_batches: list[ClosedBatch], prover: Prover) -> None:
    refused([truncated(table, how, told_batches) for table, how in CASES], prover)


def test_attack_06_a_forced_tail_cannot_be_left_out(told_batches: list[ClosedBatch], prover: Prover) -> None:
    """Forced withdrawals and closes at the end of what a batch answers: neither dropped while their accounts change, nor answered by nothing. (A batch that
    ends before them is a shorter batch: they stay in the queue, and their time runs.)"""
    forced = [item for item in told_batches if item.posted.witness.queue and item.posted.witness.queue[-1].kind in (QUEUE_FORCE_WITHDRAW, QUEUE_FORCE_CLOSE)]
    cheats = []
    for item in forced:
        witness = item.posted.witness
        account = witness.queue[-1].account
        if all(row.old == row.new for row in witness.accounts if row.id == account):
            continue  # it could be given nothing
        dropped = replace(witness, queue=witness.queue[:-1])
        unanswered = replace(witness, accounts=tuple(replace(row, new=row.old) if row.id == account else row for row in witness.accounts))
        cheats += [settle(cheat, item, how) for cheat in (dropped, unanswered) for how in (CLAIMED, FOLLOWING) if cheat != witness]
    assert {item.posted.witness.queue[-1].kind for item in forced} == {QUEUE_FORCE_WITHDRAW, QUEUE_FORCE_CLOSE}
    refused(cheats, prover)
