"""Layer-1 cost of a trade: computed, not measured here, from the gas that tests/contracts asserts and from the preset's sizes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import Results
from benchmarks.recorded import load_recorded
from straddle.proving.presets import load_preset
from straddle.risk.inputs import encode_inputs

SUBJECT = "layer 1"
SNAPSHOT = Path(__file__).resolve().parents[1] / "tests" / "contracts" / "gas.json"
BODY, TABLE = "full body", "submit_epoch, 3 signatures, the recorded market"
GAS_PER_TRADE_BARS = {"demo": 20_000, "standard": 4_500}


def run(results: Results) -> None:
    """A batch of a preset with as many fills as it holds, proposed and proved with a body that is full, and the one risk table that it is on."""
    if not SNAPSHOT.is_file():
        results.leave_out(SUBJECT, "gas", f"{SNAPSHOT.name} is missing")
        return
    snapshot = json.loads(SNAPSHOT.read_text())
    table_bytes = len(encode_inputs(load_recorded().inputs))
    for name, bar in GAS_PER_TRADE_BARS.items():
        _preset(results, name, snapshot[name], bar, table_bytes)
    results.fact(SUBJECT, "gas of an epoch's table", snapshot["demo"][TABLE], "gas", note="inputs of the recorded market, 3 signatures; once an epoch")


def _preset(results: Results, name: str, gas: dict[str, int], bar: int, table_bytes: int) -> None:
    sizes = load_preset(name)
    note = f"computed from tests/contracts/gas.json over the {sizes.fills} fills that the batch has room for; fewer fills cost more each"
    propose, prove, table = gas[f"propose, {BODY}"], gas[f"prove, {BODY}"], gas[TABLE]
    results.fact(SUBJECT, f"gas to propose a full {name} batch", propose, "gas", note="calldata included")
    results.fact(SUBJECT, f"gas to prove a full {name} batch", prove, "gas")
    results.fact(SUBJECT, f"gas a trade, full {name} batch, one table a batch", (propose + prove + table) / sizes.fills, "gas", bar=bar, note=note)
    results.fact(SUBJECT, f"of which the table, full {name} batch", table / sizes.fills, "gas")
    effects, body = sizes.effects_words, sizes.body_words
    words = f"{effects} words of effects, {body} of body, {table_bytes} bytes of the table's inputs, over {sizes.fills} fills; proving sends the effects again"
    data_bytes = (32 * (effects + body) + table_bytes) / sizes.fills
    results.fact(SUBJECT, f"bytes of data a trade, full {name} batch, one table a batch", data_bytes, "bytes", note=words)
