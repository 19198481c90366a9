"""Orders that only come to rest: the kernel enters them as `matching.place` does one by one, takes them back as it does, and leaves every other order alone."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from support.kernels import compiled, outcome, reference
from support.market import BUY, CALL, HOUR_MS, NANO, PERPETUAL, PUT, ROOMY, SELL, TIME_MS, Market, picture, table

from straddle.core import quotes
from straddle.core.book import Book, BookSide, RestingOrder
from straddle.core.capacity import Capacity
from straddle.core.commands import Command, InternalEpoch
from straddle.core.events import CancelReason, OrderCancelled, OrderRejected, OrderResting, Trade
from straddle.core.exposure import order_terms
from straddle.core.fees import worst_unit_fee
from straddle.core.market_state import MarketState
from straddle.core.orders import Leg, Order, OrderSet, Side, outright
from straddle.core.params import BPS, Limits
from straddle.core.state import Exchange
from straddle.core.trading import Trading
from straddle.core.units import Unit
from straddle.operations import l2_trade

MIDS = {CALL: 20_000, PUT: 15_000, PERPETUAL: 900_000}
ACCOUNTS = (3, 4, 5, 6)
MADE_WITH = (Order, RestingOrder, Unit, Book, BookSide, OrderResting, OrderCancelled, CancelReason.AMENDED, CancelReason.REPLACED)


def order(nonce: int, price: int, side: Side = BUY, size: int = 100, instrument: int = CALL, **changes: Any) -> Order:
    fields = {"revision": 0, "expiry_ms": TIME_MS + HOUR_MS, "fee_cap": 5_000, "flags": 0, **changes}
    return outright(nonce, fields["revision"], fields["expiry_ms"], size, price, instrument, side, fields["fee_cap"], fields["flags"])


def market(**changes: Any) -> Market:
    made = Market(**changes)
    made.join(*ACCOUNTS[:3], dollars=100_000)
    made.join(ACCOUNTS[3], dollars=40)  # soon out of margin
    return made


def everything(exchange: Exchange) -> Any:
    """`picture`, and the orders of dicts that it does not show."""
    sides = [side for book in exchange.books.values() for side in (book.bids, book.asks)]
    levels = [(side._prices, {price: list(level) for price, level in side._levels.items()}) for side in sides]
    return picture(exchange), list(exchange.open_orders), list(exchange.exposures), levels


def entered_by_kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many orders each call of the kernel took over."""
    taken = []
    enter = l2_trade.enter_quotes

    def counting(trading: Trading, order_set: OrderSet, root: int, start: int) -> int:
        taken.append(enter(trading, order_set, root, start) - start)
        return start + taken[-1]

    monkeypatch.setattr(l2_trade, "enter_quotes", counting)
    return taken


# ---- the same as one by one


def random_order(rng: random.Random, nonces: range, revisions: dict[int, int]) -> Order:
    """Most are plain quotes near the last ones of their nonce; every field is out of the ordinary now and then."""
    nonce = rng.choice(nonces)
    revisions[nonce] = revisions.get(nonce, 0) + rng.choice((1, 1, 1, 1, 0))
    instrument = (CALL, PUT, PERPETUAL, CALL)[nonce % 4] if rng.random() < 0.95 else rng.choice((CALL, PUT, PERPETUAL, 9))
    side = Side(nonce % 2) if rng.random() < 0.95 else Side(rng.randrange(2))
    distance = rng.choice((50, 100, 150, 200, 250, 500, 600, 700, 0, -50)) if rng.random() < 0.97 else rng.choice((1, 30_000, 10_000_000))
    limit = MIDS.get(instrument, 20_000) - side.sign * distance
    changes: dict[str, Any] = {"revision": revisions[nonce]}
    if rng.random() < 0.1:
        changes["flags"] = rng.choice((1, 2, 4, 4, 4, 6, 8, 12, 16))
    if rng.random() < 0.03:
        changes["expiry_ms"] = TIME_MS - rng.randrange(2)
    if rng.random() < 0.03:
        changes["fee_cap"] = rng.choice((0, 1, 270, 2**32 - 1))
    made = order(nonce, limit, side, rng.choice((10, 50, 100, 100, 200, 0, 15, 10_000)), instrument, **changes)
    if rng.random() < 0.03:
        legs = rng.choice(((Leg(CALL, 1), Leg(PUT, -1)), (Leg(CALL, 2),), (Leg(CALL, -1),), (Leg(PUT, 1), Leg(PERPETUAL, 1))))
        limit = sum(ratio * MIDS[instrument] for instrument, ratio in legs) - side.sign * distance
        made = Order(nonce, changes["revision"], TIME_MS + HOUR_MS, 50, limit, legs, side, 10_000)
    return made


