"""The form of combinations, and the prices of their legs."""

from __future__ import annotations

from math import gcd

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.market import CALL, INSTRUMENTS, PUT, row

from straddle.core.combinations import canonical_fault, leg_prices, price_step, size_step, whole_changes
from straddle.core.instruments import Instrument
from straddle.core.orders import Leg
from straddle.core.risk_table import RiskRow, RiskTable


def listed(id_: int, tick: int, minimum: int) -> Instrument:
    return Instrument(id_, INSTRUMENTS[0].kind, 1, INSTRUMENTS[0].expiry_ms, 1, tick, minimum, 100)


@pytest.mark.parametrize("legs", [((CALL, 1),), ((CALL, 1), (PUT, -1)), ((CALL, 127), (PUT, -126)), ((1, 2), (2, 4), (3, -6), (4, 1))])
def test_one_form(legs: tuple[tuple[int, int], ...]) -> None:
    assert canonical_fault(tuple(Leg(*leg) for leg in legs)) is None


@pytest.mark.parametrize(
    ("legs", "fault"),
    [
        ((), "1 to 4 legs"),
        (((1, 1), (2, 1), (3, 1), (4, 1), (5, 1)), "1 to 4 legs"),
        (((1, -1),), "ratio 1"),
        (((1, 2),), "ratio 1"),
        (((2, 1), (1, 1)), "ascending"),
        (((1, 1), (1, -1)), "ascending"),
        (((1, 1), (2, 0)), "ratios 1 to 127"),
        (((1, 1), (2, -128)), "ratios 1 to 127"),
        (((1, -1), (2, 1)), "first leg that is bought"),
        (((1, 6), (2, -3), (3, 9)), "divisor 1"),
    ],
)
def test_what_is_not_in_the_one_form(legs: tuple[tuple[int, int], ...], fault: str) -> None:
    found = canonical_fault(tuple(Leg(*leg) for leg in legs))
    assert found is not None and fault in found


def test_sizes_keep_every_leg_on_its_minimum() -> None:
    known = {1: listed(1, 50, 10), 2: listed(2, 20, 4), 3: listed(3, 50, 1)}
    assert size_step(known, (Leg(1, 1),)) == 10
    assert size_step(known, (Leg(1, 1), Leg(3, -1))) == 10
    assert size_step(known, (Leg(1, 5), Leg(2, -2), Leg(3, 1))) == 2
    assert size_step(known, (Leg(1, 3), Leg(2, 3))) == 20
    assert price_step(known, (Leg(1, 1),)) == 50 and price_step(known, (Leg(1, 1), Leg(2, -1))) == 10


@pytest.mark.parametrize(
    ("legs", "net", "prices"),
    [
        (((CALL, 1), (PUT, -1)), 5_000, (20_000, 15_000)),  # at the marks
        (((CALL, 1), (PUT, -1)), 5_700, (20_400, 14_700)),  # 2 % each
        (((CALL, 1), (PUT, 1)), 31_500, (18_000, 13_500)),  # 10 % off
        (((CALL, 1), (PUT, -1)), 17_000, (26_000, 9_000)),  # both at the edge
        (((CALL, 1), (PUT, -1)), 16_900, (26_000, 9_100)),  # one at the edge, the other takes the rest
        (((CALL, 1), (PUT, -1)), 17_001, None),
        (((CALL, 1),), 26_000, (26_000,)),
        (((CALL, 1),), 26_001, None),
        (((CALL, 2), (PUT, -4)), -20_001, None),  # no whole prices: both ratios are even
    ],
)
def test_legs_move_by_the_same_share_of_their_marks(legs: tuple[tuple[int, int], ...], net: int, prices: tuple[int, ...] | None) -> None:
    table = RiskTable(1, 1, 1, tuple(row(item) for item in INSTRUMENTS))
    assert leg_prices(table, tuple(Leg(*leg) for leg in legs), net) == prices


@st.composite
def combinations(draw: st.DrawFn, mark_min: int = 0, band_min: int = 0) -> tuple[RiskTable, tuple[Leg, ...], int]:
    """Legs, marks and bands, and a net within the sum of the bands."""
    count = draw(st.integers(2, 4))
    ratios = [draw(st.integers(1, 127)) * (draw(st.sampled_from([1, -1])) if i else 1) for i in range(count)]
    assume(gcd(*ratios) == 1)
    marks = [draw(st.integers(mark_min, 10**6)) for _ in ratios]
    bands = [draw(st.integers(band_min, 10**5)) for _ in ratios]
    rows = tuple(RiskRow(i, 2, True, mark, 0, band, 0, 0, 0, 0, deltas=(0,) * 48) for i, (mark, band) in enumerate(zip(marks, bands, strict=True), 1))
    legs = tuple(Leg(i, ratio) for i, ratio in enumerate(ratios, 1))
    mark = sum(ratio * m for ratio, m in zip(ratios, marks, strict=True))
    band = sum(abs(ratio) * b for ratio, b in zip(ratios, bands, strict=True))
    return RiskTable(1, 1, 1, rows), legs, draw(st.integers(mark - band, mark + band))


@given(combinations())
def test_prices_make_up_the_net_within_every_band(made: tuple[RiskTable, tuple[Leg, ...], int]) -> None:
    table, legs, net = made
    prices = leg_prices(table, legs, net)
    if prices is not None:
        assert sum(leg.ratio * price for leg, price in zip(legs, prices, strict=True)) == net
        assert all(abs(price - table[leg.instrument].mark) <= table[leg.instrument].band and price >= 0 for leg, price in zip(legs, prices, strict=True))


@given(combinations(mark_min=100_000, band_min=300))
def test_prices_are_found_well_inside_the_bands(made: tuple[RiskTable, tuple[Leg, ...], int]) -> None:
    """Within half of what the narrowest relative band allows there always are some."""
    table, legs, _ = made
    rows = [table[leg.instrument] for leg in legs]
    share = min(r.band / r.mark for r in rows) / 2
    mark = sum(leg.ratio * r.mark for leg, r in zip(legs, rows, strict=True))
    gross = sum(abs(leg.ratio) * r.mark for leg, r in zip(legs, rows, strict=True))
    assert leg_prices(table, legs, mark + int(gross * share)) is not None
    assert leg_prices(table, legs, mark - int(gross * share)) is not None


@given(st.lists(st.integers(-127, 127).filter(bool), min_size=1, max_size=4), st.integers(-1_000, 1_000))
def test_whole_changes_add_up(ratios: list[int], rest: int) -> None:
    rest *= gcd(*ratios)
    changes = whole_changes(ratios, rest)
    assert sum(ratio * change for ratio, change in zip(ratios, changes, strict=True)) == rest
