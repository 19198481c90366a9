"""Exact margin checks of sparse portfolios, against pricing every position in every scenario anew with numpy and with QuantLib; all accounts on a new table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.measure import SEED, Contender, Results, import_peer
from benchmarks.recorded import RecordedMarket, load_recorded, make_portfolios
from straddle.core import kernel, kernel_reference
from straddle.core.book import RestingOrder
from straddle.core.exposure import RiskContext, build_exposure, order_terms
from straddle.core.fees import FeeSchedule
from straddle.core.instruments import Instrument, Kind
from straddle.core.margin import Requirement, requirement, sweep
from straddle.core.orders import Order, OrderSet, Side, Signature, outright
from straddle.core.params import BPS, Params
from straddle.core.risk_table import SCENARIOS, RiskTable, packed_row
from straddle.risk.expiry import minutes_to_expiry
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.pricing import MINUTES_PER_YEAR, black76_vector, root_time
from straddle.risk.scenarios import MULTIPLIER_BITS, forward_multiplier, moneyness_bps, scenarios, shocked_vol_bps

SUBJECT = "margin"
PORTFOLIOS, POSITIONS = 1_000, 100
CHECK_ROUNDS = 10
"""Times that the fast checks go through the portfolios: one round would be too short to time."""
QUANTLIB_PORTFOLIOS = 20
ACCOUNTS, ACCOUNT_POSITIONS = 10_000, 20
PARAMS = Params(20, 12, 10_000, 8_000)
BTC_LOTS = 10_000
PROTECTIONS_LOTS = (6 * BTC_LOTS, BTC_LOTS)
CAP_ROUNDS = 1_000
QUOTES_NOTE = "both sides of every recorded option, 1 BTC each, 2 % of the mark away from it"
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ShockedFeed:
    """Column 0 is the market as it is, column 1 + s scenario s; one row an option, by id."""

    forwards: Int64Array
    strikes: Int64Array
    vols: Int64Array
    minutes: Int64Array
    roots: Int64Array
    calls: npt.NDArray[np.bool_]
    weights: Int64Array
    charges: Int64Array
    """(long_im, short_im, long_mm, short_mm) of each option."""


def run(results: Results) -> None:
    """Contenders on the same portfolios; the results must agree, exactly or within QuantLib's accuracy."""
    market = load_recorded()
    portfolios = make_portfolios(market, PORTFOLIOS, POSITIONS, SEED)
    assert len({tuple(sorted(portfolio.items())) for portfolio in portfolios}) == PORTFOLIOS
    table, cash, size = market.table, 10**12, f"{POSITIONS} positions x {SCENARIOS} scenarios"
    exact = [requirement(cash, portfolio, table, PARAMS) for portfolio in portfolios]
    feed = shocked_feed(market)
    packed = [(np.array(list(portfolio)), np.array(list(portfolio.values()))) for portfolio in portfolios]
    repriced = [numpy_reprice(feed, *portfolio) for portfolio in packed]
    assert repriced == [(valued.im_scaled, valued.mm_scaled) for valued in exact], "the numpy reprice disagrees with core.margin"
    note = f"core.margin.requirement, {'compiled kernel' if kernel.COMPILED else 'kernel in plain Python'}, from scratch; {size}; charges included"
    exactly = Contender(
        "exact check on the risk table",
        PORTFOLIOS * CHECK_ROUNDS,
        lambda _: [requirement(cash, portfolio, table, PARAMS) for _ in range(CHECK_ROUNDS) for portfolio in portfolios],
        note=note,
        bar_per_second=100_000,
    )
    note = f"risk.pricing int64 vectors (doubles would be faster), shocked forwards and vols at hand; {size}; equal to the check, to the micro-dollar"
    anew = Contender("numpy full reprice", PORTFOLIOS, lambda _: [numpy_reprice(feed, *portfolio) for portfolio in packed], note=note)
    ours, theirs = results.race(SUBJECT, [exactly, anew], rounds=7)
    results.compare("margin check / numpy full reprice", ours, theirs)
    _plain(results, market, portfolios, exact)
    _sweep(results, market)
    _protection(results, market)
    _quantlib(results, market, feed, portfolios[:QUANTLIB_PORTFOLIOS], exact[:QUANTLIB_PORTFOLIOS])


def _plain(results: Results, market: RecordedMarket, portfolios: Sequence[Mapping[int, int]], exact: Sequence[Requirement]) -> None:
    """The kernel's definition, which runs where it was not compiled."""
    table = kernel_reference.Table([packed_row(row) for row in market.table])

    def check() -> list[kernel_reference.Valuation]:
        return [kernel_reference.requirement(table, 10**12, portfolio, PARAMS.k_im_bps, PARAMS.k_mm_bps) for portfolio in portfolios]

    assert check() == exact, "the plain kernel disagrees with core.margin"
    results.time(SUBJECT, "exact check, kernel in plain Python", PORTFOLIOS, check, note="where the C extension was not built")


