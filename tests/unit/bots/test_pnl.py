"""P&L replays: the parts add up to what the book is worth, the hedge does what a hedge does, bad input is refused by name."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from straddle.bots import pnl
from straddle.bots.pnl import PARTS, FlowTrade, HedgePolicy, replay, resample
from straddle.core.instruments import NEVER_MS, Instrument, Kind
from straddle.risk.candles import HOUR_MS, Candle, Candles, load_candles
from straddle.risk.market_path import MarketPath
from straddle.risk.recording import load_chain
from straddle.risk.surface import fit_surface

DATA = Path(__file__).parents[3] / "data"
FREE = HedgePolicy(0, 0, 0)
NEVER = HedgePolicy(2**40, 0, 0)


@pytest.fixture(scope="module")
def path() -> MarketPath:
    recording = load_chain(DATA / "deribit_btc_options_2020-05-21.csv")
    return MarketPath(recording, fit_surface(recording), load_candles(DATA / "coinbase_btcusd_1h_2019-09_2020-10.csv"), 1)


def end_of(path: MarketPath) -> int:
    return path.start_ms // HOUR_MS * HOUR_MS + 9 * HOUR_MS


def instrument(path: MarketPath, kind: Kind, nearest: int = 0) -> Instrument:
    """One near the money of the nearest expiry."""
    options = sorted(path.recording.options, key=lambda option: (option.expiry_ms, abs(option.strike_ticks - option.underlying_ticks)))
    if kind is Kind.PERPETUAL:
        return Instrument(1, kind, 1, NEVER_MS, 0, 1, 1, 10**9)
    chosen = next(option for option in options[nearest:] if option.kind is kind)
    return Instrument(2 + nearest, kind, 1, chosen.expiry_ms, chosen.strike_ticks, 1, 1, 10**9)


def test_the_parts_add_up_to_value_less_price(path):
    """A call bought at the start at the mark and kept to its settlement: the total is the settlement value less the premium, path by path."""
    call = instrument(path, Kind.CALL)
    end = end_of(path)
    study = replay([FlowTrade(path.start_ms, call, 10_000, 0, 7)], path, end, NEVER, paths=5, seed=3)
    premium = replay([FlowTrade(end, call, 10_000, 0, 7)], path, end, NEVER, paths=5, seed=3)  # bought when it settles: nothing happens to it
    assert np.allclose(premium.unhedged, -7)
    first = study.unhedged + 7
    settled = np.array(
        [
            max(0, MarketPath(path.recording, path.surface, resample(path.candles, path.start_ms, 11, 3 + i), 3 + i).settlement_ticks(call.expiry_ms)
                - call.strike_ticks)
            for i in range(5)
        ]
    )  # fmt: skip
    paid = settled * 10_000 - first
    assert np.allclose(paid, paid[0]), "the premium is the mark at the start on every path"
    assert paid[0] > 0


def test_a_linear_flow_has_only_delta_and_its_hedge_removes_it(path):
    perpetual = instrument(path, Kind.PERPETUAL)
    study = replay([FlowTrade(path.start_ms, perpetual, -500, 20, 100)], path, end_of(path), FREE, paths=6)
    for name in ("gamma", "vega", "theta"):
        assert not study.parts[name].any(), name
    assert study.parts["delta"].std() > 0
    assert np.allclose(study.hedged, 500 * 20 - 100)


def test_hedging_narrows_the_results(path):
    flow = [FlowTrade(path.start_ms + i * 60_000, instrument(path, kind, n), (-1) ** i * 3_000, 50, 10) for i, (kind, n) in
            enumerate([(Kind.CALL, 0), (Kind.CALL, 30), (Kind.CALL, 60), (Kind.PUT, 90)])]  # fmt: skip
    study = replay(flow, path, end_of(path), HedgePolicy(50, 1, 3), paths=40)
    assert study.hedged.std() < study.unhedged.std() / 2
    assert (study.parts["hedge_costs"] < 0).all()
    assert np.allclose(study.hedged, sum(study.parts[name] for name in PARTS))


def test_vols_follow_the_hours_that_were_drawn(path, monkeypatch):
    """A long strangle a month away gains what it gains by its vols where the drawn hours were wild, and loses where they were calm."""
    month = min(option.expiry_ms for option in path.recording.options if option.expiry_ms > path.start_ms + 30 * 24 * HOUR_MS)
    sides = enumerate(((Kind.CALL, 1_000_000), (Kind.PUT, 800_000)))
    flow = [FlowTrade(path.start_ms, Instrument(7 + i, kind, 1, month, strike, 1, 1, 10**9), 10_000, 0, 0) for i, (kind, strike) in sides]
    study = replay(flow, path, end_of(path), NEVER, paths=40)
    monkeypatch.setattr(pnl, "vol_factors", lambda ratios, left_ms: np.ones_like(ratios))
    sticky = replay(flow, path, end_of(path), NEVER, paths=40)
    drawn = [resample(path.candles, path.start_ms, 8, seed).hours for seed in range(40)]
    wild = np.log([sum(np.log(hour.close_ticks / hour.open_ticks) ** 2 for hour in hours) for hours in drawn])
    gained = study.parts["vega"] - sticky.parts["vega"]
    assert gained[np.argmax(wild)] > 0 > gained[np.argmin(wild)]
    assert np.corrcoef(wild, gained)[0, 1] > 0.8


def test_the_same_seed_gives_the_same_paths_and_another_others(path):
    flow = [FlowTrade(path.start_ms, instrument(path, Kind.PUT), 1_000, 0, 0)]
    results = [replay(flow, path, end_of(path), NEVER, paths=3, seed=seed).unhedged for seed in (5, 5, 6)]
    assert (results[0] == results[1]).all()
    assert not np.allclose(results[0], results[2])


def test_resampled_hours_continue_each_other_and_stay_inside_their_range(path):
    hours = resample(path.candles, path.start_ms, 24, 9).hours
    assert [hour.open_ms for hour in hours] == [path.start_ms // HOUR_MS * HOUR_MS + i * HOUR_MS for i in range(24)]
    for before, after in itertools.pairwise(hours):
        assert after.open_ticks == before.close_ticks
    assert all(hour.low_ticks <= min(hour.open_ticks, hour.close_ticks) <= max(hour.open_ticks, hour.close_ticks) <= hour.high_ticks for hour in hours)


def test_bad_input_is_refused_by_name(path):
    put = instrument(path, Kind.PUT)
    with pytest.raises(ValueError, match="flow: no trade"):
        replay([], path, end_of(path), FREE)
    with pytest.raises(ValueError, match="flow: trades from"):
        replay([FlowTrade(path.start_ms - 1, put, 1, 0, 0)], path, end_of(path), FREE)
    with pytest.raises(ValueError, match="hedge policy: fee_bps = -1"):
        HedgePolicy(0, 0, -1)
    with pytest.raises(ValueError, match="candles: no hour that starts at"):
        resample(Candles((Candle(0, 1, 1, 1, 1),), path.candles.report), path.start_ms, 1, 0)
