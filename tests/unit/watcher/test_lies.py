"""Every ready-made lie of a sequencer, sent as it would be: data and a transcript. The witness that a watcher rebuilds from them breaks the very rule."""

from __future__ import annotations

import pytest

from straddle.commitments.body import decode_body
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import LedgerError
from straddle.proving.checker import check
from straddle.proving.complete import Rebuilt, complete
from straddle.proving.transcript import TranscriptError, decode, encode
from tests.differential import lies_liquidation
from tests.differential.lies import LIES, Lie
from tests.differential.scenes import PRESET

MODULES = (lies_liquidation,)
"""Imported so that they register what they hold."""
EVERY = {lie.name: lie for lie in LIES}


@pytest.mark.parametrize("name", EVERY)
def test_no_lie_survives_its_transcript(name: str) -> None:
    lie: Lie = EVERY[name]
    closed = lie.tell().close()
    posted, state = closed.posted, closed.before.copy()
    assert closed.batch.table is not None
    try:
        effects, body = decode_effects(posted.effects_words, PRESET), decode_body(posted.body_words, PRESET)
        change = state.apply_data(effects, body, closed.batch.queue)
        rebuilt = Rebuilt(effects, body, change, state.listed, closed.batch.table.rows, state.params)
        witness = complete(decode(encode(posted.witness), PRESET), rebuilt, PRESET.name, posted.witness.public)
    except (LedgerError, TranscriptError):
        return  # the data contradict themselves, or rows have no place in a transcript
    failure = check(witness, PRESET)
    # Nonces of actions are the leaf's: a second action of a batch has no nonce of its own, and its signature fits nothing.
    expected = "signatures" if name == "act_twice_in_a_batch" else lie.rule
    assert failure is not None and failure.rule == expected, (name, failure)
