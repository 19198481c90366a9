"""What the circuits cost: constraints, and by row kind."""

from __future__ import annotations

from benchmarks.measure import Results
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
        circuit = prover.circuit(preset)
        results.fact(SUBJECT, f"constraints, {preset}", circuit.constraints, "constraints")
        for kind, count in sorted(prover.rows(preset).items(), key=lambda item: -item[1]):
            results.fact(SUBJECT, f"constraints, {preset}, each {kind} row", count, "constraints")
        fills = load_preset(preset).fills
        bar = CONSTRAINTS_PER_TRADE_BAR if preset == "standard" else None
        note = f"all rows of all kinds over {fills} fill rows; over the fills of a real batch: subjects demo-batch and standard"
        results.fact(SUBJECT, f"constraints a fill row, {preset}", circuit.constraints / fills, "constraints", bar=bar, note=note)
