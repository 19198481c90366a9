"""Layer-1 cost of a trade: computed, not measured here, from the gas that tests/contracts asserts and from the preset's sizes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.measure import Results
from straddle.proving.presets import load_preset

SUBJECT = "layer 1"
SNAPSHOT = Path(__file__).resolve().parents[1] / "tests" / "contracts" / "gas.json"
BODY = "full body"
GAS_PER_TRADE_BARS = {"demo": 20_000, "standard": 4_500}


def run(results: Results) -> None:
    """A batch of a preset with as many fills as it holds, proposed and proved with a body that is full."""
    if not SNAPSHOT.is_file():
        results.leave_out(SUBJECT, "gas", f"{SNAPSHOT.name} is missing")
        return
    snapshot = json.loads(SNAPSHOT.read_text())
    for name, bar in GAS_PER_TRADE_BARS.items():
        _preset(results, name, snapshot[name], bar)
    results.fact(SUBJECT, "gas of an epoch's table", snapshot["demo"]["submit_epoch, 3 signatures, 2 kB of inputs"], "gas", note="once an epoch")


def _preset(results: Results, name: str, gas: dict[str, int], bar: int) -> None:
    sizes = load_preset(name)
    note = f"computed from tests/contracts/gas.json over the {sizes.fills} fills that the batch has room for; fewer fills cost more each"
    propose, prove = gas[f"propose, {BODY}"], gas[f"prove, {BODY}"]
    results.fact(SUBJECT, f"gas to propose a full {name} batch", propose, "gas", note="calldata included")
    results.fact(SUBJECT, f"gas to prove a full {name} batch", prove, "gas")
    results.fact(SUBJECT, f"gas a trade, full {name} batch", (propose + prove) / sizes.fills, "gas", bar=bar, note=note)
    effects, body = sizes.effects_words, sizes.body_words
    words = f"{effects} words of effects, {body} of body, over {sizes.fills} fills; proving sends the effects again"
    results.fact(SUBJECT, f"bytes of data a trade, full {name} batch", 32 * (effects + body) / sizes.fills, "bytes", note=words)
