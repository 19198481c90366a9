"""What the circuits cost: constraints by row kind, from one compilation of each preset, remembered for the prover's binary."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from benchmarks.measure import Results, cpu_seconds
from straddle.proving.presets import all_presets, load_preset
from straddle.proving.prover import Prover, ProverError

SUBJECT = "circuits"
CONSTRAINTS_PER_TRADE_BAR = 15_000


def run(results: Results) -> None:
    """Constraints of every preset: all, a row of each kind, and a trade when every fill row is used."""
    try:
        prover = Prover()
    except ProverError as error:
        results.leave_out(SUBJECT, "all of it", str(error))
        return
    for preset in all_presets():
        circuit = compiled(results, prover, preset)
        results.fact(SUBJECT, f"constraints, {preset}", circuit["constraints"], "constraints")
        for kind, count in sorted(circuit["constraints_by_row"].items(), key=lambda item: -item[1]):
            results.fact(SUBJECT, f"constraints, {preset}, each {kind} row", count, "constraints")
        fills = load_preset(preset).fills
        bar = CONSTRAINTS_PER_TRADE_BAR if preset == "standard" else None
        note = f"all rows of all kinds over {fills} fill rows; over the fills of a real batch: subjects demo-batch and standard"
        results.fact(SUBJECT, f"constraints a fill row, {preset}", circuit["constraints"] / fills, "constraints", bar=bar, note=note)


def compiled(results: Results, prover: Prover, preset: str) -> dict[str, Any]:
    """The circuit's constraints and digest; compiled when this binary has not been asked before."""
    binary = hashlib.sha256(prover.binary.read_bytes()).hexdigest()
    known = prover.cache.parent / "circuits" / f"{binary}-{preset}.json"
    if known.is_file():
        return dict(json.loads(known.read_text()))
    begun = cpu_seconds()
    circuit = prover.circuit(preset)
    results.note(SUBJECT, f"compile the {preset} circuit", 1, (cpu_seconds() - begun,), note="one run")
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(circuit))
    return circuit


def has_keys(prover: Prover, circuit: dict[str, Any]) -> bool:
    """Whether the proving keys of a circuit are at hand."""
    return (prover.cache / circuit["digest"] / "manifest.json").is_file()
