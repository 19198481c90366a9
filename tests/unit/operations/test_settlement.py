"""internal_settle, internal_deliver, internal_list of futures: InternalSettle, InternalDeliver, InternalList."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.audit_accounts import BatchAudit, audit_conservation
from support.emergencies import epoch, next_table
from support.market import BUY, CALL, DOLLARS, HOUR_MS, INSTRUMENTS, NANO, PUT, SELL, TIME_MS, Market, picture, table

from straddle.core.commands import InternalDeliver, InternalEpoch, InternalList, InternalSettle
from straddle.core.events import CancelReason, Delivered, EpochStarted, Listed, OrderCancelled, Retired, Settled
from straddle.core.instruments import BTC, NEVER_MS, Instrument, Kind, Retirement, Settlement
from straddle.core.rejections import RejectionCode as Code

DAY = 24 * HOUR_MS
FUTURE = Instrument(4, Kind.FUTURE, BTC, TIME_MS + 48 * HOUR_MS, 0, 50, 10, 1_000)


def settle(*settlements: tuple[int, int], retire: tuple[int, ...] = ()) -> InternalSettle:
    return InternalSettle(tuple(Settlement(i, BTC, value) for i, value in settlements), tuple(Retirement(i, BTC) for i in retire))


@pytest.fixture
def market() -> Market:
    """3 is short 100 calls and long 50 puts against 4; the options have expired."""
    market = Market()
    market.join(3, 4)
    for instrument, seller, buyer, size in ((CALL, 3, 4, 100), (PUT, 4, 3, 50)):
        market.submit(seller, instrument, SELL, {CALL: 20_000, PUT: 15_000}[instrument], size)
        market.submit(buyer, instrument, BUY, {CALL: 20_000, PUT: 15_000}[instrument], size)
    market.cut()
    epoch(market, DAY)
    return market


def audit(market: Market, deposited: int = 20_000) -> None:
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()
    audit_conservation(market.exchange, deposited * DOLLARS, 0)


def test_a_settlement_halts_until_a_table_has_its_row(market: Market) -> None:
    assert market.ok(settle((CALL, 33_000), (PUT, 0))) == (Settled(CALL, 33_000), Settled(PUT, 0))
    assert market.refused(market.deposit(3, 1)) is Code.TRADING_HALTED
    assert market.refused(InternalDeliver((3,))) is Code.TRADING_HALTED
    assert isinstance(epoch(market)[0], EpochStarted)
    assert market.exchange.positions_of(3) == {CALL: -100, PUT: 50}, "untouched"
    audit_conservation(market.exchange, 20_000 * DOLLARS, 0)
    batch = market.cut()
    assert batch.listings == [Settlement(CALL, BTC, 33_000), Settlement(PUT, BTC, 0)]
    audit(market)


def test_a_touched_account_has_its_positions_as_cash(market: Market) -> None:
    market.ok(settle((CALL, 33_000), (PUT, 7)))
    epoch(market)
    cash = {account: market.exchange.accounts[account].cash for account in (3, 4)}
    market.ok(market.withdraw(3, 1))
    assert market.exchange.accounts[3].cash == cash[3] - 100 * 33_000 + 50 * 7 - 1
    assert not market.exchange.positions_of(3) and market.exchange.positions_of(4) == {CALL: 100, PUT: -50}
    BatchAudit(market.cut(), market.exchange.params).run()
    audit_conservation(market.exchange, 20_000 * DOLLARS, 1)


def test_who_is_only_paid_into_keeps_them(market: Market) -> None:
    market.ok(settle((CALL, 33_000)))
    epoch(market)
    market.ok(market.deposit(3, 1))
    assert market.exchange.positions_of(3) == {CALL: -100, PUT: 50} and not market.exchange.open_batch.opened
    audit(market, 20_001)


def test_delivered_to_all_and_retired(market: Market) -> None:
    market.ok(settle((CALL, 33_000)))
    epoch(market)
    market.cut()
    assert market.refused(settle(retire=(CALL,))) is Code.RETIREMENT_TERMS
    cash = market.exchange.accounts[4].cash
    assert market.ok(InternalDeliver((3, 4))) == (Delivered(3, -3_300_000), Delivered(4, 3_300_000))
    assert market.exchange.accounts[4].cash == cash + 3_300_000 and market.exchange.positions_of(4) == {PUT: -50}
    assert market.refused(InternalDeliver((4,))) is Code.UNKNOWN_ACCOUNT
    assert market.ok(settle(retire=(CALL,))) == (Retired(CALL),)
    assert market.refused(InternalEpoch(next_table(market, row_2={"settled": True}))) is Code.TABLE_FIELD
    epoch(market)
    assert [row.instrument for row in market.exchange.context.table] == [2, 3] and market.exchange.listing_count == 3
    assert market.refused(settle((CALL, 1))) is Code.SETTLEMENT_TERMS
    market.ok(InternalList((FUTURE,)))
    epoch(market)
    assert list(market.exchange.instruments) == [2, 3, 4] and market.exchange.listing_count == 4
    audit(market)


def test_one_batch_settles_what_another_retires(market: Market) -> None:
    """The word of a settlement needs its row in the batch's table."""
    market.submit(3, CALL, BUY, 20_000, 10)
    market.ok(settle((CALL, 1)))
    assert market.refused(settle(retire=(CALL,))) is Code.EPOCH_REQUIRED
    epoch(market)
    assert market.refused(settle(retire=(CALL,))) is Code.BATCH_BOUNDARY
    market.ok(InternalDeliver((3, 4)))
    market.ok(settle(retire=(CALL,)))
    epoch(market)
    audit(market)


