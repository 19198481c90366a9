from __future__ import annotations

from dataclasses import replace

import pytest
from support.market import BUY, CALL, INSTRUMENTS, SELL, row, scenarios

from straddle.core.exposure import RiskContext
from straddle.core.fees import FeeSchedule
from straddle.core.orders import Leg, Side
from straddle.core.params import SIZE_LOTS_MAX, Params
from straddle.core.protection import DOWN_SCENARIO, UP_SCENARIO, Protection, ProtectionLimits, unit_slope
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.core.units import Units
from straddle.risk.parameters import RiskParameters
from straddle.risk.scenarios import Kind, Scenario
from straddle.risk.scenarios import scenarios as risk_scenarios

CALLS = row(INSTRUMENTS[CALL - 1], deltas=scenarios((UP_SCENARIO, 100), (DOWN_SCENARIO, -60), (0, 9_999), (5, 7_777)))
"""160 micro-dollars a lot between the two moves."""
PUTS = replace(CALLS, deltas=scenarios((UP_SCENARIO, -100), (DOWN_SCENARIO, 60)))
FLAT = replace(CALLS, deltas=scenarios((0, 5)))


def use(row_: RiskRow, side: Side) -> tuple[int, int]:
    """Lots and delta of one lot bought or sold."""
    return 1, side.sign * unit_slope(row_)


def filled(before: Protection, row_: RiskRow, side: Side, lots: int) -> Protection:
    """After a fill of an outright."""
    each, slope = use(row_, side)
    return before.filled(each * lots, slope * lots)


def protection(quantity_lots: int = 0, delta_micros: int = 0) -> Protection:
    return Protection(1, ProtectionLimits(1_000, 500, quantity_lots, delta_micros), 10_000)


def test_the_two_scenarios_are_the_smallest_moves_with_vols_the_same() -> None:
    parameters = RiskParameters()
    quarter = parameters.range_bps // 4
    of_risk = risk_scenarios(parameters)
    assert of_risk[UP_SCENARIO] == Scenario(Kind.GRID, quarter, 0) and of_risk[DOWN_SCENARIO] == Scenario(Kind.GRID, -quarter, 0)


@pytest.mark.parametrize(
    ("quantity", "delta", "side", "held", "room"),
    [
        (95, 0, BUY, 0, 90),
        (95, 0, SELL, 40, 50),
        (95, 0, BUY, 90, 0),
        (0, 160 * 37, BUY, 0, 30),
        (0, 160 * 40, BUY, 0, 40),
        (0, 160 * 40 - 1, BUY, 0, 30),
        (0, 160 * 40, BUY, 30, 10),
        (0, 160 * 40, SELL, 30, 70),
        (0, 160 * 40, SELL, 0, 40),
        (20, 160 * 40, SELL, 0, 20),
        (50, 160 * 40, SELL, 0, 40),
    ],
)
def test_room_is_what_the_limits_leave_in_whole_minimum_sizes(quantity: int, delta: int, side: Side, held: int, room: int) -> None:
    """`held` lots were bought before."""
    before = filled(protection(quantity, delta), CALLS, BUY, held)
    assert before.room(*use(CALLS, side), 10) == room
    assert before.room(*use(PUTS, side.opposite), 10) == room


def test_what_has_no_delta_uses_none() -> None:
    assert protection(0, 1).room(*use(FLAT, BUY), 1) == SIZE_LOTS_MAX
    assert filled(protection(0, 1), FLAT, BUY, 1_000) == replace(protection(0, 1), quantity_lots=1_000)


def test_deltas_net_and_quantities_add() -> None:
    used = filled(filled(filled(protection(500, 10**6), CALLS, BUY, 100), PUTS, BUY, 30), CALLS, SELL, 20)
    assert (used.quantity_lots, used.delta_micros) == (150, 160 * (100 - 30 - 20))
    assert not used.exhausted


@pytest.mark.parametrize(
    ("quantity", "delta", "side", "lots", "exhausted"),
    [
        (50, 0, BUY, 50, True),
        (50, 0, BUY, 49, False),
        (0, 160 * 50, BUY, 50, True),
        (0, 160 * 50, SELL, 50, True),
        (0, 160 * 50, SELL, 49, False),
        (0, 0, BUY, 0, False),
        (60, 160 * 50, BUY, 50, True),
        (50, 160 * 60, BUY, 50, True),
    ],
)
def test_exhausted_is_either_limit_met_exactly(quantity: int, delta: int, side: Side, lots: int, exhausted: bool) -> None:
    assert filled(protection(quantity, delta), CALLS, side, lots).exhausted is exhausted


def test_an_interval_ends_after_its_length() -> None:
    used = filled(protection(50, 10**6), CALLS, BUY, 20)
    assert used.at(10_999) is used
    assert used.at(11_000) == replace(used, start_ms=11_000, quantity_lots=0, delta_micros=0)
    frozen = replace(used, frozen_until_ms=12_345)
    assert frozen.at(20_000).frozen_until_ms == 12_345


def test_tripping_freezes_and_begins_anew() -> None:
    assert filled(protection(50), CALLS, BUY, 20).tripped(10_700) == replace(protection(50), start_ms=10_700, frozen_until_ms=11_200)


@pytest.mark.parametrize("slope", [1, -1])
def test_the_smallest_delta_counts(slope: int) -> None:
    tiny = replace(CALLS, deltas=scenarios((UP_SCENARIO, slope)))
    used = filled(protection(0, 100), tiny, BUY, 30)
    assert (used.delta_micros, used.room(*use(tiny, BUY), 1), used.room(*use(tiny, SELL), 1)) == (30 * slope, 70, 130)


def test_a_unit_of_a_combination_uses_the_lots_of_all_legs_and_their_net_delta() -> None:
    table = RiskTable(1, 1, 1, (CALLS, replace(PUTS, instrument=2)))
    units = Units(RiskContext(table, Params(20, 12, 10_000, 8_000), FeeSchedule()), {item.id: item for item in INSTRUMENTS})
    unit = units[Leg(1, 3), Leg(2, -2)]
    assert (unit.lots, unit.slope) == (5, 160 * (3 + 2))
    assert protection(52, 0).room(unit.lots, unit.slope, 1) == 10
    assert protection(0, 800 * 10 + 799).room(unit.lots, -unit.slope, 4) == 8
