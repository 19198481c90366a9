"""What a market maker's order flow earns on other paths of the market, hedged and not: unproved replays, vectorised over the paths.

The flow is kept (who traded what, when, at what distance from the mark), the market is not: every path strings together hours that are drawn from the
recorded candles, seeded, from the snapshot on. Option values are the exchange's own integer Black-76 on the recorded smiles, sticky in moneyness as in
`risk.market_path`, their level following the hours that were drawn (`vol_response`); what expires is worth its settlement price. Moments inside an expiry's
settlement window are left out of the grid: what trades then counts from the expiry on.

Between two moments the change of the book's value is split in this order, so that the parts add up exactly:

    theta  time passes, forward and vol stay         vega   then the vols move (the smile slides over the strikes, its level answers)
    delta  delta x move of the forward               gamma  what else the move of the forward does, all higher orders included

Spread is the distance from the mark at which the flow traded, fees what it paid. The hedge buys and sells the perpetual against the book's delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import numpy.typing as npt

from straddle.bots.vol_response import realised_ratios, vol_factors
from straddle.core.instruments import Instrument, Kind
from straddle.risk.candles import HOUR_MS, Candle, Candles
from straddle.risk.expiry import in_window, minutes_to_expiry
from straddle.risk.market_path import MarketPath
from straddle.risk.parameters import BPS, DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.pricing import MAX_VOL_BPS, black76_vector, root_time

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PARTS = ("delta", "gamma", "vega", "theta", "spread", "fees", "hedge", "hedge_costs")
"""What the hedged result is the sum of; the unhedged one leaves out the last two."""

BUMP_BPS = 10
"""Deltas are central differences over this move of the forward."""


@dataclass(frozen=True, slots=True)
class FlowTrade:
    """One fill of the maker. `lots` are signed; `edge_ticks` is how much better than the mark its price was, for the maker."""

    time_ms: int
    instrument: Instrument
    lots: int
    edge_ticks: int
    fee_micros: int


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """Hedge when the book's delta is off by more than `band_lots` of the underlying, at every moment of the grid; costs in basis points of the index."""

    band_lots: int
    half_spread_bps: int
    fee_bps: int

    def __post_init__(self) -> None:
        for name, value, high in (("band_lots", self.band_lots, 2**40), ("half_spread_bps", self.half_spread_bps, BPS), ("fee_bps", self.fee_bps, BPS)):
            if not 0 <= value <= high:
                raise ValueError(f"hedge policy: {name} = {value}: expected 0 to {high}")


@dataclass(frozen=True, slots=True)
class PnlStudy:
    """Results of all paths, micro-dollars: arrays of one entry a path, by part (PARTS)."""

    parts: dict[str, Floats]
    hedges: Integers
    """Hedge trades of each path."""
    seed: int
    step_minutes: int

    @property
    def unhedged(self) -> Floats:
        """Result of the flow alone."""
        return np.asarray(np.sum([self.parts[name] for name in PARTS if not name.startswith("hedge")], axis=0))

    @property
    def hedged(self) -> Floats:
        """Result with the hedge and its costs."""
        return np.asarray(np.sum([self.parts[name] for name in PARTS], axis=0))


