"""Margin under market-maker protection: an account reserves for as many lots as its limits let fill, and what is let fill more is asked for anew first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.audit import audit_exchange, audit_rule
from support.market import BUY, CALL, DOLLARS, PERPETUAL, PUT, SELL, TIME_MS, Market, scenarios, table

from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderRejected, OrderResting, ProtectionTripped, Trade
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, FLAG_POST_ONLY
from straddle.core.rejections import RejectionCode
from straddle.core.reservation import reserved_scaled
from straddle.operations.l2_withdraw import available

MINUTE_MS = 60_000
LOT = 10_000 + 900 + 270
"""What a lot of the call sold at its mark loses in the worst scenario, micro-dollars: the move, its charge, its worst fee. The put's, too."""


def epoch(number: int = 2, **changes: int) -> InternalEpoch:
    """Calls sold lose 10,000 in scenario 0, puts sold in scenario 1, the perpetual little; as bought they lose as much elsewhere."""
    rows = {
        "row_1": {"deltas": scenarios((0, 10_000), (2, -10_000)), "long_im": 900, **changes},
        "row_2": {"deltas": scenarios((1, 10_000), (3, -10_000)), "long_im": 900},
        "row_3": {"deltas": scenarios((0, 2_000), (2, -2_000)), "value": 900_000, "funding": 0, "long_im": 0, "short_im": 0},
    }
    return InternalEpoch(table(number, TIME_MS + number, **rows))


@pytest.fixture
def market() -> Market:
    """Account 3 has as much as 100 lots may lose."""
    made = Market()
    made.join(4, 5)
    made.ok(replace(made.deposit(3, 1), amount=100 * LOT))
    made.ok(made.set_key(3, 0))
    made.cut()
    made.ok(epoch())
    made.ok(made.state())
    return made


def shape(events: tuple[Event, ...]) -> list[str]:
    return [type(event).__name__ for event in events]


def quote(market: Market, lots: int = 100, account: int = 3) -> tuple[Event, ...]:
    """Both sides of call and put, at the mark."""
    orders = [market.order(account, instrument, side, mark + away * side.sign, lots) for instrument, mark in ((CALL, 20_000), (PUT, 15_000))
              for side, away in ((BUY, -50), (SELL, 0))]  # fmt: skip
    return market.ok(market.trade(account, *orders))


def check(market: Market) -> None:
    audit_exchange(market.exchange, 20_000 * DOLLARS + 100 * LOT, 0)
    audit_rule(market.exchange)


def test_without_a_protection_every_order_is_reserved(market: Market) -> None:
    """Bids and offers of one instrument lose in different scenarios: those of the call fit, the put's charges do not."""
    assert shape(quote(market)) == ["OrderResting", "OrderResting", "OrderRejected", "OrderRejected"]


def test_with_one_only_what_its_limit_lets_fill(market: Market) -> None:
    """Cash for 100 lots carries 4 quotes of 100 lots each under a limit of 100, and not under 101."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 101))
    assert shape(quote(market)).count("OrderRejected") > 0
    market.ok(market.cancel(3, 100))
    market.nonces[3] = 100
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    assert shape(quote(market)) == ["OrderResting"] * 4
    assert reserved_scaled(market.exchange, 3, market.exchange.exposures[3], 100 * LOT) == 0 == available(market.exchange, 3)
    check(market)


def test_whatever_fills_within_the_limit_is_good(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    events = market.submit(4, CALL, BUY, 20_000, 60)
    assert shape(events) == ["Trade"]
    events = market.submit(5, PUT, BUY, 15_000, 60)
    assert shape(events)[:2] == ["Trade", "ProtectionTripped"] and events[0].size_lots == 40  # type: ignore[union-attr]
    assert market.exchange.accounts[3].positions == {CALL: -60, PUT: -40}
    assert market.exchange.requirement_of(3).surplus_scaled >= 0
    check(market)


def test_a_new_interval_is_asked_for_before_anything_fills_in_it(market: Market) -> None:
    """After 60 of 100 lots the account carries 40 more; in the next interval it would be 100: its quotes leave instead."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    market.submit(4, CALL, BUY, 20_000, 60)
    market.ok(market.state(later_ms=MINUTE_MS - 1))
    assert shape(market.submit(4, CALL, BUY, 20_000, 10)) == ["Trade"]
    market.ok(market.state(later_ms=1))
    events = market.submit(4, CALL, BUY, 20_000, 10)
    assert shape(events) == ["ProtectionTripped", *["OrderCancelled"] * 4, "OrderResting"]
    assert {event.reason for event in events if isinstance(event, OrderCancelled)} == {CancelReason.PROTECTION}
    assert events[0] == ProtectionTripped(3, market.exchange.time_ms + 1_000)
    check(market)


