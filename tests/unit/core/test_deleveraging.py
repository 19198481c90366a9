from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.market import CALL, INSTRUMENTS, PERPETUAL, PUT, TIME_MS, row, table

from straddle.core.deleveraging import bearable_ticks, shares
from straddle.core.risk_table import RiskTable

SIZES = st.integers(-(10**7), 10**7).filter(bool)


def test_a_position_bears_the_band_and_a_short_one_no_more_than_the_mark() -> None:
    option = row(INSTRUMENTS[0], value=5_000, band=6_000)
    assert bearable_ticks(option, 1) == 6_000 and bearable_ticks(option, -1) == 5_000
    assert bearable_ticks(replace(option, value=-1), -1) == 0


@given(st.dictionaries(st.sampled_from([CALL, PUT, PERPETUAL]), SIZES), st.integers(1, 10**13), st.sampled_from([0, 1, 6_000, 2**39 - 1]))
def test_shares_bring_back_no_more_than_the_deficit_and_almost_all_of_it(positions: dict[int, int], deficit: int, band: int) -> None:
    rows = RiskTable(1, TIME_MS, 900_000, tuple(replace(item, band=band) for item in table().rows))
    found = shares(positions, rows, deficit)
    lots, back = sum(map(abs, positions.values())), sum(abs(size) * found[instrument] for instrument, size in positions.items())
    at_most = sum(abs(size) * bearable_ticks(rows[instrument], size) for instrument, size in positions.items())
    assert back <= min(deficit, at_most) and min(deficit, at_most) - back <= lots
    assert all(0 <= found[instrument] <= bearable_ticks(rows[instrument], size) for instrument, size in positions.items())


def test_what_has_expired_is_left_for_its_settlement() -> None:
    rows = table(time_ms=INSTRUMENTS[0].expiry_ms)
    assert shares({CALL: 5, PERPETUAL: -5}, rows, 10) == {PERPETUAL: 2}
