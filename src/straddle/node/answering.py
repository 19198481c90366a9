"""Answering layer 1's queue when its sequencer does not, step by step: what anyone can do for it in permissionless mode (docs/protocol/policies.md), and what
comes next. Where a proof is required a batch is proved, posted and final at once; where it is required when challenged, it stands behind a bond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.data import QueueEntry
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.commitments.state_copy import dump_state
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.params import Params
from straddle.l1.events import BatchProposed
from straddle.l1.history import History
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Sender, TransactionFailed
from straddle.node.answer_batch import Answer, AnswerError, answer_batch
from straddle.node.layer1 import PosterChain
from straddle.node.leaving import dollars
from straddle.node.proposals import Settling, StandingBatch
from straddle.node.recovery import BatchTable, batch_table, final_state
from straddle.node.steps import Standing, Step, advance, utc
from straddle.proving.prover import ProveResult
from straddle.proving.vector import ChainFacts
from straddle.proving.witness import Witness
from straddle.watcher.examine import Examined, Examiner, Verdict

OVERTAKEN_MAX = 3
"""So often in a row somebody else may be faster, or the table too old when the proof is made, before this gives up."""
REBUILT_S = 60
"""If the state took longer to make, layer 1 is read once more: its tables last for minutes only."""


class Stage(StrEnum):
    """What a step is part of, what matters most first."""

    ANSWERING = "answering"
    FINALITY = "finality"
    PAYMENT = "payment"
    ANSWERED = "answered"


class BatchProver(Protocol):
    """Who makes proofs of batches with the rollup's keys."""

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""


@dataclass(frozen=True, slots=True)
class _Tip:
    """What the next batch follows: the newest proposal that stands; where a proof is required the newest final batch, since others go."""

    state: CommittedState
    header_hash: bytes
    epoch: int
    last_sequence: int
    in_calldata: bool
    """Whether it is a batch whose body lies in calldata."""


