"""The market of a demo run: what the recordings hold, what is listed of it, and the exchange at genesis."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.ledger import CommittedState
from straddle.commitments.preset import Preset
from straddle.core.capacity import Capacity
from straddle.core.fees import FeeSchedule
from straddle.core.instruments import Instrument
from straddle.core.params import Params
from straddle.core.state import Exchange
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.feed import RecordedMarket
from straddle.node.fitting import fitted_surface
from straddle.risk.candles import load_candles
from straddle.risk.csv_rows import RecordingError, Refusal
from straddle.risk.listing import Listed, list_chain
from straddle.risk.market_parameters import MarketParameters
from straddle.risk.market_path import MarketPath, PathError
from straddle.risk.recording import RecordedOption, Recording, load_chain
from straddle.risk.surface import SurfaceError


@dataclass(frozen=True, slots=True)
class Market:
    """A recorded market with its listing."""

    path: MarketPath
    listed: Listed
    parameters: MarketParameters
    refusals: tuple[tuple[str, Refusal], ...]
    """(file name, row or quote that was refused, with line and reason), of both files."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Everything that is listed, by id."""
        return tuple(instrument for instrument, _ in self.listed.values())

    @property
    def expiries(self) -> tuple[int, ...]:
        """Expiries of the listed options, ascending, unix milliseconds."""
        return tuple(sorted({instrument.expiry_ms for instrument, record in self.listed.values() if record is not None}))

    @property
    def replayed(self) -> RecordedMarket:
        """As the oracle replays it."""
        return RecordedMarket(self.path, len(self.refusals), self.parameters)


def load_market(config: DemoConfig) -> Market:
    """Read both recordings, fit the surface, choose what to list. ConfigError when the files hold no market for this configuration."""
    try:
        recording, candles = load_chain(config.chain), load_candles(config.prices)
        path = MarketPath(recording, fitted_surface(recording, config.parameters.risk), candles, config.seed)
    except (RecordingError, SurfaceError, PathError, ValueError) as error:
        raise ConfigError(f"recorded market: {error}") from error
    if path.end_ms <= path.start_ms + config.epoch_minutes * 60_000:
        raise ConfigError(f"prices: {config.prices.name} ends at {path.end_ms} ms, expected candles beyond the snapshot's {path.start_ms} ms")
    reports = ((config.chain, recording.report), (config.prices, candles.report))
    refusals = tuple((file.name, refusal) for file, report in reports for refusal in report.refusals)
    listed = list_chain(path.recording, choose(path.recording, config.room), futures=True, sizes=config.parameters.instruments)
    return Market(path, listed, config.parameters, refusals)


def choose(recording: Recording, room: int) -> tuple[RecordedOption, ...]:
    """The recorded options that fit a table of `room` rows with the perpetual and a future an expiry: all, or of as many of the first expiries as have room for
    a future and two options each, in turn, what lies nearest to the money."""
    by_expiry: dict[int, list[RecordedOption]] = {}
    for option in recording.options:
        by_expiry.setdefault(option.expiry_ms, []).append(option)
    expiries = sorted(by_expiry)[: max(1, (room - 1) // 3)]
    ranked = [sorted(by_expiry[expiry], key=lambda option: abs(option.strike_ticks - option.underlying_ticks)) for expiry in expiries]
    in_turn = [option for rank in range(max(map(len, ranked))) for options in ranked for option in options[2 * rank : 2 * rank + 2]]
    chosen = {option.name for option in in_turn[: room - 1 - len(expiries)]}
    return tuple(option for option in recording.options if option.name in chosen)


def genesis(preset: Preset, params: Params, fees: FeeSchedule, domain: int, operator: int) -> tuple[Exchange, CommittedState]:
    """Batch 0 of the engine and of the commitments; `operator` is an address as an integer."""
    capacity = Capacity.of_preset({name: getattr(preset, name) for name in Capacity.__slots__})
    exchange = Exchange.genesis(domain=domain, operator=operator, params=params, capacity=capacity, fees=fees)
    return exchange, CommittedState.genesis(params, operator)
