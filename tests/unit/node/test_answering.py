"""What a stranger can do for the queue of a night that has ended, wherever layer 1 stands. Layer 1 is a table of answers here, its past the night's real data;
tests/integration/test_answering.py has a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.session import DOMAIN, Run, run_night

from straddle.commitments.body import decode_body
from straddle.commitments.challenge import Place
from straddle.commitments.effects import decode_effects
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.state_copy import load_state
from straddle.core.instruments import Settlement
from straddle.core.settlement import settled_cash
from straddle.l1.events import BatchFinalised, BatchProposed, QueueEntryAdded
from straddle.l1.history import History
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient, Stake
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Sender
from straddle.node.answer_batch import AnswerError
from straddle.node.answering import OVERTAKEN_MAX, Answering, Stage
from straddle.node.config import DemoConfig
from straddle.node.layer1 import PosterChain
from straddle.node.proposals import StandingBatch
from straddle.node.recovery import RecoveryError, batch_table, final_state
from straddle.node.steps import Step
from straddle.node.version import terms_of
from straddle.proving import transcript
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import PublicInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS

from .test_verify import PLACE, deployment_of, history_of

DAY = 86_400
BOND = 10**17
STRANGER = "0x" + "aB" * 20
CLOCKS = {"PERMISSIONLESS_AFTER_S": 7 * DAY, "FREEZE_AFTER_S": 10 * DAY, "PROVING_WINDOW_S": DAY, "CHALLENGE_WINDOW_S": DAY, "MAX_TABLE_AGE_MS": 15 * 60_000}


@dataclass
class Layer1:
    """What the contracts say; every write is noted."""

    run: Run
    history: History
    proofs: Proofs = Proofs.ALWAYS
    data: Data = Data.CALLDATA
    frozen: bool = False
    proposed: int = 0
    """Proposals that no final batch is of."""
    stakes: dict[int, Stake] = field(default_factory=dict)
    claimable: int = 0
    owed: int = 0
    balance: int = BOND
    asked_s: int = 0
    writes: list[tuple[str, Any]] = field(default_factory=list)
    refusals: list[Reverted] = field(default_factory=list)
    reads: int = 0
    """So often its past was read."""
    overtake: bool = False
    """Whether somebody else's batch becomes final while this one is made."""

    def __post_init__(self) -> None:
        """Layer 1's clock is a minute after the newest table; what waits was asked for a week before."""
        self.now = max(epoch.time_ms for epoch in self.history.epochs.values()) // 1000 + 60
        self.asked_s = self.now - 7 * DAY - 1
        config = replace(deployment_of(self.run).config, sequencer="0x" + "5E" * 20, proofs=self.proofs, data=self.data)
        optimistic = self.proofs is Proofs.WHEN_CHALLENGED
        self.deployment = replace(deployment_of(self.run), config=replace(config, proposer_bond_wei=BOND * optimistic))

    @property
    def final(self) -> int:
        return len(self.history.final)

    @property
    def answered(self) -> int:
        effects = decode_effects(self.history.batches[self.final - 1].effects, self.run.config.circuit)
        return effects.queue_first + len(effects.queue)

    def read(self) -> History:
        """What layer 1 says now; it goes on meanwhile."""
        it, self.reads = self.history, self.reads + 1
        return replace(it, queue=list(it.queue), epochs=dict(it.epochs), batches=list(it.batches), final=list(it.final), proven=dict(it.proven))

    def ask(self, account: int, amount: int, kind: int = 3) -> None:
        owner = self.run.exchange.sequencer.exchange.accounts[account].owner
        index = len(self.history.queue)
        self.history.queue.append(QueueEntryAdded(**PLACE, index=index, kind=kind, account=account, owner=owner, word_1=amount, word_2=0))

    def answering(self, **options: Any) -> Answering:
        client = SimpleNamespace(
            rpc=SimpleNamespace(time_s=lambda: self.now, balance_wei=lambda address: self.balance),
            deployment=self.deployment,
            frozen=lambda: self.frozen,
            proposed_batch=lambda: self.final + self.proposed,
            final_batch=lambda: self.final,
            queue_answered=lambda: self.answered,
            queue_proposed=lambda: self.answered,
            queue_length=lambda: len(self.history.queue),
            entry_time_s=lambda index: self.asked_s,
            batch=lambda number: SimpleNamespace(proposed_at_s=self.now - DAY),
            stake=lambda number: self.stakes[number],
            open_challenges=lambda: sum(stake.challenged for stake in self.stakes.values()),
            clock=CLOCKS.__getitem__,
            claimable=lambda owner: self.claimable,
            wei_owed=lambda owner: self.owed,
            domain=lambda: DOMAIN,
            finalise=lambda sender, batch, public: self._finalised(),
            prove=lambda sender, batch, proof: self._proven(sender, batch, proof),
            void=lambda sender, number: self.writes.append(("void", number)),
            pull=lambda sender: self._paid("claimable"),
            collect_wei=lambda sender: self._paid("owed"),
        )
        chain = SimpleNamespace(
            propose_and_prove=lambda batch, proof: self._post("propose_and_prove", batch),
            propose=lambda batch: SimpleNamespace(landed=lambda: self._post("propose", batch)),
            post_snapshot=lambda root, copy: self.writes.append(("snapshot", (root, copy))),
        )
        prover = SimpleNamespace(prove=lambda witness: SimpleNamespace(proof=witness.public))
        preset, params = terms_of(self.deployment)
        return Answering(cast(RollupClient, client), preset, params, self.read, lambda: cast(Any, prover), lambda sender: cast(PosterChain, chain), **options)

    def _paid(self, name: str) -> None:
        self.writes.append((name, getattr(self, name)))
        setattr(self, name, 0)

    def stand(self, count: int, stake: Stake) -> None:
        """The newest batches are proposals again, each with this stake."""
        for number in range(self.final - count + 1, self.final + 1):
            self.stakes[number] = stake
        del self.history.final[self.final - count :]
        self.proposed += count

    def _finalised(self) -> None:
        number, self.proposed = self.final + 1, self.proposed - 1
        batch = self.history.batches[number - 1]
        assert self.stakes.pop(number).proven and self.history.proven.pop(number)
        self.history.final.append(BatchFinalised(**PLACE, batch_number=number, header_hash=batch.header_hash, state_root=batch.state_root, beneficiary="0x"))
        self.writes.append(("finalise", number))

    def _proven(self, sender: Sender, batch: StandingBatch, proof: PublicInputs) -> None:
        """The oldest proposal's proof, which makes it final."""
        assert (proof.c, proof.z, proof.y_effects, proof.y_body) == batch.public[:4] and proof.beneficiary == int(sender.address, 16)
        self.stakes[self.final + 1] = replace(self.stakes[self.final + 1], proven=True)
        self.history.proven[self.final + 1] = cast(Any, proof)
        self._finalised()
        self.writes.append(("prove", self.final))

    def _post(self, how: str, batch: PostedBatch) -> None:
        if self.refusals:
            if self.overtake:
                self._append(batch)
            raise self.refusals.pop()
        self.writes.append((how, batch))
        self._append(batch)

    def _append(self, batch: PostedBatch) -> None:
        number, root, c = batch.effects.batch_number, batch.effects.new_state_root, batch.witness.public.c
        words = {
            "effects": batch.effects_words,
            "body": batch.body_words,
            "place": batch.place,
            "y_body": batch.witness.public.y_body,
            "transcript": transcript.encode(batch.witness),
        }
        parent = self.history.batches[-1].header_hash
        self.history.batches.append(
            BatchProposed(**PLACE, batch_number=number, parent_header_hash=parent, header_hash=batch.header_hash, state_root=root, data_commitment=c, **words)
        )
        self.history.final.append(BatchFinalised(**PLACE, batch_number=number, header_hash=batch.header_hash, state_root=root, beneficiary="0x"))

    def step(self, sender: Sender | None = None, **options: Any) -> Step:
        return self.answering(**options).step(sender)


