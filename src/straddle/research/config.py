"""What a comparison is asked for, and every number that is an assumption instead of a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.core.instruments import Kind
from straddle.node.config import ConfigError, DemoConfig
from straddle.research import architectures, capital, hedging, margins, replay
from straddle.research.layer_one import FEE_PER_LOT
from straddle.research.prices import CORE_HOUR, REFERENCE, Prices
from straddle.research.settling import SLOT_S

BASELINE = "layer-1"
EPOCH_MINUTES_MOST = 12
"""So that proofs of batches of the same table, made one after another, fit in before it is too old."""
HEDGE_HALF_SPREAD_BPS = 1
"""Of the perpetual, as the recorded night's makers quote it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An assumption of the study."""

    name: str
    value: float
    means: str


@dataclass(frozen=True)
class CompareConfig:
    """What is compared. `night` names market, preset, seed and traders. ConfigError names an option that cannot be used."""

    night: DemoConfig
    only: tuple[str, ...] = tuple(choice.name for choice in architectures.CHOICES)
    histories: int = 200
    """Of the hedging study."""
    prices: Prices = REFERENCE
    aversion: float = hedging.AVERSION
    rate_a_year: float = capital.RATE_A_YEAR
    moves_a_day: float = capital.MOVES_A_DAY
    share_moved: float = capital.SHARE_MOVED
    core_hour_usd: float = CORE_HOUR.value
    command: str = "straddle compare"

    def __post_init__(self) -> None:
        known = [choice.name for choice in architectures.CHOICES]
        for name in self.only:
            if name not in known:
                raise ConfigError(f"only: {name}, expected some of {', '.join(known)}")
        if not self.only:
            raise ConfigError("only: nothing to compare, expected at least one architecture")
        for name, value, low, high, hint in (
            ("histories", self.histories, 2, 10_000, ""),
            (
                "epoch-minutes",
                self.night.epoch_minutes,
                1,
                EPOCH_MINUTES_MOST,
                ": layer 1 refuses tables older than 15 minutes, and batches wait for their successor's",
            ),
            ("rate", self.rate_a_year, 0, capital.RATE_MOST, ", a share a year: 0.1 is 10 %"),
            ("core-hour", self.core_hour_usd, 0, 1_000, " dollars"),
            ("moves", self.moves_a_day, 0.001, 1_000, " a day"),
            ("share", self.share_moved, 0.0001, 1, ": 0.2 is 20 %"),
            ("aversion", self.aversion, 0.001, 1_000, " dollars for a dollar of standard deviation"),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name}: {value:g}, expected {low:g} to {high:g}{hint}")

    @property
    def choices(self) -> tuple[architectures.Choice, ...]:
        """In the order of the table."""
        return tuple(choice for choice in architectures.CHOICES if choice.name in self.only)

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Every assumption, prices of layer 1 apart."""
        return (
            Parameter("rate_a_year", self.rate_a_year, "Price of capital, a share a year (`--rate`): of a maker's in transit and of an operator's bonds."),
            Parameter("moves_a_day", self.moves_a_day, "How often a maker shifts collateral from this venue to another."),
            Parameter("share_moved", self.share_moved, "Share of the working capital that a shift carries."),
            Parameter("core_hour_usd", self.core_hour_usd, "An hour of one core of the prover's machine (`--core-hour`)."),
            Parameter("aversion", self.aversion, "Dollars that a maker wants for a dollar of standard deviation (`--aversion`)."),
            Parameter("histories", self.histories, "Histories of the hedging study (`--histories`)."),
            Parameter("hedge_half_spread_bps", HEDGE_HALF_SPREAD_BPS, "Half spread of the perpetual, as the night's makers quote it; paid by every hedge."),
            Parameter("hedge_fee_bps", self.night.parameters.fees.taker_bps, "The exchange's fee of a taker, paid by every hedge."),
            Parameter("static_short_option_bps", margins.SHORT_OPTION_BPS, "Static rule: a short option locks this share of the index, less its distance out."),
            Parameter("static_short_call_floor_bps", margins.SHORT_FLOOR_BPS[Kind.CALL], "Static rule: a short call locks at least this share of the index."),
            Parameter("static_short_put_floor_bps", margins.SHORT_FLOOR_BPS[Kind.PUT], "Static rule: a short put locks at least this share of the index."),
            Parameter("static_linear_bps", margins.LINEAR_BPS, "Static rule: a future or perpetual locks this share of its notional."),
            Parameter("slot_s", SLOT_S, "Seconds from one block of layer 1 to the next."),
            Parameter("baseline_max_age_s", replay.MAX_AGE_S, "Tables older than this are refused on layer 1, as by the rollup; seconds."),
            Parameter("baseline_fee_per_lot_micros", FEE_PER_LOT, "What a taker pays the baseline's operator a lot, micro-dollars."),
        )
