from __future__ import annotations

import pytest

from straddle.bots.market_maker import MakerProfile, QuoteTerms, mass_quote, vol_book
from straddle.bots.structures import structures
from straddle.bots.taker import NO_QUOTES, BestQuotes, TakerProfile, cost_per_lot, implied_quotes, take, take_structure
from straddle.core.margin import requirement
from straddle.core.orders import Side
from straddle.core.params import Params
from straddle.risk.expiry import maturities
from straddle.risk.listing import list_chain
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.table import build_table

MILLION = 10**6
FEE_CAP = 300


@pytest.fixture(scope="module")
def market(recording, path):
    listed = list_chain(recording, recording.options)
    instruments = [instrument for instrument, _ in listed.values()]
    inputs = path.inputs(1, path.start_ms, instruments)
    table = build_table(inputs, instruments)
    books = {instrument.id: vol_book(option) for instrument, option in listed.values() if option is not None}
    best: dict[int, BestQuotes] = {}
    for orders in mass_quote(MakerProfile(10_000), instruments, books, maturities(inputs, DEFAULT_PARAMETERS), table, QuoteTerms(1, 2**48 - 1, FEE_CAP)):
        for order in orders:
            book = best.get(order.instrument, BestQuotes(None, None))
            level = (order.limit_ticks, order.size_lots)
            best[order.instrument] = BestQuotes(level, book.ask) if order.side is Side.BUY else BestQuotes(book.bid, level)
    return instruments, table, best


def orders(market, *, seed="a", count=8, margin=200_000 * MILLION, profile=None, positions=None):
    instruments, table, best = market
    return take(
        profile or TakerProfile(2_000),
        instruments,
        best,
        table,
        margin,
        positions or {},
        count=count,
        first_nonce=1,
        expiry_ms=table.time_ms + 60_000,
        fee_cap=FEE_CAP,
        k_im_bps=10_000,
        seed=seed,
    )


def test_takers_cross_the_spread(market):
    instruments, table, best = market
    by_id = {instrument.id: instrument for instrument in instruments}
    taken = orders(market)
    assert len(taken) == 8 == len({order.instrument for order in taken}) and [order.nonce for order in taken] == list(range(1, 9))
    for order in taken:
        price, size = best[order.instrument].ask if order.side is Side.BUY else best[order.instrument].bid
        assert order.limit_ticks == price and 0 < order.size_lots <= size and order.immediate
        assert order.size_lots % by_id[order.instrument].min_lots == 0 and order.size_lots <= 20_000
        assert abs(price - table[order.instrument].mark) <= table[order.instrument].band


def test_seeds(market):
    assert orders(market) == orders(market)
    assert orders(market, seed="b") != orders(market)
    assert {order.side for seed in "abcdef" for order in orders(market, seed=seed)} == {Side.BUY, Side.SELL}


@pytest.mark.parametrize("seed", [str(i) for i in range(30)])
@pytest.mark.parametrize("margin", [3_000 * MILLION, 200_000 * MILLION])
def test_all_orders_together_fit_the_free_margin(market, seed, margin):
    """Filled at their limits and worst fees, one after the other, the account stays covered by the exchange's own rule."""
    _, table, _ = market
    params = Params(20, 12, 10_000, 8_000, 0)
    cash, positions = margin, {}
    for order in orders(market, seed=seed, margin=margin, profile=TakerProfile(10_000, 2**30)):
        row = table[order.instrument]
        cash -= order.side.sign * order.size_lots * (order.limit_ticks - row.funding) + order.size_lots * FEE_CAP
        positions[order.instrument] = positions.get(order.instrument, 0) + order.side.sign * order.size_lots
        assert requirement(cash, positions, table, params).surplus_scaled >= 0
    assert positions


def test_no_margin_no_order(market):
    assert orders(market, margin=0) == () == orders(market, margin=-5)
    assert orders(market, count=0) == ()


def test_position_caps_are_kept(market):
    instruments, _, _ = market
    full = {instrument.id: instrument.position_cap_lots for instrument in instruments}
    assert all(order.side is Side.SELL for order in orders(market, positions=full))
    assert orders(market, positions=full)


