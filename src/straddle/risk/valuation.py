"""Options under all scenarios at once, in numpy int64: equal to `Maturity.option_value` element by element, which a test checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import SCENARIOS
from straddle.risk.expiry import Maturity
from straddle.risk.parameters import BPS, RiskParameters
from straddle.risk.pricing import Int64Array, black76_vector
from straddle.risk.scenarios import MULTIPLIER_BITS, Scenario, forward_multiplier, interpolate, moneyness_bps, scenarios


@dataclass(frozen=True, slots=True)
class OptionBlock:
    """n options as columns, shape (n, 1), so that they broadcast over scenarios; fields as in `Maturity`."""

    is_call: npt.NDArray[np.bool_]
    root: Int64Array
    unfixed_ms: Int64Array
    denominator: Int64Array
    """average_ms x 2^guard."""
    rest: Int64Array
    strike: Int64Array
    guard: Int64Array

    @classmethod
    def of(cls, options: Sequence[Instrument], maturities: Mapping[int, Maturity]) -> OptionBlock:
        """The options, each with its expiry's maturity."""
        at = [maturities[option.expiry_ms] for option in options]
        rest, strike, guard = zip(*(maturity.strike(option.strike_ticks) for option, maturity in zip(options, at, strict=True)), strict=True)
        return cls(
            np.array([option.kind is Kind.CALL for option in options])[:, None],
            column(maturity.root for maturity in at),
            column(maturity.unfixed_ms for maturity in at),
            column(maturity.average_ms << bits for maturity, bits in zip(at, guard, strict=True)),
            column(rest),
            column(strike),
            column(guard),
        )

    def values(self, forwards: Int64Array, vols: Int64Array) -> Int64Array:
        """Values in ticks at forwards and vols that broadcast with (n, 1)."""
        scaled = forwards << self.guard
        calls, puts = black76_vector(scaled, self.strike, vols, self.root)
        if int(self.denominator.max()) == 1:  # nobody is in a settlement window
            return np.where(self.is_call, calls, puts)
        parity = (forwards * self.unfixed_ms - self.rest) << self.guard
        put_first = scaled >= self.strike
        put = np.where(put_first, puts * self.unfixed_ms, calls * self.unfixed_ms - parity)
        call = np.where(put_first, put + parity, calls * self.unfixed_ms)
        linear = self.rest <= 0
        chosen = np.where(self.is_call, np.where(linear, parity, call), np.where(linear, 0, put))
        return np.asarray((chosen + self.denominator // 2) // self.denominator, dtype=np.int64)


def column(values: Iterable[int]) -> Int64Array:
    """Integers as shape (n, 1)."""
    return np.array(list(values), dtype=np.int64)[:, None]


@dataclass(frozen=True, slots=True)
class OptionValues:
    """What n options are worth: value (n), deltas (n, 48), and what one more `band_vol_bps` of vol adds (n); ticks."""

    value: Int64Array
    deltas: Int64Array
    vega: Int64Array


def value_options(options: Sequence[Instrument], vols: Mapping[int, int], maturities: Mapping[int, Maturity], parameters: RiskParameters) -> OptionValues:
    """All options on one set of feeds. `parameters` are the scaled ones; an expired option's deltas are 0."""
    block, shocks, expiries = OptionBlock.of(options, maturities), scenarios(parameters), list(maturities.values())
    row_of = {maturity.expiry_ms: row for row, maturity in enumerate(expiries)}
    expiry_of = np.array([row_of[option.expiry_ms] for option in options])
    forward, vol = column(maturities[option.expiry_ms].forward_ticks for option in options), column(vols.get(option.id, 1) for option in options)
    multipliers = np.array([[forward_multiplier(shock, parameters, maturity.minutes) for shock in shocks] for maturity in expiries], dtype=np.int64)
    shocked_forward = np.maximum((forward * multipliers[expiry_of] + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS, 1)
    full = parameters.skew_full_moneyness_bps
    moneyness = column(moneyness_bps(at.forward_ticks, option.strike_ticks, at.minutes, full) for option in options for at in [maturities[option.expiry_ms]])
    skew = np.array([shock.skew_bps for shock in shocks], dtype=np.int64)
    relative = _relative_vol_shocks(shocks, parameters, [maturity.minutes for maturity in expiries])[expiry_of] + skew * moneyness // full
    shocked_vol = np.maximum(vol * (BPS + relative) // BPS, np.minimum(vol, parameters.vol_floor_bps))
    value = block.values(forward, vol)
    weights = np.array([shock.weight_bps for shock in shocks], dtype=np.int64)
    deltas = ((block.values(shocked_forward, shocked_vol) - value) * weights + BPS // 2) // BPS
    vega = block.values(forward, vol + parameters.band_vol_bps) - value
    expired = np.array([maturities[option.expiry_ms].expired for option in options])
    deltas[expired] = 0
    return OptionValues(value[:, 0], deltas, vega[:, 0])


def _relative_vol_shocks(shocks: Sequence[Scenario], parameters: RiskParameters, minutes: Sequence[int]) -> Int64Array:
    """(expiries, scenarios): relative vol change in basis points, the skew left out."""
    table = np.zeros((len(minutes), SCENARIOS), dtype=np.int64)
    for row, left in enumerate(minutes):
        term = interpolate(parameters.vol_term_days, parameters.vol_term_bps, left)
        profile = interpolate(parameters.profile_days, parameters.profile_bps, left)
        up, down = parameters.vol_up_bps * term // BPS, parameters.vol_down_bps * term // BPS
        table[row] = [{1: up, 0: 0, -1: -down}[shock.vol] + shock.term_bps * profile // BPS for shock in shocks]
    return table