def test_failure_15_a_settlement_value_is_fixed_once_and_paid_once(market: Market) -> None:
    market.ok(settle((CALL, 33_000)))
    assert market.refused(settle((CALL, 34_000))) is Code.SETTLEMENT_TERMS
    assert market.refused(InternalEpoch(next_table(market, row_1={"value": 34_000}))) is Code.TABLE_FIELD
    epoch(market)
    market.cut()
    assert market.refused(settle((CALL, 33_000))) is Code.SETTLEMENT_TERMS
    market.ok(InternalDeliver((3,)))
    cash = market.exchange.accounts[3].cash
    market.cut()
    assert market.refused(InternalDeliver((3,))) is Code.UNKNOWN_ACCOUNT
    market.ok(market.withdraw(3, 1))
    assert market.exchange.accounts[3].cash == cash - 1


def test_settled_rows_are_worth_the_declared_value_without_risk(market: Market) -> None:
    market.ok(settle((CALL, 33_000)))
    for change in (
        {"settled": False},
        {"value": 33_001},
        {"band": 1},
        {"long_im": 1},
        {"long_mm": 1},
        {"short_im": 1},
        {"short_mm": 1},
        {"deltas": (*(0,) * 47, 1)},
    ):
        assert market.refused(InternalEpoch(next_table(market, row_1=change))) is Code.TABLE_FIELD, change
    assert market.refused(InternalEpoch(next_table(market, row_2={"settled": True, "value": 0}))) is Code.TABLE_FIELD
    epoch(market)


def test_settlements_and_retirements_are_checked(market: Market) -> None:
    perpetual = 3
    for command, code in (
        (settle(), Code.SETTLEMENT_TERMS),
        (settle((perpetual, 1)), Code.SETTLEMENT_TERMS),
        (settle((9, 1)), Code.SETTLEMENT_TERMS),
        (settle((CALL, -1)), Code.SETTLEMENT_TERMS),
        (settle((CALL, 1 << 39)), Code.SETTLEMENT_TERMS),
        (settle((CALL, 1), (CALL, 1)), Code.SETTLEMENT_TERMS),
        (InternalSettle((Settlement(CALL, 2, 1),), ()), Code.SETTLEMENT_TERMS),
        (settle(retire=(CALL,)), Code.RETIREMENT_TERMS),
        (settle(retire=(9,)), Code.RETIREMENT_TERMS),
        (settle((CALL, 1), retire=(CALL,)), Code.RETIREMENT_TERMS),
        (InternalSettle((), (Retirement(CALL, 2),)), Code.RETIREMENT_TERMS),
    ):
        before = picture(market.exchange)
        assert market.refused(command) is code, command
        assert picture(market.exchange) == before
    market.ok(market.deposit(3, 1))
    assert market.refused(settle((CALL, 1))) is Code.BATCH_BOUNDARY
    market.ok(settle((CALL, 1)))


