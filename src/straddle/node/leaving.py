"""Leaving an exchange for good, step by step: what of docs/protocol/exits.md can be done for an account now, and what comes next.

Every step is anyone's to take, so that nobody waits for anybody; a step that somebody else took meanwhile is found taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from straddle.commitments.saved import SavedAccount
from straddle.core.risk_table import RiskTable
from straddle.l1.exits import ENTRIES_MAX, ExitsClient, ExitsState
from straddle.l1.history import EpochSubmitted, History, QueueEntryAdded
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.proposals import Settling
from straddle.node.recovery import RecoveryError, recorded_table
from straddle.node.statements import StatementProver
from straddle.node.steps import Standing, Step, advance
from straddle.proving.holdings import PostedHoldings, count_chunk
from straddle.proving.keys import Proof

KIND_DEPOSIT = 1
LEAST = 1
"""Micro-dollars: the smallest forced withdrawal."""


class Stage(StrEnum):
    """Where a rollup stands on its way to being paid out."""

    OPERATING = "operating"
    SETTLING = "settling"
    OPENING = "opening"
    DEPOSITS = "deposits"
    MARKS = "marks"
    CLAIMS = "claims"
    PAYMENT = "payment"
    ENDED = "ended"


@dataclass(slots=True)
class Leaving:
    """One account's way out. `saved` gives the account at the final state, and is asked only when it is needed; `prover` likewise."""

    client: RollupClient
    exits: ExitsClient
    account: int
    history: Callable[[], History]
    """Layer 1's past, read anew."""
    saved: Callable[[History], SavedAccount]
    prover: Callable[[Sender], StatementProver]
    start: bool = False
    """Whether the owner's sender makes a request when none waits, so that the clock of the freeze begins."""
    tell: Callable[[str], None] = lambda what: None
    _history: History | None = None
    _account: SavedAccount | None = None
    _proofs: dict[int, tuple[PostedHoldings, Proof]] = field(default_factory=dict)
    """By risk root: the proof that sets the marks is the claim's."""

    def advance(self, sender: Sender | None) -> Standing:
        """Does all that can be done now. Without a sender nothing is done: the standing's step tells what could be."""
        return advance(self.step, sender, self.tell, f"account {self.account}")

    @property
    def claimed(self) -> bool:
        """Whether the claim is made, the one thing that is proved."""
        return self.exits.claim_of(self.account) is not None

    def step(self, sender: Sender | None) -> Step:
        """The next step as layer 1 stands now. What only the owner may do is a step only for an owner's sender."""
        now = self._now_s()
        if sender is not None and sender.address == self._owner() and (waiting := self.client.claimable(sender.address)):
            return Step(Stage.PAYMENT, f"pull {dollars(waiting)}", now, self._pull)
        if not self.client.frozen():
            return self._freezing(now, sender)
        if self.client.proposed_batch() > self.client.final_batch():
            return Settling(self.client, Stage.SETTLING, lambda number: self._past().batches[number - 1]).step(now)
        state = self.exits.state()
        if not state.opened_at:
            return Step(Stage.OPENING, "open the exits", now, self._open)
        for steps in (self._deposits(state), self._marks(state, now), self._claiming(state, now), self._payment(state, now)):
            found = next(steps, None)
            if found is not None:
                return found
        return self._end()

    # ---- until the exits are open

    def _freezing(self, now: int, sender: Sender | None) -> Step:
        client, answered = self.client, self.client.queue_answered()
        period = client.clock("FREEZE_AFTER_S")
        if answered == client.queue_length():
            ask = f"ask for a forced withdrawal of {dollars(LEAST)} (request fee: {client.deployment.config.request_fee_wei:,} wei)"
            if self.start and sender is not None and sender.address == self._owner():
                return Step(Stage.OPERATING, f"{ask}: whether it is answered shows whether anybody still operates the exchange", now, self._start)
            days = f"A request that stays unanswered for {period // 86_400} days lets anyone freeze the rollup"
            return Step(Stage.OPERATING, f"nothing to leave yet: every request is answered. {days}; --start with the owner's --key makes one: {ask}")
        due = client.entry_time_s(answered) + period
        if now <= due:
            return Step(Stage.OPERATING, f"freeze the rollup, unless queue entry {answered} is answered before", due)
        return Step(Stage.OPERATING, "freeze the rollup", due, self._freeze)

    # ---- after that, in order

    def _deposits(self, state: ExitsState) -> Iterator[Step]:
        """Deposits that no final batch answered: the account's own are paid back, all are counted."""
        if state.queue_first == state.queue_end:
            return
        entries = self._past().queue
        for entry in entries[state.queue_first : state.queue_end]:
            if (entry.kind, entry.account) == (KIND_DEPOSIT, self.account) and not self.exits.is_reclaimed(entry.index):
                yield Step(Stage.DEPOSITS, f"take back deposit {entry.index} of {dollars(entry.word_1)}", None, self._reclaim(entry))
        if state.queue_counted < state.queue_end:
            part = entries[state.queue_counted : min(state.queue_end, state.queue_counted + ENTRIES_MAX)]
            yield Step(Stage.DEPOSITS, f"count the deposits among queue entries {part[0].index} to {part[-1].index}", None, self._count(part))

    def _marks(self, state: ExitsState, now: int) -> Iterator[Step]:
        """The earliest table recorded since the opening that fits the final state; after three days without one, the final batch's."""
        if now <= state.claims_after_s:
            listed = self._saved(state).listed  # whoever lacks the data should hear of it now, while others can still be asked
            for epoch in sorted(self._past().epochs.values(), key=lambda item: item.time_ms):
                if epoch.time_ms < 1000 * state.opened_at or (state.marks_epoch and epoch.time_ms >= state.marks_time_ms):
                    continue
                table = recorded_table(epoch, listed, self.client.deployment.parameters.risk)
                if table is not None:
                    yield Step(Stage.MARKS, f"make the table of epoch {epoch.epoch} the marks", now, self._set_marks(epoch, table))
            found = f"the marks are so far the table of epoch {state.marks_epoch}" if state.marks_epoch else "no table has come since the opening"
            yield Step(Stage.MARKS, f"claim: {found}; they are fixed then", state.claims_after_s)
        elif not state.marks_epoch and self.client.final_batch():
            yield Step(Stage.MARKS, "make the final batch's table the marks", now, self._set_final_marks)

    def _claiming(self, state: ExitsState, now: int) -> Iterator[Step]:
        if now > state.claims_until_s or not state.marks_epoch:
            return
        claim = self.exits.claim_of(self.account)
        if claim is not None:
            share = dollars(state.share(claim.amount))
            yield Step(Stage.CLAIMS, f"collect: {dollars(claim.amount)} are claimed; the share of it is {share} as claims stand", state.claims_until_s)
            return
        table = self._table(state)
        amount = count_chunk(self._saved(state).opening, table, self.client.domain()).claims
        if amount and self._saved(state).opening.leaves[0].owner:
            yield Step(Stage.CLAIMS, f"prove and claim {dollars(amount)}", now, lambda sender: self._claim(sender, state.marks_root, table))

    def _payment(self, state: ExitsState, now: int) -> Iterator[Step]:
        claim = self.exits.claim_of(self.account)
        if claim is not None and now > state.claims_until_s:
            yield Step(Stage.PAYMENT, f"collect {dollars(state.share(claim.amount))} of {dollars(claim.amount)}", now, self._collect)

    def _end(self) -> Step:
        owner = self._owner()
        waiting = self.client.claimable(owner)
        if waiting:
            return Step(Stage.PAYMENT, f"pull: {dollars(waiting)} wait in the vault for the owner, {owner}, alone")
        collected = self.exits.collected(self.account)
        return Step(Stage.ENDED, f"nothing is left for account {self.account}: " + (f"{dollars(collected)} were collected" if collected else "it had no claim"))

    # ---- doing it

    def _start(self, sender: Sender) -> str:
        entry = self.client.force_withdraw(sender, self.account, LEAST)
        return f"queue entry {entry.index} asks for {dollars(LEAST)}: the clock runs"

    def _freeze(self, sender: Sender) -> str:
        self.client.freeze(sender)
        return "the rollup is frozen"

    def _open(self, sender: Sender) -> str:
        self.exits.open(sender)
        self._history = None
        return "exits opened"

    def _reclaim(self, entry: QueueEntryAdded) -> Callable[[Sender], str]:
        def act(sender: Sender) -> str:
            self.exits.reclaim(sender, entry)
            return f"deposit {entry.index} of {dollars(entry.word_1)} taken back"

        return act

    def _count(self, part: list[QueueEntryAdded]) -> Callable[[Sender], str]:
        def act(sender: Sender) -> str:
            self.exits.count_deposits(sender, part)
            return f"{len(part)} queue entries counted"

        return act

    def _set_marks(self, epoch: EpochSubmitted, table: RiskTable) -> Callable[[Sender], str]:
        def act(sender: Sender) -> str:
            self.exits.set_marks(sender, epoch.epoch, epoch.time_ms, *self._proof(sender, epoch.risk_root, table))
            return f"marks: the table of epoch {epoch.epoch}"

        return act

    def _set_final_marks(self, sender: Sender) -> str:
        epoch = self._past().epochs[self.client.batch(self.client.final_batch()).epoch]
        self.exits.set_final_marks(sender, epoch.time_ms, epoch.risk_root)
        return f"marks: the final batch's table, epoch {epoch.epoch}"

    def _claim(self, sender: Sender, marks_root: int, table: RiskTable) -> str:
        posted, proof = self._proof(sender, marks_root, table)
        self.exits.claim(sender, posted, proof)
        return f"claimed {dollars(posted.holdings.claims)}"

    def _collect(self, sender: Sender) -> str:
        self.exits.collect(sender, self.account)
        return f"collected {dollars(self.exits.collected(self.account))}"

    def _pull(self, sender: Sender) -> str:
        amount = self.client.claimable(sender.address)
        self.client.pull(sender)
        return f"pulled {dollars(amount)}"

    # ---- what it takes

    def _owner(self) -> str:
        return self.client.owner_of(self.account)

    def _now_s(self) -> int:
        return int(self.client.rpc.block("latest")["timestamp"], 16)

    def _past(self) -> History:
        if self._history is None:
            self.tell("reading layer 1")
            self._history = self.history()
        return self._history

    def _saved(self, state: ExitsState) -> SavedAccount:
        """The account at the final state, checked to be that."""
        if self._account is None:
            self._account = self.saved(self._past())
            self._account.check(state.state_root)
        return self._account

    def _table(self, state: ExitsState) -> RiskTable:
        table = recorded_table(self._past().epochs[state.marks_epoch], self._saved(state).listed, self.client.deployment.parameters.risk)
        if table is None:
            raise RecoveryError(f"epoch {state.marks_epoch}: its table does not fit the account's listings, expected the marks")
        return table

    def _proof(self, sender: Sender, risk_root: int, table: RiskTable) -> tuple[PostedHoldings, Proof]:
        if risk_root not in self._proofs:
            assert self._account is not None
            self._proofs[risk_root] = self.prover(sender).prove(self._account.opening, table)
        return self._proofs[risk_root]


def dollars(micros: int) -> str:
    """Micro-dollars as USDC."""
    return f"{micros // 10**6:,}.{micros % 10**6:06d} USDC"
