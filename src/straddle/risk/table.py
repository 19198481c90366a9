"""The risk table from feed values and listings: exact integers, the same on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.risk.inputs import RiskInputError, RiskInputs, decode_inputs
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import Int64Array, PricingLimitError, black76_vector, check_feed, root_time
from straddle.risk.scenarios import (
    MULTIPLIER_BITS,
    Scenario,
    forward_multiplier,
    interpolate,
    moneyness_bps,
    scenarios,
    spot_multiplier,
)

EXPOSURE_LIMIT = 2**52
"""position_cap * max(|value|, |delta|) stays below this (docs/protocol/state.md)."""


def minutes_to_expiry(expiry_ms: int, time_ms: int, parameters: RiskParameters) -> int:
    """Minutes of variance left: whole minutes less the averaging correction; a third of the rest inside the settlement window; 0 once expired.

    Inside the window the part of the average that is already fixed is not taken off yet: the option is priced on the whole forward.
    """
    left_ms = expiry_ms - time_ms
    if left_ms <= 0:
        return 0
    minutes = left_ms // 60_000
    if minutes >= parameters.settlement_window_minutes:
        return max(1, minutes - parameters.averaging_minutes)
    return max(1, -(-minutes // 3))


def build_table(inputs: RiskInputs, instruments: Sequence[Instrument], parameters: RiskParameters = DEFAULT_PARAMETERS) -> RiskTable:
    """The table of an epoch.

    `instruments` are all listed ones, ascending by id; `inputs` holds a vol for each option among them, a forward for each of their expiries, and nothing else.

    Raises:
        RiskInputError: feeds that do not fit the listings, lie outside the pricing limits, or would let a position exceed the exposure limit.
    """
    _check_match(inputs, instruments)
    options = [instrument for instrument in instruments if instrument.kind is not Kind.PERPETUAL]
    rows = _option_rows(inputs, options, parameters) if options else {}
    for instrument in instruments:
        if instrument.kind is Kind.PERPETUAL:
            rows[instrument.id] = _perpetual_row(inputs, instrument, parameters)
    for instrument in instruments:
        check_exposure(instrument, rows[instrument.id])
    return RiskTable(inputs.epoch, inputs.time_ms, inputs.index_ticks, tuple(rows[instrument.id] for instrument in instruments))


def table_from_bytes(data: bytes, instruments: Sequence[Instrument], parameters: RiskParameters = DEFAULT_PARAMETERS) -> RiskTable:
    """What a watcher recomputes from the inputs that layer 1 published. Raises RiskInputError as `decode_inputs` and `build_table` do."""
    return build_table(decode_inputs(data), instruments, parameters)


def check_exposure(instrument: Instrument, row: RiskRow) -> None:
    """Refuse a row under which a position at its cap could exceed the exposure limit.

    Raises:
        RiskInputError: naming the instrument, its cap and its largest value.
    """
    largest = max(abs(row.value), *(abs(delta) for delta in row.deltas))
    if instrument.position_cap_lots * largest >= EXPOSURE_LIMIT:
        raise RiskInputError(f"instrument {instrument.id}: position cap {instrument.position_cap_lots} lots x {largest} ticks: expected below {EXPOSURE_LIMIT}")


def _check_match(inputs: RiskInputs, instruments: Sequence[Instrument]) -> None:
    ids = [instrument.id for instrument in instruments]
    if any(before >= after for before, after in itertools.pairwise(ids)):
        raise RiskInputError("instruments: expected strictly ascending ids")
    options = [instrument for instrument in instruments if instrument.kind is not Kind.PERPETUAL]
    _check_same("vols", "listed options", [option.id for option in options], [instrument for instrument, _ in inputs.vols])
    _check_same("forwards", "listed expiries", sorted({option.expiry_ms for option in options}), [expiry for expiry, _ in inputs.forwards])


def _check_same(name: str, what: str, wanted: list[int], given: list[int]) -> None:
    if wanted != given:
        extra, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
        raise RiskInputError(f"{name}: expected exactly the {what}; too many {extra}, missing {missing}")


def _option_rows(inputs: RiskInputs, options: Sequence[Instrument], parameters: RiskParameters) -> dict[int, RiskRow]:
    forwards, vols = dict(inputs.forwards), dict(inputs.vols)
    minutes = {expiry: minutes_to_expiry(expiry, inputs.time_ms, parameters) for expiry in forwards}
    for option in options:
        _check_option(option, forwards[option.expiry_ms], vols[option.id], minutes[option.expiry_ms])
    shocks = scenarios(parameters)
    expiry_of = np.array([list(forwards).index(option.expiry_ms) for option in options])
    forward = np.array(list(forwards.values()), dtype=np.int64)[expiry_of][:, None]
    strike = np.array([option.strike_ticks for option in options], dtype=np.int64)[:, None]
    vol = np.array([vols[option.id] for option in options], dtype=np.int64)[:, None]
    roots = np.array([root_time(minutes[expiry]) for expiry in forwards], dtype=np.int64)[expiry_of][:, None]
    is_call = np.array([option.kind is Kind.CALL for option in options])[:, None]

    def price(forwards_: Int64Array, vols_: Int64Array) -> Int64Array:
        calls, puts = black76_vector(forwards_, strike, vols_, roots)
        return np.where(is_call, calls, puts)

    multipliers = np.array([[forward_multiplier(shock, parameters, minutes[expiry]) for shock in shocks] for expiry in forwards], dtype=np.int64)
    shocked_forward = np.maximum((forward * multipliers[expiry_of] + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS, 1)
    moneyness = np.array(
        [moneyness_bps(forwards[option.expiry_ms], option.strike_ticks, minutes[option.expiry_ms], parameters.skew_full_moneyness_bps) for option in options],
        dtype=np.int64,
    )[:, None]
    relative = _relative_vol_shocks(shocks, parameters, [minutes[expiry] for expiry in forwards])[expiry_of]
    skew = np.array([shock.skew_bps for shock in shocks], dtype=np.int64)
    relative = relative + skew * moneyness // parameters.skew_full_moneyness_bps
    shocked_vol = np.maximum(vol * (BPS + relative) // BPS, np.minimum(vol, parameters.vol_floor_bps))

    value = price(forward, vol)
    weights = np.array([shock.weight_bps for shock in shocks], dtype=np.int64)
    deltas = ((price(shocked_forward, shocked_vol) - value) * weights + BPS // 2) // BPS
    vega = (price(forward, vol + parameters.band_vol_bps) - value)[:, 0]
    live = np.array([minutes[option.expiry_ms] > 0 for option in options])
    deltas[~live] = 0
    floor_band = max(parameters.band_min_ticks, inputs.index_ticks * parameters.band_index_bps // BPS)
    floor_im, floor_mm = (_charge(inputs.index_ticks, rate) for rate in (parameters.short_option_floor_im_bps, parameters.short_option_floor_mm_bps))
    return {
        option.id: RiskRow(
            option.id,
            option.expiry_ms,
            False,
            int(value[i, 0]),
            0,
            max(floor_band, int(vega[i])) if live[i] else 0,
            0,
            0,
            floor_im if live[i] else 0,
            floor_mm if live[i] else 0,
            tuple(deltas[i].tolist()),
        )
        for i, option in enumerate(options)
    }


def _check_option(option: Instrument, forward_ticks: int, vol_bps: int, minutes: int) -> None:
    try:
        check_feed(forward_ticks, option.strike_ticks, vol_bps, max(minutes, 1))
    except PricingLimitError as error:
        raise RiskInputError(f"instrument {option.id}: {error}") from None


def _relative_vol_shocks(shocks: Sequence[Scenario], parameters: RiskParameters, minutes: Sequence[int]) -> Int64Array:
    """(expiries, scenarios): relative vol change in basis points, the skew left out."""
    table = np.zeros((len(minutes), SCENARIOS), dtype=np.int64)
    for row, left in enumerate(minutes):
        term = interpolate(parameters.vol_term_days, parameters.vol_term_bps, left)
        profile = interpolate(parameters.profile_days, parameters.profile_bps, left)
        up, down = parameters.vol_up_bps * term // BPS, parameters.vol_down_bps * term // BPS
        table[row] = [{1: up, 0: 0, -1: -down}[shock.vol] + shock.term_bps * profile // BPS for shock in shocks]
    return table


def _perpetual_row(inputs: RiskInputs, instrument: Instrument, parameters: RiskParameters) -> RiskRow:
    mark = inputs.perpetual_mark_ticks
    deltas = []
    for shock in scenarios(parameters):
        moved = (mark * spot_multiplier(shock) + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS
        deltas.append(((moved - mark) * shock.weight_bps + BPS // 2) // BPS)
    im, mm = (_charge(inputs.index_ticks, rate) for rate in (parameters.linear_im_bps, parameters.linear_mm_bps))
    band = max(parameters.band_min_ticks, inputs.index_ticks * parameters.linear_band_index_bps // BPS)
    return RiskRow(instrument.id, instrument.expiry_ms, True, mark - inputs.cumulative_funding, inputs.cumulative_funding, band, im, mm, im, mm, tuple(deltas))


def _charge(index_ticks: int, rate_bps: int) -> int:
    """rate of the index, rounded up."""
    return -(-index_ticks * rate_bps // BPS)
