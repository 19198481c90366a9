"""What is kept a table long about the legs of orders agrees with its definition."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.market import CALL, INSTRUMENTS, PERPETUAL, PUT, table

from straddle.core.exposure import RiskContext
from straddle.core.fees import FeeSchedule, worst_unit_fee
from straddle.core.orders import Leg, Legs, Order, Side
from straddle.core.params import POSITION_VALUE_BOUND, Params
from straddle.core.risk_table import RiskTable
from straddle.core.units import Units

PARAMS = Params(20, 12, 10_000, 8_000, 7)
LEGS: tuple[Legs, ...] = ((Leg(CALL, 1),), (Leg(PERPETUAL, 1),), (Leg(CALL, 1), Leg(PUT, -3)), (Leg(PUT, 2), Leg(PERPETUAL, -1)))


def units(of: RiskTable, fees: FeeSchedule) -> Units:
    return Units(RiskContext(of, PARAMS, fees), {instrument.id: instrument for instrument in INSTRUMENTS})


@given(st.sampled_from(LEGS), st.sampled_from(Side), st.integers(0, 10**6), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 3 * 10**6))
def test_the_worst_fee_inside_the_bands_is_that_of_the_definition(legs: Legs, side: Side, at: int, bps: int, cap_bps: int, index: int) -> None:
    fees, of = FeeSchedule(bps, bps // 3, cap_bps), replace(table(), index_ticks=index)
    unit = units(of, fees)[legs]
    low = max(unit.low, unit.lowest)
    order = Order(1, 0, 1, 10, low + at % (unit.high - low + 1), legs, side, 0)
    assert unit.worst_fee(order) == worst_unit_fee(fees, of, order)


@pytest.mark.parametrize("value", [0, 1, 20_000, 2**38])
def test_the_largest_position_has_its_cap_and_the_bound_on_its_value(value: int) -> None:
    of = table(row_1={"value": value, "deltas": (0,) * 48}, row_2={"value": 1, "deltas": (*(0,) * 47, -value)})
    for most, instrument in zip(units(of, FeeSchedule())[Leg(CALL, 1), Leg(PUT, -3)].most_lots, INSTRUMENTS, strict=False):
        largest = of.packed.largest(instrument.id)
        assert most <= instrument.position_cap_lots
        assert most * largest < POSITION_VALUE_BOUND
        assert most == instrument.position_cap_lots or (most + 1) * largest >= POSITION_VALUE_BOUND
