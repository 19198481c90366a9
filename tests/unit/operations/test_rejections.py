"""Every rejection code once: what provokes it, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.emergencies import BANKRUPT, SOLVENT, auctioned, bid
from support.market import BUY, CALL, DOLLARS, HOUR_MS, INSTRUMENTS, NANO, OPERATOR, PERPETUAL, PUT, ROOMY, SELL, TIME_MS, Market, picture, row, table

from straddle.core.accounts import NO_KEY, PublicKey
from straddle.core.commands import Command, InternalDeleverage, InternalEpoch, InternalLiquidate, InternalList, InternalMarket, InternalSettle
from straddle.core.events import OrderRejected
from straddle.core.instruments import BTC, Instrument, Kind, Retirement, Settlement
from straddle.core.market_state import MarketState
from straddle.core.orders import Leg, Order, Side
from straddle.core.params import CASH_MAX, Limits
from straddle.core.protection import ProtectionLimits
from straddle.core.rejections import RejectionCode
from straddle.core.rejections import RejectionCode as Code

NEW = Instrument(4, Kind.CALL, 1, TIME_MS + 48 * HOUR_MS, 1_000_000, 50, 10, 1_000)


def ready(**options: object) -> Market:
    market = Market(**options)  # type: ignore[arg-type]
    market.join(3, 4)
    return market


def second_key_change() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.set_key(3, 1))
    return market, market.set_key(3, 2)


def second_withdrawal() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.withdraw(3, DOLLARS))
    return market, market.withdraw(3, DOLLARS)


def key_of_this_batch() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.set_key(3, 1))
    market.generations[3] = 1
    return market, market.trade(3, market.order(3, CALL, BUY, 20_000, 10))


def epoch_after_rows() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.deposit(3, 1))
    return market, InternalEpoch(table(2))


def listing_after_rows() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.deposit(3, 1))
    return market, InternalList((NEW,))


def full_queue() -> tuple[Market, Command]:
    market = ready(capacity=NANO)
    for _ in range(NANO.queue):
        assert market.do(market.deposit(3, 1)).accepted
    return market, market.deposit(3, 1)


def full_fills() -> tuple[Market, Command]:
    market = ready(capacity=NANO)
    market.submit(3, CALL, SELL, 20_000, 1_000)
    for _ in range(3):
        assert market.do(market.trade(4, market.order(4, CALL, BUY, 20_000, 10), market.order(4, CALL, BUY, 20_000, 10))).accepted
    return market, market.trade(4, market.order(4, CALL, BUY, 20_000, 10))


BOUNDARIES = [second_key_change, second_withdrawal, key_of_this_batch, epoch_after_rows, listing_after_rows, full_queue, full_fills]


@pytest.mark.parametrize("case", BOUNDARIES, ids=lambda case: case.__name__)
def test_batch_boundary(case: Callable[[], tuple[Market, Command]]) -> None:
    """The command is refused, changes nothing, and is accepted once the batch is cut."""
    market, command = case()
    before = picture(market.exchange)
    assert market.refused(command) is Code.BATCH_BOUNDARY
    assert picture(market.exchange) == before
    market.cut()
    assert market.do(command).accepted


def closed() -> Market:
    return Market(open_=False)


def epoch_required() -> tuple[Market, Command]:
    market = Market(replace(ROOMY, listings=3), open_=False)
    market.ok(InternalList(INSTRUMENTS))
    return market, InternalList((NEW,))


def too_many_listings() -> tuple[Market, Command]:
    market = ready(capacity=replace(ROOMY, listings=3))
    return market, InternalList(tuple(replace(NEW, id=4 + i) for i in range(4)))


def no_key() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.deposit(5, 1))
    return market, market.trade(5, market.order(5, CALL, BUY, 20_000, 10))


def revoked() -> tuple[Market, Command]:
    market = ready()
    market.ok(replace(market.set_key(3), key=NO_KEY))
    market.cut()
    return market, market.trade(3, market.order(3, CALL, BUY, 20_000, 10))


def old_key_epoch() -> tuple[Market, Command]:
    market = ready()
    command = market.trade(3, market.order(3, CALL, BUY, 20_000, 10))
    market.ok(market.set_key(3, 1))
    return market, command


def forged() -> tuple[Market, Command]:
    market = ready()
    genuine, other = (market.trade(3, market.order(3, CALL, BUY, 20_000, 10)) for _ in range(2))
    return market, replace(genuine, order_set=replace(genuine.order_set, signature=other.order_set.signature))


def forged_withdrawal() -> tuple[Market, Command]:
    market = ready()
    return market, replace(market.withdraw(3, DOLLARS), amount=2 * DOLLARS)


def forged_cancel() -> tuple[Market, Command]:
    market = ready()
    return market, replace(market.cancel(3, 5), min_nonce=6)


def oversized_set() -> tuple[Market, Command]:
    market = ready()
    command = market.trade(3, *(market.order(3, CALL, BUY, 20_000, 10) for _ in range(64)))
    return market, replace(command, order_set=replace(command.order_set, orders=(*command.order_set.orders, command.order_set.orders[0])))


def malformed() -> tuple[Market, Command]:
    market = ready()
    command = market.trade(3, market.order(3, CALL, BUY, 20_000, 10))
    orders = (replace(command.order_set.orders[0], fee_cap=1 << 32),)
    return market, replace(command, order_set=replace(command.order_set, orders=orders))


def duplicate_nonce() -> tuple[Market, Command]:
    market = ready()
    return market, market.trade(3, market.order(3, CALL, BUY, 20_000, 10, nonce=7), market.order(3, PUT, BUY, 15_000, 10, nonce=7))


def used_action_nonce() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.withdraw(3, DOLLARS, nonce=5))
    return market, market.withdraw(3, DOLLARS, nonce=5)


def used_min_nonce() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.cancel(3, 5))
    return market, market.cancel(3, 5)


def forged_protection() -> tuple[Market, Command]:
    market = ready()
    return market, replace(market.protect(3, 1, 1, 1), nonce=2)


def used_protection_nonce() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.protect(3, 1_000, 1, 50))
    return market, market.protect(3, 2_000, 1, 50, nonce=1)


def in_state(state: MarketState, make: Callable[[Market], Command], later_ms: int = 0) -> Callable[[], tuple[Market, Command]]:
    def case() -> tuple[Market, Command]:
        market = ready()
        command = make(market)
        market.ok(market.state(state, later_ms))
        return market, command

    return case


def time_goes_back() -> tuple[Market, Command]:
    market = ready()
    market.ok(market.state(later_ms=1))
    return market, InternalMarket(TIME_MS, MarketState.OPEN)


def rich(amount: int) -> Callable[[], tuple[Market, Command]]:
    def case() -> tuple[Market, Command]:
        market = ready()
        return market, replace(market.deposit(3, 1), amount=amount)

    return case


def sold(make: Callable[[Market], Command], **row_1: int) -> Callable[[], tuple[Market, Command]]:
    """On a market with an auction since an earlier batch (support.emergencies.auctioned)."""

    def case() -> tuple[Market, Command]:
        market = auctioned(row_1 or SOLVENT)
        return market, make(market)

    return case


def outpriced(market: Market) -> Command:
    return bid(market, 5, 3, 10_000, -10_000 * DOLLARS)


def deleveraged_out(market: Market) -> Command:
    market.ok(InternalDeleverage(3))
    market.cut()
    return InternalDeleverage(3)


def stale(market: Market) -> Command:
    market.ok(market.state(later_ms=15 * 60_000 + 1))
    return InternalLiquidate(3)


def funded(market: Market) -> Command:
    market.ok(market.deposit(2, 100_000, owner=OPERATOR))
    market.cut()
    return InternalDeleverage(3)


def plain(code: Code, make: Callable[[Market], Command]) -> tuple[Code, Callable[[], tuple[Market, Command]]]:
    def case() -> tuple[Market, Command]:
        market = ready()
        return market, make(market)

    return code, case


def listing(**changes: object) -> Callable[[Market], Command]:
    return lambda market: InternalList((replace(NEW, **changes),))  # type: ignore[arg-type]


COMMANDS: list[tuple[Code, Callable[[], tuple[Market, Command]]]] = [
    (Code.IN_AUCTION, sold(lambda market: market.withdraw(3, 1))),
    (Code.NOT_IN_AUCTION, sold(lambda market: bid(market, 5, 4, 10_000))),
    (Code.NOT_LIQUIDATABLE, sold(lambda market: InternalLiquidate(4))),
    (Code.BANKRUPT, sold(lambda market: bid(market, 5, 3, 10_000), **BANKRUPT)),
    (Code.FUND_FIRST, sold(funded, **BANKRUPT)),
    (Code.FRACTION, sold(lambda market: bid(market, 5, 3, 0))),
    (Code.BID_LIMIT, sold(outpriced)),
    (Code.NO_COUNTERPARTY, sold(deleveraged_out, value=400_000, band=10_000)),
    (Code.STALE_TABLE, sold(stale)),
    plain(Code.SETTLEMENT_TERMS, lambda market: InternalSettle((Settlement(CALL, BTC, 1),), ())),
    plain(Code.RETIREMENT_TERMS, lambda market: InternalSettle((), (Retirement(CALL, BTC),))),
    (Code.EXCEEDS_CAPACITY, too_many_listings),
    (Code.TRADING_HALTED, lambda: (closed(), closed().deposit(3, 1))),
    (Code.TRADING_HALTED, lambda: (closed(), closed().set_key(3))),
    (Code.TRADING_HALTED, lambda: (closed(), closed().withdraw(1, 1))),
    (Code.TRADING_HALTED, lambda: (closed(), closed().cancel(1, 1))),
    (Code.TRADING_HALTED, lambda: (closed(), closed().trade(1, closed().order(1, CALL, BUY, 20_000, 10)))),
    plain(Code.QUEUE_ORDER, lambda market: replace(market.deposit(3, 1), queue_index=market.exchange.queue_pointer + 1)),
    plain(Code.QUEUE_ORDER, lambda market: replace(market.set_key(3, 1), queue_index=market.exchange.queue_pointer - 1)),
    plain(Code.ACCOUNT_ID, lambda market: market.deposit(0, 1)),
    plain(Code.ACCOUNT_ID, lambda market: market.deposit(1 << 20, 1)),
    plain(Code.OWNER, lambda market: market.deposit(3, 1, owner=0xBAD)),
    plain(Code.OWNER, lambda market: market.deposit(9, 1, owner=0)),
    plain(Code.OWNER, lambda market: market.deposit(9, 1, owner=1 << 160)),
    plain(Code.OWNER, lambda market: replace(market.set_key(3, 1), owner=0xBAD)),
    plain(Code.AMOUNT, lambda market: market.deposit(3, 0)),
    plain(Code.AMOUNT, lambda market: market.withdraw(3, 0)),
    (Code.CASH_BOUND, rich(CASH_MAX)),
    plain(Code.KEY, lambda market: replace(market.set_key(3), key=PublicKey(0, 1))),
    plain(Code.UNKNOWN_ACCOUNT, lambda market: market.set_key(9)),
    plain(Code.UNKNOWN_ACCOUNT, lambda market: market.trade(9, market.order(9, CALL, BUY, 20_000, 10))),
    (Code.NO_KEY, no_key),
    (Code.NO_KEY, revoked),
    (Code.KEY_EPOCH, old_key_epoch),
    (Code.SIGNATURE, forged),
    (Code.SIGNATURE, forged_withdrawal),
    (Code.SIGNATURE, forged_cancel),
    (Code.SET_SIZE, oversized_set),
    (Code.MALFORMED, malformed),
    (Code.DUPLICATE_NONCE, duplicate_nonce),
    (Code.ACTION_NONCE, used_action_nonce),
    plain(Code.WITHDRAWABLE, lambda market: market.withdraw(3, 10_000 * DOLLARS + 1)),
    (Code.MIN_NONCE, used_min_nonce),
    (Code.TRADING_HALTED, lambda: (closed(), closed().protect(1, 1, 1, 1))),
    (Code.MARKET_HALTED, in_state(MarketState.HALTED, lambda market: market.trade(3, market.order(3, CALL, BUY, 20_000, 10)))),
    (Code.MARKET_HALTED, in_state(MarketState.HALTED, lambda market: market.withdraw(3, 1))),
    (Code.MARKET_HALTED, in_state(MarketState.HALTED, lambda market: market.cancel(3, 1))),
    (Code.MARKET_HALTED, in_state(MarketState.HALTED, lambda market: market.protect(3, 1, 1, 1))),
    (Code.MARKET_HALTED, in_state(MarketState.HALTED, lambda market: market.cancel(3, 1), 16 * 60_000)),
    (Code.CANCEL_ONLY, in_state(MarketState.CANCEL_ONLY, lambda market: market.withdraw(3, 1))),
    (Code.CANCEL_ONLY, in_state(MarketState.OPEN, lambda market: market.withdraw(3, 1), 15 * 60_000 + 1)),
    (Code.MARKET_TIME, time_goes_back),
    plain(Code.MARKET_TIME, lambda market: InternalMarket(-1, MarketState.OPEN)),
    plain(Code.MARKET_TIME, lambda market: InternalMarket(1 << 48, MarketState.OPEN)),
    (Code.SIGNATURE, forged_protection),
    (Code.PROTECTION_NONCE, used_protection_nonce),
    plain(Code.PROTECTION_NONCE, lambda market: market.protect(3, 1, 1, 1, nonce=0)),
    plain(Code.PROTECTION_TERMS, lambda market: market.protect(3, 0, 1, 1)),
    plain(Code.PROTECTION_TERMS, lambda market: market.protect(3, 0, 1, 0, 1)),
    plain(Code.PROTECTION_TERMS, lambda market: market.protect(3, 1, 1, 0, 0)),
    plain(Code.PROTECTION_TERMS, lambda market: replace(market.protect(3, 1, 1, 1), limits=ProtectionLimits(1, 1 << 32, 1, 0))),
    plain(Code.PROTECTION_TERMS, lambda market: replace(market.protect(3, 1, 1, 1), limits=ProtectionLimits(1, 1, 1, -1))),
    plain(Code.LISTING_ID, listing(id=5)),
    plain(Code.LISTING_ID, listing(id=3)),
    plain(Code.LISTING_TERMS, lambda market: InternalList(())),
    plain(Code.LISTING_TERMS, listing(underlying=2)),
    plain(Code.LISTING_TERMS, listing(expiry_ms=TIME_MS)),
    plain(Code.LISTING_TERMS, listing(strike_ticks=0)),
    plain(Code.LISTING_TERMS, listing(kind=Kind.PERPETUAL)),
    plain(Code.LISTING_TERMS, listing(tick_ticks=0)),
    plain(Code.LISTING_TERMS, listing(min_lots=0)),
    plain(Code.LISTING_TERMS, listing(position_cap_lots=1 << 40)),
    plain(Code.LISTINGS_MAX, lambda market: InternalList(tuple(replace(NEW, id=4 + i) for i in range(ROOMY.instruments - 2)))),
    (Code.EPOCH_REQUIRED, epoch_required),
    plain(Code.EPOCH_ORDER, lambda market: InternalEpoch(table(1))),
    plain(Code.EPOCH_ORDER, lambda market: InternalEpoch(table(2, time_ms=TIME_MS - 1))),
    plain(Code.TABLE_ROWS, lambda market: InternalEpoch(table(2, instruments=INSTRUMENTS[:2]))),
    plain(Code.TABLE_ROWS, lambda market: InternalEpoch(table(2, instruments=(*INSTRUMENTS, NEW)))),
    plain(Code.TABLE_ROWS, lambda market: InternalEpoch(table(2, instruments=INSTRUMENTS[::-1]))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_1={"expiry_ms": TIME_MS + 1}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_1={"linear": True}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_1={"value": 1 << 39}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_1={"band": -1}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_3={"short_mm": -1}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_2={"deltas": (0,) * 47}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(table(2, row_2={"deltas": (*(0,) * 47, -(1 << 39))}))),
    plain(Code.TABLE_FIELD, lambda market: InternalEpoch(replace(table(2), index_ticks=0))),
]


@pytest.mark.parametrize(("code", "case"), COMMANDS, ids=[f"{code}-{i}" for i, (code, _) in enumerate(COMMANDS)])
def test_command_is_refused_and_changes_nothing(code: Code, case: Callable[[], tuple[Market, Command]]) -> None:
    market, command = case()
    before = picture(market.exchange)
    assert market.refused(command) is code
    assert picture(market.exchange) == before


def order(instrument: int, side: Side, limit_ticks: int, size_lots: int, **changes: object) -> Callable[[Market], Order]:
    return lambda market: market.order(3, instrument, side, limit_ticks, size_lots, **changes)


def after_fill(**changes: int) -> Callable[[Market], Order]:
    """An order with nonce 50 and revision 3 that filled 100 lots; then one that differs."""

    def make(market: Market) -> Order:
        market.submit(4, CALL, SELL, 20_000, 100)
        market.submit(3, CALL, BUY, 20_000, 100, nonce=50, revision=3)
        return market.order(3, CALL, BUY, 20_000, **{"size_lots": 200, "nonce": 50, "revision": 4, **changes})

    return make


def after_resting(**changes: int) -> Callable[[Market], Order]:
    """An order with nonce 50 and revision 3 that rests; then one that differs."""

    def make(market: Market) -> Order:
        market.submit(3, CALL, BUY, 20_000, 100, nonce=50, revision=3)
        return market.order(3, CALL, BUY, 20_000, **{"size_lots": 100, "nonce": 50, "revision": 4, **changes})

    return make


def after_fill_and_amend(market: Market) -> Order:
    """Revision 3 filled in part and revision 4 rests; then revision 4 once more."""
    market.submit(4, CALL, SELL, 20_000, 100)
    market.submit(3, CALL, BUY, 20_000, 200, nonce=50, revision=3)
    market.submit(3, CALL, BUY, 20_000, 300, nonce=50, revision=4)
    return market.order(3, CALL, BUY, 20_000, 300, nonce=50, revision=4)


def after_cancel(market: Market) -> Order:
    market.ok(market.cancel(3, 10))
    return market.order(3, CALL, BUY, 20_000, 10, nonce=9)


def beyond_three_positions(market: Market) -> Order:
    market.submit(3, CALL, BUY, 20_000, 10)
    market.submit(3, PUT, BUY, 15_000, 10)
    return market.order(3, PERPETUAL, BUY, 900_000, 10)


def beyond_two_orders(market: Market) -> Order:
    market.submit(3, CALL, BUY, 20_000, 10)
    market.submit(3, CALL, BUY, 20_000, 10)
    return market.order(3, CALL, BUY, 20_000, 10)


def after_huge_table(market: Market) -> Order:
    market.ok(InternalEpoch(table(2, row_1={"deltas": (*(0,) * 47, -(1 << 39) + 1)})))
    return market.order(3, CALL, BUY, 20_000, 10_000)


def after_expiry(market: Market) -> Order:
    time_ms = INSTRUMENTS[0].expiry_ms
    market.ok(InternalEpoch(table(2, time_ms=time_ms)))
    return market.order(3, CALL, BUY, 20_000, 10, expiry_ms=time_ms + 1)


def in_cancel_only(market: Market) -> Order:
    market.ok(market.state(MarketState.CANCEL_ONLY))
    return market.order(3, CALL, BUY, 20_000, 10)


def on_a_stale_table(market: Market) -> Order:
    market.ok(market.state(later_ms=15 * 60_000 + 1))
    return market.order(3, CALL, BUY, 20_000, 10)


def smaller_in_cancel_only(market: Market) -> Order:
    """An amendment whose size only falls, but not to nothing."""
    market.submit(3, CALL, BUY, 20_000, 100, nonce=50)
    market.ok(market.state(MarketState.CANCEL_ONLY))
    return market.order(3, CALL, BUY, 20_000, 10, nonce=50, revision=1)


def in_reduce_only(side: Side, size_lots: int, flags: int = 0, resting_lots: int = 0) -> Callable[[Market], Order]:
    """The account is long 100 calls; then an order in a reduce-only market, `resting_lots` being sold already."""

    def make(market: Market) -> Order:
        market.submit(4, CALL, SELL, 20_000, 100)
        market.submit(3, CALL, BUY, 20_000, 100)
        market.ok(market.state(MarketState.REDUCE_ONLY))
        if resting_lots:
            market.submit(3, CALL, SELL, 20_100, resting_lots)
        return market.order(3, CALL, side, 20_000, size_lots, flags=flags)

    return make


def when_long(side: Side, size_lots: int, flags: int = 0, resting_lots: int = 0) -> Callable[[Market], Order]:
    """The account is long 100 calls, `resting_lots` being sold by a reduce-only order already."""

    def make(market: Market) -> Order:
        market.submit(4, CALL, SELL, 20_000, 100)
        market.submit(3, CALL, BUY, 20_000, 100)
        if resting_lots:
            market.submit(3, CALL, SELL, 20_100, resting_lots, flags=8)
        return market.order(3, CALL, side, 20_000, size_lots, flags=flags)

    return make


BAD_LEGS: list[tuple[tuple[int, int], ...]] = [
    ((CALL, 2),),
    ((CALL, -1),),
    ((PUT, 1), (CALL, 1)),
    ((CALL, 1), (CALL, -1)),
    ((CALL, -1), (PUT, 1)),
    ((CALL, 2), (PUT, -4)),
]


def combination(*legs: tuple[int, int], limit_ticks: int = 5_000, size_lots: int = 10, **changes: int) -> Callable[[Market], Order]:
    """A combination of (instrument, signed ratio)."""
    made = tuple(Leg(*leg) for leg in legs)
    return lambda market: replace(market.order(3, CALL, BUY, limit_ticks, size_lots, **{"fee_cap": 10**6, **changes}), legs=made)


def would_trade(limit_ticks: int) -> Callable[[Market], Order]:
    """Post only, with an order on the other side at 20,000."""

    def make(market: Market) -> Order:
        market.submit(4, CALL, SELL, 20_000, 10)
        return market.order(3, CALL, BUY, limit_ticks, 10, flags=4)

    return make


def combination_would_trade(market: Market) -> Order:
    """Post only; the books of the legs imply the limit."""
    market.submit(4, CALL, SELL, 20_500, 10)
    market.submit(4, PUT, BUY, 15_000, 10)
    return combination((CALL, 1), (PUT, -1), limit_ticks=5_500, flags=4)(market)


def would_fill_in_part(flags: int) -> Callable[[Market], Order]:
    """90 of 100 lots could fill, some against an order of its own that would be cancelled first."""

    def make(market: Market) -> Order:
        market.submit(3, CALL, SELL, 20_000, 10)
        market.submit(4, CALL, SELL, 20_000, 60)
        market.submit(4, CALL, SELL, 20_050, 30)
        return market.order(3, CALL, BUY, 20_050, 100, flags=flags)

    return make


def while_frozen(market: Market) -> Order:
    market.ok(market.state())
    market.ok(market.protect(3, 1_000, 500, 50))
    market.submit(3, CALL, SELL, 20_000, 50)
    market.submit(4, CALL, BUY, 20_000, 50)
    market.ok(market.state(later_ms=499))
    return market.order(3, CALL, SELL, 20_000, 10)


ORDERS: list[tuple[Code, Callable[[Market], Order]]] = [
    *((Code.FLAGS, order(CALL, BUY, 20_000, 10, flags=flags)) for flags in (5, 6, 7, 16, 127)),
    *((Code.LEGS, combination(*legs)) for legs in BAD_LEGS),
    (Code.INSTRUMENT, combination((CALL, 1), (4, -1))),
    (Code.LIMIT, combination((CALL, 1), (PUT, -1), limit_ticks=5_025)),
    (Code.LIMIT, combination((CALL, 1), (PUT, -1), limit_ticks=-(1 << 39))),
    (Code.PRICE_BAND, combination((CALL, 1), (PUT, -1), limit_ticks=17_050)),
    (Code.PRICE_BAND, combination((CALL, 1), (PUT, -2), limit_ticks=-28_050)),
    (Code.SIZE, combination((CALL, 3), (PUT, -1), size_lots=5)),
    (Code.SIZE, combination((CALL, 4), (PUT, -2), (PERPETUAL, 1), size_lots=5)),
    (Code.FEE_CAP, combination((CALL, 2), (PUT, -1), limit_ticks=25_000, fee_cap=3 * 270 - 1)),
    (Code.POSITION_CAP, combination((CALL, 1), (PUT, -100), limit_ticks=-1_480_000, size_lots=100_010)),
    (Code.MARGIN, combination((CALL, 1), (PUT, -1), size_lots=1_000_000)),
    (Code.POST_ONLY, would_trade(20_000)),
    (Code.POST_ONLY, would_trade(20_050)),
    (Code.POST_ONLY, combination_would_trade),
    (Code.FILL_OR_KILL, order(CALL, BUY, 20_000, 10, flags=2)),
    (Code.FILL_OR_KILL, would_fill_in_part(2)),
    (Code.FILL_OR_KILL, would_fill_in_part(3)),
    (Code.REDUCE_ONLY, order(CALL, BUY, 20_000, 10, flags=8)),
    (Code.REDUCE_ONLY, when_long(BUY, 10, flags=8)),
    (Code.REDUCE_ONLY, when_long(SELL, 110, flags=8)),
    (Code.REDUCE_ONLY, when_long(SELL, 60, flags=8, resting_lots=50)),
    (Code.CANCEL_ONLY, in_cancel_only),
    (Code.CANCEL_ONLY, on_a_stale_table),
    (Code.CANCEL_ONLY, smaller_in_cancel_only),
    (Code.REDUCE_ONLY, in_reduce_only(BUY, 10)),
    (Code.REDUCE_ONLY, in_reduce_only(BUY, 10, flags=1)),
    (Code.REDUCE_ONLY, in_reduce_only(SELL, 110)),
    (Code.REDUCE_ONLY, in_reduce_only(SELL, 110, flags=1)),
    (Code.REDUCE_ONLY, in_reduce_only(SELL, 20, resting_lots=90)),
    (Code.PROTECTION_FROZEN, while_frozen),
    (Code.INSTRUMENT, order(0, BUY, 20_000, 10)),
    (Code.INSTRUMENT, order(4, BUY, 20_000, 10)),
    (Code.INSTRUMENT_EXPIRED, after_expiry),
    (Code.SIZE, order(CALL, BUY, 20_000, 0)),
    (Code.SIZE, order(CALL, BUY, 20_000, 15)),
    (Code.SIZE, after_fill(size_lots=100)),
    (Code.LIMIT, order(CALL, BUY, 0, 10)),
    (Code.LIMIT, order(CALL, BUY, -50, 10)),
    (Code.LIMIT, order(CALL, BUY, 20_001, 10)),
    (Code.PRICE_BAND, order(CALL, BUY, 26_050, 10)),
    (Code.PRICE_BAND, order(CALL, SELL, 13_950, 10)),
    (Code.PRICE_BAND, order(PERPETUAL, BUY, 920_050, 10)),
    (Code.ORDER_EXPIRED, order(CALL, BUY, 20_000, 10, expiry_ms=TIME_MS)),
    (Code.NONCE_DEAD, after_cancel),
    (Code.NONCE_DEAD, order(CALL, BUY, 20_000, 10, nonce=0)),
    (Code.NONCE_STALE, after_fill(nonce=50 - 16)),
    (Code.NONCE_STALE, after_resting(nonce=50 - 16)),
    (Code.REVISION, after_fill(revision=3)),
    (Code.REVISION, after_fill(revision=2)),
    (Code.REVISION, after_fill_and_amend),
    (Code.REVISION, after_resting(revision=3)),
    (Code.REVISION, after_resting(revision=2)),
    (Code.FEE_CAP, order(CALL, BUY, 20_000, 10, fee_cap=269)),
    (Code.POSITION_CAP, order(CALL, BUY, 20_000, 10_000_010)),
    (Code.POSITION_CAP, order(CALL, SELL, 20_000, 10_000_010)),
    (Code.POSITION_CAP, when_long(BUY, 9_999_910)),
    (Code.MARGIN, when_long(BUY, 9_999_900)),
    (Code.POSITION_CAP, when_long(SELL, 10_000_110)),
    (Code.MARGIN, when_long(SELL, 10_000_100)),
    (Code.POSITION_VALUE, after_huge_table),
    (Code.POSITIONS_MAX, beyond_three_positions),
    (Code.OPEN_ORDERS_MAX, beyond_two_orders),
    (Code.MARGIN, order(CALL, BUY, 26_000, 1_000_000)),
    (Code.MARGIN, order(CALL, SELL, 14_000, 1_000_000)),
]


@pytest.mark.parametrize(("code", "make"), ORDERS, ids=[f"{code}-{i}" for i, (code, _) in enumerate(ORDERS)])
def test_order_is_refused_and_changes_nothing_but_the_sequence(code: Code, make: Callable[[Market], Order]) -> None:
    market = ready(slot_depth=4, limits=Limits(positions=2, open_orders=2))
    command_order = make(market)
    market.cut()
    before = picture(market.exchange)
    events = market.ok(market.trade(3, command_order))
    assert [type(event) for event in events] == [OrderRejected]
    rejected = events[0]
    assert isinstance(rejected, OrderRejected) and rejected.rejection.code is code, rejected
    assert rejected.rejection.field in rejected.rejection.message and str(rejected.rejection.value) in rejected.rejection.message
    market.exchange.next_sequence -= 1
    market.exchange.open_batch.last_sequence -= 1
    assert picture(market.exchange) == before


def test_fee_cap_is_accepted_at_the_worst_fee() -> None:
    market = ready()
    assert not isinstance(market.submit(3, CALL, BUY, 20_000, 10, fee_cap=270)[0], OrderRejected)


def test_order_too_big_for_any_batch_is_refused_by_itself() -> None:
    """Seven makers, room for six fills: the order is refused, those before and after it in its set stand."""
    market = ready(capacity=NANO)
    for _ in range(7):
        market.submit(3, CALL, SELL, 20_000, 10)
    market.cut()
    events = market.ok(market.trade(4, market.order(4, CALL, BUY, 19_900, 10), market.order(4, CALL, BUY, 20_000, 70), market.order(4, CALL, BUY, 20_000, 10)))
    assert [type(event).__name__ for event in events] == ["OrderResting", "OrderRejected", "Trade"]
    rejected = events[1]
    assert isinstance(rejected, OrderRejected) and rejected.set_index == 1 and rejected.rejection.code is Code.EXCEEDS_CAPACITY


def test_every_code_is_provoked() -> None:
    provoked = {Code.BATCH_BOUNDARY} | {code for code, _ in COMMANDS} | {code for code, _ in ORDERS}
    assert set(RejectionCode) - provoked == set()


def test_helper_tables_are_acceptable() -> None:
    assert row(INSTRUMENTS[2]).mark == 900_000
