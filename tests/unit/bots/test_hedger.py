"""Deltas are those of the pricing, and the hedge takes them away."""

from __future__ import annotations

import pytest

from straddle.bots.hedger import HedgeProfile, book_delta, hedge_order
from straddle.bots.taker import BestQuotes
from straddle.core.instruments import Kind
from straddle.core.orders import Side
from straddle.risk.expiry import maturities
from straddle.risk.listing import list_chain
from straddle.risk.parameters import DEFAULT_PARAMETERS

TERMS = {"nonce": 5, "expiry_ms": 2_000, "fee_cap": 300}


@pytest.fixture(scope="module")
def market(recording, path):
    instruments = {number: instrument for number, (instrument, _) in list_chain(recording, recording.options, futures=True).items()}
    inputs = path.inputs(1, path.start_ms, list(instruments.values()))
    return instruments, maturities(inputs, DEFAULT_PARAMETERS), dict(inputs.vols)


def near(market, kind, index_ticks=908_500):
    instruments, _, _ = market
    chosen = [one for one in instruments.values() if one.kind is kind]
    return min(chosen, key=lambda one: (one.expiry_ms, abs(one.strike_ticks - index_ticks)))


def test_linear_instruments_count_whole(market):
    perpetual, future = near(market, Kind.PERPETUAL), near(market, Kind.FUTURE)
    assert book_delta({perpetual.id: -700}, *market) == -700
    assert book_delta({future.id: 12_345, perpetual.id: 1}, *market) == 12_346
    assert book_delta({}, *market) == 0


def test_options_near_the_money_count_about_half_and_parity_holds(market):
    call, put = near(market, Kind.CALL), near(market, Kind.PUT)
    assert call.strike_ticks == put.strike_ticks
    up, down = book_delta({call.id: 10_000}, *market), book_delta({put.id: 10_000}, *market)
    assert 3_000 < up < 9_000 and -7_000 < down < -1_000
    assert abs(up - down - 10_000) <= 60, "a call less a put is a forward"
    assert abs(book_delta({call.id: -10_000}, *market) + up) <= 1


def test_what_has_expired_has_no_delta(market, path):
    instruments, _, vols = market
    late = path.inputs(2, near(market, Kind.CALL).expiry_ms, list(instruments.values()))
    at = maturities(late, DEFAULT_PARAMETERS)
    assert book_delta({near(market, Kind.CALL).id: 10_000, near(market, Kind.FUTURE).id: 5_000}, instruments, at, vols) == 0


def test_the_hedge_is_against_the_delta_within_what_the_book_has(market):
    perpetual = near(market, Kind.PERPETUAL)
    book = BestQuotes((908_000, 4_321), (909_000, 10**6))
    sold = hedge_order(HedgeProfile(1_000), 9_999, perpetual, book, **TERMS)
    assert sold is not None and (sold.side, sold.limit_ticks) == (Side.SELL, 908_000) and sold.immediate
    assert sold.size_lots == 4_321 // perpetual.min_lots * perpetual.min_lots
    bought = hedge_order(HedgeProfile(1_000), -9_999, perpetual, book, **TERMS)
    assert bought is not None and (bought.side, bought.limit_ticks) == (Side.BUY, 909_000)
    assert bought.size_lots == 9_999 // perpetual.min_lots * perpetual.min_lots


def test_no_hedge_inside_the_band_or_without_a_book(market):
    perpetual = near(market, Kind.PERPETUAL)
    book = BestQuotes((908_000, 4_000), None)
    assert hedge_order(HedgeProfile(1_000), 1_000, perpetual, book, **TERMS) is None
    assert hedge_order(HedgeProfile(1_000), -5_000, perpetual, book, **TERMS) is None
    assert hedge_order(HedgeProfile(0), 1, perpetual, BestQuotes((908_000, 4_000), None), **TERMS) is None  # less than the smallest size
    with pytest.raises(ValueError, match="band_lots"):
        HedgeProfile(-1)
