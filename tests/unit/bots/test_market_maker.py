from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.bots.market_maker import MakerProfile, QuoteTerms, VolBook, VolLevel, mass_quote, quote_structures, vol_book
from straddle.bots.structures import structures
from straddle.bots.taker import NO_QUOTES, BestQuotes, implied_quotes
from straddle.core.combinations import price_step, size_step
from straddle.core.instruments import Kind
from straddle.core.orders import Side
from straddle.risk.expiry import maturities
from straddle.risk.implied import option_price_ticks
from straddle.risk.listing import list_chain
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.table import build_table

TERMS = QuoteTerms(first_nonce=100, expiry_ms=1_590_103_440_000, fee_cap=300)


@pytest.fixture(scope="module")
def market(recording, path):
    listed = list_chain(recording, recording.options)
    instruments = [instrument for instrument, _ in listed.values()]
    inputs = path.inputs(1, path.start_ms, instruments)
    books = {instrument.id: vol_book(option) for instrument, option in listed.values() if option is not None}
    return listed, instruments, inputs, build_table(inputs, instruments), books


def quotes(market, profile, **changes):
    _, instruments, inputs, table, books = market
    at = maturities(changes.get("inputs", inputs), DEFAULT_PARAMETERS)
    sets = mass_quote(profile, instruments, changes.get("books", books), at, changes.get("table", table), TERMS)
    return [order for orders in sets for order in orders], sets


def best(orders, instrument, side):
    limits = [order.limit_ticks for order in orders if order.instrument == instrument and order.side is side]
    return (max(limits) if side is Side.BUY else min(limits)) if limits else None


def test_sets_and_nonces(market):
    orders, sets = quotes(market, MakerProfile(10_000, levels=3))
    assert all(1 <= len(orders) <= 64 for orders in sets) and all(len(orders) == 64 for orders in sets[:-1])
    assert [order.nonce for order in orders] == list(range(100, 100 + len(orders)))
    assert len(orders) > 500
    assert all(order.expiry_ms == TERMS.expiry_ms and order.fee_cap == 300 and order.revision == 0 and order.flags == 0 for order in orders)


def test_every_order_keeps_the_terms_the_band_and_intrinsic_value(market):
    listed, _, inputs, table, _ = market
    forwards = dict(inputs.forwards)
    for profile in (MakerProfile(10_000, levels=5), MakerProfile(3_333, 400, 2, 7_777)):
        for order in quotes(market, profile)[0]:
            instrument, row = listed[order.instrument][0], table[order.instrument]
            assert order.limit_ticks > 0 and order.limit_ticks % instrument.tick_ticks == 0
            assert 0 < order.size_lots <= min(max(profile.size_cap_lots, profile.linear_size_lots), instrument.position_cap_lots)
            assert order.size_lots % instrument.min_lots == 0
            assert abs(order.limit_ticks - row.mark) <= row.band
            if instrument.kind is not Kind.PERPETUAL:
                gap = forwards[instrument.expiry_ms] - instrument.strike_ticks
                assert order.limit_ticks >= max(gap if instrument.kind is Kind.CALL else -gap, 0)


def test_sides_are_those_recorded(market):
    listed, _, _, _, _ = market
    orders, _ = quotes(market, MakerProfile(10_000, levels=3))
    sides = {(order.instrument, order.side) for order in orders}
    two_sided = 0
    for instrument, option in listed.values():
        if option is None:
            continue
        assert (instrument.id, Side.BUY) not in sides or option.bids
        assert (instrument.id, Side.SELL) not in sides or option.asks
        two_sided += (instrument.id, Side.BUY) in sides and (instrument.id, Side.SELL) in sides
    assert two_sided > 150
    assert any(option and option.asks and not option.bids and (instrument.id, Side.SELL) in sides for instrument, option in listed.values())


