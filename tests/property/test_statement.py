"""What the engine accepts is provable: random runs, batch by batch, pass the plain reference of the statement."""

from __future__ import annotations

import pytest
from support.market import DOMAIN, NANO, OPERATOR
from support.random_run import seeded_run

from straddle.commitments.ledger import CommittedState
from straddle.proving.build import HeaderFacts, build_witness
from straddle.proving.checker import check
from straddle.proving.presets import load_preset
from straddle.proving.vector import ChainFacts

CHAIN = ChainFacts(31337, 2, b"\1" * 32, b"\2" * 32, 3)


@pytest.mark.parametrize("seed", range(4))
def test_random_batches_satisfy_the_statement(seed: int) -> None:
    preset = load_preset("nano")
    run = seeded_run(1_000 + seed, 200, account_depth=preset.account_depth, slot_depth=preset.slot_depth)
    state = CommittedState.genesis(run.exchange.params, OPERATOR)
    assert run.exchange.capacity == NANO and sum(len(batch.fills) for batch in run.market.closed) > 10
    for batch in run.market.closed:
        witness = build_witness(state, batch, preset, HeaderFacts(DOMAIN, 5), CHAIN).witness
        assert check(witness, preset) is None
        state.apply_batch(batch)
