"""One batch against the statement, on the watcher's own copy of the state: what can be known of it without a proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from straddle.commitments.body import decode_body
from straddle.commitments.cells import padded
from straddle.commitments.challenge import challenge, commitment, evaluate
from straddle.commitments.data import Body, Effects
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.commitments.listings import Listing
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.core.instruments import Retirement, Settlement
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.l1.deployment import Deployment
from straddle.l1.events import BatchProposed, EpochSubmitted, QueueEntryAdded
from straddle.l1.history import History, Outline
from straddle.l1.queue import queue_commands
from straddle.proving.checker import check
from straddle.proving.complete import Rebuilt, complete
from straddle.proving.transcript import TranscriptError, decode
from straddle.proving.vector import circuit_name
from straddle.proving.witness import PublicInputs, Witness
from straddle.risk.inputs import RiskInputError
from straddle.watcher.tables import recompute_table

AnyHistory = History | Outline


class Verdict(StrEnum):
    """What a watcher knows of a batch."""

    HOLDS = "holds"
    """The statement holds: a proof can be made."""
    REBUILT = "rebuilt"
    """The data lead to the new root. Where a proof is required the statement is left to it."""
    UNFOUNDED = "unfounded"
    """The data lead to the new root, and no transcript shows why: challenged like a wrong one."""
    WRONG = "wrong"
    """The data do not decode, contradict layer 1, or do not lead to the new root: no proof exists."""
    UNCHECKED = "unchecked"
    """The data lead to the new root; a blob of the transcript is not to be had, so that nothing can be said of the rest. It is asked for again."""
    MISSING = "missing"
    """No source has the body; nothing can be said."""
    ORPHAN = "orphan"
    """A batch before it is wrong or missing, so that its parent state is not known. It goes with that one."""

    @property
    def challenged(self) -> bool:
        """Whether a watcher challenges it."""
        return self in (Verdict.WRONG, Verdict.UNFOUNDED)


@dataclass(frozen=True, slots=True)
class Examined:
    """A verdict with its reason."""

    verdict: Verdict
    reason: str = ""
    """Empty when the batch holds."""
    notes: tuple[str, ...] = ()
    """What no proof rules out, but a reader should know."""
    after: CommittedState | None = None
    """The state after the batch, when the data lead there."""
    witness: Witness | None = None
    """When the statement holds: with the public inputs of layer 1 for a beneficiary of 0."""


class Examiner:
    """Examines the batches of one rollup."""

    def __init__(self, deployment: Deployment, preset: Preset, params: Params) -> None:
        self.deployment, self.preset, self.params = deployment, preset, params

    def advance(self, state: CommittedState, posted: BatchProposed, queue: Sequence[QueueEntryAdded]) -> tuple[Effects, Body, Rebuilt]:
        """What the data alone do to `state`, which is advanced. LedgerError, ValueError: they do not decode, or lead elsewhere; it is unchanged then."""
        if posted.body is None:
            raise LedgerError(f"body: not to be had, it lies in {posted.place.data.name.lower()}")
        effects = decode_effects(posted.effects, self.preset)
        body = decode_body(posted.body, self.preset)
        answered = queue_commands(queue[effects.queue_first : effects.queue_first + len(effects.queue)])
        change = state.apply_data(effects, body, answered)
        return effects, body, Rebuilt(effects, body, change, state.listed, (), self.params)

    def examine(self, before: CommittedState, posted: BatchProposed, history: AnyHistory, epochs: Mapping[int, EpochSubmitted]) -> Examined:
        """The verdict on a batch. `before` is the state that it starts from and stays as it is; `epochs` are the history's, with their data."""
        if posted.body is None:
            return Examined(Verdict.MISSING, f"no source has its body, which lies in {posted.place.data.name.lower()}")
        state = before.copy()
        try:
            if commitment(posted.effects, padded(posted.body, self.preset.body_words)) != posted.data_commitment:
                return Examined(Verdict.WRONG, "C is not the sponge of the data")
            effects, body, rebuilt = self.advance(state, posted, history.queue)
        except (LedgerError, ValueError) as error:
            return Examined(Verdict.WRONG, str(error))
        notes = (*word_faults(body.listings, set(before.listed.settled), state), *_older_table(posted, effects, history))
        table = self._table(effects, rebuilt, epochs)
        if not self.deployment.config.optimistic:
            return Examined(Verdict.REBUILT, notes=notes if isinstance(table, RiskTable) else (*notes, table), after=state)
        if not isinstance(table, RiskTable):
            return Examined(Verdict.UNFOUNDED, table, notes, state)
        if posted.transcript is None:
            return Examined(Verdict.UNCHECKED, "no source has the blobs with its transcript", notes, state)
        try:
            return self._statement(posted, posted.transcript, replace(rebuilt, table=table.rows), notes, state)
        except TranscriptError as error:
            return Examined(Verdict.UNFOUNDED, str(error), notes, state)
        except Exception as error:  # whatever a proposer's rows make of the checker, it must not end the watch
            return Examined(Verdict.UNFOUNDED, f"its rows cannot be checked: {error!r}", notes, state)

    def _table(self, effects: Effects, rebuilt: Rebuilt, epochs: Mapping[int, EpochSubmitted]) -> RiskTable | str:
        """The batch's risk table from the published inputs, or why they do not give it."""
        epoch = epochs.get(effects.epoch)
        if epoch is None:
            return f"epoch {effects.epoch} was never recorded"
        try:
            table, root = recompute_table(epoch.inputs, rebuilt.listed, self.deployment.parameters.risk)
        except (RiskInputError, ValueError) as error:
            return f"epoch {effects.epoch}: its published inputs give no table: {error}"
        if root != effects.risk_root:
            return f"risk root {effects.risk_root:#x}, expected {root:#x} from the published inputs of epoch {effects.epoch}"
        return table

    def _statement(self, posted: BatchProposed, rows: bytes, rebuilt: Rebuilt, notes: tuple[str, ...], after: CommittedState) -> Examined:
        transcript = decode(rows, self.preset)
        public = self.public(posted)
        # The checker knows no blobs: it evaluates the body as calldata's is.
        plain = replace(public, y_body=evaluate(posted.body or (), public.z))
        witness = complete(transcript, rebuilt, self.preset.name, plain)
        failure = check(witness, self.preset)
        if failure is not None:
            return Examined(Verdict.UNFOUNDED, f"{failure.rule}: {failure.detail}", notes, after)
        bound = replace(witness, preset=circuit_name(self.preset.name, posted.place.data), public=public)
        return Examined(Verdict.HOLDS, notes=notes, after=after, witness=bound)

    def public(self, posted: BatchProposed, beneficiary: int = 0) -> PublicInputs:
        """The public inputs under which layer 1 takes a proof of the batch."""
        deployment, body = self.deployment, posted.body or ()
        facts = (deployment.chain_id, deployment.rollup_number, deployment.vk_id, posted.batch_number, posted.parent_header_hash)
        z = challenge(*facts, posted.effects, body, posted.data_commitment, posted.place)
        y_body = posted.y_body if posted.place.data is Data.BLOB else evaluate(body, z)
        return PublicInputs(posted.data_commitment, z, evaluate(posted.effects, z), y_body, beneficiary)


def word_faults(words: Sequence[Listing], settled: Collection[int], after: CommittedState) -> list[str]:
    """What no proof says of a batch's words: an instrument settles once, and is retired once it has settled and nobody holds it.

    `settled` are the instruments settled before the batch, `after` is the state after it.
    """
    faults = [f"instrument {word.instrument} settled again" for word in words if isinstance(word, Settlement) and word.instrument in settled]
    for word in words:
        if not isinstance(word, Retirement):
            continue
        if word.instrument not in settled:
            faults.append(f"instrument {word.instrument} retired, expected a settled one")
        holders = [id_ for id_, committed in sorted(after.accounts.items()) if word.instrument in committed.account.positions]
        if holders:
            faults.append(f"instrument {word.instrument} retired, held by account {holders[0]}")
    return faults


def _older_table(posted: BatchProposed, effects: Effects, history: AnyHistory) -> list[str]:
    """A batch may use any recorded table that was young enough when it was proposed, and is not older than its parent's: no proof rules it out."""
    newest = history.newest_epoch(posted.block_number)
    return [f"priced on epoch {effects.epoch} although epoch {newest} was recorded before it"] if newest > effects.epoch else []