def test_only_what_has_expired_is_settled_by_the_table_or_the_sequencer_s_time() -> None:
    market = Market()
    assert market.refused(settle((CALL, 1))) is Code.SETTLEMENT_TERMS
    market.ok(market.state(later_ms=DAY))
    market.ok(settle((CALL, 1)))
    assert market.refused(InternalEpoch(next_table(market, DAY - 1))) is Code.TABLE_FIELD
    epoch(market, DAY)
    audit(market, 0)


def test_a_long_option_counts_as_cash_once_settled(market: Market) -> None:
    """Before it does not: withdrawable is bounded by settled cash."""
    market.ok(settle((CALL, 4_000_000)))
    epoch(market)
    valued = market.exchange.requirement_of(4)
    assert valued.settled < valued.equity
    market.ok(market.withdraw(4, valued.settled + DOLLARS))
    BatchAudit(market.cut(), market.exchange.params).run()


def epoch_of(market: Market) -> None:
    """The first table, over whatever is listed."""
    market.ok(InternalEpoch(table(1, instruments=tuple(market.exchange.instruments.values()))))


def test_words_fill_a_batch_and_then_ask_for_a_table() -> None:
    market = Market(NANO, open_=False)
    market.ok(InternalList(INSTRUMENTS))
    assert market.ok(InternalList((FUTURE,))) == (Listed(4),)
    market.exchange.capacity = replace(NANO, listings=5)
    assert market.refused(InternalList(tuple(replace(FUTURE, id=5 + i) for i in range(2)))) is Code.EPOCH_REQUIRED
    epoch_of(market)
    market.ok(InternalList(tuple(replace(FUTURE, id=5 + i) for i in range(2))))
    assert len(market.closed) == 1


def test_retired_rows_make_room_for_listings() -> None:
    market = Market(replace(NANO, instruments=7))
    market.ok(InternalList(tuple(replace(FUTURE, id=4 + i) for i in range(4))))
    epoch(market)
    market.cut()
    assert market.refused(InternalList((replace(FUTURE, id=8),))) is Code.LISTINGS_MAX
    epoch(market, DAY)
    market.ok(settle((CALL, 5)))
    epoch(market)
    market.cut()
    market.ok(settle(retire=(CALL,)))
    market.ok(InternalList((replace(FUTURE, id=8),)))
    epoch(market)
    assert [row.instrument for row in market.exchange.context.table] == [2, 3, 4, 5, 6, 7, 8]
    audit(market, 0)


def test_futures_are_linear_dated_and_settle() -> None:
    market = Market()
    market.join(3, 4)
    for change in ({"strike_ticks": 1}, {"expiry_ms": NEVER_MS}, {"expiry_ms": TIME_MS}):
        assert market.refused(InternalList((replace(FUTURE, **change),))) is Code.LISTING_TERMS
    market.ok(InternalList((FUTURE,)))
    epoch(market)
    market.submit(3, FUTURE.id, SELL, 900_000, 100)
    market.submit(4, FUTURE.id, BUY, 900_000, 100)
    market.submit(4, FUTURE.id, BUY, 899_000, 10, expiry_ms=NEVER_MS)
    events = epoch(market, 48 * HOUR_MS)
    assert [event.reason for event in events if isinstance(event, OrderCancelled)] == [CancelReason.EXPIRED]
    market.ok(settle((FUTURE.id, 910_000)))
    epoch(market)
    cash = market.exchange.accounts[3].cash
    market.ok(InternalDeliver((3, 4)))
    assert market.exchange.accounts[3].cash == cash - 100 * 910_000
    audit(market)
