"""Combinations come in the exchange's one form, around the money, and only over what is listed."""

from __future__ import annotations

import pytest

from straddle.bots.structures import canonical, net_ticks, structures
from straddle.core.combinations import canonical_fault
from straddle.core.instruments import Instrument, Kind
from straddle.core.orders import Leg

EXPIRY = 1_590_134_400_000


def option(number: int, kind: Kind, strike: int, expiry: int = EXPIRY) -> Instrument:
    return Instrument(number, kind, 1, expiry, strike, 50, 100, 10**6)


CHAIN = [
    option(2 * place + side + 1, kind, strike)
    for place, strike in enumerate((875_000, 900_000, 925_000, 960_000))
    for side, kind in enumerate((Kind.CALL, Kind.PUT))
]


def named(found):
    return [(structure.name, structure.legs) for structure in found]


def test_straddles_verticals_and_butterflies_around_the_forward() -> None:
    found = named(structures(CHAIN, EXPIRY, 901_000))
    assert [name for name, _ in found].count("straddle") == 3 and [name for name, _ in found].count("vertical") == 4
    assert ("straddle", (Leg(3, 1), Leg(4, 1))) in found
    assert ("vertical", (Leg(1, 1), Leg(3, -1))) in found
    assert ("butterfly", (Leg(1, 1), Leg(3, -2), Leg(5, 1))) in found and ("butterfly", (Leg(2, 1), Leg(4, -2), Leg(6, 1))) in found
    assert all(canonical_fault(legs) is None for _, legs in found)


def test_unequal_wings_make_no_butterfly() -> None:
    assert [name for name, _ in named(structures(CHAIN, EXPIRY, 940_000)) if name == "butterfly"] == []


def test_a_strike_without_its_put_does_not_count() -> None:
    found = structures([one for one in CHAIN if one.id != 4], EXPIRY, 901_000, strikes=1)
    assert named(found) == [("straddle", (Leg(5, 1), Leg(6, 1)))]


def test_another_expiry_and_no_options() -> None:
    assert structures(CHAIN, EXPIRY + 1, 901_000) == () == structures([], EXPIRY, 901_000)


@pytest.mark.parametrize(("asked", "legs"), [(((7, 1), (3, -1)), (Leg(3, 1), Leg(7, -1))), (((3, 2), (9, -1), (5, 1)), (Leg(3, 2), Leg(5, 1), Leg(9, -1)))])
def test_canonical_orders_the_legs_and_buys_the_first(asked, legs) -> None:
    assert canonical(asked) == legs


def test_net() -> None:
    assert net_ticks((Leg(1, 1), Leg(3, -2), Leg(5, 1)), {1: 50_000, 3: 30_000, 5: 15_000}) == 5_000
