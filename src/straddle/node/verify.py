"""Rebuild an exchange from layer-1 data alone (a validium: with bodies from a member of its committee) and compare everything that can be compared.

Nothing here is told anything by the sequencer: the deployment's record says where to look, and is itself checked against the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from straddle.commitments.body import decode_body
from straddle.commitments.data import Effects
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.commitments.preset import Preset
from straddle.core.commands import L1Deposit
from straddle.core.params import Params
from straddle.l1.deployment import Deployment
from straddle.l1.history import BatchProposed, BlobSource, BodySource, History, read_history
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.node.session import positions_sum
from straddle.node.version import terms_of
from straddle.risk.inputs import RiskInputError
from straddle.risk.oracle import OracleError
from straddle.watcher.examine import word_faults
from straddle.watcher.tables import Succession, check_signatures, recompute_table

Progress = Callable[[str, float], None]


@dataclass(slots=True)
class VerifyReport:
    """What was compared. `mismatches` is empty when everything agrees."""

    block: int
    batches: int = 0
    proposals: int = 0
    """Proposals that are not final yet; they do not count."""
    accounts: int = 0
    tables: int = 0
    """Risk tables recomputed from the published inputs."""
    state_root: int = 0
    state_root_on_layer_1: int = 0
    cash_micros: int = 0
    """Sum of all cash in the rebuilt state."""
    vault_row_micros: int = 0
    queued_micros: int = 0
    """Deposits that no final batch has answered."""
    conservation_error_micros: int = 0
    position_sums_not_zero: int = 0
    """Instruments whose positions do not sum to zero."""
    mismatches: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.mismatches


def nothing_shown(what: str, done: float) -> None:
    """Progress that nobody sees."""


def verify(
    rpc: Rpc,
    deployment: Deployment,
    progress: Progress = nothing_shown,
    *,
    blobs: BlobSource | None = None,
    bodies: BodySource | None = None,
) -> VerifyReport:
    """Rebuild up to the newest block. DeploymentError, HistoryError: the record or the node's answers contradict themselves."""
    deployment.check(rpc)
    preset, params = terms_of(deployment)
    progress("reading layer 1", 0.0)
    history = read_history(rpc, deployment, blobs=blobs, bodies=bodies)
    rebuild = _Rebuild(deployment, preset, params, history)
    for i, _ in enumerate(history.final):
        progress("rebuilding", i / len(history.final))
        if not rebuild.batch(history.batches[i]):
            break
    rebuild.compare(RollupClient(rpc, deployment))
    progress("rebuilding", 1.0)
    return rebuild.report


class _Rebuild:
    def __init__(self, deployment: Deployment, preset: Preset, params: Params, history: History) -> None:
        self.deployment, self.preset, self.params, self.history = deployment, preset, params, history
        self.report = VerifyReport(history.to_block, proposals=len(history.batches) - len(history.final))
        self.state = CommittedState.genesis(params, int(deployment.config.operator, 16))
        self.queue = queue_commands(history.queue)
        self._succession = Succession(deployment.parameters.risk)
        self._expect("genesis root", self.state.root, deployment.config.genesis_root)

    def batch(self, posted: BatchProposed) -> bool:
        """Apply one final batch; False when the state cannot be carried on."""
        where, settled = f"batch {posted.batch_number}", set(self.state.listed.settled)
        if posted.body is None:
            self.report.mismatches.append(f"{where}: its body lies in {posted.place.data.name.lower()} and none of the sources given has it")
            return False
        try:
            effects, body = decode_effects(posted.effects, self.preset), decode_body(posted.body, self.preset)
            first = effects.queue_first
            self.state.apply_data(effects, body, self.queue[first : first + len(effects.queue)])
        except (LedgerError, ValueError) as error:
            self.report.mismatches.append(f"{where}: {error}")
            return False
        self._expect(f"{where} state root", self.state.root, self.history.final[posted.batch_number - 1].state_root)
        self.report.mismatches += [f"{where}: {fault}" for fault in word_faults(body.listings, settled, self.state)]
        self._table(where, effects)
        self.report.batches += 1
        return True

    def compare(self, client: RollupClient) -> None:
        """The end state against what the contracts hold."""
        report, accounts = self.report, self.state.accounts
        report.accounts = len(accounts)
        report.state_root, report.state_root_on_layer_1 = self.state.root, client.state_root()
        self._expect("state root", report.state_root, report.state_root_on_layer_1)
        report.cash_micros = sum(committed.account.cash for committed in accounts.values())
        report.queued_micros = sum(entry.amount for entry in self.queue[self.state.queue_pointer :] if isinstance(entry, L1Deposit))
        report.vault_row_micros = client.row()
        report.conservation_error_micros = report.vault_row_micros - report.queued_micros - report.cash_micros
        self._expect("vault row less queued deposits", report.vault_row_micros - report.queued_micros, report.cash_micros)
        for instrument, total in positions_sum({number: committed.account.positions for number, committed in accounts.items()}).items():
            self._expect(f"sum of positions in instrument {instrument}", total, 0)
            report.position_sums_not_zero += 1

    def _table(self, where: str, effects: Effects) -> None:
        """The batch's risk table, recomputed from the published inputs over the instruments listed by then."""
        epoch = self.history.epochs.get(effects.epoch)
        if epoch is None:
            self.report.mismatches.append(f"{where}: epoch {effects.epoch} was never submitted")
            return
        try:
            table, root = recompute_table(epoch.inputs, self.state.listed, self.deployment.parameters.risk)
            self._expect(f"{where} risk root from the inputs of epoch {epoch.epoch}", root, effects.risk_root)
            self._expect(f"{where} risk root of epoch {epoch.epoch}", epoch.risk_root, effects.risk_root)
            self._expect(f"{where} time_ms", effects.time_ms, table.time_ms)
            if self._succession.epoch != epoch.epoch:
                self.report.tables += 1
                self._succession.advance(self.history.epochs, epoch.epoch)
            check_signatures(self.deployment, epoch)
        except (RiskInputError, OracleError, ValueError) as error:
            self.report.mismatches.append(f"{where}: epoch {epoch.epoch}: {error}")

    def _expect(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            self.report.mismatches.append(f"{what}: {_shown(found)}, expected {_shown(expected)}")


def _shown(value: int) -> str:
    return f"{value:#x}" if value >= 2**64 else str(value)
