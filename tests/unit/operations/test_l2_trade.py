from __future__ import annotations

from dataclasses import replace

import pytest
from support.market import BUY, CALL, DOLLARS, HOUR_MS, INDEX_TICKS, PERPETUAL, PUT, SELL, TIME_MS, Market, picture, table

from straddle.core.accounts import FEE_ACCOUNT, Slot
from straddle.core.commands import InternalEpoch
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderRejected, OrderResting, Trade
from straddle.core.fees import FeeSchedule
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL
from straddle.core.params import MAX_FILLS_PER_ORDER
from straddle.core.rejections import InvariantBroken
from straddle.operations import l2_trade


@pytest.fixture
def market() -> Market:
    market = Market()
    market.join(3, 4, 5)
    return market


def trades(events: tuple[Event, ...]) -> list[tuple[int, int, int]]:
    """(maker, price, size) of every trade."""
    return [(event.maker, event.price_ticks, event.size_lots) for event in events if isinstance(event, Trade)]


def cancels(events: tuple[Event, ...]) -> list[tuple[int, int, int, CancelReason]]:
    """(account, nonce, lots, reason) of every cancelled order."""
    return [(event.account, event.order.nonce, event.left_lots, event.reason) for event in events if isinstance(event, OrderCancelled)]


def test_cash_positions_fees_and_slots_of_a_fill(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_500, 1_000)
    events = market.submit(4, CALL, BUY, 21_000, 400)
    maker_fee, taker_fee = 400 * INDEX_TICKS // 10_000, 3 * 400 * INDEX_TICKS // 10_000
    assert events == (Trade(CALL, 20_500, 400, BUY, 4, 1, 0, 0, taker_fee, 3, 1, 0, 600, maker_fee, 1),)
    accounts = market.exchange.accounts
    assert accounts[3].cash == 10_000 * DOLLARS + 400 * 20_500 - maker_fee
    assert accounts[4].cash == 10_000 * DOLLARS - 400 * 20_500 - taker_fee
    assert accounts[FEE_ACCOUNT].cash == maker_fee + taker_fee
    assert accounts[3].positions == {CALL: -400} and accounts[4].positions == {CALL: 400}
    assert accounts[3].slots == {1: Slot(1, 0, 400)} and accounts[4].slots == {1: Slot(1, 0, 400)}


def test_the_perpetual_trades_net_of_funding(market: Market) -> None:
    market.submit(3, PERPETUAL, SELL, 900_000, 10)
    market.submit(4, PERPETUAL, BUY, 900_000, 10)
    fees = market.exchange.accounts[4].cash - (10_000 * DOLLARS - 10 * (900_000 - 1_000))
    assert fees == -10 * 270
    assert market.exchange.requirement_of(4).equity == 10_000 * DOLLARS - 10 * 270