def sender(address: str = STRANGER) -> Sender:
    return cast(Sender, SimpleNamespace(address=address))


def user(run: Run) -> int:
    """An account with cash."""
    return max(run.exchange.sequencer.exchange.accounts, key=lambda id_: run.exchange.sequencer.exchange.accounts[id_].cash)


@pytest.fixture
def layer1(run: Run) -> Layer1:
    return Layer1(run, history_of(run))


@pytest.fixture(scope="module")
def whole_night(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """To its expiry and settlement."""
    return run_night(DemoConfig.recorded(preset="nano", rounds=1, makers=2, takers=2), tmp_path_factory.mktemp("whole"))


def posted(layer1: Layer1) -> list[PostedBatch]:
    return [batch for how, batch in layer1.writes if isinstance(batch, PostedBatch)]


def test_an_exchange_that_answers_needs_nobody(layer1: Layer1) -> None:
    step = layer1.step()
    assert (step.stage, step.act) == (Stage.ANSWERED, None) and "every queue entry is answered" in step.what


def test_others_answer_when_more_than_seven_days_are_over(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 5)
    layer1.asked_s += 1
    step = layer1.step(sender())
    assert (step.act, step.due_s) == (None, layer1.asked_s + 7 * DAY) and "only it may until then" in step.what
    layer1.asked_s -= 1
    assert layer1.step(sender()).act is not None
    layer1.frozen = True
    with pytest.raises(AnswerError, match="`straddle exit` is the way out"):
        layer1.step(sender())


def test_what_is_asked_for_is_paid_and_told(layer1: Layer1) -> None:
    account = user(layer1.run)
    cash = layer1.run.exchange.sequencer.exchange.accounts[account].cash
    first = len(layer1.history.queue)
    layer1.ask(account, 7)
    layer1.ask(account, 11_000_000, kind=1)
    standing = layer1.answering().advance(sender())
    (one, other) = posted(layer1)
    assert [batch.effects.queue_first for batch in (one, other)] == [first, first + 1], "whoever is paid by force is left alone in that batch"
    assert one.effects.paid == (7,) and other.body.accounts[0].cash == cash - 7 + 11_000_000
    assert f"account {account} asked for 0.000007 USDC and is paid 0.000007 USDC, to 0x" in standing.done[0]
    assert "`straddle account pull`" in standing.done[0] and f"11.000000 USDC deposited into account {account}" in standing.done[1]
    assert standing.next.stage is Stage.ANSWERED


def test_one_batch_a_run_if_wanted(layer1: Layer1) -> None:
    for amount in (1, 2):
        layer1.ask(user(layer1.run), amount, kind=3 if amount == 1 else 1)
    answering = layer1.answering(once=True)
    standing = answering.advance(sender())
    assert len(posted(layer1)) == 1 and standing.next.act is None and "--once" in standing.next.what


def test_without_a_fresh_table_there_is_the_freeze(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 1)
    layer1.now += 14 * 60
    assert layer1.step(sender()).act is not None, "15 minutes exactly"
    layer1.now += 1
    step = layer1.step(sender())
    assert step.act is None and step.due_s == layer1.asked_s + 10 * DAY
    assert "no risk table of the last 15 minutes is recorded" in step.what and "anyone may freeze the rollup then" in step.what
    layer1.now = layer1.asked_s + 10 * DAY + 1
    step = layer1.step(sender())
    assert step.act is None and step.due_s is None and "anyone may freeze the rollup now" in step.what


def test_a_table_of_other_listings_is_no_table(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 1)
    newest = max(layer1.history.epochs)
    for number, epoch in layer1.history.epochs.items():
        layer1.history.epochs[number] = replace(epoch, risk_root=epoch.risk_root ^ 1)
    step = layer1.step(sender())
    assert step.act is None and f"the oracles signed epoch {newest} for other listings than those of batch {layer1.final}" in step.what


def test_whoever_was_faster_is_answered_around(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 3)
    layer1.refusals, layer1.overtake = [reverted("Rollup: old root is not the parent's new root")], True
    standing = layer1.answering().advance(sender())
    assert "came too late: " in standing.done[0] and "Rollup: old root is not" in standing.done[0] and standing.next.stage is Stage.ANSWERED
    assert posted(layer1) == []


def test_a_refusal_that_layer_1_does_not_explain_by_itself_is_shown(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 3)
    layer1.refusals = [reverted("Rollup: wrong domain")]
    with pytest.raises(Reverted, match="wrong domain"):
        layer1.answering().advance(sender())
    layer1.refusals = [reverted("Rollup: risk table is too old")] * OVERTAKEN_MAX
    with pytest.raises(Reverted, match="too old"):
        layer1.answering().advance(sender())
    assert layer1.refusals == [] and posted(layer1) == []


def reverted(reason: str) -> Reverted:
    return Reverted("eth_estimateGas", 3, reason)


def test_the_sequencer_need_not_wait_but_its_proposals_go_first(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 1)
    layer1.asked_s, own = layer1.now, sender(layer1.deployment.config.sequencer)
    assert layer1.step(sender()).act is None and layer1.step(own).act is not None
    layer1.proposed = 2
    step = layer1.step(own)
    assert step.act is None and step.due_s == layer1.now and step.what.startswith(f"void proposals {layer1.final + 1} to {layer1.final + 2}")


def test_a_validium_is_answered_in_calldata_behind_a_copy_of_the_state(layer1: Layer1) -> None:
    """Members certify the sequencer's batches only. The second batch follows one in calldata and needs no copy."""
    layer1 = Layer1(layer1.run, layer1.history, data=Data.COMMITTEE)
    layer1.history.batches[-1] = replace(layer1.history.batches[-1], place=Place(Data.COMMITTEE))
    account = user(layer1.run)
    layer1.ask(account, 1)
    layer1.ask(account, 11_000_000, kind=1)
    root = layer1.history.final[-1].state_root
    layer1.answering().advance(sender())
    assert [how for how, _ in layer1.writes] == ["snapshot", "propose_and_prove", "propose_and_prove"]
    assert layer1.writes[0][1][0] == root == load_state(layer1.writes[0][1][1], terms_of(layer1.deployment)[1]).root
    assert all(batch.place.data is Data.CALLDATA for batch in posted(layer1))


def test_a_bond_is_needed_where_a_proof_is_not(layer1: Layer1) -> None:
    layer1 = Layer1(layer1.run, layer1.history, proofs=Proofs.WHEN_CHALLENGED, balance=BOND - 1)
    layer1.ask(user(layer1.run), 1)
    with pytest.raises(AnswerError, match=f"expected at least the proposer's bond of {BOND} wei"):
        layer1.answering().advance(sender())
    layer1.balance = BOND
    standing = layer1.answering().advance(sender())
    assert [how for how, _ in layer1.writes] == ["propose"] and "proposed behind a bond" in standing.done[0] and "once the batch is final" in standing.done[0]


def proposed_by(proposer: str, **changes: Any) -> Stake:
    return replace(Stake(proposer, "0x" + "00" * 20, 0, False), **changes)


def test_whoever_is_challenged_proves_and_keeps_the_bond(layer1: Layer1) -> None:
    """Also without --prove, and when the answer is overdue: the command used to void its caller's own batch then, and half of the bond was the challenger's."""
    layer1 = Layer1(layer1.run, layer1.history, proofs=Proofs.WHEN_CHALLENGED)
    layer1.ask(user(layer1.run), 1)
    layer1.answering().advance(sender())
    challenged = proposed_by(STRANGER, challenger="0x" + "C4" * 20, due_s=layer1.now - 1)
    layer1.stand(1, challenged)
    number, other = layer1.final + 1, sender("0x" + "0D" * 20)
    assert layer1.step(other).what.startswith(f"void proposals {number} to {number}: the answer to a challenge is overdue")
    assert "which is challenged" in layer1.step(sender()).what
    standing = layer1.answering().advance(sender())
    assert [how for how, _ in layer1.writes] == ["propose", "finalise", "prove"] and standing.next.stage is Stage.ANSWERED
    layer1.stand(1, proposed_by(STRANGER))
    layer1.history.queue.pop()
    assert layer1.step(sender()).what == f"finalise batch {number}", "nobody doubts it: only --prove proves it"
    assert layer1.step(sender(), prove=True).what == f"prove batch {number}"


def test_a_batch_behind_one_that_goes_is_not_proved(layer1: Layer1) -> None:
    """Its bond comes back with the other's end."""
    layer1 = Layer1(layer1.run, layer1.history, proofs=Proofs.WHEN_CHALLENGED)
    layer1.stand(2, proposed_by(STRANGER, challenger="0x" + "C4" * 20, due_s=layer1.now + 1))
    first = layer1.final + 1
    assert layer1.step(sender()).what.startswith(f"prove batch {first}, which is challenged: the answer is due ")
    layer1.stakes[first] = proposed_by("0x" + "0D" * 20, challenger="0x" + "C4" * 20, due_s=layer1.now - 1)
    for prove in (False, True):
        assert layer1.step(sender(), prove=prove).what.startswith(f"void proposals {first} to {first + 1}")


def test_a_window_of_proposals_is_read_once(layer1: Layer1) -> None:
    """And one that can be final does not wait for a challenge of a later one."""
    layer1 = Layer1(layer1.run, layer1.history, proofs=Proofs.WHEN_CHALLENGED)
    layer1.ask(user(layer1.run), 1)
    layer1.history.batches = [
        replace(batch, parent_header_hash=before.header_hash) for before, batch in pairwise([layer1.history.batches[0], *layer1.history.batches])
    ]
    layer1.stand(3, proposed_by(layer1.deployment.config.sequencer, proven=True))
    first = layer1.final + 1
    layer1.history.proven = dict.fromkeys(range(first, first + 3), cast(Any, object()))
    overdue = proposed_by("0x", challenger="0x" + "C4" * 20, due_s=layer1.now - 1)
    layer1.stakes[first + 2] = overdue
    assert layer1.step(sender()).what == f"finalise batch {first}"
    layer1.stakes[first] = overdue
    assert layer1.step(sender()).what.startswith(f"void proposals {first} to {first + 2}"), "the oldest of two overdue ones"
    layer1.stakes = {number: replace(overdue, proven=True) for number in layer1.stakes}
    layer1.reads = 0
    standing = layer1.answering(once=True).advance(sender())
    assert layer1.writes[:3] == [("finalise", first + i) for i in range(3)] and "answers queue entry" in standing.done[-1]
    assert layer1.reads == 2, "before the first of them, and before the queue is answered"


def test_what_was_answered_since_is_not_answered_with_nothing(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 1)
    answering, entry = layer1.answering(), layer1.history.queue[-1]
    step = answering.step(sender())
    assert step.act is not None
    answering._past().queue.remove(entry)  # as if the batch that answers it had come between two questions
    assert step.act(sender()) == "the queue has been answered meanwhile" and layer1.writes == []


def test_a_state_that_is_long_in_the_making_is_priced_on_a_new_table(layer1: Layer1) -> None:
    """And the next answer continues it instead of beginning at genesis."""
    layer1.ask(user(layer1.run), 1)
    layer1.ask(user(layer1.run), 11_000_000, kind=1)
    answering, read = layer1.answering(), layer1.read

    def slow() -> History:
        found, newest = read(), max(layer1.history.epochs)
        if layer1.reads == 1:
            layer1.now += 16 * 60
            epoch = layer1.history.epochs[newest]
            layer1.history.epochs[newest] = replace(epoch, time_ms=epoch.time_ms)
        return found

    answering.history = slow
    assert "no risk table of the last 15 minutes" in answering.step(sender()).what and layer1.reads == 2
    layer1.now -= 16 * 60
    answering.advance(sender())
    assert len(posted(layer1)) == 2
    known, header = cast(Any, answering._final_walked)
    assert (known.batch_number, header) == (layer1.final - 1, layer1.history.batches[-2].header_hash)
    assert answering._final(layer1.history).root == layer1.history.final[-1].state_root == layer1.answering()._final(layer1.history).root


def test_what_is_the_senders_own_is_drawn(layer1: Layer1) -> None:
    layer1.claimable, layer1.owed, layer1.frozen = 5_000_000, BOND, True
    with pytest.raises(AnswerError, match="frozen"):
        layer1.answering().advance(sender())
    assert layer1.writes == [("claimable", 5_000_000), ("owed", BOND)], "also of a frozen rollup"
    layer1.claimable, layer1.owed, layer1.frozen = 5_000_000, BOND, False
    assert layer1.step().stage is Stage.ANSWERED
    standing = layer1.answering().advance(sender())
    assert standing.done == ("pulled 5.000000 USDC", f"collected {BOND} wei of bonds") and standing.next.stage is Stage.ANSWERED


def test_missing_data_are_named(layer1: Layer1) -> None:
    layer1.ask(user(layer1.run), 1)
    layer1.history.batches[0] = replace(layer1.history.batches[0], body=None)
    with pytest.raises(RecoveryError, match=r"batch 1: its data are not on layer 1, or no longer\. Ask"):
        layer1.step(sender())


def stories(layer1: Layer1) -> list[tuple[int, Sequence[object]]]:
    """(batch, words of the listings chain) of every batch with words."""
    preset = terms_of(layer1.deployment)[0]
    bodies = {posted.batch_number: decode_body(cast(Any, posted.body), preset) for posted in layer1.history.batches}
    return [(number, body.listings) for number, body in bodies.items() if body.listings]


def test_settlements_that_the_oracles_signed_go_with_the_batch(whole_night: Run) -> None:
    """At the night's expiry the operator is gone: the stranger's batch declares what the published inputs say, and the holder is paid his settled cash."""
    layer1 = Layer1(whole_night, history_of(whole_night))
    deployment, (preset, params) = layer1.deployment, terms_of(layer1.deployment)
    settling = [(number, words) for number, words in stories(layer1) if all(isinstance(word, Settlement) for word in words)]
    assert settling
    number, words = settling[0]
    epoch = layer1.history.epochs[decode_effects(layer1.history.batches[number - 1].effects, preset).epoch]
    del layer1.history.batches[number - 1 :], layer1.history.final[number - 1 :]
    before = final_state(layer1.history, deployment, preset, params)
    priced = batch_table(epoch, before.listed, preset.listings, DEFAULT_PARAMETERS)
    assert priced is not None and priced.words == words
    assert batch_table(replace(epoch, inputs=b"none"), before.listed, preset.listings, DEFAULT_PARAMETERS) is None

    layer1.history.epochs = {number: known for number, known in layer1.history.epochs.items() if number <= epoch.epoch}
    del layer1.history.queue[before.queue_pointer :]
    holder = next(id_ for id_, item in before.accounts.items() if settled_cash(item.account.positions, priced.table) > 0)
    layer1.now, layer1.asked_s = epoch.time_ms // 1000 + 1, epoch.time_ms // 1000 - 8 * DAY
    layer1.ask(holder, 10**15)
    (entry,) = queue_commands(layer1.history.queue[before.queue_pointer :])
    standing = layer1.answering().advance(sender())
    (batch,) = posted(layer1)
    assert f"settles {len(words)} expired instruments" in standing.done[0] and batch.effects.queue == (entry,)
    held = before.accounts[holder].account
    worth = held.cash + settled_cash(held.positions, priced.table)
    assert 0 < batch.effects.paid[0] <= worth
    after = final_state(layer1.history, deployment, preset, params).accounts[holder].account
    assert after.cash == worth - batch.effects.paid[0] and not set(after.positions) & {word.instrument for word in priced.words}