def _sweep(results: Results, market: RecordedMarket) -> None:
    """Every account on a new table: packing the table, equity, IM, MM and settled cash of each."""
    accounts = [(10**12 + number, portfolio) for number, portfolio in enumerate(make_portfolios(market, ACCOUNTS, ACCOUNT_POSITIONS, SEED + 1))]
    old = market.table
    assert sweep(accounts, old, PARAMS) == [requirement(*account, old, PARAMS) for account in accounts]
    size = f"{ACCOUNTS:,} accounts x {ACCOUNT_POSITIONS} positions"
    timed = results.time_prepared(
        SUBJECT,
        f"re-margin sweep, {size}",
        ACCOUNTS,
        lambda: RiskTable(old.epoch + 1, old.time_ms, old.index_ticks, old.rows),
        lambda table: sweep(accounts, table, PARAMS),
        note="core.margin.sweep on a fresh table, IM, MM, surplus and settled cash",
    )
    results.fact(SUBJECT, f"re-margin sweep, {size}", timed.cpu_seconds * 1_000, "ms", bar=100)
    context, name = RiskContext(old, PARAMS, FeeSchedule()), f"exposures built anew, {size}"
    results.time(SUBJECT, name, ACCOUNTS, lambda: [build_exposure(context, held, ()) for _, held in accounts], note="what an epoch does for every account")


