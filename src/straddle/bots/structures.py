"""Combinations as traders know them: verticals, straddles and butterflies over listed options, in the one form that the exchange takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from straddle.core.instruments import Instrument, Kind
from straddle.core.orders import Leg, Legs


@dataclass(frozen=True, slots=True)
class Structure:
    """A combination; buying a unit of it buys `legs`."""

    name: str
    """vertical, straddle or butterfly."""
    legs: Legs


def canonical(legs: Iterable[tuple[int, int]]) -> Legs:
    """(instrument, signed ratio) pairs in the form of docs/protocol/messages.md: ascending, the first leg bought (perhaps the other way round)."""
    ordered = sorted(legs)
    sign = 1 if ordered[0][1] > 0 else -1
    return tuple(Leg(instrument, sign * ratio) for instrument, ratio in ordered)


def structures(instruments: Sequence[Instrument], expiry_ms: int, forward_ticks: int, strikes: int = 3) -> tuple[Structure, ...]:
    """Those of one expiry over its `strikes` strikes nearest to the forward: a straddle each, verticals of neighbours, butterflies of equal wings.

    Only strikes that have both a call and a put among the instruments count; none come back for an expiry without any.
    """
    sides: dict[Kind, dict[int, int]] = {Kind.CALL: {}, Kind.PUT: {}}
    for instrument in instruments:
        if instrument.expiry_ms == expiry_ms and instrument.kind in sides:
            sides[instrument.kind][instrument.strike_ticks] = instrument.id
    calls, puts = sides[Kind.CALL], sides[Kind.PUT]
    nearest = sorted(sorted(calls.keys() & puts.keys(), key=lambda strike: (abs(strike - forward_ticks), strike))[:strikes])
    found = [Structure("straddle", canonical(((calls[strike], 1), (puts[strike], 1)))) for strike in nearest]
    for low, high in itertools.pairwise(nearest):
        found += [Structure("vertical", canonical(((side[low], 1), (side[high], -1)))) for side in (calls, puts)]
    for low, middle, high in zip(nearest, nearest[1:], nearest[2:], strict=False):
        if middle - low == high - middle:
            found += [Structure("butterfly", canonical(((side[low], 1), (side[middle], -2), (side[high], 1)))) for side in (calls, puts)]
    return tuple(found)


def net_ticks(legs: Legs, prices: Mapping[int, int]) -> int:
    """What a unit costs at the given prices."""
    return sum(leg.ratio * prices[leg.instrument] for leg in legs)
