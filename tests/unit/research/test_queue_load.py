"""What filling the queue costs, and how long it takes to answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.proving.presets import load_preset
from straddle.research.prices import REFERENCE
from straddle.research.queue_load import EntryCosts, queue_load, worst_entries_a_batch

DEMO = load_preset("demo")
COSTS = EntryCosts(90_000, 110_000, 10**12, 10**6, 8_192, 30_000_000)


def test_the_cheapest_entry_pays_no_fee_and_the_slowest_two_share_one():
    found = queue_load(DEMO, DEMO.positions // 2, 20.0, COSTS, REFERENCE)
    cheapest, slowest = found.cheapest, found.slowest
    assert (cheapest.entries_a_batch, slowest.entries_a_batch) == (DEMO.queue, 2)
    assert cheapest.dollars_an_entry == pytest.approx(REFERENCE.dollars(90_000))
    assert slowest.dollars_an_entry == pytest.approx(REFERENCE.dollars(100_000) + REFERENCE.dollars_of_wei(10**12) / 2)
    assert cheapest.hours_to_drain == pytest.approx(8_192 / DEMO.queue * 20 / 3_600)
    assert slowest.hours_to_drain == pytest.approx(4_096 * 20 / 3_600)
    assert slowest.dollars_to_fill == pytest.approx(8_192 * slowest.dollars_an_entry)
    assert slowest.dollars_for_a_week == pytest.approx(7 * 86_400 / 20 * 2 * slowest.dollars_an_entry)
    assert found.block_proof_seconds == pytest.approx(300 / 2 * 20)


def test_a_last_batch_that_is_not_full_is_a_proof_too():
    assert queue_load(DEMO, DEMO.positions // 2, 3_600.0, replace(COSTS, waiting_most=3), REFERENCE).slowest.hours_to_drain == 2


@pytest.mark.parametrize(("cap", "seconds", "named"), [(0, 1.0, "positions_cap"), (DEMO.positions + 1, 1.0, "positions_cap"), (1, 0.0, "proof_seconds")])
def test_senseless_questions_are_refused(cap, seconds, named):
    with pytest.raises(ValueError, match=named):
        queue_load(DEMO, cap, seconds, COSTS, REFERENCE)


def test_queue_rows_bound_what_a_batch_answers():
    assert worst_entries_a_batch(DEMO, 1) == min(DEMO.queue, DEMO.accounts)
