"""The risk table from feed values and listings: exact integers, the same on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.risk.concentration import concentration_charges, concentration_rate_bps
from straddle.risk.expiry import Maturity, in_window, maturities
from straddle.risk.inputs import RiskInputError, RiskInputs, decode_inputs
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import PricingLimitError, check_feed
from straddle.risk.scaling import check_scale, scaled
from straddle.risk.scenarios import MULTIPLIER_BITS, forward_multiplier, interpolate, scenarios, spot_multiplier
from straddle.risk.settlement import settlement_value
from straddle.risk.valuation import value_options

EXPOSURE_LIMIT = 2**52
"""position_cap * max(|value|, |delta|) stays below this (docs/protocol/state.md)."""
NOTHING_SETTLED: Mapping[int, int] = {}


def build_table(
    inputs: RiskInputs,
    instruments: Sequence[Instrument],
    parameters: RiskParameters = DEFAULT_PARAMETERS,
    settled: Mapping[int, int] = NOTHING_SETTLED,
) -> RiskTable:
    """The table of an epoch.

    `instruments` are all listed ones that are not retired, ascending by id; `settled` holds the settlement values that the listings chain declares, by
    instrument. `inputs` name exactly the forwards, windows, settlements and vols that these need, and nothing else.

    Raises:
        RiskInputError: feeds that do not fit the listings, lie outside the pricing limits, or would let a position exceed the exposure limit.
    """
    check_scale(inputs, parameters)
    at = maturities(inputs, parameters)
    _check_match(inputs, instruments, parameters)
    builder = _Rows(inputs, scaled(parameters, inputs.scale_ppm), at)
    options = [instrument for instrument in instruments if not instrument.linear]
    rows = builder.options(options)
    for instrument in instruments:
        if instrument.kind is Kind.PERPETUAL:
            rows[instrument.id] = builder.perpetual(instrument)
        elif instrument.kind is Kind.FUTURE:
            rows[instrument.id] = builder.future(instrument)
        if instrument.id in settled:
            rows[instrument.id] = _settled_row(inputs, instrument, settled[instrument.id])
        check_exposure(instrument, rows[instrument.id])
    return RiskTable(inputs.epoch, inputs.time_ms, inputs.index_ticks, tuple(rows[instrument.id] for instrument in instruments))


def table_from_bytes(
    data: bytes,
    instruments: Sequence[Instrument],
    parameters: RiskParameters = DEFAULT_PARAMETERS,
    settled: Mapping[int, int] = NOTHING_SETTLED,
) -> RiskTable:
    """What a watcher recomputes from the inputs that layer 1 published. Raises RiskInputError as `decode_inputs` and `build_table` do."""
    return build_table(decode_inputs(data), instruments, parameters, settled)


def check_exposure(instrument: Instrument, row: RiskRow) -> None:
    """Refuse a row under which a position at its cap could exceed the exposure limit.

    Raises:
        RiskInputError: naming the instrument, its cap and its largest value.
    """
    largest = max(abs(row.value), *(abs(delta) for delta in row.deltas))
    if instrument.position_cap_lots * largest >= EXPOSURE_LIMIT:
        raise RiskInputError(f"instrument {instrument.id}: position cap {instrument.position_cap_lots} lots x {largest} ticks: expected below {EXPOSURE_LIMIT}")


def _check_match(inputs: RiskInputs, instruments: Sequence[Instrument], parameters: RiskParameters) -> None:
    ids = [instrument.id for instrument in instruments]
    if any(before >= after for before, after in itertools.pairwise(ids)):
        raise RiskInputError("instruments: expected strictly ascending ids")
    alive = [instrument.id for instrument in instruments if not instrument.linear and instrument.expiry_ms > inputs.time_ms]
    _check_same("vols", "listed options before expiry", alive, [instrument for instrument, _ in inputs.vols])
    expiries = {instrument.expiry_ms for instrument in instruments if instrument.kind is not Kind.PERPETUAL}
    final = [expiry for expiry, _ in inputs.settlements]
    _check_same("settlements and forwards", "listed expiries", sorted(expiries), sorted([*final, *(expiry for expiry, _ in inputs.forwards)]))
    running = [expiry for expiry in sorted(expiries) if in_window(expiry, inputs.time_ms, parameters)]
    _check_same("windows", "expiries in their settlement window", running, [expiry for expiry, _, _ in inputs.windows])
    for expiry, observed_ms, _ in inputs.windows:
        gone_ms = inputs.time_ms - expiry + parameters.settlement_window_minutes * 60_000
        if observed_ms > gone_ms:
            raise RiskInputError(f"observed_ms of expiry {expiry} = {observed_ms}: expected at most the {gone_ms} ms since its window began")
    known = {instrument.expiry_ms for instrument in instruments}
    for expiry, _, _ in inputs.activity:
        if expiry not in known:
            raise RiskInputError(f"activity: expiry {expiry}: expected one of the listed")


def _check_same(name: str, what: str, wanted: list[int], given: list[int]) -> None:
    if wanted != given:
        extra, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
        raise RiskInputError(f"{name}: expected exactly the {what}, each once; too many {extra}, missing {missing}")


def _settled_row(inputs: RiskInputs, instrument: Instrument, declared: int) -> RiskRow:
    prices = dict(inputs.settlements)
    if instrument.expiry_ms not in prices:
        raise RiskInputError(f"settlements: expected one for expiry {instrument.expiry_ms}, since instrument {instrument.id} is settled")
    value = settlement_value(instrument, prices[instrument.expiry_ms])
    if declared != value:
        raise RiskInputError(f"instrument {instrument.id}: settled at {declared}: expected {value}, at the settlement price {prices[instrument.expiry_ms]}")
    return RiskRow(instrument.id, instrument.expiry_ms, instrument.linear, value, 0, 0, 0, 0, 0, 0, (0,) * SCENARIOS, settled=True)


class _Rows:
    """Makes the rows of one epoch."""

    def __init__(self, inputs: RiskInputs, parameters: RiskParameters, at: Mapping[int, Maturity]) -> None:
        self.inputs, self.parameters, self.at = inputs, parameters, at
        self.scenarios = scenarios(parameters)
        self.rates = {expiry: concentration_rate_bps(interest, traded, parameters) for expiry, interest, traded in inputs.activity}

    def options(self, options: Sequence[Instrument]) -> dict[int, RiskRow]:
        """Rows by id."""
        if not options:
            return {}
        vols = dict(self.inputs.vols)
        for option in options:
            self._check(option, vols)
        valued = value_options(options, vols, self.at, self.parameters)
        least_band = max(self.parameters.band_min_ticks, self._share(self.parameters.band_index_bps, up=False))
        floors = {expiry: self._short_floor(maturity) for expiry, maturity in self.at.items()}
        rows: dict[int, RiskRow] = {}
        for option, value, deltas, vega in zip(options, valued.value.tolist(), valued.deltas.tolist(), valued.vega.tolist(), strict=True):
            short = floors[option.expiry_ms]
            rows[option.id] = self._row(option, value, 0, max(least_band, vega), (0, 0, *short), tuple(deltas))
        return rows

    def future(self, future: Instrument) -> RiskRow:
        """A + w F; scenarios move what is not fixed yet."""
        maturity = self.at[future.expiry_ms]
        value = maturity.future_value()
        deltas = []
        for shock in self.scenarios:
            multiplier = forward_multiplier(shock, self.parameters, maturity.minutes)
            moved = maturity.future_value((maturity.forward_ticks * multiplier + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS)
            deltas.append(0 if maturity.expired else ((moved - value) * shock.weight_bps + BPS // 2) // BPS)
        return self._linear_row(future, value, 0, tuple(deltas))

    def perpetual(self, perpetual: Instrument) -> RiskRow:
        """Mark less cumulative funding; scenarios move the mark as the index."""
        mark, funding = self.inputs.perpetual_mark_ticks, self.inputs.cumulative_funding
        deltas = []
        for shock in self.scenarios:
            moved = (mark * spot_multiplier(shock) + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS
            deltas.append(((moved - mark) * shock.weight_bps + BPS // 2) // BPS)
        return self._linear_row(perpetual, mark - funding, funding, tuple(deltas))

    def _linear_row(self, instrument: Instrument, value: int, funding: int, deltas: tuple[int, ...]) -> RiskRow:
        parameters = self.parameters
        im, mm = self._share(parameters.linear_im_bps), self._share(parameters.linear_mm_bps)
        band = max(parameters.band_min_ticks, self._share(parameters.linear_band_index_bps, up=False))
        return self._row(instrument, value, funding, band, (im, mm, im, mm), deltas)

    def _row(self, instrument: Instrument, value: int, funding: int, band: int, base: Sequence[int], deltas: tuple[int, ...]) -> RiskRow:
        """`base` charges (long IM, long MM, short IM, short MM) plus concentration; without risk once expired."""
        if instrument.expiry_ms <= self.inputs.time_ms:
            return RiskRow(instrument.id, instrument.expiry_ms, instrument.linear, value, funding, 0, 0, 0, 0, 0, deltas)
        rate = self.rates.get(instrument.expiry_ms, 0)
        extra = concentration_charges(rate, deltas, self.parameters) if rate else (0, 0, 0, 0)
        long_im, long_mm, short_im, short_mm = (charge + more for charge, more in zip(base, extra, strict=True))
        return RiskRow(instrument.id, instrument.expiry_ms, instrument.linear, value, funding, band, long_im, long_mm, short_im, short_mm, deltas)

    def _short_floor(self, maturity: Maturity) -> tuple[int, int]:
        """(IM, MM) of a short option of the expiry."""
        p = self.parameters
        im, mm = (interpolate(p.short_floor_days, heights, maturity.minutes) for heights in (p.short_floor_im_bps, p.short_floor_mm_bps))
        return self._share(im), self._share(mm)

    def _share(self, rate_bps: int, up: bool = True) -> int:
        """A rate of the index, rounded up or down."""
        product = self.inputs.index_ticks * rate_bps
        return -(-product // BPS) if up else product // BPS

    def _check(self, option: Instrument, vols: Mapping[int, int]) -> None:
        maturity = self.at[option.expiry_ms]
        try:
            if not maturity.expired:  # at expiry the value is intrinsic, whatever the strike
                check_feed(maturity.forward_ticks, option.strike_ticks, vols[option.id], maturity.minutes)
        except PricingLimitError as error:
            raise RiskInputError(f"instrument {option.id}: {error}") from None
