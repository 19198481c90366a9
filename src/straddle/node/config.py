"""Typed configuration. Every refusal names the field, its value and what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from straddle.commitments.preset import Preset
from straddle.proving.presets import load_preset

CHAIN_FILE = "deribit_btc_options_2020-05-21.csv"
PRICES_FILE = "coinbase_btcusd_1h_2019-09_2020-10.csv"
MAX_TRADES = 100_000
FEW_INSTRUMENTS = {"nano": 3}
"""Presets with so few position rows that fewer instruments make fewer batches."""


class ConfigError(ValueError):
    """A setting that cannot be used."""


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
    trades: int = 48
    """Trades at least, over all epochs."""
    epochs: int = 2
    """Trading epochs; each is one batch or more."""
    epoch_minutes: int = 10
    """From one risk table to the next."""
    instruments: int | None = None
    """Instruments to list, the perpetual among them; None: what suits the preset."""
    makers: int = 2
    takers: int = 3
    oracles: int = 3
    threshold: int = 2
    """Oracles that must sign a table."""
    workdir: Path | None = None
    """Where journal and status go; a temporary directory when None."""
    circuit: Preset = field(init=False, repr=False)
    """The preset's sizes."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**63 - 1),
            ("trades", 1, MAX_TRADES),
            ("epochs", 1, 1_000),
            ("epoch_minutes", 1, 1_440),
            ("makers", 1, 16),
            ("takers", 1, 64),
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
        rows = self.circuit.accounts - 1  # one is the fee account's
        if self.makers + self.takers > rows:
            raise ConfigError(f"makers + takers: {self.makers + self.takers}, expected at most {rows} with preset {self.preset}")

        if not 3 <= self.listed <= self.room:
            raise ConfigError(
                f"instruments: {self.instruments}, expected 3 (the perpetual and an option of two expiries) to {self.room} with preset {self.preset}"
            )

    @property
    def room(self) -> int:
        """The most that can be listed: each maker quotes everything, and one account may hold half of a batch's position rows."""
        return min(self.circuit.instruments, self.circuit.listings, self.circuit.positions // 2)

    @property
    def listed(self) -> int:
        """Instruments that will be listed."""
        return FEW_INSTRUMENTS.get(self.preset, self.room) if self.instruments is None else self.instruments

    @classmethod
    def recorded(cls, **settings: Any) -> DemoConfig:
        """Settings by field name; files that are not named are those of `data_directory`."""
        for name, file in (("chain", CHAIN_FILE), ("prices", PRICES_FILE)):
            if settings.get(name) is None:
                settings[name] = data_directory() / file
        return cls(**settings)