def test_at_the_snapshot_quotes_are_the_recorded_prices(market):
    """Repriced at the expiry's forward instead of the row's own underlying, the best quotes move by little more than a tick."""
    listed, _, _, _, _ = market
    orders, _ = quotes(market, MakerProfile(10_000))
    moves = []
    for order in orders:
        option = listed[order.instrument][1]
        if option is not None:
            moves.append(abs(order.limit_ticks - (option.bids if order.side is Side.BUY else option.asks)[0].price_ticks))
    assert sorted(moves)[len(moves) // 2] <= 60 and max(moves) <= 1_000


def test_makers_split_the_recorded_sizes(market):
    listed, _, _, _, _ = market
    first, second = quotes(market, MakerProfile(6_000, size_cap_lots=2**30))[0], quotes(market, MakerProfile(4_000, 200, size_cap_lots=2**30))[0]
    shown: dict[tuple[int, Side], int] = {}
    for order in first + second:
        shown[order.instrument, order.side] = shown.get((order.instrument, order.side), 0) + order.size_lots
    for (instrument, side), size in shown.items():
        option = listed[instrument][1]
        if option is not None:
            assert size <= sum(level.size_lots for level in (option.bids if side is Side.BUY else option.asks))


def test_nobody_crosses(market):
    first, second = quotes(market, MakerProfile(6_000, levels=3))[0], quotes(market, MakerProfile(4_000, 200, levels=3))[0]
    wider = 0
    for instrument in {order.instrument for order in first}:
        bid, ask = best(first, instrument, Side.BUY), best(first, instrument, Side.SELL)
        assert bid is None or ask is None or bid < ask
        other_bid, other_ask = best(second, instrument, Side.BUY), best(second, instrument, Side.SELL)
        if other_bid is not None and bid is not None:
            assert other_bid <= bid
            wider += other_bid < bid
        assert other_bid is None or ask is None or other_bid < ask
        assert other_ask is None or bid is None or bid < other_ask
    assert wider > 100


def test_quotes_follow_the_forward(market, path):
    _, instruments, _, _, _ = market
    later = path.inputs(2, path.start_ms + 600_000, instruments)
    moved = {expiry: forward * 103 // 100 for expiry, forward in later.forwards}
    shifted = replace(later, forwards=tuple(moved.items()), index_ticks=later.index_ticks * 103 // 100, perpetual_mark_ticks=later.index_ticks * 103 // 100)
    before = quotes(market, MakerProfile(10_000))[0]
    after = quotes(market, MakerProfile(10_000), table=build_table(shifted, instruments), inputs=shifted)[0]
    calls = [instrument for instrument in instruments if instrument.kind is Kind.CALL]
    rises = [(best(before, i.id, Side.BUY), best(after, i.id, Side.BUY)) for i in calls]
    rises = [(a, b) for a, b in rises if a is not None and b is not None and a > 5_000]
    assert len(rises) > 30 and all(b > a for a, b in rises)


def test_expired_and_unlisted_instruments_are_not_quoted(market, path):
    _, instruments, _, table, _ = market
    late = path.inputs(2, 1_590_134_400_000, instruments)
    orders, _ = quotes(market, MakerProfile(10_000), table=build_table(late, instruments), inputs=late)
    expired = {instrument.id for instrument in instruments if instrument.expiry_ms == 1_590_134_400_000}
    assert orders and not expired & {order.instrument for order in orders}
    bare = replace(table, rows=table.rows[:3])
    assert {order.instrument for order in quotes(market, MakerProfile(10_000), table=bare)[0]} <= {1, 2, 3}


def test_the_perpetual_is_quoted_around_the_index_wherever_its_mark_is(market):
    """Its mark is made from its book: around the mark the quotes would keep a premium for ever."""
    _, instruments, inputs, _, _ = market
    index = inputs.index_ticks
    for mark in (index, index * 1_005 // 1_000, index * 995 // 1_000):
        table = build_table(replace(inputs, perpetual_mark_ticks=mark), instruments)
        orders = [order for order in quotes(market, MakerProfile(10_000, levels=2, linear_size_lots=105), table=table)[0] if order.instrument == 1]
        assert [order.side for order in orders] == [Side.BUY, Side.BUY, Side.SELL, Side.SELL] and {order.size_lots for order in orders} == {100}
        assert all((order.limit_ticks < index) == (order.side is Side.BUY) and abs(order.limit_ticks - index) < 500 for order in orders)


def test_levels_without_a_price_are_counted(recording):
    books = [vol_book(option) for option in recording.options]
    assert sum(book.unpriced for book in books) > 0
    assert all(
        book.unpriced + len(book.bids) + len(book.asks) == len(option.bids) + len(option.asks) for book, option in zip(books, recording.options, strict=True)
    )


def test_an_empty_book_gives_no_order(market):
    _, instruments, inputs, table, _ = market
    at = maturities(inputs, DEFAULT_PARAMETERS)
    assert mass_quote(MakerProfile(10_000), instruments[1:2], {instruments[1].id: VolBook((), ())}, at, table, TERMS) == ()


def test_a_locked_vol_still_leaves_a_spread(market):
    _, instruments, inputs, table, _ = market
    near = min(instruments[1:], key=lambda i: (abs(i.strike_ticks - 900_000), i.expiry_ms))
    book = VolBook((VolLevel(8_000, 1_000),), (VolLevel(8_000, 1_000),))
    ((bid, ask),) = mass_quote(MakerProfile(10_000), [near], {near.id: book}, maturities(inputs, DEFAULT_PARAMETERS), table, TERMS)
    assert bid.side is Side.BUY and ask.side is Side.SELL and bid.limit_ticks < ask.limit_ticks


def test_ticks_neither_lock_the_book_nor_push_a_bid_below_intrinsic(market):
    """On a tick of one price step, equal vols price bid and ask alike; on a coarse one, a deep bid rounds down past intrinsic value and is left out."""
    _, instruments, inputs, table, _ = market
    forwards = dict(inputs.forwards)
    near = min(instruments[1:], key=lambda i: (abs(i.strike_ticks - 900_000), i.expiry_ms))
    book = VolBook((VolLevel(8_000, 1_000),), (VolLevel(8_000, 1_000),))
    ((bid, ask),) = mass_quote(MakerProfile(10_000), [replace(near, tick_ticks=1)], {near.id: book}, maturities(inputs, DEFAULT_PARAMETERS), table, TERMS)
    assert ask.limit_ticks == bid.limit_ticks + 1
    deep = next(i for i in instruments[1:] if i.kind is Kind.CALL and i.strike_ticks < 700_000)
    intrinsic = forwards[deep.expiry_ms] - deep.strike_ticks
    coarse = replace(deep, tick_ticks=next(tick for tick in range(500, 1_000) if intrinsic % tick > 400))
    at = maturities(inputs, DEFAULT_PARAMETERS)
    ((only,),) = mass_quote(MakerProfile(10_000), [coarse], {deep.id: VolBook((VolLevel(1, 1_000),), (VolLevel(1, 1_000),))}, at, table, TERMS)
    assert only.side is Side.SELL and only.limit_ticks >= intrinsic


@pytest.mark.parametrize(
    "changes", [{"share_bps": 0}, {"share_bps": 10_001}, {"width_vol_bps": -1}, {"levels": 0}, {"size_cap_lots": 0}, {"linear_half_spread_bps": 0}]
)
def test_bad_profiles_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        MakerProfile(**{"share_bps": 5_000, **changes})


def test_futures_are_quoted_around_their_mark(recording, path):
    instruments = [instrument for instrument, _ in list_chain(recording, recording.options, futures=True).values()]
    inputs = path.inputs(1, path.start_ms, instruments)
    table = build_table(inputs, instruments)
    futures = [instrument for instrument in instruments if instrument.kind is Kind.FUTURE]
    (orders,) = mass_quote(MakerProfile(10_000), futures, {}, maturities(inputs, DEFAULT_PARAMETERS), table, TERMS)
    assert len(orders) == 2 * len(futures) == 14
    for order in orders:
        mark = table[order.instrument].mark
        assert 0 < order.side.sign * (mark - order.limit_ticks) < mark * 3 // 10_000 + 50


def test_inside_the_settlement_window_quotes_follow_what_is_fixed(recording, path):
    """A quarter of an hour before the end half of the average is fixed, and the option is worth what `Maturity` says of the rest."""
    options = [instrument for instrument, _ in list_chain(recording, recording.options).values()]
    expiry = min(instrument.expiry_ms for instrument in options)
    inputs = path.inputs(1, expiry - 900_000, options)
    table = build_table(inputs, options)
    near = min((i for i in options if i.expiry_ms == expiry and i.kind is Kind.CALL), key=lambda i: abs(i.strike_ticks - inputs.index_ticks))
    level, at = (VolLevel(8_000, 1_000),), maturities(inputs, DEFAULT_PARAMETERS)
    (orders,) = mass_quote(MakerProfile(10_000), [near], {near.id: VolBook(level, level)}, at, table, TERMS)
    value = at[expiry].option_value(Kind.CALL, near.strike_ticks, 8_000)
    assert value <= best(orders, near.id, Side.SELL) <= value + 2 * near.tick_ticks
    assert value != option_price_ticks(Kind.CALL, dict(inputs.forwards)[expiry], near.strike_ticks, 8_000, 5), "the plain formula knows no average"


def test_combinations_rest_inside_what_their_legs_imply(market):
    _, instruments, inputs, _, _ = market
    best_of: dict[int, BestQuotes] = {}
    for order in quotes(market, MakerProfile(10_000))[0]:
        book = best_of.get(order.instrument, NO_QUOTES)
        level = (order.limit_ticks, order.size_lots)
        best_of[order.instrument] = BestQuotes(level, book.ask) if order.side is Side.BUY else BestQuotes(book.bid, level)
    expiry = instruments[1].expiry_ms
    wanted = [found.legs for found in structures(instruments, expiry, dict(inputs.forwards)[expiry])]
    by_id = {instrument.id: instrument for instrument in instruments}
    resting = quote_structures(MakerProfile(10_000, size_cap_lots=5_000), wanted, best_of, by_id, TERMS)
    assert len(resting) >= 8 and [order.nonce for order in resting] == list(range(100, 100 + len(resting)))
    for order in resting:
        implied = implied_quotes(order.legs, best_of)
        assert implied.bid and implied.ask and implied.bid[0] <= order.limit_ticks <= implied.ask[0]
        assert order.limit_ticks % price_step(by_id, order.legs) == 0 and order.size_lots % size_step(by_id, order.legs) == 0
        assert 0 < order.size_lots <= 5_000 and order.fee_cap == 300 * sum(abs(leg.ratio) for leg in order.legs)
    assert all(sell.limit_ticks > buy.limit_ticks for buy, sell in zip(resting[::2], resting[1::2], strict=True))
