"""The operator runs the market alone, past an expiry and through a fall: settlement, payment, retirement, new listings, auctions. Every batch is provable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.operated import DOMAIN, IDENTITY, Operated

from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.events import AuctionBegun, Delivered, Listed, Retired, Settled, TakenOver
from straddle.core.instruments import Kind
from straddle.core.market_state import MarketState
from straddle.node.feed import RecordedMarket
from straddle.node.session import positions_sum
from straddle.node.settings import BatchSettings, EpochSettings, Settings
from straddle.node.version import exchange_params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.checker import check
from straddle.proving.vector import ChainFacts
from straddle.risk.market_parameters import DEFAULT_MARKET
from straddle.risk.settlement import settlement_value

SETTINGS = Settings(preset="nano", epochs=EpochSettings(seconds=900), batches=BatchSettings(seconds=3_600))
DOLLARS = 10**6


@pytest.fixture(scope="module")
def market() -> RecordedMarket:
    return RecordedMarket.load(SETTINGS, DEFAULT_MARKET)


@pytest.fixture
def operated(tmp_path: Path, market: RecordedMarket) -> Iterator[Operated]:
    operated = Operated(tmp_path, market, SETTINGS)
    operated.operator.open()
    yield operated
    operated.close()


def check_conservation(operated: Operated, deposited: int) -> None:
    """Cash, with what settled positions turn into, is what was deposited; positions sum to nothing in every instrument."""
    exchange = operated.exchange
    sides = {number: exchange.settled_side(number) for number in exchange.accounts}
    assert sum(cash for cash, _ in sides.values()) == deposited
    assert positions_sum({number: positions for number, (_, positions) in sides.items()}) == {}


def check_provable(operated: Operated) -> None:
    """The statement holds for every batch."""
    params, parent = exchange_params(SETTINGS.circuit, operated.market.parameters), bytes(32)
    for closed in operated.closed:
        facts = ChainFacts(IDENTITY.chain_id, IDENTITY.rollup, b"v" * 32, parent, 0xBE)
        posted = post_change(closed.change, closed.batch, params, SETTINGS.circuit, HeaderFacts(DOMAIN, closed.log_root), facts)
        assert check(posted.witness, SETTINGS.circuit) is None, closed.batch.number
        parent = posted.header_hash


def test_past_an_expiry_holders_have_their_money_and_the_market_goes_on(operated: Operated) -> None:
    buyer, seller = operated.join("buyer", 50_000 * DOLLARS), operated.join("seller", 50_000 * DOLLARS)
    operated.step(SETTINGS.epochs.seconds / 2)
    expiry = min(instrument.expiry_ms for instrument in operated.exchange.instruments.values())
    ending = {number: instrument for number, instrument in operated.exchange.instruments.items() if instrument.expiry_ms == expiry}
    assert {instrument.kind for instrument in ending.values()} == {Kind.FUTURE, Kind.CALL, Kind.PUT}
    for number in ending:
        operated.trade(buyer, seller, number, 1_000)
    operated.run_until(expiry - 1)
    exchange = operated.exchange
    assert exchange.positions_of(buyer.account) == dict.fromkeys(ending, 1_000) and not exchange.settlements
    before = {trader.account: exchange.accounts[trader.account].cash for trader in (buyer, seller)}
    operated.run_until(expiry)
    price = operated.market.path.settlement_ticks(expiry, operated.market.parameters.risk)
    values = {number: settlement_value(instrument, price) for number, instrument in ending.items()}
    assert sum(values.values()) > price  # a future, and an option in the money
    assert {event.instrument: event.value_ticks for event in operated.events if isinstance(event, Settled)} == values
    paid = 1_000 * sum(values.values())
    assert exchange.accounts[buyer.account].cash == before[buyer.account] + paid
    assert exchange.accounts[seller.account].cash == before[seller.account] - paid
    assert {event.account: event.amount for event in operated.events if isinstance(event, Delivered)} == {buyer.account: paid, seller.account: -paid}
    assert exchange.positions_of(buyer.account) == exchange.positions_of(seller.account) == {}
    operated.step(SETTINGS.epochs.seconds / 2)
    assert {event.instrument for event in operated.events if isinstance(event, Retired)} == ending.keys()
    operated.step(SETTINGS.epochs.seconds / 2)
    assert not exchange.settlements and ending.keys().isdisjoint(exchange.instruments)
    assert len(exchange.instruments) == SETTINGS.listed and exchange.trading_open
    later = {instrument.expiry_ms for instrument in exchange.instruments.values() if instrument.kind is Kind.FUTURE}
    assert len(later) == 2 and min(later) > expiry
    listed = [event.instrument for event in operated.events if isinstance(event, Listed)]
    assert listed == list(range(1, exchange.listing_count + 1))
    check_conservation(operated, 100_000 * DOLLARS)
    operated.sequencer.close_batch()
    check_provable(operated)


def test_a_fall_ruins_a_buyer_whom_the_insurance_fund_takes_over(operated: Operated) -> None:
    operated.endow(100_000 * DOLLARS)
    bull, bear = operated.join("bull", 10_000 * DOLLARS), operated.join("bear", 100_000 * DOLLARS)
    operated.step(SETTINGS.epochs.seconds / 2)
    exchange, perpetual = operated.exchange, 1
    operated.trade(bull, bear, perpetual, 1_000)
    per_lot = 10_000 * DOLLARS - exchange.requirement_of(bull.account).surplus_scaled // 10_000
    operated.trade(bull, bear, perpetual, 10_000 * DOLLARS // (per_lot // 1_000 + 1) // 10 * 10 - 1_000)
    begun = taken = None
    while operated.operator.clock.now_ms() < operated.market.path.start_ms + 30 * 86_400_000 and taken is None:
        operated.step(SETTINGS.epochs.seconds / 2)
        begun = begun or next((event for event in operated.events if isinstance(event, AuctionBegun)), None)
        taken = next((event for event in operated.events if isinstance(event, TakenOver)), None)
    assert begun is not None and (begun.account, begun.forced) == (bull.account, False)
    assert taken is not None and (taken.account, taken.winner) == (bull.account, INSURANCE_ACCOUNT)
    assert exchange.positions_of(bull.account) == {} and exchange.positions_of(INSURANCE_ACCOUNT)[perpetual] > 0
    assert any("its auction begins" in text for text in operated.said) and any("the insurance fund took" in text for text in operated.said)
    check_conservation(operated, 210_000 * DOLLARS)
    operated.sequencer.close_batch()
    check_provable(operated)


def test_what_can_wait_waits_while_the_market_is_shut(operated: Operated) -> None:
    buyer, seller = operated.join("buyer", 50_000 * DOLLARS), operated.join("seller", 50_000 * DOLLARS)
    operated.step(SETTINGS.epochs.seconds / 2)
    expiry, future = min((one.expiry_ms, one.id) for one in operated.exchange.instruments.values() if one.kind is Kind.FUTURE)
    operated.trade(buyer, seller, future, 1_000)
    operated.run_until(expiry - 1)
    operated.lag = SETTINGS.batches.lag_max
    operated.run_until(expiry)
    operated.step(SETTINGS.epochs.seconds / 2)
    exchange = operated.exchange
    assert exchange.market_state is MarketState.CANCEL_ONLY and future in exchange.settlements
    assert exchange.positions_of(buyer.account) == {future: 1_000}
    check_conservation(operated, 100_000 * DOLLARS)
    operated.lag = 0
    operated.step(SETTINGS.epochs.seconds / 2)
    operated.step(SETTINGS.epochs.seconds / 2)
    assert exchange.market_state is MarketState.OPEN and future not in exchange.instruments
    assert exchange.positions_of(buyer.account) == {}
    check_conservation(operated, 100_000 * DOLLARS)
    operated.sequencer.close_batch()
    check_provable(operated)
