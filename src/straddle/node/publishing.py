"""Publishing that an exchange is solvent while it goes on: count, begin a run, prove the state that the run is of, conclude (docs/protocol/solvency.md).

Batches become final all the time, and `begin` takes the state that is final when it is mined. So the proofs are made of the state that layer 1 says the run is
of, not of the one that was counted before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from straddle.commitments.chunk import open_chunk
from straddle.commitments.holdings import Holdings
from straddle.commitments.ledger import CommittedState
from straddle.core.risk_table import RiskTable
from straddle.l1.exits import ENTRIES_MAX
from straddle.l1.growing import GrowingHistory
from straddle.l1.history import EpochSubmitted, History, HistoryError
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import ConnectionFailed, Reverted, RpcError
from straddle.l1.sender import Sender, TransactionFailed
from straddle.l1.solvency import Run, SolvencyClient
from straddle.node.counting import Books, check_rows, count, deposits_between, row_at, unanswered_deposits
from straddle.node.recovery import RecoveryError, final_state, recorded_table
from straddle.node.statements import StatementProver
from straddle.node.version import terms_of
from straddle.primitives.errors import Actionable
from straddle.proving.keys import ProverOutputError
from straddle.proving.prover import ProverError

BEGIN_TRIES = 5
"""Each is lost only if a batch on a newer table becomes final between a look at layer 1 and a transaction."""
RESUMED_MS = 6 * 3_600_000
"""A run that was interrupted is gone on with while its table is no older."""
PASSING_ERRORS = (ConnectionFailed, RpcError, TransactionFailed, HistoryError, RecoveryError, ProverError, ProverOutputError)
"""What a later try may overcome."""

Tell = Callable[[str, float], None]


class NotSolvent(Actionable):
    """The sums do not hold: nothing is proved."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Publisher:
    """Publishes as often as it is asked to. What it has read and rebuilt it keeps, so that the next time only what is new has to be gone through."""

    def __init__(
        self,
        client: SolvencyClient,
        rollup: RollupClient,
        history: GrowingHistory,
        prover: StatementProver,
        sender: Sender,
        tell: Tell = lambda what, done: None,
    ) -> None:
        """DeploymentError: the record's parameters are not the rollup's."""
        self._client, self._rollup, self._history, self._prover, self._sender, self._tell = client, rollup, history, prover, sender, tell
        self._deployment = rollup.deployment
        self._preset, self._params = terms_of(rollup.deployment)
        self._state: CommittedState | None = None

    def publish(self) -> Run:
        """One run from its beginning to its end, or to its end from where an earlier one of this sender was interrupted; the run as it began.

        NotSolvent: the sums do not hold. WitnessError: the accounts of a chunk hold more positions than the circuit has rows for. Nothing was sent then, unless
        that came about in the batches that became final at the same time. PASSING_ERRORS: see there; call it again.
        """
        try:
            return self._publish()
        except (HistoryError, RecoveryError):  # layer 1 went back, or data were missing that somebody may have the next time
            self._history.forget()
            self._state = None
            raise

    def _publish(self) -> Run:
        begun = self._interrupted()
        if begun is None:
            self._check_now()
            begun = self._begin()
        history = self._history.read()
        state = self._state_after(begun.batch_number, history)
        if state.root != begun.state_root:
            raise HistoryError(f"batch {begun.batch_number}: the run is of state {begun.state_root:#x}, its logs give {state.root:#x}. Read it again")
        epoch, table = self._table(begun.epoch, state, history)
        if epoch.risk_root != begun.risk_root:
            raise HistoryError(f"epoch {begun.epoch}: the run is on table {begun.risk_root:#x}, its log has {epoch.risk_root:#x}. Read it again")
        self._check(Books(self._count(state, table, begun.chunks), begun.row, deposits_between(history, begun.batch_number, begun.queue_end)), state)
        for chunk in range(begun.published, begun.chunks):
            self._tell(f"chunk {chunk + 1} of {begun.chunks}", chunk / begun.chunks)
            self._client.publish(self._sender, *self._prover.prove(open_chunk(state, chunk, self._prover.preset.chunk_bits), table))
        while (run := self._own()).queue_counted < run.queue_end:
            self._client.count_deposits(self._sender, history.queue[run.queue_counted : min(run.queue_end, run.queue_counted + ENTRIES_MAX)])
        self._client.conclude(self._sender)
        return begun

    def _interrupted(self) -> Run | None:
        """A run of the sender's own that has proofs already and is not old."""
        run = self._client.run_of(self._sender.address)
        young = run is not None and 1000 * self._client.rpc.time_s() - run.time_ms <= RESUMED_MS
        return run if run is not None and run.published and young else None

    def _check_now(self) -> None:
        """The newest final state, counted before anything is sent."""
        history = self._history.read()
        newest = len(history.final)
        if not newest:
            raise RecoveryError("batch 0: no batch is final yet, there is nothing to count")
        state = self._state_after(newest, history)
        _, table = self._table(self._rollup.batch(newest).epoch, state, history)
        chunks = ((self._rollup.next_account() - 1) >> self._prover.preset.chunk_bits) + 1
        row = row_at(self._client.rpc, self._deployment, history.to_block)
        self._check(Books(self._count(state, table, chunks), row, unanswered_deposits(history, newest, history.to_block)), state)

    def _begin(self) -> Run:
        """Begins on the newest final batch's table, again if a batch on a newer one came between."""
        for tries_left in reversed(range(BEGIN_TRIES)):
            history = self._history.read()
            newest = len(history.final)
            epoch = self._epoch(self._rollup.batch(newest).epoch, history)
            try:
                self._client.begin(self._sender, epoch.epoch, epoch.time_ms, epoch.risk_root)
                break
            except (Reverted, TransactionFailed):
                if not tries_left or self._rollup.final_batch() == newest:
                    raise
        return self._own()

    def _check(self, books: Books, state: CommittedState) -> None:
        if books.problems:
            raise NotSolvent(books.problems)
        check_rows(state, self._prover.preset)

    def _count(self, state: CommittedState, table: RiskTable, chunks: int) -> Holdings:
        return count(state, table, self._rollup.domain(), self._prover.preset.chunk_bits, chunks)

    def _state_after(self, batch: int, history: History) -> CommittedState:
        """From the data, from the newest known state on."""
        if len(history.final) < batch:
            raise HistoryError(f"batch {batch}: final, but the logs end with batch {len(history.final)}. Read them again")
        if self._state is not None and self._state.batch_number > batch:  # a run that somebody began with the same key; its bodies were dropped
            self._history.forget()
            self._state, history = None, self._history.read()
        self._tell(f"rebuilding batch {batch}", 0.0)
        self._state = final_state(replace(history, final=history.final[:batch]), self._deployment, self._preset, self._params, self._state)
        self._history.drop_bodies(batch)
        return self._state

    def _epoch(self, number: int, history: History) -> EpochSubmitted:
        if number not in history.epochs:
            raise HistoryError(f"epoch {number}: recorded, but its log is missing. Read the logs again")
        return history.epochs[number]

    def _table(self, number: int, state: CommittedState, history: History) -> tuple[EpochSubmitted, RiskTable]:
        epoch = self._epoch(number, history)
        table = recorded_table(epoch, state.listed, self._deployment.parameters.risk)
        if table is None:
            raise RecoveryError(f"epoch {number}: its table does not follow from the published inputs")
        return epoch, table

    def _own(self) -> Run:
        run = self._client.run_of(self._sender.address)
        if run is None:
            raise HistoryError(f"solvency run of {self._sender.address}: begun and not concluded, but layer 1 has none. Begin again")
        return run


def publish_for_ever(publisher: Publisher, rollup: RollupClient, every: int, say: Callable[[str], None], pause: Callable[[], object]) -> None:
    """Publishes, and again after so many final batches. What a later try may overcome is said and tried again, what others must mend is said; `pause` waits."""
    last: int | None = None
    while True:
        try:
            final = rollup.final_batch()
            if final and (last is None or final >= last + every):
                last, before = final, last
                try:
                    last = publisher.publish().batch_number
                except PASSING_ERRORS:
                    last = before
                    raise
        except NotSolvent as error:
            say(f"not solvent, nothing published: {error}")
        except PASSING_ERRORS as error:
            say(f"tried again soon: {error}")
        pause()
