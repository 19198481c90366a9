"""The exact integer Black-76: its speed, and how far it is from QuantLib's on the recorded chain and on random points."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, log
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import SEED, Contender, Results, import_peer
from benchmarks.recorded import load_recorded
from straddle.risk.expiry import minutes_to_expiry
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.pricing import (
    MAX_FEED_PRICE_TICKS,
    MAX_MINUTES,
    MAX_STRIKE_OVER_FORWARD,
    MAX_VOL_BPS,
    MINUTES_PER_YEAR,
    black76,
    black76_vector,
    check_feed,
    root_time,
)

SUBJECT = "pricing"
POINTS, RANDOM_POINTS = 20_000, 200_000
DEVIATIONS = 5
"""Live points have strikes within this many standard deviations of the forward."""
RELATIVE_PART = 1e-7
"""Of max(F, K): what the bar allows beyond a tick."""
ERROR_BAR_TICKS = 1.0

COMPARED = 2_000
"""Points at which the array form must equal `black76`."""
Int64Array = npt.NDArray[np.int64]

Point = tuple[int, int, int, int]
"""forward_ticks, strike_ticks, vol_bps, minutes."""


def run(results: Results) -> None:
    """Calls and puts of 20,000 live points, one by one and as arrays; QuantLib on the same points."""
    points, anywhere = live_points(POINTS, SEED), random_points(RANDOM_POINTS, SEED)
    for name, sample in (("live", points), ("anywhere", anywhere)):
        share = float((np.minimum(*priced(sample)) > 0).mean())
        results.fact(SUBJECT, f"points with time value, {name}", share, "share", note="the others cost less and cannot be wrong by much")
    results.time(SUBJECT, "black76, one by one", 2 * POINTS, lambda: [black76(*point) for point in points], note="plain Python; a call and a put each")
    arrays = columns(points)
    vector = Contender("black76_vector", 2 * POINTS * 10, lambda _: [black76_vector(*arrays) for _ in range(10)], note="numpy int64")
    ql = import_peer(results, SUBJECT, "QuantLib", "QuantLib")
    if ql is None:
        results.race(SUBJECT, [vector], rounds=9)
        results.leave_out(SUBJECT, "accuracy", "QuantLib is the reference")
        return
    plain = [(float(f), float(k), vol / 10_000 * (minutes / MINUTES_PER_YEAR) ** 0.5) for f, k, vol, minutes in points]
    call, put = ql.Option.Call, ql.Option.Put

    def loop() -> None:
        for forward, strike, deviation in plain:
            ql.blackFormula(call, strike, forward, deviation)
            ql.blackFormula(put, strike, forward, deviation)

    note = "peer, called from Python; standard deviations at hand"
    ours, theirs = results.race(SUBJECT, [vector, Contender("QuantLib blackFormula", 2 * POINTS, lambda _: loop(), note=note)], rounds=9)
    results.compare("black76_vector / QuantLib blackFormula", ours, theirs)
    _accuracy(results, ql, "the recorded chain", recorded_points())
    _accuracy(results, ql, f"{POINTS:,} live points", points)
    _accuracy(results, ql, f"{RANDOM_POINTS:,} points anywhere in the limits", anywhere)


def columns(points: Sequence[Point]) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
    """Forwards, strikes, vols and root times: what `black76_vector` takes."""
    forwards, strikes, vols, minutes = np.array(points, dtype=np.int64).T
    return forwards, strikes, vols, np.array([root_time(int(count)) for count in minutes], dtype=np.int64)


def priced(points: Sequence[Point]) -> tuple[Int64Array, Int64Array]:
    """Calls and puts, in ticks."""
    return black76_vector(*columns(points))


def live_points(count: int, seed: int) -> list[Point]:
    """Points whose options are worth something: strikes near the forward for the vol and the time, both log-uniform (1 % to 500 %, an hour to the limit)."""
    draw = random.Random(f"straddle.live/{seed}")
    points: list[Point] = []
    while len(points) < count:
        forward, vol, minutes = (round(exp(draw.uniform(log(low), log(high)))) for low, high in ((10_000, 2**28), (100, MAX_VOL_BPS), (60, MAX_MINUTES)))
        deviation = vol / 10_000 * (minutes / MINUTES_PER_YEAR) ** 0.5
        strike = round(forward * exp(deviation * draw.uniform(-DEVIATIONS, DEVIATIONS)))
        if 1 <= strike <= min(MAX_FEED_PRICE_TICKS, MAX_STRIKE_OVER_FORWARD * forward):
            points.append((forward, strike, min(vol, MAX_VOL_BPS), min(minutes, MAX_MINUTES)))
    return points


def random_points(count: int, seed: int) -> list[Point]:
    """Points inside the feed's limits (`check_feed`), log-uniform in every direction."""
    draw = random.Random(f"straddle.pricing/{seed}")

    def spread(low: int, high: int) -> int:
        return max(low, min(high, round(exp(draw.uniform(log(low), log(high))))))

    points = []
    for _ in range(count):
        forward = spread(1_000, MAX_FEED_PRICE_TICKS)
        strike = spread(max(1, forward // MAX_STRIKE_OVER_FORWARD), min(MAX_FEED_PRICE_TICKS, MAX_STRIKE_OVER_FORWARD * forward))
        point = forward, strike, spread(1, MAX_VOL_BPS), spread(1, MAX_MINUTES)
        check_feed(*point)
        points.append(point)
    return points


def recorded_points() -> list[Point]:
    """Every listed option of the recording at the snapshot."""
    market = load_recorded()
    forwards, vols, now = dict(market.inputs.forwards), dict(market.inputs.vols), market.inputs.time_ms
    return [
        (forwards[option.expiry_ms], option.strike_ticks, vols[option.id], minutes_to_expiry(option.expiry_ms, now, DEFAULT_PARAMETERS))
        for option in market.options
    ]


def _accuracy(results: Results, ql: Any, where: str, points: Sequence[Point]) -> None:
    worst, worst_beyond = 0.0, 0.0
    calls, puts = priced(points)
    assert all((int(call), int(put)) == black76(*point) for call, put, point in list(zip(calls, puts, points, strict=True))[:COMPARED])
    for (forward, strike, vol, minutes), *prices in zip(points, calls.tolist(), puts.tolist(), strict=True):
        deviation = vol / 10_000 * (minutes / MINUTES_PER_YEAR) ** 0.5
        for kind, price in zip((ql.Option.Call, ql.Option.Put), prices, strict=True):
            error = abs(price - ql.blackFormula(kind, float(strike), float(forward), deviation))
            worst = max(worst, error)
            worst_beyond = max(worst_beyond, error - RELATIVE_PART * max(forward, strike))
    note = f"call and put at {len(points):,} points"
    results.fact(SUBJECT, f"largest error, {where}", worst, "ticks", note=note)
    results.fact(SUBJECT, f"largest error beyond 1e-7 max(F, K), {where}", worst_beyond, "ticks", bar=ERROR_BAR_TICKS, note=note)
