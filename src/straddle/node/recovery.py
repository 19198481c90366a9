"""The final state of a rollup and its risk tables, from layer-1 data (for a validium: from whoever has the bodies): what exits, proofs of solvency and
batches of strangers need.

Unlike in `straddle.node.verify`, nothing is compared beyond what makes the result certain: the state's root is the contract's, a table's is the recorded one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from straddle.commitments.body import decode_body
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.commitments.listings import Listings
from straddle.commitments.preset import Preset
from straddle.commitments.state_copy import StateCopyError, inflated_bytes, load_state
from straddle.core.instruments import Settlement
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.l1.deployment import Deployment
from straddle.l1.history import EpochSubmitted, History
from straddle.l1.queue import queue_commands
from straddle.primitives.errors import Actionable
from straddle.risk.inputs import decode_inputs
from straddle.risk.parameters import RiskParameters
from straddle.risk.settlement import settlement_value
from straddle.watcher.tables import recompute_table


class RecoveryError(Actionable):
    """The data at hand do not give the final state."""


def final_state(history: History, deployment: Deployment, preset: Preset, params: Params, known: CommittedState | None = None) -> CommittedState:
    """The state after the newest final batch. `known`, that after an earlier one, saves going through all of them again; it stays as it is.

    RecoveryError: a body is missing, or the data contradict themselves.
    """
    queue = queue_commands(history.queue)
    whole = known is not None and all(posted.body is not None for posted in history.batches[known.batch_number : len(history.final)])
    state = known.copy() if known is not None and whole else _start(history, deployment, params)
    for posted, final in list(zip(history.batches, history.final, strict=False))[state.batch_number :]:
        assert posted.body is not None
        where = f"batch {posted.batch_number}"
        try:
            effects, body = decode_effects(posted.effects, preset), decode_body(posted.body, preset)
            state.apply_data(effects, body, queue[effects.queue_first : effects.queue_first + len(effects.queue)])
        except (LedgerError, ValueError) as error:
            raise RecoveryError(f"{where}: {error}") from error
        if state.root != final.state_root:
            raise RecoveryError(f"{where}: the data give root {state.root:#x}, layer 1 has {final.state_root:#x}")
    return state


def _start(history: History, deployment: Deployment, params: Params) -> CommittedState:
    """Genesis; or, where bodies are missing, the newest state after them whose copy lies on layer 1."""
    count = len(history.final)
    missing = [posted.batch_number for posted in history.batches[:count] if posted.body is None]
    if not missing:
        return CommittedState.genesis(params, int(deployment.config.operator, 16))
    for final in reversed(history.final[missing[-1] - 1 :]):
        for copy in sorted(history.snapshots.get(final.state_root, []), key=inflated_bytes):  # anybody may have posted anything
            with suppress(StateCopyError):
                state = load_state(copy, params)
                if state.root == final.state_root and state.batch_number == final.batch_number:
                    return state
    raise RecoveryError(
        f"batch {missing[-1]}: its data are not on layer 1, or no longer. Ask one honest member of the committee, or whoever keeps the blobs (--data). "
        "To leave a frozen rollup, the account that you saved is enough (straddle exit --saved)"
    )


def recorded_table(epoch: EpochSubmitted, listed: Listings, parameters: RiskParameters) -> RiskTable | None:
    """The risk table that the oracles signed for an epoch; None when they signed it for other listings than these."""
    try:
        table, root = recompute_table(epoch.inputs, listed, parameters)
    except ValueError:  # RiskInputError is one: the feed has no value for an instrument of these listings
        return None
    return table if (root, table.time_ms) == (epoch.risk_root, epoch.time_ms) else None


@dataclass(frozen=True, slots=True)
class BatchTable:
    """A recorded table that the next batch can be priced on, and the settlement words that go with it."""

    epoch: EpochSubmitted
    table: RiskTable
    words: tuple[Settlement, ...]


def batch_table(epoch: EpochSubmitted, listed: Listings, words_max: int, parameters: RiskParameters) -> BatchTable | None:
    """An epoch for a batch on these listings, or on these and the settlements that are due, if that is what the oracles signed for; None: neither."""
    for words in ((), _due_settlements(epoch, listed, words_max)):
        table = recorded_table(epoch, listed.extended(words), parameters)
        if table is not None:
            return BatchTable(epoch, table, words)
    return None


def _due_settlements(epoch: EpochSubmitted, listed: Listings, words_max: int) -> tuple[Settlement, ...]:
    """What has expired, is not declared, and has its price in the published inputs: by id, as many as a batch has words for."""
    try:
        prices = dict(decode_inputs(epoch.inputs).settlements)
    except ValueError:
        return ()
    due = [item for item in listed.tabled if item.expiry_ms in prices and item.id not in listed.settled]
    return tuple(Settlement(item.id, item.underlying, settlement_value(item, prices[item.expiry_ms])) for item in due[:words_max])
