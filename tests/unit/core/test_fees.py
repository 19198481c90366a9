from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import INSTRUMENTS, row

from straddle.core.fees import FeeSchedule, fill_fee, fill_fees, worst_unit_fee
from straddle.core.orders import Leg, Order, Side, outright
from straddle.core.risk_table import RiskTable

CALL_ROW, PUT_ROW, PERPETUAL_ROW = (row(instrument) for instrument in INSTRUMENTS)
SCHEDULE = FeeSchedule()


@pytest.mark.parametrize(
    ("bps", "index", "row_", "price", "size", "fee"),
    [
        (3, 900_000, CALL_ROW, 20_000, 10_000, 2_700_000),  # 0.03 % of $9,000 on 1 BTC: $2.70
        (1, 900_000, CALL_ROW, 20_000, 10_000, 900_000),
        (3, 900_000, CALL_ROW, 800, 10_000, 1_000_000),  # an $8 option: 12.5 % is $1
        (3, 900_000, PERPETUAL_ROW, 800, 10_000, 2_700_000),  # no cap on linear instruments
        (3, 900_001, CALL_ROW, 20_000, 1, 271),  # 270.0003, rounded up
        (3, 900_000, CALL_ROW, 1, 1, 1),  # 0.125, rounded up
        (3, 900_000, CALL_ROW, 0, 100, 0),
        (0, 900_000, CALL_ROW, 20_000, 100, 0),
    ],
)
def test_fill_fee(bps: int, index: int, row_: object, price: int, size: int, fee: int) -> None:
    assert fill_fee(bps, SCHEDULE, index, row_, price, size) == fee  # type: ignore[arg-type]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 10_000), st.integers(1, 10**7), st.integers(-100, 10**6), st.integers(0, 10**6), st.booleans())
def test_both_fees_are_those_of_each(taker: int, maker: int, cap: int, index: int, price: int, size: int, linear: bool) -> None:
    schedule, row_ = FeeSchedule(taker, maker, cap), PERPETUAL_ROW if linear else CALL_ROW
    assert fill_fees(schedule, index, row_, price, size) == tuple(fill_fee(bps, schedule, index, row_, price, size) for bps in (taker, maker))


@given(st.integers(1, 10**7), st.integers(14_000, 26_000), st.integers(0, 6_000), st.integers(1, 10**6), st.sampled_from(Side), st.sampled_from([1, 3]))
def test_no_fill_costs_more_than_the_worst_fee(index: int, limit: int, better: int, size: int, side: Side, bps: int) -> None:
    price = max(limit - better, 0) if side is Side.BUY else min(limit + better, CALL_ROW.mark + CALL_ROW.band)
    order = outright(1, 0, 1, size, limit, CALL_ROW.instrument, side, 0)
    worst = worst_unit_fee(SCHEDULE, RiskTable(1, 1, index, (CALL_ROW,)), order)
    assert fill_fee(bps, SCHEDULE, index, CALL_ROW, price, size) <= worst * size


@given(
    st.integers(1, 10**7), st.tuples(st.integers(14_000, 26_000), st.integers(9_000, 21_000)), st.integers(1, 10**6), st.sampled_from(Side), st.integers(1, 127)
)
def test_no_execution_of_a_combination_costs_more_than_the_worst_fee(index: int, prices: tuple[int, int], units: int, side: Side, ratio: int) -> None:
    rows = (CALL_ROW, PUT_ROW)
    order = Order(1, 0, 1, units, 0, (Leg(1, 1), Leg(2, -ratio)), side, 0)
    worst = worst_unit_fee(SCHEDULE, RiskTable(1, 1, index, rows), order)
    paid = sum(fill_fee(3, SCHEDULE, index, row_, price, units * lots) for row_, price, lots in zip(rows, prices, (1, ratio), strict=True))
    assert paid <= worst * units


def test_rates_are_checked() -> None:
    with pytest.raises(ValueError, match=r"fees\.taker_bps: 10001, expected 0 to 10000"):
        FeeSchedule(taker_bps=10_001)
