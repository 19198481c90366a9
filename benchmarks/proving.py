"""Proving with the `nano` preset, and how big the circuits are."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.market_session import post, run_night
from benchmarks.measure import Results, cpu_seconds
from straddle.node.config import DemoConfig
from straddle.proving.prover import Prover, ProverError

SUBJECT = "proving"


def run(results: Results) -> None:
    """One proof; constraints of both presets."""
    try:
        prover = Prover()
    except ProverError as error:
        results.leave_out(SUBJECT, "all of it", str(error))
        return
    _constraints(results, prover, "demo")
    _prove(results, prover, "nano")


def _constraints(results: Results, prover: Prover, preset: str) -> None:
    begun = cpu_seconds()
    circuit = prover.circuit(preset)
    results.note(SUBJECT, f"compile the {preset} circuit", 1, (cpu_seconds() - begun,))
    results.fact(SUBJECT, f"constraints, {preset}", circuit["constraints"], "constraints")
    for kind, count in sorted(circuit["constraints_by_row"].items(), key=lambda item: -item[1]):
        results.fact(SUBJECT, f"constraints, {preset}, each {kind} row", count, "constraints")


def _prove(results: Results, prover: Prover, preset: str) -> None:
    """`prove` compiles and loads the keys each time; what the proof itself took is the prover's own count."""
    with tempfile.TemporaryDirectory() as folder:
        run_ = run_night(DemoConfig.recorded(preset=preset, rounds=1, hours=1), Path(folder))
        batches = post(run_)
    fills = [len(closed.batch.fills) for closed in run_.exchange.closed]
    at = fills.index(max(fills))
    prover.setup(preset)
    begun = cpu_seconds()
    proved = prover.prove(batches[at].witness)
    whole = cpu_seconds() - begun
    results.note(SUBJECT, f"prove a {preset} batch", 1, (proved.cpu_seconds,), note=f"{fills[at]} fills; the proof alone, one run")
    results.note(SUBJECT, f"prove a {preset} batch, whole process", 1, (whole,), note="compiling and loading keys included, one run")
    results.fact(SUBJECT, f"CPU seconds a fill, {preset}", proved.cpu_seconds / fills[at], "seconds", note="this batch's fills, not the preset's room")