def test_a_closed_position_disappears(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(4, CALL, BUY, 20_000, 10)
    market.submit(4, CALL, SELL, 20_000, 10)
    market.submit(3, CALL, BUY, 20_000, 10)
    assert market.exchange.accounts[3].positions == market.exchange.accounts[4].positions == {}
    assert market.exchange.exposures == {} and market.exchange.usage.position_rows == 0


def test_price_then_time(market: Market) -> None:
    for account, limit in ((3, 20_100), (4, 20_000), (3, 20_000), (4, 20_100)):
        market.submit(account, CALL, SELL, limit, 100)
    assert trades(market.submit(5, CALL, BUY, 20_050, 150)) == [(4, 20_000, 100), (3, 20_000, 50)]
    assert trades(market.submit(5, CALL, BUY, 20_100, 1_000)) == [(3, 20_000, 50), (3, 20_100, 100), (4, 20_100, 100)]
    assert market.exchange.books[CALL].bids.depth(5) == [(20_100, 750)]
    assert trades(market.submit(3, CALL, SELL, 20_000, 10)) == [(5, 20_100, 10)]


def test_immediate_or_cancel_never_rests(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    events = market.submit(4, CALL, BUY, 20_000, 30, flags=FLAG_IMMEDIATE_OR_CANCEL)
    assert trades(events) == [(3, 20_000, 10)] and cancels(events) == [(4, 1, 20, CancelReason.IMMEDIATE)]
    assert 4 not in market.exchange.open_orders


def test_self_trade_cancels_the_resting_order_that_is_reached(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(4, CALL, SELL, 20_050, 10)
    market.submit(5, CALL, SELL, 20_100, 10)
    market.submit(4, CALL, SELL, 20_150, 10)
    events = market.submit(4, CALL, BUY, 20_150, 20)
    assert trades(events) == [(3, 20_000, 10), (5, 20_100, 10)]
    assert cancels(events) == [(4, 1, 10, CancelReason.SELF_TRADE)]
    assert market.exchange.books[CALL].asks.depth(9) == [(20_150, 10)]


def test_self_trade_within_one_set(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_050, 10)
    first, second = market.order(4, CALL, SELL, 20_000, 10), market.order(4, CALL, BUY, 20_050, 20)
    events = market.ok(market.trade(4, first, second))
    assert [type(event) for event in events] == [OrderResting, OrderCancelled, Trade, OrderResting]
    assert cancels(events) == [(4, 1, 10, CancelReason.SELF_TRADE)] and trades(events) == [(3, 20_050, 10)]
    assert len(market.exchange.books[CALL].asks) == 0 and market.exchange.books[CALL].bids.depth(2) == [(20_050, 10)]


def test_each_order_of_a_set_has_its_own_outcome(market: Market) -> None:
    orders = market.order(4, CALL, BUY, 20_000, 10), market.order(4, CALL, BUY, 20_001, 10), market.order(4, PUT, BUY, 15_000, 10)
    events = market.ok(market.trade(4, *orders))
    assert [type(event) for event in events] == [OrderResting, OrderRejected, OrderResting]
    assert len(market.exchange.open_orders[4]) == 2


def test_a_newer_nonce_takes_the_slot(market: Market) -> None:
    market = Market(slot_depth=4)
    market.join(3, 4)
    market.submit(3, CALL, SELL, 20_000, 100, nonce=5)
    market.submit(4, CALL, BUY, 20_000, 30)
    events = market.submit(3, CALL, SELL, 20_100, 50, nonce=21)
    assert cancels(events) == [(3, 5, 70, CancelReason.REPLACED)]
    assert market.exchange.accounts[3].slots == {5: Slot(5, 0, 30)}
    market.submit(4, CALL, BUY, 20_100, 20)
    assert market.exchange.accounts[3].slots == {5: Slot(21, 0, 20)}
    uses = [use for use in market.exchange.open_batch.order_uses if use.account == 3]
    assert [(use.order.nonce, use.slot_before, use.fill) for use in uses] == [(5, Slot(0, 0, 0), 30), (21, Slot(5, 0, 30), 20)]


def test_an_amend_carries_filled_over(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, BUY, 20_000, 30)
    events = market.submit(3, CALL, SELL, 20_050, 100, nonce=1, revision=1)
    assert cancels(events) == [(3, 1, 70, CancelReason.AMENDED)]
    assert [event.left_lots for event in events if isinstance(event, OrderResting)] == [70]
    assert trades(market.submit(4, CALL, BUY, 20_050, 100)) == [(3, 20_050, 70)]
    assert market.exchange.accounts[3].slots == {1: Slot(1, 1, 100)}
    uses = [use for use in market.exchange.open_batch.order_uses if use.account == 3]
    assert [(use.order.revision, use.slot_before, use.fill) for use in uses] == [(0, Slot(0, 0, 0), 30), (1, Slot(1, 0, 30), 70)]


def test_an_amend_to_no_more_than_filled_only_cancels(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, BUY, 20_000, 30)
    events = market.submit(3, CALL, SELL, 20_000, 30, nonce=1, revision=1)
    assert cancels(events) == [(3, 1, 70, CancelReason.AMENDED)] and len(events) == 1
    assert 3 not in market.exchange.open_orders and len(market.exchange.books[CALL].asks) == 0


@pytest.mark.parametrize(("size_lots", "first"), [(60, 3), (140, 4)])
def test_an_amend_keeps_its_turn_only_when_size_falls(market: Market, size_lots: int, first: int) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, SELL, 20_000, 100)
    market.submit(3, CALL, SELL, 20_000, size_lots, nonce=1, revision=1)
    assert trades(market.submit(5, CALL, BUY, 20_000, 10)) == [(first, 20_000, 10)]
    assert sum(left for _, left in market.exchange.books[CALL].asks.depth(1)) == 100 + size_lots - 10


def test_an_order_that_filled_in_part_keeps_its_turn_when_size_falls_and_its_filled_lots(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, SELL, 20_000, 100)
    market.submit(5, CALL, BUY, 20_000, 30)
    market.submit(3, CALL, SELL, 20_000, 50, nonce=1, revision=1)
    assert trades(market.submit(5, CALL, BUY, 20_000, 60)) == [(3, 20_000, 20), (4, 20_000, 40)]


@pytest.mark.parametrize("changes", [{"expiry_ms": TIME_MS + 2 * HOUR_MS}, {"fee_cap": 4_000}, {"size_lots": 90, "expiry_ms": TIME_MS + 1}])
def test_an_amend_of_other_terms_keeps_its_turn(market: Market, changes: dict[str, int]) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, SELL, 20_000, 100)
    market.ok(market.trade(3, market.order(3, CALL, SELL, 20_000, **{"size_lots": 100, "nonce": 1, "revision": 1, **changes})))
    assert trades(market.submit(5, CALL, BUY, 20_000, 10)) == [(3, 20_000, 10)]


@pytest.mark.parametrize("back", [False, True])
def test_an_amend_of_the_price_loses_its_turn_even_when_it_comes_back(market: Market, back: bool) -> None:
    """At the new price it queues behind the order there; brought back, behind the one at the old price."""
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, SELL, 20_050 - 50 * back, 100)
    market.submit(3, CALL, SELL, 20_050, 50, nonce=1, revision=1)
    if back:
        market.submit(3, CALL, SELL, 20_000, 50, nonce=1, revision=2)
    assert trades(market.submit(5, CALL, BUY, 20_050, 10)) == [(4, 20_050 - 50 * back, 10)]


