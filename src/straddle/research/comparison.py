"""Everything that a run of the comparison found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from straddle.research.baseline import BaselineGas, SwapGas
from straddle.research.capital import Transit
from straddle.research.config import Parameter
from straddle.research.crossover import Crossover, Saving
from straddle.research.hedging import HedgeChoice, Interval
from straddle.research.margins import Capital
from straddle.research.model import Architecture, Clocks, Dispute, Run
from straddle.research.prices import Prices
from straddle.research.queue_load import QueueLoad
from straddle.research.replay import Replayed
from straddle.research.rows import Row, rows


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a report is made from."""

    command: str
    commit: str
    version: str
    made_at: str
    """UTC, ISO 8601."""
    machine: Mapping[str, Any]
    flow: Mapping[str, Any]
    """Trades, hedges, batches, epochs, cadence, preset, seed, recording."""
    parameters: Sequence[Parameter]
    prices: Prices
    architectures: tuple[Architecture, ...]
    """The baseline last."""
    runs: Mapping[str, Run]
    disputes: tuple[Dispute, ...]
    clocks: Clocks | None
    """Of the optimistic rollups; None without one."""
    baselines: tuple[BaselineGas, ...]
    swap: SwapGas
    replays: tuple[Replayed, ...]
    """The flow on layer 1, with tables in code and in storage; the first is the baseline's column."""
    grid: Mapping[str, Sequence[float]]
    """Architecture -> dollars a trade at `grid_prices`."""
    grid_prices: tuple[Prices, ...]
    blob_saving: Saving | None
    """None unless the ZK rollup was run in both places, with batches of two sizes."""
    blob_crossover: Sequence[Crossover]
    transits: Mapping[str, Transit]
    intervals: tuple[Interval, ...]
    hedges: Mapping[str, HedgeChoice]
    hedges_by_aversion: Mapping[float, Mapping[str, HedgeChoice]]
    """At other prices of risk."""
    margins: tuple[Capital, ...]
    margins_total: Capital
    notional_usd: float
    """Traded in the run: turnover is this over capital."""
    worst_queue: QueueLoad | None
    """None where nothing was proved."""
    context: Sequence[str]
    """Published figures of peers, with their sources."""
    seconds: Mapping[str, float]

    def rows(self) -> tuple[Row, ...]:
        """The first table."""
        return rows(self.architectures, self.transits, self.hedges, self.replays)

    @property
    def core_hour_usd(self) -> float:
        """The price of a prover's time that was assumed."""
        return next(each.value for each in self.parameters if each.name == "core_hour_usd")

    @property
    def made(self) -> str:
        """Which run it was, in a sentence."""
        return f"Made by `{self.command}` at {self.made_at}, commit {self.commit}, version {self.version}."
