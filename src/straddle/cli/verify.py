"""`straddle verify`: the state from layer-1 data alone, and every root compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from straddle.cli.common import clear_errors, finish, output
from straddle.cli.display import TerminalDisplay, verify_table
from straddle.cli.layer1 import DataOption, open_sources
from straddle.l1.deployment import Deployment
from straddle.l1.rpc import Rpc
from straddle.node.verify import verify as verify_rollup
from straddle.node.verifying_keys import check_keys, check_sizes, verifying_keys
from straddle.primitives.files import read_text


def verify(
    l1: Annotated[str, typer.Option("--l1", help="JSON-RPC address of a layer-1 node.")],
    deployment: Annotated[Path, typer.Option(help="The deployment's record (JSON).")],
    vk_id: Annotated[str | None, typer.Option("--vk-id", help="Verifying key of batches that you expect, 32 bytes in hex: of a set-up that you trust.")] = None,
    exits_vk_id: Annotated[str | None, typer.Option("--exits-vk-id", help="The one of exits: whoever can forge it takes everything after a freeze.")] = None,
    solvency_vk_id: Annotated[str | None, typer.Option("--solvency-vk-id", help="The one of solvency.")] = None,
    data: DataOption = None,
) -> None:
    """Rebuild a rollup's state from layer-1 data (a validium: with one member's) and compare every root, every risk table and the vault.

    Exit code 1 when something differs.
    """
    with clear_errors():
        record = Deployment.from_json(read_text("--deployment", deployment))
        trusted = check_keys(record, {"batch": vk_id, "exits": exits_vk_id, "solvency": solvency_vk_id})
        check_sizes(record)
        with Rpc(l1) as rpc, TerminalDisplay(output) as display:
            blobs, bodies = open_sources(rpc, record, data)
            report = verify_rollup(rpc, record, display.progress, blobs=blobs, bodies=bodies)
        output.print(verify_table(report, verifying_keys(record), trusted))
    finish(report.mismatches)
