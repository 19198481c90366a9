"""Proving with the `nano` preset, whose keys are made in seconds: one full batch, again and again by a process that stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.batches import offline, posted_batch
from benchmarks.measure import Results, cpu_seconds
from straddle.node.config import DemoConfig
from straddle.node.market import load_market
from straddle.proving.prover import Prover, ProverError
from straddle.proving.server import ProvingServer

SUBJECT = "proving"
PRESET, PROOFS = "nano", 5


def run(results: Results) -> None:
    """CPU seconds of a proof, and trades proved a second."""
    try:
        prover = Prover()
    except ProverError as error:
        results.leave_out(SUBJECT, "all of it", str(error))
        return
    config = DemoConfig.recorded(preset=PRESET)
    with tempfile.TemporaryDirectory() as folder:
        full = offline(config, load_market(config), Path(folder))
        full.open()
        fills, witness = len(full.fill().fills), posted_batch(full).witness
    prover.setup(PRESET)
    with ProvingServer(prover, PRESET) as server:
        begun = cpu_seconds()
        server.prove(witness)
        proofs = [server.prove(witness) for _ in range(PROOFS)]
    results.note(SUBJECT, "whole prover process", 1 + PROOFS, (cpu_seconds() - begun,), note=f"compiling, loading keys, {1 + PROOFS} proofs")
    results.note(SUBJECT, f"trades proved, {PRESET}", fills, tuple(proof.cpu_seconds for proof in proofs), note=f"a full batch, {fills} fills; the proof alone")
    rate = fills * PROOFS / sum(proof.wall_seconds for proof in proofs)
    results.fact(SUBJECT, f"trades proved a second, {PRESET}", rate, "a second", note="wall time, one batch after the other, all cores")
