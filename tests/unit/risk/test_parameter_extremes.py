"""Parameters at the ends of their ranges, and a market that goes far: whatever is accepted can always be priced, listed and traded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from straddle.commitments.risk import risk_root
from straddle.core.instruments import NEVER_MS, Instrument, Kind
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.risk.expiry import in_window
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs, encode_inputs
from straddle.risk.listing import InstrumentSizes, nice_number, perpetual_terms, terms
from straddle.risk.listing_policy import ListingPolicy, strikes
from straddle.risk.market_parameters import DEFAULT_MARKET, LIST_MAX, MarketParameters
from straddle.risk.market_path import MarketPath
from straddle.risk.parameter_keys import KEYS, Key
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.piecewise import piecewise
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS
from straddle.risk.scaling import first_scaling, next_scaling
from straddle.risk.table import build_table, table_from_bytes

NOW = 1_590_103_380_000
MINUTE_MS, DAY_MS = 60_000, 86_400_000
DEFAULTS = json.loads(DEFAULT_MARKET.to_json())


def drawn(seed: int) -> MarketParameters:
    """Accepted parameters, most numbers at an end of their range; of every third market only a few are not the defaults."""
    draw, raw = Random(seed), json.loads(json.dumps(DEFAULTS))
    keys = sorted(((section, name) for section, known in KEYS.items() for name in known), key=lambda _: draw.random())
    for section, name in keys[: draw.choice((1, 2, 3))] if seed % 3 == 0 else keys:
        before = raw[section][name]

        def number(key: Key = KEYS[section][name]) -> int:
            return draw.choice((key.low, key.high, draw.randint(key.low, key.high)))

        raw[section][name] = sorted(number() for _ in before) if isinstance(before, list) else number()
        try:
            MarketParameters.from_plain(raw)
        except ValueError:
            raw[section][name] = before
    return MarketParameters.from_plain(raw)


def listed(market: MarketParameters, index: int, draw: Random) -> list[Instrument]:
    """A perpetual; three expiries, each with its future and the lowest, middle and highest strike."""
    shapes = [(Kind.PERPETUAL, NEVER_MS, 0)]
    for expiry in (NOW + MINUTE_MS * draw.randint(1, 30), NOW + 60 * MINUTE_MS * draw.randint(1, 24), NOW + DAY_MS * draw.randint(2, 729)):
        grid = strikes(expiry, NOW, index, market.listing)
        shapes.append((Kind.FUTURE, expiry, 0))
        shapes += [(kind, expiry, strike) for strike in sorted({*grid[:1], *grid[len(grid) // 2 :][:1], *grid[-1:]}) for kind in (Kind.CALL, Kind.PUT)]
    return [terms(number, kind, expiry, strike, index, market.instruments) for number, (kind, expiry, strike) in enumerate(shapes, 1)]


def epochs(market: MarketParameters, index: int, instruments: list[Instrument], draw: Random) -> Iterator[RiskInputs]:
    """Feeds of some epochs after a listing at `index`: the underlying anywhere from a tenth to five times of it, forwards and vols wild."""
    risk, previous, now = market.risk, None, NOW
    expiries = sorted({instrument.expiry_ms for instrument in instruments} - {NEVER_MS})
    for epoch in range(1, 5):
        moved = max(1, min(MAX_FEED_PRICE_TICKS, index * draw.choice((10, 50, 95, 100, 105, 200, 500)) // 100))
        scaling = first_scaling((moved,), moved, risk) if previous is None else next_scaling(previous, now, moved, risk)
        settled = {} if previous is None else dict(previous.settlements)
        vol, windows = draw.choice((1, 100, 7_500, 50_000)), []
        for expiry in (one for one in expiries if in_window(one, now, risk)):
            observed = draw.randint(0, now - expiry + risk.settlement_window_minutes * MINUTE_MS)
            windows.append((expiry, observed, observed * moved))
        previous = RiskInputs(
            epoch=epoch,
            time_ms=now,
            index_ticks=moved,
            perpetual_mark_ticks=min(MAX_FEED_PRICE_TICKS, moved + moved * risk.premium_clamp_bps // 10_000),
            cumulative_funding=0,
            funding_remainder=0,
            forwards=tuple((one, max(1, min(MAX_FEED_PRICE_TICKS, moved * draw.randint(5_000, 15_000) // 10_000))) for one in expiries if one > now),
            vols=tuple((one.id, vol) for one in instruments if not one.linear and one.expiry_ms > now),
            hours=scaling[0],
            scale_ppm=scaling[1],
            windows=tuple(windows),
            settlements=tuple((one, settled.get(one, moved)) for one in expiries if one <= now),
            activity=tuple((one, draw.choice((0, 1, 2**63 - 1)), draw.choice((0, 1, 2**63 - 1))) for one in [*expiries, NEVER_MS]),
        )
        yield previous
        now += draw.choice((1, MINUTE_MS, 60 * MINUTE_MS, DAY_MS))


@pytest.mark.parametrize("first", range(0, 48, 12))
def test_every_market_has_its_tables(first: int) -> None:
    """Listed at any index. Rows fit their widths, MM charges stay below IM, bands hold a price."""
    for seed in range(first, first + 12):
        draw, market = Random(seed), drawn(seed)
        index = draw.choice((1, 100, 10_000, 900_000, 900_000, 10**7, MAX_FEED_PRICE_TICKS))
        instruments = listed(market, index, draw)
        for one in instruments:
            assert 0 < one.tick_ticks < 2**24 and 0 < one.min_lots < 2**32 and one.min_lots <= one.position_cap_lots < 2**40
        for inputs in epochs(market, index, instruments, draw):
            table = table_from_bytes(encode_inputs(inputs), instruments, market.risk)
            assert table.packed is not None and risk_root(7, table.rows)
            for one, row in zip(instruments, table.rows, strict=True):
                assert row.long_mm <= row.long_im and row.short_mm <= row.short_im and row.mark + row.band < 2**39
                assert row.expiry_ms <= inputs.time_ms or 2 * row.band >= min(one.tick_ticks, index), f"market {seed}: no price in the band of {one}"


def test_an_index_that_falls_by_nine_tenths_leaves_the_highest_strikes_priceable() -> None:
    """A listed option that cannot be priced would end the market: there is no table without it, for as long as it runs."""
    policy = ListingPolicy(up_bps=(KEYS["listing"]["up_bps"].high,) * 5)
    expiry, index = NOW + 300 * DAY_MS, 900_000
    highest = terms(1, Kind.CALL, expiry, strikes(expiry, NOW, index, replace(policy, max_strikes=1_000))[-1], index)
    assert highest.strike_ticks > 10 * index
    for share in (10, 50):
        inputs = RiskInputs(1, NOW, index // share, index // share, 0, 0, ((expiry, index // share),), ((1, 50_000),))
        assert build_table(inputs, [highest])[1].value >= 0


@pytest.mark.parametrize("interval", [1, 60, 480, KEYS["risk"]["funding_interval_minutes"].high])
@pytest.mark.parametrize("premium", [1, -1])
def test_a_year_of_the_highest_funding_leaves_the_perpetual_its_row(interval: int, premium: int) -> None:
    index = 900_000
    raw = {"funding_interval_minutes": interval, "funding_dampener_bps_e2": 0, "premium_clamp_bps": 5_000, "funding_max_gap_minutes": 1_440}
    risk = most_funding(raw)
    perpetual = perpetual_terms(1, index, InstrumentSizes(position_cap_lots=KEYS["instruments"]["position_cap_lots"].high))
    inputs = RiskInputs(1, NOW, index, index + premium * index // 2, 0, 0, (), ())
    for _ in range(365):
        funding = accrue(inputs, inputs.time_ms + DAY_MS, risk)
        inputs = replace(inputs, epoch=inputs.epoch + 1, time_ms=inputs.time_ms + DAY_MS, cumulative_funding=funding[0], funding_remainder=funding[1])
    assert abs(inputs.cumulative_funding) > index
    assert build_table(inputs, [perpetual], risk)[1].funding == inputs.cumulative_funding


def most_funding(raw: dict[str, int]) -> RiskParameters:
    """With the highest cap that is accepted."""
    for cap in (10**6, 7 * 10**5, 10**5 * raw["funding_interval_minutes"] // 1_440):
        try:
            return MarketParameters.from_plain({"risk": {**raw, "funding_cap_bps_e2": cap}}, whole=False).risk
        except ValueError as error:
            assert "funding_cap_bps_e2" in str(error)
    raise AssertionError(raw)


def test_a_tick_is_at_most_a_tenth_of_each_band() -> None:
    for name in ("band_index_bps", "linear_band_index_bps"):
        market = MarketParameters.from_plain({"risk": {name: 6}}, whole=False)
        assert market.instruments.tick_bps_e1 == 6 == getattr(market.risk, name)
        with pytest.raises(ValueError, match=rf"^instruments.tick_bps_e1 = 6: expected at most 5, a tenth of risk.{name} = 5$"):
            MarketParameters.from_plain({"risk": {name: 5}}, whole=False)


def test_a_list_is_short() -> None:
    known = MarketParameters.from_plain(knots(LIST_MAX), whole=False).risk
    assert len(known.scaling_bps) == LIST_MAX
    with pytest.raises(ValueError, match=rf"^risk.scaling_vol_bps = \[.*\.\.\.: expected a list of integers, 1 to {LIST_MAX}$"):
        MarketParameters.from_plain(knots(LIST_MAX + 1), whole=False)


def knots(count: int) -> dict[str, dict[str, list[int]]]:
    return {"risk": {"scaling_vol_bps": list(range(1, count + 1)), "scaling_bps": [10_000] * count}}


def test_the_digest_follows_from_the_numbers_alone() -> None:
    """Not from the order of keys, spaces, or which of them a file leaves out."""
    draw = Random(3)
    for seed in range(10):
        market = drawn(seed)
        raw = json.loads(market.to_json())
        for text in (json.dumps(raw), json.dumps(raw, indent=7), json.dumps(shuffled(raw, draw)), json.dumps(only_changed(raw))):
            assert MarketParameters.from_json(text).digest == market.digest


def test_no_edit_of_a_record_leaves_its_digest() -> None:
    """A number is edited into anything that JSON has: it is refused, or it is the same number, or the digest is another."""
    draw, market = Random(5), drawn(4)
    record, edits = json.loads(market.to_json()), 0
    for _ in range(1_500):
        section = draw.choice(list(record))
        name = draw.choice(list(record[section]))
        value = changed(record[section][name], draw)
        try:
            other = MarketParameters.from_plain({**record, section: {**record[section], name: value}})
        except ValueError as error:
            assert str(error).startswith((f"{section}.", "instruments.tick_bps_e1"))
            continue
        edits += other != market
        assert (other.digest == market.digest) == (other == market) and (other == market) == (not other.differences(market))
    assert edits > 100


def changed(value: object, draw: Random) -> object:
    """Something else in the place of a number, or of one of a list."""
    if isinstance(value, list) and draw.random() < 0.8:
        at = draw.randrange(len(value))
        return draw.choice(([*value[:at], changed(value[at], draw), *value[at + 1 :]], value[::-1], value[1:], [*value, value[-1]], [*value, 10**6]))
    number = value if isinstance(value, int) else 1
    return draw.choice(
        (number, number + 1, number - 1, -number, 2 * number, number + 2**64, float(number), str(number), bool(number), None, [number], {"a": number})
    )


@pytest.mark.parametrize(
    "record", ['{"fees": {"taker_bps": 1}, "risk": {}, "fees": {"taker_bps": 2}}', '{"fees": {"taker_bps": 1, "maker_bps": 1, "taker_bps": 1}}']
)
def test_a_key_given_twice_is_refused_in_a_file_and_in_a_deployments_record(record: str) -> None:
    """Whoever reads the first of two would see other numbers than those that the hash is of."""
    for read in (MarketParameters.from_json, Deployment.from_json):
        with pytest.raises((ValueError, DeploymentError), match=r"(fees|taker_bps): given twice, expected each key once"):
            read(record)


def shuffled(raw: dict, draw: Random) -> dict:
    return {name: shuffled(inner, draw) if isinstance(inner, dict) else inner for name, inner in sorted(raw.items(), key=lambda _: draw.random())}


def only_changed(raw: dict) -> dict:
    return {section: {name: value for name, value in values.items() if value != DEFAULTS[section][name]} for section, values in raw.items()}


def test_strikes_are_those_nearest_to_the_money_of_the_whole_grid() -> None:
    draw = Random(11)
    for _ in range(60):
        index, days = draw.choice((1, 50, 10_000, 900_000, MAX_FEED_PRICE_TICKS)), draw.randint(1, 700)
        policy = ListingPolicy(
            step_bps=(draw.choice((100, 500, 10_000)),) * 5,
            down_bps=(draw.choice((1, 3_000, 9_999)),) * 5,
            up_bps=(draw.choice((1, 20_000, 150_000)),) * 5,
            max_strikes=draw.choice((1, 2, 7, 60, 1_000)),
        )
        step_bps, down_bps, up_bps = (piecewise((1,), heights[:1], days) for heights in (policy.step_bps, policy.down_bps, policy.up_bps))
        step = nice_number(index * step_bps // 10_000)
        low, high = max(1, index * (10_000 - down_bps) // 10_000), min(index * (10_000 + up_bps) // 10_000, MAX_FEED_PRICE_TICKS)
        whole = range(-(-low // step) * step, high + 1, step)
        nearest = sorted(whole, key=lambda strike: (abs(strike - index), strike))[: policy.max_strikes]
        assert strikes(NOW + days * DAY_MS, NOW, index, policy) == tuple(sorted(nearest))


def test_a_passed_expiry_has_the_settlement_price_of_the_markets_own_window(path: MarketPath) -> None:
    expiry = min(path.recording.forwards())
    long = replace(DEFAULT_PARAMETERS, settlement_window_minutes=480)
    assert path.forward_ticks(expiry, expiry, long) == path.settlement_ticks(expiry, long) != path.forward_ticks(expiry, expiry)