@dataclass(slots=True)
class Answering:
    """The queue of one rollup. `prover` is asked for before a proof is needed, and raises when this machine's keys are not the rollup's."""

    client: RollupClient
    preset: Preset
    params: Params
    history: Callable[[], History]
    """Layer 1's past, read anew."""
    prover: Callable[[], BatchProver]
    chain: Callable[[Sender], PosterChain]
    """Layer 1 as batches go there."""
    once: bool = False
    """One batch, and no more."""
    prove: bool = False
    """Where a proof is required when challenged: prove the own batches all the same, which ends their wait."""
    tell: Callable[[str], None] = lambda what: None
    _history: History | None = None
    _settled: bool = False
    """Whether proposals became final, or went, since it was read."""
    _walked: tuple[CommittedState, bytes] | None = None
    """The state after the newest proposal that was examined, and its header hash."""
    _final_walked: tuple[CommittedState, bytes] | None = None
    """Likewise, after the newest final batch."""
    _answered: int = 0
    _overtaken: int = 0

    def advance(self, sender: Sender | None) -> Standing:
        """Does all that can be done now. Without a sender nothing is done. AnswerError: frozen, or what stands before the next batch is wrong."""
        return advance(self.step, sender, self.tell, f"rollup {self.client.deployment.rollup}")

    def step(self, sender: Sender | None) -> Step:
        """The next step as layer 1 stands now."""
        if self.client.frozen():
            for step in self._payment(sender):
                return step
            raise AnswerError("the rollup is frozen: its queue is not answered any more. `straddle exit` is the way out")
        now, waiting = self.client.rpc.time_s(), list[Step]()
        for steps in (self._finality(now, sender), self._answering(now, sender), self._payment(sender)):
            for step in steps:
                if step.act is not None:
                    return step
                waiting.append(step)
        if waiting:
            return min(waiting, key=lambda step: list(Stage).index(Stage(step.stage)))
        return Step(Stage.ANSWERED, "every queue entry is answered, there is nothing to do")

    # ---- the queue

    def _answering(self, now: int, sender: Sender | None) -> Iterator[Step]:
        client, optimistic = self.client, self.client.deployment.config.optimistic
        first = client.queue_proposed() if optimistic else client.queue_answered()
        waiting = client.queue_length() - first
        if not waiting:
            return
        entries = f"queue entry {first}" if waiting == 1 else f"queue entries {first} to {first + waiting - 1}"
        due = client.entry_time_s(first) + client.clock("PERMISSIONLESS_AFTER_S")
        as_sequencer = sender is not None and sender.address == client.deployment.config.sequencer
        if now <= due and not as_sequencer:
            yield Step(Stage.ANSWERING, f"answer {entries}, unless the sequencer does before: only it may until then", due)
        elif self.once and self._answered:
            yield Step(Stage.ANSWERING, f"answer {entries} (--once: a batch a run)")
        elif as_sequencer and not optimistic and client.proposed_batch() > client.final_batch():
            yield self._settling(Stage.ANSWERING).step(now)  # the sequencer's own proposals do not go by themselves when it proposes once more
        else:
            yield self._answer_step(now, entries)

    def _answer_step(self, began: int, entries: str) -> Step:
        tip, now = self._tip(), self.client.rpc.time_s()
        if now > began + REBUILT_S:
            self._forget()
            tip = self._tip()
        priced = self._table(tip, now)
        if isinstance(priced, BatchTable):
            what = f"answer {entries} in batch {tip.state.batch_number + 1}, on the table of epoch {priced.epoch.epoch}"
            return Step(Stage.ANSWERING, what, now, lambda sender: self._answer(sender, tip, priced))
        # Nobody can price a batch: then only the freeze, which needs no oracle, is left.
        freeze = self.client.entry_time_s(self.client.queue_answered()) + self.client.clock("FREEZE_AFTER_S")
        frozen = "anyone may freeze the rollup now" if now > freeze else "unless one comes, anyone may freeze the rollup then"
        return Step(Stage.ANSWERING, f"answer {entries}: not possible, {priced}; {frozen} (straddle exit)", None if now > freeze else freeze)

    def _table(self, tip: _Tip, now: int) -> BatchTable | str:
        """The newest recorded table that layer 1 still takes and that fits the listings; or why there is none."""
        minutes, epochs = self.client.clock("MAX_TABLE_AGE_MS") // 60_000, self._past().epochs
        fresh = [epochs[number] for number in sorted(epochs, reverse=True) if number >= tip.epoch and 1000 * now <= epochs[number].time_ms + 60_000 * minutes]
        for epoch in fresh:
            priced = batch_table(epoch, tip.state.listed, self.preset.listings, self.client.deployment.parameters.risk)
            if priced is not None:
                return priced
        if fresh:
            return f"the oracles signed epoch {fresh[0].epoch} for other listings than those of batch {tip.state.batch_number}"
        return f"no risk table of the last {minutes} minutes is recorded: the oracles have to sign one, and anyone may record it"

    def _tip(self) -> _Tip:
        history, config = self._past(), self.client.deployment.config
        state = self._judged(history, len(history.batches)) if config.optimistic else self._final(history)
        if not state.batch_number:
            return _Tip(state, genesis_header_hash(config.genesis_root), 0, 0, False)
        newest = history.batches[state.batch_number - 1]
        effects = decode_effects(newest.effects, self.preset)
        return _Tip(state, newest.header_hash, effects.epoch, effects.last_sequence, newest.place.data is Data.CALLDATA)

    def _answer(self, sender: Sender, tip: _Tip, priced: BatchTable) -> str:
        deployment = self.client.deployment
        data = Data.CALLDATA if deployment.config.data is Data.COMMITTEE else deployment.config.data  # members certify the sequencer's batches only
        facts = ChainFacts(deployment.chain_id, deployment.rollup_number, deployment.vk_id, tip.header_hash, int(sender.address, 16), data)
        waiting = queue_commands(self._past().queue[tip.state.queue_pointer :])
        if not waiting:
            return self._nothing_waits()
        made = answer_batch(tip.state, waiting, priced, self.preset, deployment.parameters.fees, self.client.domain(), tip.last_sequence, facts)
        try:
            self._post(sender, tip, made)
        except (Reverted, TransactionFailed) as error:
            return self._lost(tip, error)
        self._forget()
        self._answered, self._overtaken = self._answered + 1, 0
        return "\n".join(self._report(made, priced))

    def _post(self, sender: Sender, tip: _Tip, made: Answer) -> None:
        """To layer 1, with its proof or behind its bond."""
        chain, config = self.chain(sender), self.client.deployment.config
        if config.optimistic:
            self._check_funds(sender, config.proposer_bond_wei)
            chain.propose(made.posted).landed()
            return
        proof = self.prover().prove(made.posted.witness).proof
        if config.data is Data.COMMITTEE and not tip.in_calldata:
            chain.post_snapshot(tip.state.root, dump_state(tip.state))
        chain.propose_and_prove(made.posted, proof)

    def _check_funds(self, sender: Sender, bond: int) -> None:
        found = self.client.rpc.balance_wei(sender.address)
        if found < bond:
            raise AnswerError(f"{sender.address}: {found} wei, expected at least the proposer's bond of {bond} wei, and gas")

    def _nothing_waits(self) -> str:
        """Somebody has answered it all between two questions to layer 1; or its node counts entries that it does not show."""
        self._forget()
        self._overtaken += 1
        if self._overtaken >= OVERTAKEN_MAX:
            raise AnswerError(f"queue: {self.client.queue_length()} entries by the contract, {len(self._past().queue)} in the logs of the layer-1 node")
        return "the queue has been answered meanwhile"

    def _lost(self, tip: _Tip, error: Reverted | TransactionFailed) -> str:
        """Layer 1 has gone on meanwhile: the next step looks again. The error itself: layer 1 has not, or too often."""
        self._forget()
        self._overtaken += 1
        history = self._past()
        newest = history.batches if self.client.deployment.config.optimistic else history.final
        moved = len(newest) != tip.state.batch_number or "too old" in str(error)
        if not moved or self._overtaken >= OVERTAKEN_MAX:
            raise error
        return f"batch {tip.state.batch_number + 1} came too late: {error}"

    def _report(self, made: Answer, priced: BatchTable) -> list[str]:
        effects = made.posted.effects
        optimistic = self.client.deployment.config.optimistic
        first, last = effects.queue_first, effects.queue_first + len(effects.queue) - 1
        which = f"queue entry {first}" if first == last else f"queue entries {first} to {last}"
        how = f"proposed behind a bond, final after {self._window_end(effects.batch_number)} unless it is challenged" if optimistic else "final"
        settled = f", settles {len(priced.words)} expired instruments" if priced.words else ""
        lines = [f"batch {effects.batch_number} {how}: it answers {which} on the table of epoch {effects.epoch}{settled}"]
        lines += [f"entry {entry.queue_index}: {_outcome(entry, made.paid)}" for entry in made.entries]
        if any(made.paid.values()):
            when = "once the batch is final" if optimistic else "now"
            lines.append(f"what was paid lies in the vault {when}: its owner pulls it (this command with the owner's --key, or `straddle account pull`)")
        return lines

    def _window_end(self, number: int) -> str:
        return utc(self.client.batch(number).proposed_at_s + self.client.clock("CHALLENGE_WINDOW_S"))

    # ---- until it is final, where a proof is required when challenged

    def _final(self, history: History) -> CommittedState:
        known, header = self._final_walked or (None, b"")
        if known is not None and not (known.batch_number <= len(history.final) and self._stands(history, known.batch_number, header)):
            known = None
        state = final_state(history, self.client.deployment, self.preset, self.params, known)
        if state.batch_number:
            self._final_walked = (state, history.batches[state.batch_number - 1].header_hash)
        return state

    def _judged(self, history: History, last: int) -> CommittedState:
        """The state after every proposal up to `last`, or further. AnswerError: one of them is no batch that holds, and a batch behind it goes with it."""
        state, header = self._walked or (None, b"")
        if state is None or state.batch_number < len(history.final) or not self._stands(history, state.batch_number, header):
            state = self._final(history)
        for posted in history.batches[state.batch_number : last]:
            self.tell(f"examining batch {posted.batch_number}")
            found = self._examined(history, state, posted)
            if found.after is None or not (found.verdict is Verdict.HOLDS or posted.batch_number in history.proven):
                remedy = "`straddle watch --challenge` challenges it" if found.verdict.challenged else "--data names who has it"
                raise AnswerError(f"batch {posted.batch_number} stands and is {found.verdict}: {found.reason}. What follows it goes with it: {remedy}")
            state, self._walked = found.after, (found.after, posted.header_hash)
        return state

    def _stands(self, history: History, number: int, header: bytes) -> bool:
        return number <= len(history.batches) and history.batches[number - 1].header_hash == header

    def _examined(self, history: History, state: CommittedState, posted: BatchProposed) -> Examined:
        examiner = Examiner(self.client.deployment, self.preset, self.params)
        return examiner.examine(state, posted, history, history.epochs)

    def _finality(self, now: int, sender: Sender | None) -> Iterator[Step]:
        """What makes the oldest proposals final, and keeps the own ones' bonds."""
        client = self.client
        if not client.deployment.config.optimistic or client.proposed_batch() == client.final_batch():
            return
        settling = self._settling(Stage.FINALITY)
        if sender is not None and not settling.may_finalise(now):
            yield from self._proving(now, sender)
        yield settling.step(now)

    def _proving(self, now: int, sender: Sender) -> Iterator[Step]:
        """Own proposals that are challenged, whose bonds are lost without a proof; with `prove` all of them."""
        client = self.client
        if not self.prove and not client.open_challenges():
            return
        for number in range(client.final_batch() + 1, client.proposed_batch() + 1):
            stake = client.stake(number)
            if stake.challenged and now > stake.due_s and stake.proposer != sender.address:
                return  # goes, and what follows it: with its bonds
            if stake.proposer == sender.address and not stake.proven and (self.prove or stake.challenged):
                why = f", which is challenged: the answer is due {utc(stake.due_s)}" if stake.challenged else ""
                yield Step(Stage.FINALITY, f"prove batch {number}{why}", None, partial(self._prove, number=number))

    def _settling(self, stage: Stage) -> Settling:
        return Settling(self.client, stage, self._standing_batch, self._note_settled)

    def _standing_batch(self, number: int) -> BatchProposed:
        """A proposal to finalise, once it was examined with those before it: a false one is not made final here."""
        history = self._history or self._past()  # thousands may be finalised in a row: what was read before that still has them
        self._judged(history, number)
        return history.batches[number - 1]

    def _prove(self, sender: Sender, number: int) -> str:
        """A proof of the own batch, from what layer 1 has of it."""
        history = self._past()
        state, posted, queue = self._final(history), history.batches[number - 1], history.queue
        examiner = Examiner(self.client.deployment, self.preset, self.params)
        state = state.copy()
        for before in history.batches[state.batch_number : number - 1]:
            try:
                examiner.advance(state, before, queue)
            except (LedgerError, ValueError) as error:
                raise AnswerError(f"batch {number} cannot be proved, batch {before.batch_number} before it: {error}") from error
        witness = examiner.examine(state, posted, history, history.epochs).witness
        if witness is None:
            raise AnswerError(f"batch {number}: its data do not give a witness, expected those of a batch that this command made")
        proof = self.prover().prove(replace(witness, public=replace(witness.public, beneficiary=int(sender.address, 16)))).proof
        self.client.prove(sender, StandingBatch.of(self.client.deployment, posted), proof)
        self._forget()
        return f"batch {number} proven"

    # ---- money

    def _payment(self, sender: Sender | None) -> Iterator[Step]:
        """What is the sender's own: credits in the vault, bonds that came back."""
        if sender is None:
            return
        if self.client.claimable(sender.address):
            yield Step(Stage.PAYMENT, f"pull {dollars(self.client.claimable(sender.address))}", None, self._pull)
        if self.client.wei_owed(sender.address):
            yield Step(Stage.PAYMENT, f"collect {self.client.wei_owed(sender.address)} wei", None, self._collect)

    def _pull(self, sender: Sender) -> str:
        amount = self.client.claimable(sender.address)
        self.client.pull(sender)
        return f"pulled {dollars(amount)}"

    def _collect(self, sender: Sender) -> str:
        amount = self.client.wei_owed(sender.address)
        self.client.collect_wei(sender)
        return f"collected {amount} wei of bonds"

    def _forget(self) -> None:
        """Layer 1 has gone on."""
        self._history = None

    def _note_settled(self) -> None:
        self._settled = True

    def _past(self) -> History:
        if self._history is None or self._settled:
            self.tell("reading layer 1")
            self._history, self._settled = self.history(), False
        return self._history


def _outcome(entry: QueueEntry, paid: dict[int, int]) -> str:
    match entry:
        case L1Deposit():
            return f"{dollars(entry.amount)} deposited into account {entry.account}"
        case L1SetKey():
            return f"the trading key of account {entry.account} set"
        case L1ForceWithdraw():
            return f"account {entry.account} asked for {dollars(entry.amount)} and is paid {dollars(paid[entry.account])}, to {entry.owner:#042x}"
        case L1ForceClose():
            return f"account {entry.account}'s portfolio put up for sale, at a discount of at most {entry.limit_bps} bps"