def test_a_new_interval_that_the_account_carries_goes_on(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    market.submit(4, CALL, BUY, 20_000, 60)
    market.exchange.accounts[3].cash += 60 * LOT
    market.ok(market.state(later_ms=MINUTE_MS))
    assert shape(market.submit(4, CALL, BUY, 20_000, 10)) == ["Trade"]
    assert market.exchange.protections[3].quantity_lots == 10


def test_orders_that_close_the_position_carry_a_new_interval(market: Market) -> None:
    """Only what the new interval makes worse trips: bids that close the short calls lose nothing where those lose most."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    market.submit(3, CALL, SELL, 20_000, 90)
    market.submit(4, CALL, BUY, 20_000, 90)
    market.exchange.accounts[3].cash -= 20 * LOT  # below IM now
    assert market.exchange.requirement_of(3).surplus_scaled < 0
    market.submit(3, CALL, BUY, 19_950, 50)
    market.ok(market.state(later_ms=MINUTE_MS))
    assert shape(market.submit(4, CALL, SELL, 19_950, 20)) == ["Trade"]


def test_implied_matches_ask_for_a_new_interval_too(market: Market) -> None:
    """A straddle takes both legs from the account, or neither: in the next interval its quotes are gone."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    straddle = market.combination(4, {CALL: 1, PUT: 1}, BUY, 35_000, 30, flags=FLAG_IMMEDIATE_OR_CANCEL)
    events = market.ok(market.trade(4, straddle))
    assert shape(events) == ["Trade", "Trade", "OrderCancelled"][:2] and market.exchange.protections[3].quantity_lots == 60
    market.ok(market.state(later_ms=MINUTE_MS))
    straddle = market.combination(4, {CALL: 1, PUT: 1}, BUY, 35_000, 30, flags=FLAG_IMMEDIATE_OR_CANCEL)
    events = market.ok(market.trade(4, straddle))
    assert shape(events) == ["ProtectionTripped", *["OrderCancelled"] * 5] and 3 not in market.exchange.open_orders
    assert market.exchange.accounts[3].positions == {CALL: -30, PUT: -30}
    check(market)


def test_a_match_of_several_legs_counts_as_a_whole(market: Market) -> None:
    """A limit of 100 lots is 50 straddles, of the account's own combination as of its outrights."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    resting = market.combination(3, {CALL: 1, PUT: 1}, SELL, 35_000, 100)
    assert shape(market.ok(market.trade(3, resting))) == ["OrderResting"]
    events = market.ok(market.trade(4, market.combination(4, {CALL: 1, PUT: 1}, BUY, 35_000, 100, flags=FLAG_IMMEDIATE_OR_CANCEL)))
    assert shape(events) == ["Trade", "Trade", "ProtectionTripped", "OrderCancelled", "OrderCancelled"]
    assert market.exchange.accounts[3].positions == {CALL: -50, PUT: -50}
    assert market.exchange.requirement_of(3).surplus_scaled >= 0
    check(market)


@pytest.mark.parametrize("limits", [(0, 0, 0), (MINUTE_MS, 1_000, 150), (MINUTE_MS, 1_000, 0, 10**9), (1, 1_000, 101)])
def test_limits_that_let_more_fill_drop_what_is_not_carried(market: Market, limits: tuple[int, ...]) -> None:
    """Lifted, raised, or of delta alone: admitted anew, the oldest stay."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    before = list(market.exchange.open_orders[3].values())
    events = market.ok(market.protect(3, *limits))
    gone = [event for event in events if isinstance(event, OrderCancelled)]
    assert shape(events)[0] == "ProtectionSet" and gone and all(event.reason is CancelReason.MARGIN for event in gone)
    kept = list(market.exchange.open_orders.get(3, {}).values())
    assert kept and kept == before[: len(kept)] and len(kept) + len(gone) == 4
    assert reserved_scaled(market.exchange, 3, market.exchange.exposures[3], 100 * LOT) >= 0
    check(market)


def test_setting_the_same_limit_anew_gives_its_room_anew(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    market.submit(4, CALL, BUY, 20_000, 60)
    assert "OrderCancelled" in shape(market.ok(market.protect(3, MINUTE_MS, 1_000, 100)))
    check(market)


def test_an_interval_that_nothing_was_filled_in_is_asked_for_when_limits_are_set(market: Market) -> None:
    """Regression: time had gone on, so the old limit seemed to leave as much as the new one, and nobody had asked whether the account carries that."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    market.submit(4, CALL, BUY, 20_000, 60)
    market.ok(market.state(later_ms=MINUTE_MS))
    assert "OrderCancelled" in shape(market.ok(market.protect(3, MINUTE_MS, 1_000, 100)))
    assert reserved_scaled(market.exchange, 3, market.exchange.exposures[3], market.exchange.accounts[3].cash) >= 0


@pytest.mark.parametrize("limit", [100, 40, 10])
def test_limits_that_let_no_more_fill_cancel_nothing(market: Market, limit: int) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    assert shape(market.ok(market.protect(3, MINUTE_MS, 1_000, limit))) == ["ProtectionSet"]


def test_a_first_limit_cancels_nothing_and_makes_room(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    assert isinstance(market.submit(3, PUT, SELL, 15_000, 100)[0], OrderRejected)
    assert shape(market.ok(market.protect(3, MINUTE_MS, 1_000, 50))) == ["ProtectionSet"]
    assert isinstance(market.submit(3, PUT, SELL, 15_000, 100)[0], OrderResting)


def test_an_order_that_may_trade_as_it_enters_is_outside_the_limit(market: Market) -> None:
    """Its taking is free, so it is reserved in full beside the quotes; the same order is let in when it only rests."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 90))
    quote(market)
    market.submit(4, CALL, BUY, 19_950, 500)
    refused = market.submit(3, CALL, SELL, 19_950, 20)[0]
    assert isinstance(refused, OrderRejected) and refused.rejection.code is RejectionCode.MARGIN
    assert isinstance(market.submit(3, CALL, SELL, 20_050, 20)[0], OrderResting)
    assert isinstance(market.submit(3, CALL, SELL, 20_050, 20, flags=FLAG_POST_ONLY)[0], OrderResting)
    check(market)


def test_a_hedge_passes_beside_quotes_that_leave_no_room(market: Market) -> None:
    """Perpetuals bought gain where short calls lose; what they lose elsewhere is within what the calls' cap leaves there."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    market.submit(3, CALL, SELL, 20_000, 2_000)
    market.submit(4, PERPETUAL, SELL, 900_000, 500)
    assert available(market.exchange, 3) == 0
    assert shape(market.submit(3, PERPETUAL, BUY, 900_000, 10, flags=FLAG_IMMEDIATE_OR_CANCEL)) == ["Trade"]
    check(market)


def test_amendments_are_admitted_under_the_limit(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    first = next(iter(market.exchange.open_orders[3].values())).order
    for revision, change, outcome in (
        (1, {"size_lots": 5_000}, OrderResting),
        (2, {"limit_ticks": 19_900}, OrderResting),
        (3, {"limit_ticks": 25_000}, OrderRejected),
    ):
        amended = replace(first, revision=revision, **change)
        assert isinstance(market.ok(market.trade(3, amended))[-1], outcome), revision
        check(market)


def test_an_epoch_admits_under_the_limit(market: Market) -> None:
    """Still carried on a table with the same moves; on one with larger moves of the call its sale goes, and the younger quotes stay."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 100))
    quote(market)
    market.cut()
    assert shape(market.ok(epoch(3, band=7_000))) == ["EpochStarted"]
    market.cut()
    events = market.ok(epoch(4, short_im=1_000))
    assert [(event.order.instrument, event.order.side, event.reason) for event in events if isinstance(event, OrderCancelled)] == [
        (CALL, SELL, CancelReason.MARGIN)
    ]
    assert len(market.exchange.open_orders[3]) == 3
    check(market)


def test_a_tripped_account_quotes_anew_on_what_it_has_left(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 50))
    quote(market)
    assert "ProtectionTripped" in shape(market.submit(4, CALL, BUY, 20_000, 50))
    market.ok(market.state(later_ms=1_000))
    assert shape(quote(market)) == ["OrderResting"] * 4
    assert "ProtectionTripped" in shape(market.submit(4, PUT, BUY, 15_000, 50, flags=FLAG_IMMEDIATE_OR_CANCEL))
    market.ok(market.state(later_ms=1_000))
    assert market.exchange.accounts[3].positions == {CALL: -50, PUT: -50}
    assert shape(quote(market)) == ["OrderResting", "OrderRejected"] * 2, "what the charges of both took is missing for 50 lots more"
    check(market)


def test_a_limit_of_delta_alone_caps_nothing(market: Market) -> None:
    """It nets over instruments, so any number of lots may fill within it."""
    market.ok(market.protect(3, MINUTE_MS, 1_000, 0, 1))
    assert "OrderRejected" in shape(quote(market))


def test_withdrawals_leave_what_the_limit_may_cost(market: Market) -> None:
    market.ok(market.protect(3, MINUTE_MS, 1_000, 40))
    quote(market)
    assert available(market.exchange, 3) == 60 * LOT
    market.ok(market.withdraw(3, 60 * LOT))
    assert available(market.exchange, 3) == 0
    assert market.do(market.withdraw(3, 1)).rejection is not None
    market.cut()
    market.submit(4, CALL, BUY, 20_000, 30)
    assert isinstance(market.submit(4, PUT, BUY, 15_000, 30)[0], Trade)
    assert market.exchange.requirement_of(3).surplus_scaled >= 0