def test_an_amend_into_immediate_or_cancel_leaves_the_book(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    events = market.submit(3, CALL, SELL, 20_000, 100, nonce=1, revision=1, flags=FLAG_IMMEDIATE_OR_CANCEL)
    assert [reason for *_, reason in cancels(events)] == [CancelReason.AMENDED, CancelReason.IMMEDIATE]
    assert len(market.exchange.books[CALL].asks) == 0


def test_good_till_date_trades_until_the_table_reaches_its_expiry(market: Market) -> None:
    """An order's date is its expiry_ms, against the table's time or the sequencer's (test_internal_market.py), whichever is later."""
    market.submit(3, CALL, SELL, 20_000, 100, expiry_ms=TIME_MS + 1_000)
    market.ok(InternalEpoch(table(2, time_ms=TIME_MS + 998)))
    market.ok(market.state(later_ms=1))
    assert trades(market.submit(4, CALL, BUY, 20_000, 10)) == [(3, 20_000, 10)]
    market.cut()
    events = market.ok(InternalEpoch(table(3, time_ms=TIME_MS + 1_000)))
    assert cancels(events) == [(3, 1, 90, CancelReason.EXPIRED)]
    assert trades(market.submit(4, CALL, BUY, 20_000, 10)) == []


def test_an_amend_that_kept_its_turn_can_be_taken_away_in_the_same_set(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(4, CALL, SELL, 20_000, 10)
    amend = market.order(3, CALL, SELL, 20_000, 50, nonce=1, revision=1)
    events = market.ok(market.trade(3, amend, market.order(3, CALL, BUY, 20_000, 10, nonce=2)))
    assert cancels(events)[-1] == (3, 1, 50, CancelReason.SELF_TRADE)
    assert trades(events) == [(4, 20_000, 10)]
    assert len(market.exchange.books[CALL].asks) == 0 and 3 not in market.exchange.open_orders


def test_a_refused_amend_leaves_the_order(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    assert isinstance(market.submit(3, CALL, SELL, 20_001, 100, nonce=1, revision=1)[0], OrderRejected)
    assert market.exchange.books[CALL].asks.depth(1) == [(20_000, 100)]


@pytest.mark.parametrize(("nonce", "revision"), [(1, 1), (4_097, 0)])
def test_an_order_takes_over_the_margin_of_the_one_it_replaces(market: Market, nonce: int, revision: int) -> None:
    market.submit(3, CALL, SELL, 20_000, 100_000)
    assert isinstance(market.submit(3, CALL, SELL, 20_000, 100_000, nonce=2)[0], OrderRejected)
    assert isinstance(market.submit(3, CALL, SELL, 20_050, 100_000, nonce=nonce, revision=revision)[-1], OrderResting)


def test_makers_outside_the_band_are_cancelled_when_met(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    market.submit(4, CALL, SELL, 30_000 - 5_000, 10)
    market.ok(InternalEpoch(table(2, row_1={"value": 27_000})))
    events = market.submit(5, CALL, BUY, 25_000, 20)
    assert cancels(events) == [(3, 1, 10, CancelReason.PRICE_BAND)] and trades(events) == [(4, 25_000, 10)]


def test_makers_whose_fee_cap_the_index_left_behind_are_cancelled_when_met(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10, fee_cap=270)
    market.ok(InternalEpoch(replace(table(2), index_ticks=4 * INDEX_TICKS)))
    events = market.submit(5, CALL, BUY, 20_000, 20)
    assert cancels(events) == [(3, 1, 10, CancelReason.FEE_CAP)] and trades(events) == []


def test_an_order_meets_a_bounded_number_of_makers() -> None:
    capacity = replace(Market().exchange.capacity, orders=200, fills=200, signatures=200)
    market = Market(capacity)
    market.join(3, 4)
    for _ in range(MAX_FILLS_PER_ORDER + 1):
        market.submit(3, CALL, SELL, 20_000, 10)
    events = market.submit(4, CALL, BUY, 20_000, 10_000)
    assert len(trades(events)) == MAX_FILLS_PER_ORDER and cancels(events)[0][3] is CancelReason.MAX_FILLS
    assert len(market.exchange.books[CALL].asks) == 1 and len(market.exchange.books[CALL].bids) == 0


def test_exactly_the_largest_number_of_makers_is_no_early_stop() -> None:
    market = Market(replace(Market().exchange.capacity, orders=200, fills=200, signatures=200))
    market.join(3, 4)
    for _ in range(MAX_FILLS_PER_ORDER):
        market.submit(3, CALL, SELL, 20_000, 10)
    events = market.submit(4, CALL, BUY, 20_000, 10 * MAX_FILLS_PER_ORDER + 10)
    assert len(trades(events)) == MAX_FILLS_PER_ORDER and isinstance(events[-1], OrderResting)


def in_deficit() -> Market:
    """Account 3 is short 10,000 calls whose value rose until its equity lies below maintenance; account 4 is long."""
    market = Market()
    market.join(3, 4, 5, dollars=40_000)
    market.submit(3, CALL, SELL, 20_000, 10_000)
    market.submit(4, CALL, BUY, 20_000, 10_000)
    market.submit(4, CALL, SELL, 26_000, 10_000)
    market.cut()
    market.ok(InternalEpoch(table(2, row_1={"value": 4_000_000, "band": 4_000_000})))
    valued = market.exchange.requirement_of(3)
    assert 0 < 10_000 * valued.equity < valued.mm_scaled
    return market


def test_an_account_below_its_margin_may_only_reduce() -> None:
    market = in_deficit()
    before = market.exchange.requirement_of(3)
    assert isinstance(market.submit(3, CALL, SELL, 4_000_000, 10)[0], OrderRejected)
    assert trades(market.submit(3, CALL, BUY, 26_000, 1_000)) == [(4, 26_000, 1_000)]
    after = market.exchange.requirement_of(3)
    assert after.equity > before.equity and after.im_scaled < before.im_scaled


def test_a_maker_that_would_break_the_rule_is_cancelled_and_the_taker_goes_on() -> None:
    """Buying back above the mark: it may rest, since the worst scenario gets better, but filling lowers equity below maintenance."""
    market = in_deficit()
    market.ok(market.cancel(4, 100))
    market.nonces[4] = 100
    assert isinstance(market.submit(3, CALL, BUY, 4_001_000, 1_000, nonce=2)[0], OrderResting)
    market.submit(5, CALL, BUY, 4_000_000, 500)
    events = market.submit(4, CALL, SELL, 4_000_000, 1_500, flags=FLAG_IMMEDIATE_OR_CANCEL)
    assert cancels(events) == [(3, 2, 1_000, CancelReason.MARGIN), (4, 101, 1_000, CancelReason.IMMEDIATE)]
    assert trades(events) == [(5, 4_000_000, 500)]


def test_a_taker_that_would_break_the_rule_stops() -> None:
    market = in_deficit()
    market.ok(market.cancel(4, 100))
    market.nonces[4] = 100
    market.submit(4, CALL, SELL, 4_001_000, 1_000)
    events = market.submit(3, CALL, BUY, 4_001_000, 1_000)
    assert trades(events) == [] and cancels(events) == [(3, 2, 1_000, CancelReason.MARGIN)]
    assert market.exchange.books[CALL].asks.depth(1) == [(4_001_000, 1_000)]


def test_a_deposit_of_the_batch_excuses_no_loss() -> None:
    """Buying back costs less than was just deposited; still the rule counts the deposit as there before."""
    market = in_deficit()
    market.ok(market.cancel(4, 100))
    market.nonces[4] = 100
    market.cut()
    market.submit(4, CALL, SELL, 4_005_000, 1_000)
    market.ok(market.deposit(3, 10))
    events = market.submit(3, CALL, BUY, 4_005_000, 1_000)
    assert trades(events) == [] and cancels(events)[0][3] is CancelReason.MARGIN
    market.ok(market.deposit(3, 600))
    assert trades(market.submit(3, CALL, BUY, 4_005_000, 1_000)) == [(4, 4_005_000, 1_000)]


def test_after_a_withdrawal_settled_cash_may_not_fall_below_zero() -> None:
    """The premium is more than the cash left, though the position is worth it."""
    market = Market()
    market.join(3, 4, dollars=1_000)
    market.ok(InternalEpoch(table(2, row_1={"value": 60_000})))
    market.submit(3, CALL, SELL, 60_000, 5_000)
    market.ok(market.withdraw(4, 950 * DOLLARS))
    events = market.submit(4, CALL, BUY, 60_000, 1_000)
    assert trades(events) == [] and cancels(events)[0][3] is CancelReason.MARGIN
    assert trades(market.submit(4, CALL, BUY, 60_000, 100)) == [(3, 60_000, 100)]
    market.cut()
    assert trades(market.submit(4, CALL, BUY, 60_000, 900)) == [(3, 60_000, 900)]


def test_check_changes_nothing_and_apply_needs_no_second_look(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 100)
    command = market.trade(4, market.order(4, CALL, BUY, 20_000, 50), market.order(4, CALL, BUY, 20_000, 500))
    before = picture(market.exchange)
    plan = l2_trade.check(market.exchange, command)
    assert picture(market.exchange) == before
    assert isinstance(plan, l2_trade.Plan)
    assert trades(l2_trade.apply(market.exchange, plan)) == [(3, 20_000, 50), (3, 20_000, 50)]


def test_rows_of_the_open_batch(market: Market) -> None:
    order_set = market.trade(3, market.order(3, CALL, SELL, 20_000, 100), market.order(3, CALL, SELL, 20_000, 100), market.order(3, PUT, SELL, 15_000, 100))
    market.ok(order_set)
    market.submit(4, CALL, BUY, 20_000, 150)
    market.submit(5, CALL, BUY, 20_000, 50)
    sequence = market.exchange.next_sequence - 1
    batch = market.cut()
    assert [(use.account, use.set_index, use.fill, use.sequence) for use in batch.order_uses] == [
        (4, 0, 150, sequence - 1), (3, 0, 100, sequence - 1), (3, 1, 100, sequence), (5, 0, 50, sequence)]  # fmt: skip
    assert [(fill.taker, fill.maker, fill.size_lots, fill.sequence) for fill in batch.fills] == [
        (0, 1, 100, sequence - 1), (0, 2, 50, sequence - 1), (3, 2, 50, sequence)]  # fmt: skip
    assert batch.order_uses[1].order_set == order_set.order_set
    assert sorted(batch.start) == [1, 3, 4, 5]
    assert (batch.first_sequence, batch.last_sequence) == (sequence - 2, sequence)
    for use, index in zip(batch.order_uses, range(4), strict=True):
        fills = [fill for fill in batch.fills if index in (fill.taker, fill.maker)]
        assert use.fill == sum(fill.size_lots for fill in fills)
        assert use.fee == sum(fill.taker_fee if fill.taker == index else fill.maker_fee for fill in fills)


def test_without_fees_the_fee_account_is_untouched() -> None:
    market = Market(fees=FeeSchedule(0, 0))
    market.join(3, 4)
    market.submit(3, CALL, SELL, 20_000, 10, fee_cap=0)
    market.submit(4, CALL, BUY, 20_000, 10, fee_cap=0)
    assert FEE_ACCOUNT not in market.exchange.open_batch.start


def test_a_plan_leaves_resting_only_commands_out_of_the_batch(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 10)
    batch = market.cut()
    assert batch.start == {} and batch.last_sequence == batch.first_sequence


def test_a_batch_cannot_close_before_its_table() -> None:
    market = Market(open_=False)
    with pytest.raises(InvariantBroken, match="expected an epoch"):
        market.cut()


def test_orders_outlive_batches(market: Market) -> None:
    market.submit(3, CALL, SELL, 20_000, 30, expiry_ms=TIME_MS + HOUR_MS)
    market.cut()
    market.submit(4, CALL, BUY, 20_000, 10)
    market.cut()
    market.submit(4, CALL, BUY, 20_000, 10)
    use = next(use for use in market.exchange.open_batch.order_uses if use.account == 3)
    assert (use.slot_before, use.fill) == (Slot(1, 0, 10), 10)
