"""How often a delta hedge pays, when each hedge costs what the architecture costs.

The flow is the hedging maker's own of the recorded night; it is hedged at every moment of a grid of so many minutes, on the recorded hours with other synthetic
minutes in each history. A hedge costs the half spread and the fee of the perpetual (the same everywhere) and the settlement of one trade (the architecture's).
The maker wants `aversion` dollars for each dollar of standard deviation that is left. The best interval has the least sum of both; below it every further
hedge costs more than the risk that it takes away. The sum over the volume traded is the spread that the maker must earn to break even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from straddle.bots.pnl import FlowTrade, HedgePolicy, replay
from straddle.core.params import BPS
from straddle.risk.market_path import MarketPath
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters

MICROS = 10**6
INTERVALS_MINUTES = (2, 5, 10, 20, 30, 60, 120, 240)
AVERSION = 1.0
AVERSIONS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""The choice is also shown for these: the price of risk decides more than the price of settlement does."""


@dataclass(frozen=True, slots=True)
class Interval:
    """What hedging every `minutes` does on the histories, before the cost of settlement; dollars, means and standard deviations over the histories."""

    minutes: int
    hedges: float
    error: float
    """Standard deviation of the hedged result."""
    trading_costs: float
    """Half spreads and fees of the hedge."""


@dataclass(frozen=True, slots=True)
class HedgeChoice:
    """The interval that an architecture can afford."""

    minutes: int
    hedges: float
    error: float
    settlement_costs: float
    spread_bps: float
    """Break-even spread: costs and risk over the option flow's notional."""


def intervals(
    flow: Sequence[FlowTrade],
    path: MarketPath,
    end_ms: int,
    policy: HedgePolicy,
    *,
    histories: int,
    seed: int = 0,
    minutes: Sequence[int] = INTERVALS_MINUTES,
    parameters: RiskParameters = DEFAULT_PARAMETERS,
) -> tuple[Interval, ...]:
    """Each interval on the same histories. ValueError as in `bots.pnl.replay`, or with fewer than two histories."""
    if histories < 2:
        raise ValueError(f"histories: {histories}, expected at least 2: one has no deviation")
    found = []
    for each in minutes:
        study = replay(flow, path, end_ms, policy, paths=histories, seed=seed, step_minutes=each, parameters=parameters, recorded=True)
        costs = -float(study.parts["hedge_costs"].mean()) / MICROS
        found.append(Interval(each, float(study.hedges.mean()), float(study.hedged.std(ddof=1)) / MICROS, costs))
    return tuple(found)


def choose(found: Sequence[Interval], dollars_a_hedge: float, volume_dollars: float, aversion: float = AVERSION) -> HedgeChoice:
    """The interval with the least cost. ValueError without an interval, or for a volume or cost that is not sensible."""
    if not found or not volume_dollars > 0 or not dollars_a_hedge >= 0 or not aversion > 0:
        raise ValueError(
            f"hedging: {len(found)} intervals, volume {volume_dollars}, {dollars_a_hedge} a hedge, aversion {aversion}: expected some, and positive"
        )

    def burden(interval: Interval) -> float:
        return interval.hedges * dollars_a_hedge + interval.trading_costs + aversion * interval.error

    best = min(found, key=burden)
    return HedgeChoice(best.minutes, best.hedges, best.error, best.hedges * dollars_a_hedge, BPS * burden(best) / volume_dollars)


def volume_dollars(flow: Sequence[FlowTrade], index_ticks: int) -> float:
    """Notional of a flow at one index: lots times index is micro-dollars."""
    return sum(abs(trade.lots) for trade in flow) * index_ticks / MICROS


def by_architecture(found: Sequence[Interval], dollars_a_hedge: Mapping[str, float], volume: float, aversion: float = AVERSION) -> dict[str, HedgeChoice]:
    """The choice of each."""
    return {name: choose(found, dollars, volume, aversion) for name, dollars in dollars_a_hedge.items()}
