"""Typed configuration. Every refusal names the field, its value and what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from straddle.commitments.preset import Preset
from straddle.node.terms import ZK_ROLLUP, PolicyTerms
from straddle.primitives.errors import Actionable
from straddle.primitives.files import read_text
from straddle.proving.presets import load_preset
from straddle.risk.market_parameters import DEFAULT_MARKET, MarketParameters

CHAIN_FILE = "deribit_btc_options_2020-05-21.csv"
PRICES_FILE = "coinbase_btcusd_1h_2019-09_2020-10.csv"
SERVICE_ACCOUNTS = 2
"""Fee account and insurance fund."""
TAKERS = 6


class ConfigError(Actionable, ValueError):
    """A setting that cannot be used."""


def read_parameters(name: str, path: Path | None) -> MarketParameters:
    """The market's parameters in a file; None: the defaults. FileError, ConfigError begin with `name`, the option or key that it came from, and the file."""
    if path is None:
        return DEFAULT_MARKET
    try:
        return MarketParameters.from_json(read_text(name, path))
    except ValueError as error:
        raise ConfigError(f"{name} {path}: {error}") from error


def data_directory() -> Path:
    """The recorded market: `data` beside the sources, or under the working directory."""
    for candidate in (Path(__file__).resolve().parents[3] / "data", Path.cwd() / "data"):
        if (candidate / CHAIN_FILE).is_file():
            return candidate
    raise ConfigError(f"data: {CHAIN_FILE} not found beside the sources nor in the working directory; name the files with --chain and --prices")


@dataclass(frozen=True)
class DemoConfig:
    """What a demo run does. Times are in the recording's clock."""

    chain: Path
    """Recorded option chain (CSV, columns in data/README.md)."""
    prices: Path
    """Recorded hourly candles of the underlying (CSV)."""
    preset: str = "demo"
    """Sizes of the batch circuit: native/circuit/presets.json."""
    seed: int = 1
    """All choices of traders and the market's synthetic minutes follow from it."""
    rounds: int = 8
    """Epochs in which takers trade, spread over the run; each is one batch or more. Makers quote in every epoch."""
    epoch_minutes: int = 15
    """From one risk table to the next."""
    hours: int = 24
    """The run ends with the first recorded expiry, or after so many hours, or where the candles end."""
    instruments: int | None = None
    """Instruments to list at most, perpetual and futures among them; None: as many as the preset has room for."""
    makers: int = 3
    takers: int = 0
    """The last one is thinly funded; 0: as many as the preset has room for, at most TAKERS."""
    paths: int = 200
    """Histories over which the hedging maker's flow is replayed for its P&L."""
    oracles: int = 3
    threshold: int = 2
    """Oracles that must sign a table."""
    workers: int = 1
    """Proofs made at a time."""
    terms: PolicyTerms = ZK_ROLLUP
    """When a proof is needed, and where bodies lie."""
    parameters: MarketParameters = DEFAULT_MARKET
    """Margin, auctions, fees, the risk table, listing."""
    workdir: Path | None = None
    """Where journal and status go; a temporary directory when None."""
    circuit: Preset = field(init=False, repr=False)
    """The preset's sizes."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**63 - 1),
            ("rounds", 1, 1_000),
            ("epoch_minutes", 1, 15),
            ("hours", 1, 24 * 365),
            ("makers", 2, 16),
            ("takers", 0, 64),
            ("paths", 2, 100_000),
            ("workers", 1, 64),
            ("oracles", 1, 16),
            ("threshold", 1, self.oracles),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"{name}: {value!r}, expected an integer from {low} to {high}")
        for name in ("chain", "prices"):
            path = getattr(self, name)
            if not path.is_file():
                raise ConfigError(f"{name}: {path}, expected a readable file")
        try:
            object.__setattr__(self, "circuit", load_preset(self.preset))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        rows = self.circuit.accounts - SERVICE_ACCOUNTS - 1  # the last is the sub-account's
        if not self.takers:
            object.__setattr__(self, "takers", max(2, min(TAKERS, rows - self.makers)))
        if self.takers < 2 or self.makers + self.takers > rows:
            expected = f"expected at least 2 takers and {rows} accounts at most with preset {self.preset}"
            raise ConfigError(f"makers + takers: {self.makers} + {self.takers}, {expected}")
        if self.instruments is not None and not 4 <= self.instruments <= self.circuit.instruments:
            most = self.circuit.instruments
            raise ConfigError(f"instruments: {self.instruments}, expected 4 (the perpetual, a future, a call, a put) to {most} with preset {self.preset}")

    @property
    def room(self) -> int:
        """The most that is listed."""
        return self.circuit.instruments if self.instruments is None else self.instruments

    @classmethod
    def recorded(cls, **settings: Any) -> DemoConfig:
        """Settings by field name; files that are not named are those of `data_directory`."""
        for name, file in (("chain", CHAIN_FILE), ("prices", PRICES_FILE)):
            if settings.get(name) is None:
                settings[name] = data_directory() / file
        return cls(**settings)