def random_command(rng: random.Random, made: Market, revisions: dict[int, dict[int, int]], first: dict[int, int], epoch: int) -> Command | None:
    account, chance = rng.choice(ACCOUNTS), rng.random()
    if chance < 0.02:
        return None
    if chance < 0.04:
        first[account] += 4
        return made.cancel(account, first[account])
    if chance < 0.06:
        return made.protect(account, 60_000, 60_000, rng.choice((0, 150, 400)))
    if chance < 0.09:
        return made.state(rng.choice((*[MarketState.OPEN] * 8, MarketState.REDUCE_ONLY, MarketState.CANCEL_ONLY)), rng.randrange(40_000))
    if chance < 0.11:
        return InternalEpoch(table(epoch, TIME_MS + epoch, row_1={"value": 20_000 + rng.randrange(-1_000, 1_000)}))
    nonces = range(max(1, first[account] - 2), first[account] + rng.choice((6, 12, 20)))
    wanted: dict[int, Order] = {}
    for _ in range(rng.choice((1, 2, 6, 12, 16))):
        made_order = random_order(rng, nonces, revisions[account])
        wanted[made_order.nonce] = made_order
    return made.trade(account, *wanted.values())


@pytest.mark.parametrize(("seed", "capacity", "limits"), [(1, ROOMY, None), (2, ROOMY, Limits(positions=2, open_orders=7)), (3, NANO, None), (4, NANO, None)])
def test_random_sets_as_one_by_one(seed: int, capacity: Capacity, limits: Limits | None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    one, other = (market(capacity=capacity, limits=limits, slot_depth=3) for _ in range(2))
    revisions: dict[int, dict[int, int]] = {account: {} for account in ACCOUNTS}
    first, epoch, seen = dict.fromkeys(ACCOUNTS, 1), 1, dict[type, int]()
    taken = entered_by_kernel(monkeypatch)
    by_kernel = l2_trade.enter_quotes
    for _ in range(300):
        epoch = one.exchange.context.table.epoch + 1
        command = random_command(rng, one, revisions, first, epoch)
        outcomes = []
        for made, enter in ((one, by_kernel), (other, lambda trading, order_set, root, start: start)):
            monkeypatch.setattr(l2_trade, "enter_quotes", enter)
            outcomes.append(made.do(command) if command is not None else made.exchange.open_batch.number)
            if command is None or (outcomes[-1].rejection is not None and outcomes[-1].rejection.code == "batch_boundary"):
                made.cut()
        assert outcomes[0] == outcomes[1]
        assert everything(one.exchange) == everything(other.exchange)
        for event in outcomes[0].events if command is not None else ():
            seen[type(event)] = seen.get(type(event), 0) + 1
    assert sum(taken) > 100 and taken.count(0) > 50, "both ways are used"
    assert min(seen.get(kind, 0) for kind in (OrderResting, OrderCancelled, OrderRejected, Trade)) > 10


# ---- what is taken over


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"flags": 4}, True),
        ({"size": 200}, True),
        ({"size": 50}, True),
        ({"price": 19_850}, True),
        ({"nonce": 17}, True),  # 16 slots: the same one
        ({"nonce": 2}, True),
        ({"side": SELL, "price": 20_050}, False),
        ({"side": SELL, "price": 20_050, "nonce": 2}, True),
        ({"instrument": PUT, "price": 14_000}, False),
        ({"price": 20_100}, False),  # meets the other side
        ({"price": 20_100, "flags": 4}, False),
        ({"flags": 1}, False),
        ({"flags": 8}, False),
        ({"revision": 0}, False),
        ({"size": 0}, False),
        ({"size": 15}, False),
        ({"price": 19_851}, False),
        ({"price": 13_000}, False),  # outside the band
        ({"fee_cap": 270}, True),
        ({"fee_cap": 269}, False),
        ({"nonce": 0}, False),
        ({"expiry_ms": TIME_MS}, False),
        ({"instrument": 9, "nonce": 2}, False),
        ({"size": 9_999_990}, False),  # no margin for it
    ],
)
def test_what_the_kernel_takes_over(change: dict[str, Any], taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = market(slot_depth=4)
    made.ok(made.trade(4, order(1, 20_100, SELL)))
    made.ok(made.trade(3, order(1, 19_900), order(3, 14_900, instrument=PUT)))  # once, so that the unit is known
    counted = entered_by_kernel(monkeypatch)
    fields = {"nonce": 1, "price": 19_900, "revision": 1, **change}
    made.ok(made.trade(3, order(**fields)))
    assert sum(counted) == taken


def test_a_run_stops_at_the_first_order_that_does_more_and_goes_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = market()
    made.ok(made.trade(4, order(1, 20_100, SELL)))
    counted = entered_by_kernel(monkeypatch)
    events = made.ok(made.trade(3, order(1, 19_000), order(2, 19_050), order(3, 20_100, size=30), order(4, 19_100), order(5, 1), order(6, 19_150)))
    assert counted == [2, 1, 1]
    assert [type(event) for event in events] == [OrderResting, OrderResting, Trade, OrderResting, OrderRejected, OrderResting]


def test_protection_and_market_state_leave_orders_to_the_definition_only_where_they_may_refuse_some(monkeypatch: pytest.MonkeyPatch) -> None:
    made = market()
    made.ok(made.trade(5, order(1, 18_000)))  # the unit is known from here on
    made.ok(made.state())
    made.ok(made.protect(3, 1_000, 5_000, 10))
    counted = entered_by_kernel(monkeypatch)
    made.ok(made.trade(3, order(1, 19_000), order(2, 19_050)))
    made.ok(made.trade(4, order(1, 19_050, SELL, flags=1)))  # trips it
    events = made.ok(made.trade(3, order(3, 19_000), order(4, 19_000, flags=4)))
    assert [type(event) for event in events] == [OrderRejected] * 2
    made.ok(made.state(later_ms=4_999))
    assert isinstance(made.ok(made.trade(3, order(5, 19_000)))[0], OrderRejected)
    made.ok(made.state(later_ms=1))
    made.ok(made.trade(3, order(5, 19_000)))
    made.ok(made.state(MarketState.REDUCE_ONLY))
    made.ok(made.trade(3, order(6, 19_000)))
    assert counted[0] == 2 and sum(counted) == 3


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the kernel takes nothing over."""
    monkeypatch.setattr(l2_trade, "enter_quotes", lambda trading, order_set, root, start: start)


def test_the_margin_of_a_quote_to_the_last_micro_dollar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel takes an order over with just the cash that its definition wants, and leaves it with a micro-dollar less."""
    rng, made = random.Random(7), market(slot_depth=4)
    made.ok(made.trade(4, order(1, 15_000, SELL, 500, PUT), order(2, 20_000, SELL, 300)))
    made.ok(made.trade(3, order(9, 15_000, BUY, 500, PUT, flags=1), order(10, 20_000, BUY, 300, flags=1)))
    owner, revisions = made.exchange.accounts[3], dict[int, int]()
    for _ in range(60):
        nonce = rng.randrange(1, 9)
        side, instrument, revisions[nonce] = Side(nonce % 2), (CALL, PUT)[nonce // 2 % 2], revisions.get(nonce, 0) + 1
        placed = order(nonce, MIDS[instrument] - side.sign * 50 * rng.randrange(1, 30), side, 10 * rng.randrange(1, 400), instrument, revision=revisions[nonce])
        exposure, live = made.exchange.exposures[3].copy(), made.exchange.open_orders.get(3, {}).get(nonce)
        for terms, units in ((placed, placed.size_lots), *([(live.order, -live.left_lots)] if live else [])):
            exposure.reserve(*order_terms(made.exchange.context, terms), units)
        least, cash, order_set = -(exposure.reserved_surplus_scaled(0) // BPS), owner.cash, made.trade(3, placed).order_set
        taken = []
        for owner.cash in (least - 1, least):
            trading = Trading(made.exchange)
            taken.append(quotes.enter_quotes(trading, order_set, 5, 0))
            trading.undo.back_to(0)
            trading.finish()
        assert taken == [0, 1]
        owner.cash = cash
        made.ok(made.trade(3, placed))
    assert len(made.exchange.open_orders[3]) == 8 and owner.positions == {PUT: 500, CALL: 300}


@pytest.mark.parametrize(("account", "side", "price"), [(7, BUY, 19_000), (8, SELL, 25_000)])
@pytest.mark.parametrize(("size", "taken"), [(9_000_000, 1), (9_000_010, 0)])
def test_the_cap_of_a_position_counts_what_is_open_and_held(
    size: int, taken: int, account: int, side: Side, price: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = market()
    made.join(7, 8, dollars=1_000_000_000_000)
    made.ok(made.trade(8, order(1, 20_000, SELL, 400_000)))
    made.ok(made.trade(7, order(1, 20_000, BUY, 400_000)))
    made.ok(made.trade(account, order(2, price, side, 600_000), order(3, price, side, 10), order(4, 22_000, side.opposite, 10)))
    counted = entered_by_kernel(monkeypatch)
    events = made.ok(made.trade(account, order(3, price, side, size, revision=1)))
    assert sum(counted) == taken and isinstance(events[-1], OrderResting if taken else OrderRejected)


def test_the_fee_that_is_reserved_is_that_of_the_limit_where_it_is_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    made = market()
    made.ok(InternalEpoch(table(2, TIME_MS + 1, row_1={"value": 1_000, "band": 900})))
    made.ok(made.trade(3, order(1, 500), order(2, 550), order(3, 1_500, SELL)))
    counted = entered_by_kernel(monkeypatch)
    made.ok(made.trade(3, *(order(i, 100 + 50 * i, revision=1) for i in (1, 2)), order(3, 1_550, SELL, revision=1)))
    assert counted == [3]
    for resting in made.exchange.open_orders[3].values():
        assert resting.unit_fee == worst_unit_fee(made.exchange.fees, made.exchange.context.table, resting.order)
    assert {resting.unit_fee for resting in made.exchange.open_orders[3].values()} == {19, 25, 238}


def test_an_account_with_one_order_takes_its_place_among_accounts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    after = []
    for by_definition in (False, True):
        if by_definition:
            one_by_one(monkeypatch)
        made = market()
        for account in (3, 4, 5):
            made.ok(made.trade(account, order(1, 19_000)))
        made.ok(made.trade(3, order(1, 19_000, revision=1, size=50)))
        after.append([everything(made.exchange)])
        made.ok(made.trade(4, order(1, 19_050, revision=1)))
        after[-1].append(everything(made.exchange))
        assert list(made.exchange.open_orders) == [3, 5, 4]
    assert after[0] == after[1]


# ---- taking back


@pytest.mark.parametrize("replaced", [False, True])
def test_a_set_that_the_batch_cannot_hold_leaves_no_trace(replaced: bool) -> None:
    """Orders are amended in place, moved, and new; then one trades, and the batch has no room for it."""
    made = market(capacity=NANO)
    for i in range(1, 7):
        made.ok(made.trade(4, order(i, 20_000 + 50 * i, SELL, 10)))
        made.ok(made.trade(5, order(i, 20_000 + 50 * i, SELL, 10)))
    if replaced:
        made.ok(made.trade(3, *(order(i, 19_000, size=50) for i in range(1, 6))))
        made.ok(made.trade(5, order(9, 19_000, size=50)))
    made.cut()
    made.ok(made.trade(4, order(20, 20_050, BUY, 10, flags=1)))  # some rows are in use
    before = picture(made.exchange)
    orders = [order(1, 19_000, size=40, revision=1), order(2, 19_000, size=60, revision=1), order(3, 18_950, revision=1), order(6, 19_000)]
    rejected = made.do(made.trade(3, *orders, order(8, 20_500, BUY, 120)))
    assert rejected.rejection is not None and rejected.rejection.code == "batch_boundary"
    assert picture(made.exchange) == before


def test_nothing_is_kept_of_what_is_taken_back() -> None:
    made = market()
    made.ok(made.trade(3, *(order(i, 19_000 - 50 * (i % 5), instrument=CALL) for i in range(1, 33))))
    sets = made.trade(3, *(order(i, 18_900 - 50 * (i % 7), revision=1) for i in range(1, 41))).order_set

    def there_and_back() -> None:
        trading = Trading(made.exchange)
        assert quotes.enter_quotes(trading, sets, 5, 0) == 40
        trading.undo.back_to(0)
        trading.finish()

    before = everything(made.exchange)
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(3):
            for _ in range(20):
                there_and_back()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[2] - sizes[1] < 2_000
    assert everything(made.exchange) == before


# ---- refusals


def test_classes_without_the_slots_are_refused() -> None:
    class Other:
        __slots__ = ("nonce",)

    for place in range(7):
        made_with: list[Any] = [*MADE_WITH, print]
        for given in (Other, int, 5):
            made_with[place] = given
            with pytest.raises(TypeError, match=r"slot|class"):
                compiled.Quotes(*made_with)
    more = type("More", (OrderResting,), {"__slots__": ("another",)})
    with pytest.raises(TypeError, match="slots that the kernel knows"):
        compiled.Quotes(*MADE_WITH[:5], more, *MADE_WITH[6:], print)


@pytest.mark.parametrize(
    ("place", "wrong", "message"),
    [
        (0, [], "a tuple of orders"),
        (1, -1, "start: -1, expected 0 to 1"),
        (1, 2, "start: 2, expected 0 to 1"),
        (5, -1, "turn: -1, expected 0 to"),
        (6, None, "an Exposure"),
        (7, 2**97, "cash"),
        (8, -2, "lots: -2, expected -1 to"),
        (9, -1, "least_nonce"),
        (10, 0, "slot_count"),
        (11, None, "dicts"),
        (12, [], "dicts"),
        (12, {3: 5}, "a dict of each account"),
        (13, None, "dicts"),
        (14, None, "dicts"),
        (15, None, "time_ms: NoneType, expected int"),
        (16, -1, "positions_max: -1"),
        (17, 2**63, "orders_max"),
        (18, (), "lists of events"),
        (19, (), "lists of events"),
    ],
)
def test_arguments_are_checked(place: int, wrong: object, message: str) -> None:
    made = market()
    order_set = made.trade(3, order(1, 19_000)).order_set
    trading = Trading(made.exchange)
    arguments: list[Any] = []
    taker = type("Taker", (), {"enter": lambda self, *given: arguments.extend(given) or 0})()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotes, "_QUOTES", taker)
        quotes.enter_quotes(trading, order_set, 5, 0)
    assert reference.Quotes(*MADE_WITH, quotes._take_back).enter(*arguments) == 0, "in plain Python every order is left to the definition"
    before = everything(made.exchange)
    arguments[place] = wrong
    entering = compiled.Quotes(*MADE_WITH, quotes._take_back)
    kind, text = outcome(entering.enter, *arguments)
    assert kind in (TypeError, ValueError) and message in text
    assert everything(made.exchange) == before and not trading.events and not trading.undo.steps
    with pytest.raises(TypeError, match="20 arguments, expected 21"):
        entering.enter(*arguments[:-1])


ODD: list[Callable[[Order], object]] = [
    lambda plain: None,
    lambda plain: (plain,),
    lambda plain: Order("1", *[getattr(plain, name) for name in Order.__slots__[1:]]),  # type: ignore[arg-type]
    lambda plain: outright(2**70, 0, TIME_MS + HOUR_MS, 100, 19_000, CALL, BUY, 5_000),
    lambda plain: outright(1, 0, TIME_MS + HOUR_MS, 2**80, 19_000, CALL, BUY, 5_000),
    lambda plain: outright(1, 0, TIME_MS + HOUR_MS, 100, -(2**80), CALL, BUY, 5_000),
    lambda plain: outright(1, 0, TIME_MS + HOUR_MS, 100, 19_000, CALL, 2, 5_000),  # type: ignore[arg-type]
    lambda plain: Order(1, 0, TIME_MS + HOUR_MS, 100, 19_000, (), BUY, 5_000),
    lambda plain: Order(1, 0, TIME_MS + HOUR_MS, 100, 19_000, ((CALL,),), BUY, 5_000),  # type: ignore[arg-type]
    lambda plain: Order(1, 0, TIME_MS + HOUR_MS, 100, 19_000, [Leg(CALL, 1)], BUY, 5_000),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_plain_order_is_left_alone(odd: Callable[[Order], object]) -> None:
    made = market()
    trading = Trading(made.exchange)
    order_set = OrderSet(3, 1, (odd(order(1, 19_000)),), made.trade(3, order(1, 19_000)).order_set.signature)  # type: ignore[arg-type]
    before = everything(made.exchange)
    assert quotes.enter_quotes(trading, order_set, 5, 0) == 0
    trading.finish()
    assert everything(made.exchange) == before and not trading.events and not trading.undo.steps