def test_empty_books_are_passed_over(market):
    instruments, table, _ = market
    assert (
        take(
            TakerProfile(),
            instruments,
            {i.id: BestQuotes(None, None) for i in instruments},
            table,
            10**12,
            {},
            count=3,
            first_nonce=1,
            expiry_ms=1,
            fee_cap=0,
            k_im_bps=10_000,
            seed="x",
        )
        == ()
    )


def test_cost_per_lot(market):
    _, table, _ = market
    row = table[1]
    assert cost_per_lot(row, Side.BUY, row.mark + 100, 7, 10_000) == 100 + max(0, -min(row.deltas)) + row.long_im + 7
    assert cost_per_lot(row, Side.SELL, row.mark + 100, 7, 10_000) == max(0, *row.deltas) + row.short_im + 7


@pytest.mark.parametrize("changes", [{"margin_part_bps": 0}, {"margin_part_bps": 10_001}, {"size_cap_lots": 0}])
def test_bad_profiles_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        TakerProfile(**changes)


def both(quotes):
    return quotes.bid, quotes.ask


def combination(market, name, side, *, margin=200_000 * MILLION, resting=NO_QUOTES, profile=None):
    instruments, table, best = market
    expiry = instruments[1].expiry_ms
    offered = [found for found in structures(instruments, expiry, table.index_ticks, strikes=8) if None not in both(implied_quotes(found.legs, best))]
    found = next(found for found in offered if found.name == name)
    order = take_structure(
        profile or TakerProfile(),
        found,
        side,
        {instrument.id: instrument for instrument in instruments},
        best,
        resting,
        table,
        margin,
        nonce=9,
        expiry_ms=table.time_ms + 60_000,
        fee_cap=FEE_CAP,
        k_im_bps=10_000,
    )
    return found, order


@pytest.mark.parametrize("name", ["straddle", "vertical", "butterfly"])
@pytest.mark.parametrize("side", list(Side))
def test_a_structure_is_taken_at_the_price_that_its_legs_imply(market, name, side):
    _, _, best = market
    found, order = combination(market, name, side)
    assert order is not None and order.legs == found.legs and order.side is side and order.immediate and order.nonce == 9
    level = implied_quotes(found.legs, best).ask if side is Side.BUY else implied_quotes(found.legs, best).bid
    assert level is not None and side.sign * (order.limit_ticks - level[0]) >= 0 and abs(order.limit_ticks - level[0]) < 100
    assert 0 < order.size_lots <= level[1] and order.size_lots % 100 == 0
    assert order.fee_cap == FEE_CAP * sum(abs(leg.ratio) for leg in order.legs)


@pytest.mark.parametrize("side", list(Side))
def test_a_better_price_that_rests_on_the_combination_is_taken_instead(market, side):
    _, order = combination(market, "straddle", side)
    assert order is not None
    better = order.limit_ticks - 500 * side.sign
    _, inside = combination(market, "straddle", side, resting=BestQuotes((better, 700), (better, 700)))
    assert inside is not None and (inside.limit_ticks, inside.size_lots) == (better, 700)
    worse = order.limit_ticks + 500 * side.sign
    assert combination(market, "straddle", side, resting=BestQuotes((worse, 700), (worse, 700)))[1] == order


@pytest.mark.parametrize("name", ["straddle", "vertical", "butterfly"])
@pytest.mark.parametrize("side", list(Side))
def test_a_structure_bought_with_everything_leaves_the_account_covered(market, name, side):
    """Whoever uses all of its margin is at its initial margin, not below it: the bound is exact for an account without positions."""
    _, table, _ = market
    margin = 1_000 * MILLION
    _, order = combination(market, name, side, margin=margin, profile=TakerProfile(10_000, 10**9))
    assert order is not None
    positions = {leg.instrument: leg.ratio * side.sign * order.size_lots for leg in order.legs}
    cash = margin - order.size_lots * (side.sign * order.limit_ticks + order.fee_cap)
    surplus = requirement(cash, positions, table, Params(20, 12, 10_000, 8_000)).surplus_scaled
    assert surplus >= 0


def test_nobody_takes_what_nobody_offers(market):
    _, _, best = market
    found, _ = combination(market, "straddle", Side.BUY)
    bare = {number: book for number, book in best.items() if number != found.legs[0].instrument}
    assert implied_quotes(found.legs, bare) == NO_QUOTES
    assert combination(market, "straddle", Side.BUY, margin=0)[1] is None
