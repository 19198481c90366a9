"""Three rules of margin on the same books."""

from __future__ import annotations

import pytest
from support.market import CALL, PERPETUAL, PUT, Market

from straddle.core.params import BPS
from straddle.research.margins import Book, capital, static_margin, total


@pytest.fixture(scope="module")
def market() -> Market:
    return Market()


def found(market: Market, positions: dict[int, int], account: int = 3):
    exchange = market.exchange
    assert exchange.table is not None
    return capital(Book(account, positions), exchange.instruments, exchange.table, exchange.params)


@pytest.mark.parametrize("positions", [{CALL: 10_000}, {CALL: -10_000}, {PUT: -5_000}, {PERPETUAL: 7_000}])
def test_one_position_is_the_same_isolated_and_as_a_portfolio(market, positions):
    result = found(market, positions)
    assert result.isolated == result.portfolio > 0


def test_a_hedged_book_needs_less_as_a_portfolio(market):
    """A straddle bought and its delta sold: the parts offset each other only where they are seen together."""
    result = found(market, {CALL: 10_000, PUT: 10_000, PERPETUAL: -1_000})
    assert result.portfolio < result.isolated
    assert result.portfolio < result.static


def test_a_portfolio_never_needs_more_than_its_parts(market):
    for positions in ({CALL: 10_000, PUT: -3_000}, {CALL: -10_000, PERPETUAL: 9_000}, {CALL: 1, PUT: 1, PERPETUAL: 1}):
        result = found(market, positions)
        assert result.portfolio <= result.isolated + len(positions)


def test_static_formulas(market):
    exchange = market.exchange
    table, listed = exchange.table, exchange.instruments
    assert table is not None
    index, call, put = table.index_ticks, listed[CALL], listed[PUT]
    assert static_margin(call, 100, table) == 100 * table[CALL].value
    away = max(0, call.strike_ticks - index)
    assert static_margin(call, -100, table) == -(-100 * max(1_500 * index - BPS * away, 1_300 * index) // BPS)
    away = max(0, index - put.strike_ticks)
    assert static_margin(put, -100, table) == -(-100 * max(1_500 * index - BPS * away, 1_000 * index) // BPS)
    assert static_margin(listed[PERPETUAL], 100, table) == static_margin(listed[PERPETUAL], -100, table) == -(-100 * index * 200 // BPS)


def test_totals_add_up(market):
    books = [found(market, {CALL: 5}), found(market, {PUT: -5, PERPETUAL: 3}, 4)]
    both = total(books)
    assert (both.positions, both.static, both.isolated, both.portfolio) == (
        3,
        sum(book.static for book in books),
        sum(book.isolated for book in books),
        sum(book.portfolio for book in books),
    )


@pytest.mark.parametrize("positions", [{}, {CALL: 0}])
def test_an_empty_book_is_refused_by_name(positions):
    with pytest.raises(ValueError, match="positions of account 9"):
        Book(9, positions)
