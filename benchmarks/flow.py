"""A seeded flow of limit orders for one instrument, the same for every engine."""

from __future__ import annotations

import random
from dataclasses import dataclass

MID_TICKS, TICK_TICKS = 20_000, 50
PASSIVE_STEPS = 40
"""Passive orders stand 1 to this many steps from the middle."""
CROSSING_STEPS = 50
"""Crossing orders accept every passive price."""
CROSSING_SHARE = 0.3
LOT_STEP = 10


@dataclass(frozen=True, slots=True)
class FlowOrder:
    """One limit order. `trader` is unique to a side and to passive or crossing orders, so no order meets one of its own trader."""

    buy: bool
    price_ticks: int
    size_lots: int
    crossing: bool
    trader: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What an engine traded: engines that agree on a flow agree on this."""

    lots: int
    notional: int


def make_flow(count: int, seed: int, traders: int = 64) -> list[FlowOrder]:
    """`count` orders, CROSSING_SHARE of them crossing. One crosses only when the other side can fill it whole, so that none rests at a crossing price."""
    draw = random.Random(f"straddle.bench/{seed}")
    depth = {True: 0, False: 0}
    flow = []
    for _ in range(count):
        buy, size = draw.random() < 0.5, LOT_STEP * draw.randint(1, 10)
        if draw.random() < CROSSING_SHARE and depth[not buy] >= size:
            depth[not buy] -= size
            steps, trader = CROSSING_STEPS, draw.randrange(traders)
        else:
            depth[buy] += size
            steps, trader = -draw.randint(1, PASSIVE_STEPS), traders + draw.randrange(traders)
        flow.append(FlowOrder(buy, MID_TICKS + (steps if buy else -steps) * TICK_TICKS, size, steps == CROSSING_STEPS, trader))
    return flow
