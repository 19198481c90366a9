"""The next step of an account's way out, wherever layer 1 stands. Layer 1 is a table of answers here; tests/integration/test_exits.py has a real one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.holdings import Portfolio, state_of
from support.market import CALL

from straddle.commitments.layout import DataError
from straddle.commitments.saved import SavedAccount, save_account
from straddle.l1.events import QueueEntryAdded
from straddle.l1.exits import CLAIM_PERIOD_S, ENTRIES_MAX, MARKS_PERIOD_S, ClaimOnChain, ExitsClient, ExitsState
from straddle.l1.history import History
from straddle.l1.rollup import RollupClient, Stake
from straddle.l1.sender import Sender
from straddle.node.leaving import Leaving, Stage
from straddle.node.recovery import RecoveryError
from straddle.node.steps import Step

DAY = 86_400
OPENED = 1_600_000_000
OWNER, NOBODY = "0x" + "aB" * 20, "0x" + "00" * 20
STATE = state_of({3: Portfolio(5_000_000, {CALL: 1}), 4: Portfolio(5, {CALL: -1})})
OPEN = ExitsState(OPENED, STATE.root, 10_000_000, 5, 5, 5, 0, 0, 0, 0, 0)


@dataclass
class Layer1:
    """What the contracts say; every write is noted."""

    now: int = OPENED
    frozen: bool = True
    proposed: int = 9
    final: int = 9
    queue: list[QueueEntryAdded] = field(default_factory=list)
    answered: int = 5
    stakes: dict[int, Stake] = field(default_factory=dict)
    optimistic: bool = False
    claimable: int = 0
    exits: ExitsState = OPEN
    claim: ClaimOnChain | None = None
    reclaimed: set[int] = field(default_factory=set)
    collected: int = 0
    writes: list[tuple[str, Any]] = field(default_factory=list)

    def leaving(self, account: int = 3) -> Leaving:
        clocks = {"FREEZE_AFTER_S": 10 * DAY, "PROVING_WINDOW_S": DAY, "CHALLENGE_WINDOW_S": 7 * DAY}
        client = SimpleNamespace(
            rpc=SimpleNamespace(block=lambda number: {"timestamp": hex(self.now)}),
            deployment=SimpleNamespace(config=SimpleNamespace(optimistic=self.optimistic, request_fee_wei=10**12)),
            frozen=lambda: self.frozen,
            proposed_batch=lambda: self.proposed,
            final_batch=lambda: self.final,
            queue_answered=lambda: self.answered,
            queue_length=lambda: len(self.queue),
            entry_time_s=lambda index: OPENED,
            batch=lambda number: SimpleNamespace(proposed_at_s=OPENED, epoch=1),
            stake=lambda number: self.stakes[number],
            open_challenges=lambda: sum(stake.challenged for stake in self.stakes.values()),
            clock=clocks.__getitem__,
            claimable=lambda owner: self.claimable,
            owner_of=lambda number: OWNER,
            domain=lambda: 1,
            void=lambda sender, number: self.writes.append(("void", number)),
            freeze=lambda sender: self.writes.append(("freeze", None)),
            force_withdraw=lambda sender, account, amount: self._ask(account, amount),
            pull=lambda sender: self._pull(),
        )
        exits = SimpleNamespace(
            state=lambda: self.exits,
            claim_of=lambda number: self.claim,
            is_reclaimed=lambda index: index in self.reclaimed,
            collected=lambda number: self.collected,
            count_deposits=lambda sender, entries: self.writes.append(("count", [entry.index for entry in entries])),
            reclaim=lambda sender, entry: self.writes.append(("reclaim", entry.index)),
        )
        history = History(0, queue=self.queue)

        def saved(past: History) -> SavedAccount:
            return save_account(STATE, account, 1, 2)

        def no_prover(sender: Sender) -> Any:
            raise AssertionError("nothing is proved here")

        return Leaving(cast(RollupClient, client), cast(ExitsClient, exits), account, lambda: history, saved, no_prover)

    def _ask(self, account: int, amount: int) -> Any:
        self.queue.append(entry(len(self.queue), kind=3, account=account, amount=amount))
        return self.queue[-1]

    def _pull(self) -> None:
        self.writes.append(("pull", self.claimable))
        self.claimable = 0

    def step(self, account: int = 3, sender: Sender | None = None) -> Step:
        return self.leaving(account).step(sender)


def entry(index: int, kind: int = 1, account: int = 3, amount: int = 7) -> QueueEntryAdded:
    return QueueEntryAdded(block_number=1, log_index=index, transaction_hash="", index=index, kind=kind, account=account, owner=1, word_1=amount, word_2=0)


def sender(address: str = NOBODY) -> Sender:
    return cast(Sender, SimpleNamespace(address=address))


def test_an_exchange_that_answers_is_not_left() -> None:
    layer1 = Layer1(frozen=False, queue=[entry(i) for i in range(5)])
    step = layer1.step()
    assert (step.stage, step.due_s, step.act) == (Stage.OPERATING, None, None) and "every request is answered" in step.what
    layer1.queue.append(entry(5))
    assert (layer1.step().due_s, layer1.step().act) == (OPENED + 10 * DAY, None)
    layer1.now += 10 * DAY
    assert layer1.step().act is None, "over only when more time has passed"
    layer1.now += 1
    step = layer1.step()
    assert step.act is not None and step.act(sender()) == "the rollup is frozen" and layer1.writes == [("freeze", None)]


def test_the_owner_starts_the_clock_when_nothing_waits() -> None:
    layer1 = Layer1(frozen=False, queue=[entry(i) for i in range(5)])
    assert "--start" in layer1.step().what and "request fee: 1,000,000,000,000 wei" in layer1.step().what
    leaving = layer1.leaving()
    leaving.start = True
    for wallet in (None, sender()):
        assert leaving.step(wallet).act is None, "only the owner may ask"
    standing = leaving.advance(sender(OWNER))
    assert standing.done == ("queue entry 5 asks for 0.000001 USDC: the clock runs",) and standing.next.due_s == OPENED + 10 * DAY
    assert [(item.kind, item.account, item.word_1) for item in layer1.queue[5:]] == [(3, 3, 1)]
    assert leaving.advance(sender(OWNER)).done == () and len(layer1.queue) == 6, "one is enough"


def test_what_was_paid_is_pulled_before_a_freeze_too() -> None:
    layer1 = Layer1(frozen=False, claimable=5, queue=[entry(i) for i in range(6)])
    assert layer1.leaving().advance(sender()).done == () and layer1.writes == []
    standing = layer1.leaving().advance(sender(OWNER))
    assert standing.done == ("pulled 0.000005 USDC",) and standing.next.stage is Stage.OPERATING and layer1.writes == [("pull", 5)]


def test_unproved_proposals_are_voided_after_their_window() -> None:
    layer1 = Layer1(proposed=12, now=OPENED + DAY)
    step = layer1.step()
    assert (step.stage, step.due_s, step.act) == (Stage.SETTLING, OPENED + DAY, None)
    layer1.now += 1
    step = layer1.step()
    assert step.act is not None and step.act(sender()) == "proposals from 10 on voided" and layer1.writes == [("void", 10)]


def stake(challenger: str = NOBODY, due_s: int = 0, proven: bool = False) -> Stake:
    return Stake(OWNER, challenger, due_s, proven)


@pytest.mark.parametrize(
    ("stakes", "what", "due_s", "possible"),
    [
        ({10: stake(), 11: stake()}, "finalise batch 10", OPENED + 7 * DAY, False),
        ({10: stake(proven=True), 11: stake()}, "finalise batch 10", OPENED + 5, True),
        ({10: stake(OWNER, OPENED + 4), 11: stake()}, "void proposals 10 to 11: the answer to a challenge is overdue", OPENED + 5, True),
        ({10: stake(), 11: stake(OWNER, OPENED + 4)}, "void proposals 11 to 11: the answer to a challenge is overdue", OPENED + 5, True),
        ({10: stake(OWNER, OPENED + 5), 11: stake()}, "void proposals 10 to 11, unless batch 10 is proved before", OPENED + 5, False),
        ({10: stake(OWNER, OPENED + 4, proven=True), 11: stake()}, "finalise batch 10", OPENED + 5, True),
    ],
)
def test_optimistic_proposals_are_finalised_or_voided(stakes: dict[int, Stake], what: str, due_s: int, possible: bool) -> None:
    step = Layer1(proposed=11, now=OPENED + 5, optimistic=True, stakes=stakes).step()
    assert (step.stage, step.what, step.due_s, step.act is not None) == (Stage.SETTLING, what, due_s, possible)


def test_an_unchallenged_window_ends() -> None:
    layer1 = Layer1(proposed=10, now=OPENED + 7 * DAY, optimistic=True, stakes={10: stake()})
    assert layer1.step().act is None
    layer1.now += 1
    assert layer1.step().act is not None


def test_exits_are_opened_when_no_proposal_is_left() -> None:
    step = Layer1(exits=replace(OPEN, opened_at=0)).step()
    assert step.stage is Stage.OPENING and step.act is not None


def test_own_deposits_come_back_and_all_are_counted_in_parts() -> None:
    end = 5 + ENTRIES_MAX + 2
    queue = [entry(i, account=3 if i in (2, 6) else 4) for i in range(end)]
    queue[7] = entry(7, kind=3)
    layer1 = Layer1(queue=queue, exits=replace(OPEN, queue_end=end))
    step = layer1.step()
    assert step.what == "take back deposit 6 of 0.000007 USDC" and step.act is not None
    step.act(sender())
    assert layer1.writes == [("reclaim", 6)]
    layer1.reclaimed.add(6)
    for counted, first, last in ((5, 5, 260), (261, 261, end - 1)):
        layer1.exits = replace(layer1.exits, queue_counted=counted)
        step = layer1.step()
        assert step.what == f"count the deposits among queue entries {first} to {last}" and step.act is not None
        step.act(sender())
        assert layer1.writes[-1] == ("count", list(range(first, last + 1)))
    layer1.exits = replace(layer1.exits, queue_counted=end)
    assert layer1.step().stage is Stage.MARKS


def test_the_marks_are_waited_for_and_the_data_asked_for_at_once() -> None:
    step = Layer1().step()
    assert (step.stage, step.due_s, step.act) == (Stage.MARKS, OPENED + MARKS_PERIOD_S, None)
    with pytest.raises(DataError, match="state_root: saved at"):
        Layer1(exits=replace(OPEN, state_root=1)).step()
    step = Layer1(now=OPENED + MARKS_PERIOD_S + 1).step()
    assert step.stage is Stage.MARKS and step.what == "make the final batch's table the marks" and step.act is not None
    ended = Layer1(now=OPENED + MARKS_PERIOD_S + 1, final=0, proposed=0).step()
    assert ended.stage is Stage.ENDED, "a rollup that never had a batch has no claims"


def test_a_claim_waits_for_its_share() -> None:
    claimed = replace(OPEN, marks_epoch=2, total_claims=20_000_000)
    layer1 = Layer1(now=OPENED + MARKS_PERIOD_S + 1, exits=claimed, claim=ClaimOnChain(3, OWNER, 6_000_000))
    step = layer1.step()
    assert (step.stage, step.due_s, step.act) == (Stage.CLAIMS, OPENED + MARKS_PERIOD_S + CLAIM_PERIOD_S, None)
    assert "6.000000 USDC are claimed; the share of it is 3.000000 USDC" in step.what
    layer1.now = OPENED + MARKS_PERIOD_S + CLAIM_PERIOD_S + 1
    step = layer1.step()
    assert step.stage is Stage.PAYMENT and step.what == "collect 3.000000 USDC of 6.000000 USDC" and step.act is not None


def test_only_the_owner_pulls() -> None:
    layer1 = Layer1(now=OPENED + 30 * DAY, exits=replace(OPEN, marks_epoch=2), claimable=7, collected=7)
    for wallet in (None, sender()):
        step = layer1.step(sender=wallet)
        assert step.stage is Stage.PAYMENT and step.act is None and OWNER in step.what
    step = layer1.step(sender=sender(OWNER))
    assert step.what == "pull 0.000007 USDC" and step.act is not None
    layer1.claimable = 0
    assert layer1.step().what == "nothing is left for account 3: 0.000007 USDC were collected"
    layer1.collected = 0
    assert layer1.step().what == "nothing is left for account 3: it had no claim"


def test_without_a_sender_nothing_is_done_and_steps_that_do_not_help_end() -> None:
    layer1 = Layer1(proposed=12, now=OPENED + DAY + 1)
    standing = layer1.leaving().advance(None)
    assert standing.done == () and standing.next.act is not None and layer1.writes == []
    with pytest.raises(RecoveryError, match="no end after 10000 steps"):
        layer1.leaving().advance(sender())


def test_shares_are_rounded_down_and_never_exceed_the_pool() -> None:
    state = replace(OPEN, set_aside=3_000_000, total_claims=9_000_000)
    assert state.pool == 7_000_000 and state.share(1_000_001) == 777_778
    assert sum(state.share(3_000_000) for _ in range(3)) <= state.pool
    assert replace(state, total_claims=5).share(5) == 5 and replace(state, total_claims=0).share(5) == 0
    assert replace(state, set_aside=11_000_000).pool == 0
