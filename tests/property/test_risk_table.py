"""Margin on tables made from random feeds, all charges included: coherent, and settled instruments need none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind
from straddle.core.margin import requirement
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable
from straddle.risk.inputs import RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.settlement import settlement_value
from straddle.risk.table import build_table

NOW = 1_590_103_380_000
DAY_MS = 86_400_000
GONE, SOON, NEXT, FAR = EXPIRIES = (NOW - DAY_MS, NOW + 600_000, NOW + DAY_MS, NOW + 90 * DAY_MS)
STRIKES = (800_000, 900_000, 1_000_000)
SETTLEMENT = 890_000
PARAMS = Params(20, 12, 10_000, 8_000)

TERMS = [(Kind.PERPETUAL, NEVER_MS, 0)]
TERMS += [(Kind.FUTURE, expiry, 0) for expiry in EXPIRIES]
TERMS += [(kind, expiry, strike) for expiry in EXPIRIES for strike in STRIKES for kind in (Kind.CALL, Kind.PUT)]
INSTRUMENTS = tuple(Instrument(i, kind, BTC, expiry, strike, 50, 10, 10**6) for i, (kind, expiry, strike) in enumerate(TERMS, start=1))
IDS = {terms: i for i, terms in enumerate(TERMS, start=1)}
SETTLED = {instrument.id: settlement_value(instrument, SETTLEMENT) for instrument in INSTRUMENTS if instrument.expiry_ms == GONE}
LIVE_OPTIONS = [instrument.id for instrument in INSTRUMENTS if not instrument.linear and instrument.id not in SETTLED]

price = st.integers(600_000, 1_400_000)


@st.composite
def tables(draw: st.DrawFn) -> RiskTable:
    """A table of the perpetual and four expiries, one settled and one in its settlement window, from random feeds."""
    observed_ms = draw(st.integers(0, 20 * 60_000))
    smile = {(expiry, strike): draw(st.integers(2_000, 30_000)) for expiry in EXPIRIES for strike in STRIKES}
    inputs = RiskInputs(
        epoch=1,
        time_ms=NOW,
        index_ticks=draw(price),
        perpetual_mark_ticks=draw(price),
        cumulative_funding=draw(st.integers(-5_000, 5_000)),
        funding_remainder=0,
        forwards=tuple((expiry, draw(price)) for expiry in (SOON, NEXT, FAR)),
        vols=tuple((option, smile[TERMS[option - 1][1:]]) for option in LIVE_OPTIONS),
        scale_ppm=draw(st.integers(1_000_000, 2_500_000)),
        windows=((SOON, observed_ms, observed_ms * draw(price)),),
        settlements=((GONE, SETTLEMENT),),
        activity=tuple((expiry, draw(st.integers(1, 10**6)), draw(st.integers(0, 10**5))) for expiry in (SOON, NEXT, FAR, NEVER_MS)),
    )
    return build_table(inputs, INSTRUMENTS, DEFAULT_PARAMETERS, SETTLED)


portfolios = st.dictionaries(st.sampled_from(list(IDS.values())), st.integers(-(10**6), 10**6).filter(bool), max_size=12)


def add(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    total = {instrument: first.get(instrument, 0) + second.get(instrument, 0) for instrument in sorted(first.keys() | second.keys())}
    return {instrument: size for instrument, size in total.items() if size}


@settings(max_examples=150, deadline=None)
@given(tables(), portfolios, portfolios)
def test_merging_portfolios_never_raises_the_requirement(table: RiskTable, first: dict[int, int], second: dict[int, int]) -> None:
    """Read backwards: splitting over accounts never lowers it."""
    one, other, merged = (requirement(0, positions, table, PARAMS) for positions in (first, second, add(first, second)))
    assert merged.im_scaled <= one.im_scaled + other.im_scaled
    assert merged.mm_scaled <= one.mm_scaled + other.mm_scaled
    assert merged.equity == one.equity + other.equity
    assert 0 <= one.mm_scaled <= one.im_scaled


@settings(max_examples=60, deadline=None)
@given(tables(), portfolios)
def test_settled_instruments_are_worth_cash_and_need_no_margin(table: RiskTable, positions: dict[int, int]) -> None:
    risky = {instrument: size for instrument, size in positions.items() if instrument not in SETTLED}
    whole, rest = requirement(0, positions, table, PARAMS), requirement(0, risky, table, PARAMS)
    assert (whole.im_scaled, whole.mm_scaled) == (rest.im_scaled, rest.mm_scaled)
    assert whole.equity - rest.equity == sum(size * SETTLED.get(instrument, 0) for instrument, size in positions.items())


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(LIVE_OPTIONS), st.integers(1, 10**6))
def test_a_lone_long_option_needs_its_value_and_the_concentration_cap_at_most(table: RiskTable, option: int, size: int) -> None:
    im = requirement(0, {option: size}, table, PARAMS).im_scaled
    assert im <= 10_000 * size * (table[option].value * 13 // 10 + 2)


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(EXPIRIES), st.sampled_from(STRIKES))
def test_put_call_parity_before_inside_and_after_the_settlement_window(table: RiskTable, expiry: int, strike: int) -> None:
    call, put, future = (table[IDS[terms]].value for terms in ((Kind.CALL, expiry, strike), (Kind.PUT, expiry, strike), (Kind.FUTURE, expiry, 0)))
    assert abs(call - put - future + strike) <= 1
