"""The market of a demo run: what the recordings hold, what is listed of it, and the exchange at genesis."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.ledger import CommittedState
from straddle.commitments.preset import Preset
from straddle.core.capacity import Capacity
from straddle.core.params import Params
from straddle.core.state import Exchange
from straddle.node.config import ConfigError, DemoConfig
from straddle.risk.candles import load_candles
from straddle.risk.csv_rows import RecordingError, Refusal
from straddle.risk.listing import Listed, choose_options, list_chain
from straddle.risk.market_path import MarketPath
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters, risk_digest
from straddle.risk.recording import load_chain
from straddle.risk.surface import SurfaceError, fit_surface

K_IM_BPS = 10_000
K_MM_BPS = 8_000


@dataclass(frozen=True, slots=True)
class Market:
    """A recorded market with its listing."""

    path: MarketPath
    listed: Listed
    parameters: RiskParameters
    refusals: tuple[tuple[str, Refusal], ...]
    """(file name, row or quote that was refused, with line and reason), of both files."""

    @property
    def expiries(self) -> tuple[int, ...]:
        """Expiries of the listed options, ascending, unix milliseconds."""
        return tuple(sorted({instrument.expiry_ms for instrument, record in self.listed.values() if record is not None}))


def load_market(config: DemoConfig) -> Market:
    """Read both recordings, fit the surface, choose what to list. ConfigError when the files hold no market for this configuration."""
    try:
        recording, candles = load_chain(config.chain), load_candles(config.prices)
        options = choose_options(recording, config.listed - 1)
        path = MarketPath(recording, fit_surface(recording), candles, config.seed)
    except (RecordingError, SurfaceError, ValueError) as error:
        raise ConfigError(f"recorded market: {error}") from error
    needed = path.start_ms + (config.epochs + 1) * config.epoch_minutes * 60_000
    if path.end_ms < needed:
        raise ConfigError(f"prices: {config.prices.name} ends at {path.end_ms} ms, expected candles up to {needed} ms")
    reports = ((config.chain, recording.report), (config.prices, candles.report))
    refusals = tuple((file.name, refusal) for file, report in reports for refusal in report.refusals)
    return Market(path, list_chain(recording, options), DEFAULT_PARAMETERS, refusals)


def exchange_params(preset: Preset, parameters: RiskParameters) -> Params:
    """The parameters that the rollup is deployed with."""
    return Params(preset.account_depth, preset.slot_depth, K_IM_BPS, K_MM_BPS, risk_digest(parameters))


def genesis(preset: Preset, params: Params, domain: int, operator: int) -> tuple[Exchange, CommittedState]:
    """Batch 0 of the engine and of the commitments; `operator` is an address as an integer."""
    capacity = Capacity.of_preset({name: getattr(preset, name) for name in Capacity.__slots__})
    exchange = Exchange.genesis(domain=domain, operator=operator, params=params, capacity=capacity)
    return exchange, CommittedState.genesis(params, operator)
