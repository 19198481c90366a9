"""The recorded market, read and fitted once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from straddle.core.instruments import Instrument
from straddle.risk.candles import Candles, load_candles
from straddle.risk.inputs import RiskInputs
from straddle.risk.listing import list_chain
from straddle.risk.market_path import MarketPath
from straddle.risk.recording import Recording, load_chain
from straddle.risk.surface import Surface, fit_surface

DATA = Path(__file__).parents[2] / "data"
CHAIN = DATA / "deribit_btc_options_2020-05-21.csv"
PRICES = DATA / "coinbase_btcusd_1h_2019-09_2020-10.csv"


@pytest.fixture(scope="session")
def recording() -> Recording:
    return load_chain(CHAIN)


@pytest.fixture(scope="session")
def candles() -> Candles:
    return load_candles(PRICES)


@pytest.fixture(scope="session")
def surface(recording: Recording) -> Surface:
    return fit_surface(recording)


@pytest.fixture(scope="session")
def path(recording: Recording, surface: Surface, candles: Candles) -> MarketPath:
    return MarketPath(recording, surface, candles, seed=7)


@pytest.fixture(scope="session")
def instruments(recording: Recording) -> list[Instrument]:
    return [instrument for instrument, _ in list_chain(recording, recording.options).values()]


@pytest.fixture(scope="session")
def inputs(path: MarketPath, instruments: list[Instrument]) -> RiskInputs:
    return path.inputs(1, path.start_ms, instruments)
