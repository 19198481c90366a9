"""The watch: layer 1's history, the watcher's own copy of the state, a verdict on every batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.preset import Preset
from straddle.commitments.state_copy import StateCopyError, dump_state, load_state
from straddle.core.params import Params
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.l1.events import BatchChallenged, BatchesVoided, BatchFinalised, BatchHeader, BatchProposed, BatchProven, Event, Frozen
from straddle.l1.history import Outline
from straddle.primitives.errors import Actionable
from straddle.proving.witness import Witness
from straddle.risk.inputs import RiskInputError
from straddle.watcher.examine import Examined, Examiner, Verdict
from straddle.watcher.follow import Follower
from straddle.watcher.store import Judged, Store
from straddle.watcher.tables import Succession

COPY_EVERY = 256
"""Final batches between two copies of the state in the store."""
ASK_AGAIN_S = 60.0
"""Pause before data that no source had are asked for again."""

Report = Callable[[str], None]


class WatchError(Actionable):
    """The watch cannot go on: what became final cannot be rebuilt."""


class Watcher:
    """One rollup. `step` reads on and judges what is new; everything else is as of the last step."""

    def __init__(
        self,
        follower: Follower,
        deployment: Deployment,
        preset: Preset,
        params: Params,
        store: Store,
        *,
        report: Report = lambda line: None,
    ) -> None:
        """`report` hears of each verdict and of what oracles got wrong, a line each. DeploymentError: the rollup's parameters are not these."""
        if params_hash(params) != deployment.config.params_hash:
            raise DeploymentError(f"params_hash: {deployment.config.params_hash:#x}, expected {params_hash(params):#x}, that of these parameters")
        self.deployment, self.preset, self.store = deployment, preset, store
        self.examiner = Examiner(deployment, preset, params)
        self._follower, self._params, self._report = follower, params, report
        self._judged: dict[bytes, Judged] = {}
        """header hash -> verdict, of proposals that stand."""
        self._succession = Succession(deployment.parameters.risk)
        self._copied = 0
        self._asked_at = 0.0
        self._final = self._genesis()
        """State after the newest final batch that was applied."""
        self._final_header = b""
        self._begun = False
        """Whether a kept state was looked for: layer 1 has to be read before."""
        self._telling = False
        """Whether events of before were told, as far as they matter."""
        self._tip, self._applied = self._final.copy(), list[bytes]()
        """State after the newest batch whose data lead anywhere, and the headers of the proposals that led there from the final state."""

    @property
    def history(self) -> Outline:
        """Layer 1 as of the last step."""
        return self._follower.history

    @property
    def final_state(self) -> CommittedState:
        """The state after the newest final batch; not to be changed."""
        return self._final

    def standing(self) -> Iterator[tuple[BatchHeader, Judged]]:
        """Proposals that are not final, with their verdicts, in order."""
        for posted in self.history.batches[len(self.history.final) :]:
            judged = self._judged.get(posted.header_hash)
            if judged is not None:
                yield posted, judged

    def batch(self, header: BatchHeader) -> BatchProposed:
        """A proposal with its data. RpcError, ConnectionFailed, HistoryError as `step`."""
        return self._follower.batch(header)

    def step(self) -> None:
        """Read on, judge what is new. RpcError, ConnectionFailed, HistoryError: layer 1 does not answer, or contradicts itself; WatchError: see there."""
        if self._follower.advance():
            self._report(f"layer 1 went back: read again up to block {self.history.to_block}")
        self._check_final()
        self._check_tip()
        again = time.monotonic() - self._asked_at > ASK_AGAIN_S
        if again:
            self._asked_at = time.monotonic()
            self._check_unchecked()
        self._judge(again=again)
        self._advance_final()
        self._tell()
        kept = {header.header_hash for header in self.history.batches[self._final.batch_number :]}
        self._judged = {header: judged for header, judged in self._judged.items() if header in kept}

    def _tell(self) -> None:
        """What happened on layer 1 since the last step; of the time before the watch, only challenges that are open."""
        news = self._follower.news()
        for event in news if self._telling else self.history.challenges.values():
            line = happened(event)
            if line:
                self._report(line)
        self._telling = True

    def witness(self, header: BatchHeader, beneficiary: int) -> Witness:
        """The whole witness of a standing batch that holds, for a proof that names `beneficiary`. WatchError: it does not hold, or does not stand."""
        batches, number = self.history.batches, header.batch_number
        if number > len(batches) or batches[number - 1].header_hash != header.header_hash:
            raise WatchError(f"batch {number}: it does not stand any more")
        state = self._final.copy()
        for item in batches[state.batch_number : number - 1]:
            self.examiner.advance(state, self.batch(item), self.history.queue)
        found = self._examine(state, header)
        if found.witness is None:
            raise WatchError(f"batch {number}: {found.verdict}: {found.reason}")
        return replace(found.witness, public=replace(found.witness.public, beneficiary=beneficiary))

    def keep_copy(self) -> None:
        """Put the final state into the store, so that a restart begins there."""
        if self._final.batch_number > self._copied:
            self.store.save_state(self._final.batch_number, self._final_header, dump_state(self._final))
            self._copied = self._final.batch_number

    # ---- states

    def _genesis(self) -> CommittedState:
        state = CommittedState.genesis(self._params, int(self.deployment.config.operator, 16))
        if state.root != self.deployment.config.genesis_root:
            raise DeploymentError(f"genesis_root: {self.deployment.config.genesis_root:#x}, expected {state.root:#x}")
        return state

    def _restore(self) -> None:
        """The newest kept copy of a state that layer 1 calls final, or genesis."""
        self._final, self._final_header, self._copied = self._genesis(), b"", 0
        for number, header, copy in self.store.states():
            if number > len(self.history.final) or self.history.batches[number - 1].header_hash != header:
                continue
            try:
                state = load_state(copy, self._params)
            except StateCopyError as error:
                self._report(f"the kept state of batch {number} is damaged ({error}): an older one is used")
                continue
            if (state.batch_number, state.root) == (number, self.history.batches[number - 1].state_root):
                self._final, self._final_header, self._copied = state, header, number
                return
            self._report(f"the kept state of batch {number} has another root than layer 1's: an older one is used")

    def _check_final(self) -> None:
        """The final state is still one of layer 1's, or the watch begins at another one: at first, and after a reorg of final batches."""
        number = self._final.batch_number
        gone = number > len(self.history.final) or (number > 0 and self.history.batches[number - 1].header_hash != self._final_header)
        if gone or not self._begun:
            self._begun = True
            self._restore()
            self._tip, self._applied = self._final.copy(), []

    def _check_tip(self) -> None:
        """The proposals that led to the tip still stand, or it is built again from the final state."""
        first = self._final.batch_number
        standing = [posted.header_hash for posted in self.history.batches[first : first + len(self._applied)]]
        if standing != self._applied:
            self._tip, self._applied = self._final.copy(), []

    def _new(self) -> list[BatchHeader]:
        """Proposals after the tip."""
        return self.history.batches[self._final.batch_number + len(self._applied) :]

    def _judge(self, *, again: bool) -> None:
        """Every proposal after the tip, in order, as far as data lead. Data that nobody had are asked for with `again`."""
        lost: Judged | None = None
        for header in self._new():
            known = self._judged.get(header.header_hash)
            if lost is not None:
                if known is None or again:
                    self.batch(header)  # its data may be gone when its turn comes: the store has them then
                self._note(Judged(header.batch_number, header.header_hash, Verdict.ORPHAN, f"batch {lost.batch_number} before it is {lost.verdict}"))
                continue
            settled = known is not None and (known.verdict == Verdict.WRONG or (known.verdict == Verdict.MISSING and not again))
            judged = known if known is not None and settled else self._judge_one(header)
            if judged.verdict in (Verdict.WRONG, Verdict.MISSING):
                lost = judged
            else:
                self._applied.append(header.header_hash)

    def _judge_one(self, header: BatchHeader) -> Judged:
        """The verdict; the tip moves on where the data lead. A verdict that was reached before a restart is not reached again."""
        known = self.store.judged(header.header_hash)
        if known is not None and known.verdict in (Verdict.HOLDS, Verdict.REBUILT, Verdict.UNFOUNDED):
            self.examiner.advance(self._tip, self.batch(header), self.history.queue)
            self._judged[header.header_hash] = known
            return known
        found = self._examine(self._tip, header)
        if found.after is not None:
            self._tip = found.after
        return self._conclude(header, found)

    def _check_unchecked(self) -> None:
        """Transcripts that nobody had may be had by now."""
        unchecked = [header for header, judged in self.standing() if judged.verdict == Verdict.UNCHECKED]
        found = {header.header_hash for header in unchecked if self.batch(header).transcript is not None}
        if not found:
            return
        state = self._final.copy()
        for header in self.history.batches[state.batch_number :][: len(self._applied)]:
            if header.header_hash in found:
                self._conclude(header, self._examine(state, header))
            self.examiner.advance(state, self.batch(header), self.history.queue)

    def _examine(self, state: CommittedState, header: BatchHeader) -> Examined:
        return self.examiner.examine(state, self._follower.batch(header, examined=True), self.history, self._follower.epochs)

    def _conclude(self, header: BatchHeader, found: Examined) -> Judged:
        judged = Judged(header.batch_number, header.header_hash, found.verdict, found.reason, (*found.notes, *self._oracles(header, found)))
        self._note(judged)
        return judged

    def _note(self, judged: Judged) -> None:
        """Keep a verdict, and say it when it is new."""
        if self._judged.get(judged.header_hash) != judged:
            self._judged[judged.header_hash] = judged
            self.store.save_judged(judged)
            reason = f": {judged.reason}" if judged.reason else ""
            self._report(f"batch {judged.batch_number} {judged.verdict}{reason}")
            for note in judged.notes:
                self._report(f"batch {judged.batch_number}, note: {note}")

    def _oracles(self, header: BatchHeader, found: Examined) -> list[str]:
        """What oracles owe their published inputs up to the batch's epoch."""
        if found.after is None:
            return []
        try:
            self._succession.advance(self._follower.epochs, self.batch(header).epoch)
        except RiskInputError as error:
            return [f"oracles: epoch {self._succession.epoch}: {error}"]
        return []

    def _advance_final(self) -> None:
        """The final state follows layer 1's."""
        while self._final.batch_number < len(self.history.final):
            header = self.history.batches[self._final.batch_number]
            if not self._applied or self._applied[0] != header.header_hash:
                judged = self._judged.get(header.header_hash)
                if judged is not None and judged.verdict == Verdict.MISSING:
                    return  # its body is asked for again, and the state waits
                found = f"{judged.verdict}: {judged.reason}" if judged else "not judged"
                raise WatchError(f"batch {header.batch_number} is final on layer 1 and cannot be rebuilt ({found}): the state is not known from here on")
            self.examiner.advance(self._final, self.batch(header), self.history.queue)
            self._final_header = self._applied.pop(0)
        if self._final.batch_number >= self._copied + COPY_EVERY:
            self.keep_copy()


def happened(event: Event) -> str:
    """An event as a line; empty for those that are told otherwise."""
    match event:
        case BatchChallenged():
            due = datetime.fromtimestamp(event.due_s, UTC)
            return f"batch {event.batch_number} challenged by {event.challenger}: a proof is due by {due:%Y-%m-%d %H:%M:%S} UTC"
        case BatchProven():
            return f"batch {event.batch_number} proven, paid to {event.beneficiary}"
        case BatchFinalised():
            return f"batch {event.batch_number} final"
        case BatchesVoided():
            return f"batches {event.first} to {event.last} void"
        case Frozen():
            return "frozen: no proposal any more, exits follow (straddle exit)"
    return ""
