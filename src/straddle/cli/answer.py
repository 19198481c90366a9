"""straddle answer: when the sequencer has left the queue unanswered for 7 days, anyone answers it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from straddle.cli.common import clear_errors, output
from straddle.cli.display import TerminalDisplay, steps_table
from straddle.cli.layer1 import DataOption, DeploymentOption, FromBlockOption, KeyOption, L1Option, RollupOption, find_rollup, open_sender, open_sources
from straddle.commitments.policy import Data
from straddle.l1.blobs import BlobArchive
from straddle.l1.deployment import Deployment
from straddle.l1.history import History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.answering import Answering, BatchProver, Stage
from straddle.node.config import ConfigError
from straddle.node.layer1 import PosterChain
from straddle.node.proving_keys import held_key, key_report
from straddle.node.version import preset_of, terms_of
from straddle.proving.prover import Prover, ProveResult
from straddle.proving.vector import circuit_name
from straddle.proving.witness import Witness


def answer_command(
    l1: L1Option,
    rollup: RollupOption = None,
    deployment: DeploymentOption = None,
    key: KeyOption = None,
    data: DataOption = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of the exchange's proving keys.", show_default="the prover's cache")] = None,
    once: Annotated[bool, typer.Option("--once", help="One batch, and no more.")] = False,
    prove: Annotated[bool, typer.Option("--prove", help="Optimistic rollups: prove the batches that this key proposed, which ends their wait.")] = False,
    from_block: FromBlockOption = 0,
) -> None:
    """Answer the queue of an exchange whose sequencer has not for 7 days: deposits, keys, forced withdrawals and closes, the oldest first.

    Anyone can. The state is rebuilt from layer-1 data; the batch is proved, or stands behind a bond. Says what was paid, what comes next and when.
    """
    with clear_errors():
        with Rpc(l1) as rpc, TerminalDisplay(output) as display:
            found = find_rollup(rpc, rollup, deployment, from_block)
            if prove and not found.config.optimistic:
                raise ConfigError(f"--prove: rollup {found.rollup} is a {found.config.policy}, every batch is proved; expected an optimistic rollup")
            sender = open_sender(rpc, key)
            standing = _answering(rpc, found, data, keys, display, once=once, prove=prove).advance(sender)
            ended = standing.next.stage is Stage.ANSWERED
            table = steps_table("Queue", standing, ended=ended, with_key=sender is not None)
            if sender is None and not ended:
                circuit = circuit_name(preset_of(found).name, found.config.data)
                table.add_row(
                    "proving key", escape(key_report(keys, circuit, found.vk_id, lambda report: display.progress(f"keys: {report.stage}", report.done)))
                )
        output.print(table)


def _answering(rpc: Rpc, found: Deployment, data: str | None, keys: Path | None, display: TerminalDisplay, *, once: bool, prove: bool) -> Answering:
    client, (preset, params) = RollupClient(rpc, found), terms_of(found)
    folder = data if data and found.config.data is Data.BLOB and not data.startswith(("http://", "https://")) else None

    def past() -> History:
        blobs, bodies = open_sources(rpc, found, data)
        return read_history(rpc, found, blobs=blobs, bodies=bodies)

    def chain(sender: Sender) -> PosterChain:
        return PosterChain(client, sender, archive=BlobArchive(Path(folder)) if folder else None)

    @cache
    def prover() -> BatchProver:
        return _Proving(Prover(cache=keys), found, circuit_name(preset.name, found.config.data), display)

    return Answering(client, preset, params, past, prover, chain, once=once, prove=prove, tell=display.stage)


class _Proving:
    """The prover, with the rollup's own keys, and what it says on the way."""

    def __init__(self, prover: Prover, found: Deployment, circuit: str, display: TerminalDisplay) -> None:
        """DeploymentError: this machine does not have the rollup's proving key."""
        self._prover, self._display = prover, display
        held_key(prover, circuit, found.vk_id, lambda report: display.progress(f"keys: {report.stage}", report.done))

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""
        return self._prover.prove(witness, lambda report: self._display.progress(f"proof: {report.stage}", report.done))