def resample(candles: Candles, start_ms: int, hours: int, seed: int) -> Candles:
    """Another history of `hours` hours from the one that holds `start_ms` on: each is an hour drawn from all of the recorded ones, scaled to begin where
    the last one ended.

    ValueError when the recording has no hour at `start_ms`.
    """
    draw = Random(f"straddle.pnl/{seed}")
    first = start_ms // HOUR_MS * HOUR_MS
    known = next((candle for candle in candles.hours if candle.open_ms == first), None)
    if known is None:
        raise ValueError(f"candles: no hour that starts at {first}, expected one to begin with")
    made, price = [], known.open_ticks
    for i in range(hours):
        drawn = draw.choice(candles.hours)
        scaled = [max(1, price * ticks // drawn.open_ticks) for ticks in (drawn.high_ticks, drawn.low_ticks, drawn.close_ticks)]
        made.append(Candle(first + i * HOUR_MS, price, *scaled))
        price = scaled[2]
    return Candles(tuple(made), candles.report)


def replay(
    flow: Sequence[FlowTrade],
    path: MarketPath,
    end_ms: int,
    policy: HedgePolicy,
    *,
    paths: int = 200,
    seed: int = 0,
    step_minutes: int = 10,
    parameters: RiskParameters = DEFAULT_PARAMETERS,
    recorded: bool = False,
) -> PnlStudy:
    """The flow on `paths` resampled histories from the snapshot to `end_ms`; a trade counts from the first moment of the grid that is not before it.

    `recorded`: the recorded hours as they were, with other synthetic minutes in each history.
    ValueError for an empty flow, or a trade outside the time covered.
    """
    start = path.start_ms
    if not flow:
        raise ValueError("flow: no trade, expected at least one")
    if not start <= min(trade.time_ms for trade in flow) <= max(trade.time_ms for trade in flow) <= end_ms:
        raise ValueError(f"flow: trades from {min(t.time_ms for t in flow)} to {max(t.time_ms for t in flow)}, expected {start} to {end_ms}")
    instruments = list({trade.instrument.id: trade.instrument for trade in flow}.values())
    expiries = sorted({instrument.expiry_ms for instrument in instruments if instrument.kind is not Kind.PERPETUAL})
    grid = [*range(start, end_ms, step_minutes * 60_000), end_ms]
    grid = [moment for moment in grid if not any(in_window(expiry, moment, parameters) for expiry in expiries)]
    hours = (end_ms - 1) // HOUR_MS - start // HOUR_MS + 2
    seeds = range(seed, seed + paths)
    drawn = [path.candles if recorded else resample(path.candles, start, hours, each) for each in seeds]
    histories = [MarketPath(path.recording, path.surface, candles, each) for candles, each in zip(drawn, seeds, strict=True)]
    index = np.array([[history.index_ticks(moment) for moment in grid] for history in histories], dtype=np.int64)

    def forwards_of(expiry: int) -> list[list[int]]:
        return [[history.forward_ticks(expiry, moment, parameters) for moment in grid] for history in histories]

    forwards = {expiry: np.array(forwards_of(expiry), dtype=np.int64) for expiry in expiries}
    ratios = realised_ratios(path.candles, drawn[:1] if recorded else drawn, grid)
    book = _Book(path, instruments, grid, index, forwards, ratios, parameters)
    return PnlStudy(*_run(flow, instruments, grid, index, book, policy), seed, step_minutes)


def _run(
    flow: Sequence[FlowTrade], instruments: Sequence[Instrument], grid: Sequence[int], index: Integers, book: _Book, policy: HedgePolicy
) -> tuple[dict[str, Floats], Integers]:
    """Parts and hedge trades. All moments in turn, all paths at once. Value moves first, then the moment's trades, then the hedge."""
    place = {instrument.id: i for i, instrument in enumerate(instruments)}
    parts, hedges = {name: np.zeros(len(index)) for name in PARTS}, np.zeros(len(index), dtype=np.int64)
    lots, hedge = np.zeros(len(instruments)), np.zeros(len(index))
    waiting = sorted(flow, key=lambda trade: trade.time_ms)
    for step, moment in enumerate(grid):
        if step:
            for name, change in book.changes(step - 1, lots).items():
                parts[name] += change
            parts["hedge"] += hedge * (index[:, step] - index[:, step - 1])
        while waiting and waiting[0].time_ms <= moment:
            trade = waiting.pop(0)
            lots[place[trade.instrument.id]] += trade.lots
            parts["spread"] += abs(trade.lots) * trade.edge_ticks
            parts["fees"] -= trade.fee_micros
        off = book.delta(step, lots) + hedge
        traded = np.where(np.abs(off) > policy.band_lots, -np.rint(off), 0.0)
        parts["hedge_costs"] -= np.abs(traded) * index[:, step] * (policy.half_spread_bps + policy.fee_bps) / BPS
        hedge += traded
        hedges += traded != 0
    return parts, hedges


class _Book:
    """Values of the instruments on every path, priced when they are asked for. Shapes: (paths, instruments)."""

    def __init__(
        self,
        path: MarketPath,
        instruments: Sequence[Instrument],
        grid: Sequence[int],
        index: Integers,
        forwards: dict[int, Integers],
        ratios: Floats,
        parameters: RiskParameters,
    ) -> None:
        self._path, self._grid, self._parameters = path, grid, parameters
        self._ratios = ratios  # (paths, moments), or one row for all paths
        self._instruments = instruments
        columns = [index if instrument.kind is Kind.PERPETUAL else forwards[instrument.expiry_ms] for instrument in instruments]
        self._forward = np.stack(columns, axis=2)  # (paths, moments, instruments)
        self._option = np.array([not instrument.linear for instrument in instruments])
        self._call = np.array([instrument.kind is Kind.CALL for instrument in instruments])
        self._strike = np.array([max(1, instrument.strike_ticks) for instrument in instruments], dtype=np.int64)
        self._expiry = np.array([instrument.expiry_ms for instrument in instruments], dtype=np.int64)

    def changes(self, step: int, lots: Floats) -> dict[str, Floats]:
        """What the book gains from a moment to the next, by part."""
        forward, later = self._forward[:, step], self._forward[:, step + 1]
        vol, vol_later = self._vols(step, forward), self._vols(step + 1, later)
        start = self._values(step, forward, vol)
        aged = self._values(step + 1, forward, vol)
        moved = self._values(step + 1, forward, vol_later)
        end = self._values(step + 1, later, vol_later)
        delta = self._deltas(step + 1, forward, vol_later) * (later - forward)
        return {"theta": (aged - start) @ lots, "vega": (moved - aged) @ lots, "delta": delta @ lots, "gamma": (end - moved - delta) @ lots}

    def delta(self, step: int, lots: Floats) -> Floats:
        """Lots of the underlying that the book behaves like, a path."""
        forward = self._forward[:, step]
        return np.asarray(self._deltas(step, forward, self._vols(step, forward)) @ lots)

    def _deltas(self, step: int, forward: Integers, vol: Integers) -> Floats:
        bump = np.maximum(1, forward * BUMP_BPS // BPS)
        alive = self._expiry > self._grid[step]
        return np.where(alive, (self._values(step, forward + bump, vol) - self._values(step, forward - bump, vol)) / (2 * bump), 0.0)

    def _vols(self, step: int, forward: Integers) -> Integers:
        vols = np.ones_like(forward)
        for expiry in np.unique(self._expiry[self._option]):
            chosen = self._option & (self._expiry == expiry)
            smile = self._path.surface.slices[int(expiry)].vol(np.log(self._strike[chosen] / forward[:, chosen]).ravel())
            level = vol_factors(self._ratios[:, step : step + 1], int(expiry) - self._grid[step])
            vols[:, chosen] = np.clip(np.rint(np.asarray(smile).reshape(len(forward), -1) * level * BPS), 1, MAX_VOL_BPS)
        return vols

    def _values(self, step: int, forward: Integers, vol: Integers) -> Floats:
        """Values in ticks at the moment's time, at given forwards and vols; an expired option is worth its intrinsic value at the settlement price."""
        moment = self._grid[step]
        minutes = np.where(self._option, [minutes_to_expiry(int(expiry), moment, self._parameters) for expiry in self._expiry], 0)
        roots = np.array([root_time(int(left)) for left in minutes], dtype=np.int64)
        shape = forward.shape
        calls, puts = black76_vector(forward.ravel(), np.broadcast_to(self._strike, shape).ravel(), vol.ravel(), np.broadcast_to(roots, shape).ravel())
        options = np.where(self._call, calls.reshape(shape), puts.reshape(shape))
        return np.where(self._option, options, forward).astype(np.float64)