def _protection(results: Results, market: RecordedMarket) -> None:
    """What both sides of every recorded option reserve, and how much less under market-maker protection; how many options the same cash carries without."""
    context, cap = RiskContext(market.table, PARAMS, FeeSchedule()), kernel.Cap(Order, RestingOrder)
    quotes = [
        quote
        for option in sorted(market.options, key=lambda option: abs(option.strike_ticks - market.inputs.index_ticks))
        for quote in _quotes(context, option)
    ]
    whole = build_exposure(context, {}, quotes)
    results.fact(SUBJECT, f"cash that {len(quotes)} quotes reserve, all filling", -whole.reserved_surplus_scaled(0) / BPS / 10**6, "$", note=QUOTES_NOTE)
    for lots in PROTECTIONS_LOTS:
        name, least = f"the same, {lots // BTC_LOTS} BTC an interval at most", -cap.surplus(whole, 0, lots, quotes, None)
        results.fact(SUBJECT, name, least / BPS / 10**6, "$", note="market-maker protection; the worst lots over all quotes, scenario by scenario")
        part, carried = context.exposure(), 0
        for quote in quotes:
            part.reserve(*order_terms(context, quote.order), quote.left_lots)
            if part.reserved_surplus_scaled(0) < -least:
                break
            carried += 1
        results.fact(SUBJECT, f"options that this cash carries on both sides without protection, {lots // BTC_LOTS} BTC", carried // 2, "options")
    most, name = PROTECTIONS_LOTS[0], f"exact cap of {len(quotes)} quotes"
    results.time(SUBJECT, name, CAP_ROUNDS, lambda: [cap.surplus(whole, 0, most, quotes, None) for _ in range(CAP_ROUNDS)], note="prices as they were left")


def _quotes(context: RiskContext, option: Instrument) -> list[RestingOrder]:
    """1 BTC on each side, 2 % of the mark away from it."""
    made, row = [], context.table[option.id]
    for side in Side:
        limit = max(1, row.mark - side.sign * max(1, row.mark // 50))
        order = outright(1, 0, row.expiry_ms, BTC_LOTS, limit, option.id, side, 0)
        made.append(RestingOrder(3, order, OrderSet(3, 1, (order,), Signature(0, 0, 0)), 0, 0, BTC_LOTS, unit_fee=order_terms(context, order).fee))
    return made


def shocked_feed(market: RecordedMarket) -> ShockedFeed:
    """Inputs of every option in every scenario, by the definitions of risk.scenarios."""
    shocks, parameters = scenarios(DEFAULT_PARAMETERS), DEFAULT_PARAMETERS
    forwards, vols = dict(market.inputs.forwards), dict(market.inputs.vols)
    rows = 1 + max(instrument.id for instrument in market.instruments)
    feed = ShockedFeed(
        np.ones((rows, 1 + SCENARIOS), dtype=np.int64),
        np.ones((rows, 1), dtype=np.int64),
        np.zeros((rows, 1 + SCENARIOS), dtype=np.int64),
        np.zeros(rows, dtype=np.int64),
        np.zeros((rows, 1), dtype=np.int64),
        np.zeros((rows, 1), dtype=np.bool_),
        np.array([shock.weight_bps for shock in shocks], dtype=np.int64),
        np.zeros((rows, 4), dtype=np.int64),
    )
    for option in market.options:
        i, forward, vol = option.id, forwards[option.expiry_ms], vols[option.id]
        minutes = minutes_to_expiry(option.expiry_ms, market.inputs.time_ms, parameters)
        moneyness = moneyness_bps(forward, option.strike_ticks, minutes, parameters.skew_full_moneyness_bps)
        moved = [max(1, (forward * forward_multiplier(shock, parameters, minutes) + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS) for shock in shocks]
        feed.forwards[i] = [forward, *moved]
        feed.vols[i] = [vol, *(shocked_vol_bps(shock, parameters, vol, minutes, moneyness) for shock in shocks)]
        feed.strikes[i], feed.minutes[i], feed.roots[i], feed.calls[i] = option.strike_ticks, minutes, root_time(minutes), option.kind is Kind.CALL
        row = market.table[i]
        feed.charges[i] = row.long_im, row.short_im, row.long_mm, row.short_mm
    return feed


def numpy_reprice(feed: ShockedFeed, ids: Int64Array, sizes: Int64Array) -> tuple[int, int]:
    """(IM, MM), both times BPS, of one portfolio from prices alone."""
    calls, puts = black76_vector(feed.forwards[ids], feed.strikes[ids], feed.vols[ids], feed.roots[ids])
    prices = np.where(feed.calls[ids], calls, puts)
    deltas = ((prices[:, 1:] - prices[:, :1]) * feed.weights + BPS // 2) // BPS
    loss = max(0, -int((sizes @ deltas).min()))
    charges, long = feed.charges[ids], sizes > 0
    im = int((np.abs(sizes) * np.where(long, charges[:, 0], charges[:, 1])).sum())
    mm = int((np.abs(sizes) * np.where(long, charges[:, 2], charges[:, 3])).sum())
    return PARAMS.k_im_bps * loss + BPS * im, PARAMS.k_mm_bps * loss + BPS * mm


def _quantlib(results: Results, market: RecordedMarket, feed: ShockedFeed, portfolios: Sequence[Mapping[int, int]], exact: Sequence[Requirement]) -> None:
    ql = import_peer(results, SUBJECT, "QuantLib", "QuantLib")
    if ql is None:
        return
    kinds = [ql.Option.Call if call else ql.Option.Put for call in feed.calls[:, 0]]
    deviations = feed.vols / BPS * np.sqrt(feed.minutes / MINUTES_PER_YEAR)[:, None]
    columns = range(1 + SCENARIOS)
    forwards, strikes, std = feed.forwards.astype(float).tolist(), feed.strikes[:, 0].astype(float).tolist(), deviations.tolist()
    weights = [1.0, *(feed.weights / BPS).tolist()]
    charges = feed.charges.tolist()

    def reprice(portfolio: Mapping[int, int]) -> float:
        totals, charge = [0.0] * (1 + SCENARIOS), 0.0
        for instrument, size in portfolio.items():
            kind, strike, forward, deviation = kinds[instrument], strikes[instrument], forwards[instrument], std[instrument]
            prices = [ql.blackFormula(kind, strike, forward[i], deviation[i]) for i in columns]
            totals = [total + size * (price - prices[0]) * weight for total, price, weight in zip(totals, prices, weights, strict=True)]
            charge += size * charges[instrument][0] if size > 0 else -size * charges[instrument][1]
        return max(0.0, -min(totals)) + charge

    repriced = [reprice(portfolio) for portfolio in portfolios]
    gap = max(abs(value * BPS / valued.im_scaled - 1) for value, valued in zip(repriced, exact, strict=True))
    results.fact(SUBJECT, "QuantLib's IM against the exact one, largest relative difference", gap, "", note="whole ticks against doubles")
    note = f"the first {len(portfolios)} of the same portfolios"
    check = Contender(
        f"exact check, the first {len(portfolios)}",
        len(portfolios) * 100 * CHECK_ROUNDS,
        lambda _: [requirement(10**12, portfolio, market.table, PARAMS) for _ in range(100 * CHECK_ROUNDS) for portfolio in portfolios],
        note=f"{note}, {100 * CHECK_ROUNDS} times over",
    )
    loop = Contender("QuantLib loop", len(portfolios), lambda _: [reprice(portfolio) for portfolio in portfolios], note=f"blackFormula, inputs at hand; {note}")
    ours, theirs = results.race(SUBJECT, [check, loop], rounds=7)
    results.compare("margin check / QuantLib loop", ours, theirs)
