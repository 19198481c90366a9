from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.settlement import IndexAverage, SettlementError, settlement_value

EXPIRY = 100_000


def average(*observations, window_ms=1_000, hold_ms=100):
    result = IndexAverage(EXPIRY, window_ms, hold_ms)
    for time_ms, ticks in observations:
        result.observe(time_ms, ticks)
    return result


def test_each_price_counts_as_long_as_it_stood():
    assert average((99_000, 10), (99_050, 20), (99_100, 40), hold_ms=900).price() == (50 * 10 + 50 * 20 + 900 * 40 + 500) // 1_000


def test_a_gap_does_not_count():
    """An observation holds for 100 ms; of the window 300 ms are observed."""
    found = average((99_000, 10), (99_500, 20), (99_900, 60))
    assert found.fixed(EXPIRY) == (300, 100 * 10 + 100 * 20 + 100 * 60) and found.price() == 30


def test_the_last_price_before_the_window_counts_for_its_start():
    assert average((98_940, 7)).fixed(EXPIRY) == (40, 280)
    assert average((98_890, 7)).fixed(EXPIRY) == (0, 0)


def test_without_any_observation_inside_the_last_one_before_is_the_price():
    assert average((50_000, 7), (60_000, 9)).price() == 9
    with pytest.raises(SettlementError, match="expected an observation"):
        average().price()


def test_nothing_at_or_after_expiry_counts():
    before = average((99_900, 8)).price()
    assert average((99_900, 8), (EXPIRY, 1_000_000), (EXPIRY + 5, 1)).price() == before == 8


def test_rounding_is_half_up():
    assert average((99_900, 1), (99_950, 2), hold_ms=50).price() == 2
    assert average((99_900, 1), (99_951, 2), hold_ms=60).price() == 1


def test_the_fixed_part_only_grows():
    found = average((99_000, 10), (99_300, 20))
    assert [found.fixed(moment) for moment in (99_300, 99_350, 99_400, 99_999)] == [(100, 1_000), (150, 2_000), (200, 3_000), (200, 3_000)]


@pytest.mark.parametrize(("observation", "match"), [((99_000, 5), "time_ms = 99000"), ((98_000, 5), "time_ms"), ((99_001, 0), "index_ticks = 0")])
def test_bad_observations_are_refused(observation, match):
    found = average((99_000, 10))
    with pytest.raises(SettlementError, match=match):
        found.observe(*observation)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(EXPIRY - 300, EXPIRY + 20), st.integers(1, 2**30 - 1), min_size=1, max_size=12), st.integers(1, 60), st.integers(1, 250))
def test_equals_the_average_counted_millisecond_by_millisecond(observations, hold_ms, window_ms):
    found = average(*sorted(observations.items()), window_ms=window_ms, hold_ms=hold_ms)
    seen = []
    for moment in range(EXPIRY - window_ms, EXPIRY):
        last = max((time_ms for time_ms in observations if time_ms <= moment), default=None)
        if last is not None and moment - last < hold_ms:
            seen.append(observations[last])
    assert found.fixed(EXPIRY) == (len(seen), sum(seen))
    if seen:
        assert found.price() == (2 * sum(seen) + len(seen)) // (2 * len(seen))


def test_window_and_hold_come_from_the_parameters():
    found = IndexAverage.of(EXPIRY, DEFAULT_PARAMETERS)
    assert (found.window_ms, found.hold_ms) == (1_800_000, 60_000)


def test_settlement_values():
    def value(kind, strike, price):
        return settlement_value(Instrument(1, kind, BTC, EXPIRY if kind is not Kind.PERPETUAL else NEVER_MS, strike, 1, 1, 1), price)

    assert (value(Kind.CALL, 90, 100), value(Kind.CALL, 110, 100)) == (10, 0)
    assert (value(Kind.PUT, 90, 100), value(Kind.PUT, 110, 100)) == (0, 10)
    assert value(Kind.FUTURE, 0, 100) == 100
    with pytest.raises(SettlementError, match="PERPETUAL"):
        value(Kind.PERPETUAL, 0, 100)
