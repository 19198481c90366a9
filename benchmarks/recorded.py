"""The recorded market as benchmarks use it: every option of the chain and the perpetual, their risk table, and portfolios over them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import RiskTable
from straddle.node.config import CHAIN_FILE, PRICES_FILE, data_directory
from straddle.risk.candles import load_candles
from straddle.risk.inputs import RiskInputs
from straddle.risk.listing import list_chain
from straddle.risk.market_path import MarketPath
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.recording import Recording, load_chain
from straddle.risk.surface import fit_surface
from straddle.risk.table import build_table


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """Listings, feed values and risk table at the moment of the snapshot."""

    recording: Recording
    instruments: tuple[Instrument, ...]
    inputs: RiskInputs
    table: RiskTable

    @property
    def options(self) -> tuple[Instrument, ...]:
        """The options, ascending by id."""
        return tuple(instrument for instrument in self.instruments if instrument.kind is not Kind.PERPETUAL)


def load_recorded() -> RecordedMarket:
    """The whole chain."""
    folder = data_directory()
    recording = load_chain(folder / CHAIN_FILE)
    path = MarketPath(recording, fit_surface(recording), load_candles(folder / PRICES_FILE))
    instruments = tuple(instrument for instrument, _ in list_chain(path.recording, path.recording.options).values())
    inputs = path.inputs(1, path.start_ms, instruments)
    return RecordedMarket(recording, instruments, inputs, build_table(inputs, instruments, DEFAULT_PARAMETERS))


def make_portfolios(market: RecordedMarket, count: int, size: int, seed: int) -> list[dict[int, int]]:
    """`count` different portfolios of `size` options each, instrument -> signed lots up to 10 BTC."""
    draw = random.Random(f"straddle.portfolios/{seed}")
    ids = [option.id for option in market.options]
    return [{instrument: draw.choice((-1, 1)) * 100 * draw.randint(1, 1_000) for instrument in draw.sample(ids, size)} for _ in range(count)]
