from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.risk.concentration import TradedLots, concentration_charges, concentration_rate_bps, market_activity
from straddle.risk.parameters import DEFAULT_PARAMETERS as PARAMETERS

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("interest", "traded", "rate"),
    [(0, 0, 0), (1, 0, 3_000), (300, 100, 0), (301, 100, 1), (650, 100, 500), (1_000, 100, 1_000), (2_000, 100, 2_000), (10**18, 1, 3_000), (5, 10**18, 0)],
)
def test_rate(interest, traded, rate):
    assert concentration_rate_bps(interest, traded, PARAMETERS) == rate


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_more_interest_or_less_volume_never_lowers_the_rate(interest, traded, more):
    rate = concentration_rate_bps(interest, traded, PARAMETERS)
    assert 0 <= rate <= concentration_rate_bps(interest + more, traded, PARAMETERS) <= 3_000
    assert traded == 0 or concentration_rate_bps(interest, traded + more, PARAMETERS) <= rate


def test_charges_are_a_part_of_each_sides_own_loss():
    assert concentration_charges(1_000, (-51, 0, 200), PARAMETERS) == (6, 5, 20, 16)
    assert concentration_charges(3_000, (5, 7), PARAMETERS) == (0, 0, 3, 3)
    assert concentration_charges(3_000, (0, 0), PARAMETERS) == (0, 0, 0, 0)


def test_activity_is_counted_by_expiry():
    instruments = [Instrument(i, Kind.CALL, BTC, expiry, 5, 1, 1, 1) for i, expiry in ((1, 100), (2, 100), (3, 200), (4, 300))]
    instruments.append(Instrument(5, Kind.PERPETUAL, BTC, NEVER_MS, 0, 1, 1, 1))
    accounts = [{1: 10, 2: -4, 5: 3}, {1: -10, 2: 4}, {5: -3, 9: 77}]
    assert market_activity(accounts, instruments, {200: 8, 999: 1}) == ((100, 14, 0), (200, 0, 8), (NEVER_MS, 3, 0))


@given(st.lists(st.tuples(st.integers(0, 72 * HOUR), st.sampled_from([100, 200]), st.integers(1, 50)), max_size=30))
def test_volume_is_that_of_the_last_24_hour_buckets(trades):
    rolling, now = TradedLots(), 0
    for time_ms, expiry, lots in sorted(trades):
        rolling.add(time_ms, expiry, lots)
        now = time_ms
        expected: dict[int, int] = defaultdict(int)
        for before, its_expiry, its_lots in trades:
            if (before, its_expiry, its_lots) <= (time_ms, expiry, lots) and before // HOUR > now // HOUR - 24:
                expected[its_expiry] += its_lots
        if len(set(trades)) == len(trades):
            assert rolling.last_day(now) == expected
    assert rolling.last_day(now + 25 * HOUR) == {}


def test_a_bucket_is_forgotten_after_a_day():
    rolling = TradedLots()
    rolling.add(HOUR - 1, 100, 5)
    assert rolling.last_day(24 * HOUR - 1) == {100: 5} and rolling.last_day(24 * HOUR) == {}
