"""The cap on the lots of open orders that fill, in C and in plain Python: the same surplus and prices, the worst of that many lots, and the same refusals."""

from __future__ import annotations

import gc
import random
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from support.kernels import compiled, deltas, outcome, reference, row

from straddle.core import cap_reference
from straddle.core.book import RestingOrder
from straddle.core.orders import Leg, Order, OrderSet, Side, Signature
from straddle.core.params import BPS

SIZE, TICKS, NET = 2**40 - 1, 2**39 - 1, 2**48 - 1
PAIRS: tuple[Any, ...] = ((reference, cap_reference.Cap(Order, RestingOrder)), (compiled, compiled.Cap(Order, RestingOrder)))
"""Kernel and its cap."""
NO_SET = OrderSet(3, 1, (), Signature(0, 0, 0))
ROWS = [
    row(1, value=20_000, charges=(10, 5, 900, 700), deltas=deltas((0, -7_000), (1, 3_000))),
    row(2, value=15_000, charges=(20, 10, 800, 600), deltas=deltas((0, 1_000), (2, -2_000))),
    row(7, linear=True, value=899_000, funding=1_000, charges=(2_000, 1_500, 2_100, 1_600), deltas=deltas((0, 9_000), (1, -4_000))),
]


def resting(legs: dict[int, int], side: Side, limit: int, left: int, fee: int = 0) -> RestingOrder:
    order = Order(1, 0, 1, left, limit, tuple(Leg(*leg) for leg in legs.items()), side, 0)
    return RestingOrder(3, order, NO_SET, 0, 0, left, 0, fee)


def terms(open_: RestingOrder) -> tuple[Any, ...]:
    order = open_.order
    return order.legs, order.side.sign, order.limit_ticks, open_.unit_fee


def made(module: Any, orders: list[RestingOrder], rows: list[Any] = ROWS, held: dict[int, int] | None = None) -> Any:
    exposure = module.Exposure(module.Table(rows), 10_000)
    for instrument, size in (held or {}).items():
        exposure.move(instrument, size)
    for open_ in orders:
        exposure.reserve(*terms(open_), open_.left_lots)
    return exposure


@pytest.fixture(params=PAIRS, ids=["python", "c"])
def pair(request: pytest.FixtureRequest) -> Any:
    return request.param


# ---- by hand


def test_the_worst_lots_count_over_all_instruments(pair: Any) -> None:
    """Sales at the mark. On path 2 a lot of the call loses 3,000 + 900 of charge; on path 1 one of the put 1,000 + 800, one of the perpetual 9,000 + 2,100."""
    module, cap = pair
    orders = [resting({1: 1}, Side.SELL, 20_000, 100), resting({2: 1}, Side.SELL, 15_000, 100), resting({7: 1}, Side.SELL, 900_000, 5)]
    exposure = made(module, orders)
    assert exposure.reserved_surplus_scaled(0) == -BPS * (300_000 + 100 * 900 + 100 * 800 + 5 * 2_100)
    assert exposure.capped_bound_scaled(0, 10) is None and exposure.prices() is None
    worst_lots = {0: 0, 3: 3 * 11_100, 5: 5 * 11_100, 8: 5 * 11_100 + 3 * 1_800, 25: 25 * 3_900, 100: 100 * 3_900, 10**9: 390_000 + 80_000}
    for most, worst in worst_lots.items():
        assert cap.surplus(exposure, 7, most, orders, None) == BPS * (7 - worst), most
        assert exposure.capped_bound_scaled(7, most) == BPS * (7 - worst)
    assert exposure.state() == made(module, orders).state() and exposure == made(module, orders)


def test_positions_fees_and_limits_count(pair: Any) -> None:
    """A bid $10 above the mark with $2 of fees, on a long position that loses on the same path."""
    module, cap = pair
    orders = [resting({1: 1}, Side.BUY, 21_000, 50, 2)]
    exposure = made(module, orders, held={1: 3})
    lot = 1_000 + 2 + 7_000 + 10
    assert cap.surplus(exposure, 0, 20, orders, None) == BPS * (3 * 20_000 - 3 * 10 - 3 * 7_000 - 20 * lot)


def test_a_unit_of_a_combination_takes_a_lot_for_each_of_its_own(pair: Any) -> None:
    """Buying 1 call against 2 puts: on path 2 it loses its puts' charges and fee, less what the call gains; of 10 lots 3 units fit, and a third of one."""
    module, cap = pair
    orders = [resting({1: 1, 2: -2}, Side.BUY, -10_000, 50, 40)]
    exposure = made(module, orders)
    worst = 7_000 + 2 * 1_000 + 10 + 2 * 800 + 40
    assert cap.surplus(exposure, 0, 9, orders, None) == -BPS * 3 * worst
    assert -BPS * 10 * worst // 3 - 10 <= cap.surplus(exposure, 0, 10, orders, None) <= -BPS * 10 * worst // 3, "at whole prices, so up to a lot's unit more"


def test_what_is_taking_fills_in_full_besides(pair: Any) -> None:
    module, cap = pair
    quotes, taking = [resting({1: 1}, Side.SELL, 20_000, 100)], resting({1: 1}, Side.SELL, 20_000, 30)
    exposure = made(module, [*quotes, taking])
    assert cap.surplus(exposure, 0, 10, quotes, taking) == -BPS * 40 * 3_900
    assert cap.surplus(exposure, 0, 10, [*quotes, taking], None) == -BPS * 10 * 3_900
    assert exposure.capped_bound_scaled(0, 10) == -BPS * 10 * 3_900
    hedge = resting({1: 1}, Side.BUY, 20_000, 20)
    exposure = made(module, [*quotes, hedge])
    assert cap.surplus(exposure, 0, 40, quotes, hedge) == -BPS * 40 * 3_900, "it gains on the path that is the worst for the quotes"
    assert cap.surplus(exposure, 0, 20, quotes, hedge) == -BPS * 20 * 7_010


# ---- the definition, and whatever is done


def random_orders(rng: random.Random, ids: list[int], count: int, size: int = 400) -> list[RestingOrder]:
    found = []
    for _ in range(count):
        legs = (
            {id_: rng.choice((-1, 1)) * rng.randint(1, 3) for id_ in sorted(rng.sample(ids, rng.randint(2, 3)))} if rng.random() < 0.2 else {rng.choice(ids): 1}
        )
        limit = sum(ratio * rng.randint(15_000, 25_000) for ratio in legs.values())
        found.append(resting(legs, rng.choice((Side.BUY, Side.SELL)), limit, rng.randint(1, size), rng.randint(0, 300)))
    return found


def random_rows(rng: random.Random, ids: list[int], most: int = 20_000) -> list[Any]:
    def moved() -> tuple[int, ...]:
        return tuple(rng.choice((0, 1, most)) if rng.random() < 0.1 else rng.randint(-most, most) for _ in range(48))

    return [row(id_, value=rng.randint(10_000, 30_000), charges=tuple(rng.randint(0, 900) for _ in range(4)), deltas=moved()) for id_ in ids]


def knapsack(losses: list[tuple[int, int, int]], most: int) -> Fraction:
    """The worst of (loss of a unit, lots of a unit, units) for so many lots, parts of units too."""
    total, left = Fraction(0), Fraction(most)
    for loss, lots, units in sorted(losses, key=lambda item: Fraction(item[0], item[1]), reverse=True):
        taken = min(Fraction(units), left / lots)
        total += taken * loss
        left -= taken * lots
    return total


@pytest.mark.parametrize("seed", range(8))
def test_it_is_the_fractional_knapsack(seed: int) -> None:
    """Against the plain greedy sum, path by path; at whole prices, so exact for outrights and no more than a rounding above it for combinations."""
    rng = random.Random(seed)
    rows, orders = random_rows(rng, [1, 2, 3, 4]), random_orders(rng, [1, 2, 3, 4], 30)
    if seed % 2:
        orders = [open_ for open_ in orders if open_.order.is_outright]
    exposure, table = made(compiled, orders, rows), {fields[0]: fields for fields in rows}
    for most in (0, 1, 99, 1_000, 4_000, 10**6):
        worst = Fraction(0)
        for path in range(49):
            losses = []
            for open_ in orders:
                sign, gain, charge = open_.order.side.sign, -open_.unit_fee - open_.order.side.sign * open_.order.limit_ticks, 0
                for id_, ratio in open_.order.legs:
                    _, _, value, _, long_im, _, short_im, _, moved = table[id_]
                    gain += sign * ratio * (value + (moved[path - 1] if path else 0))
                    charge += abs(ratio) * (long_im if sign * ratio > 0 else short_im)
                losses.append((max(0, BPS * (charge - gain)), sum(abs(ratio) for _, ratio in open_.order.legs), open_.left_lots))
            worst = max(worst, knapsack(losses, most))
        found = -PAIRS[1][1].surplus(exposure, 0, most, orders, None)
        assert found == worst if seed % 2 else worst <= found <= worst + most


@pytest.mark.parametrize("seed", range(6))
def test_any_steps_come_to_the_same(seed: int) -> None:
    """Orders come and go, positions move, caps are asked for with any lots: equal in C and Python, prices too; a bound is never above what is exact, and what
    is exact does not depend on what was asked before."""
    rng = random.Random(seed)
    ids = [1, 2, 3, 5, 8]
    rows = random_rows(rng, ids, (20_000, TICKS)[seed % 2])
    both = [made(module, [], rows) for module, _ in PAIRS]
    orders: list[RestingOrder] = []
    for _ in range(150):
        choice = rng.random()
        if choice < 0.35 or not orders:
            orders += random_orders(rng, ids, 1, (400, SIZE // 2)[seed % 2])
            step = ("reserve", *terms(orders[-1]), orders[-1].left_lots)
        elif choice < 0.5:
            gone = orders.pop(rng.randrange(len(orders)))
            step = ("reserve", *terms(gone), -gone.left_lots)
        elif choice < 0.6:
            orders[place] = replace(old := orders[place := rng.randrange(len(orders))], left_lots=rng.randint(1, old.left_lots))
            step = ("reserve", *terms(old), orders[place].left_lots - old.left_lots)
        elif choice < 0.65:
            both = [exposure.copy() for exposure in both]
            continue
        else:
            step = ("move", rng.choice(ids), rng.randint(-50, 50))
        for exposure in both:
            getattr(exposure, step[0])(*step[1:])
        most, cash = rng.choice((0, 1, 50, 700, 10**5, SIZE)), rng.randint(-(10**9), 10**9)
        bounds = [exposure.capped_bound_scaled(cash, most) for exposure in both]
        assert bounds[0] == bounds[1] and both[0].prices() == both[1].prices()
        if rng.random() < 0.5:
            taking = rng.choice((None, *orders))
            capped = [open_ for open_ in orders if open_ is not taking]
            exact = [cap.surplus(exposure, cash, most, capped, taking) for exposure, (_, cap) in zip(both, PAIRS, strict=True)]
            anew = [cap.surplus(made(module, orders, rows, held(both[0])), cash, most, capped, taking) for module, cap in PAIRS[1:]]
            assert exact[0] == exact[1] == anew[0]
            if taking is None:
                assert bounds[1] is None or bounds[1] <= exact[1]
                assert both[1].capped_bound_scaled(cash, most) <= exact[1]
    assert both[0] == reference_of(both[1], rows) and both[1].prices() is not None


def held(exposure: Any) -> dict[int, int]:
    return {instrument: size for instrument, size, _, _ in exposure.state()[5] if size}


def reference_of(exposure: Any, rows: list[Any]) -> Any:
    """One of Python with the same state."""
    same = reference.Exposure(reference.Table(rows), 10_000)
    same._value, same._charges, same._extra, paths, reserved, entries = exposure.state()
    same._paths, same._reserved, same._open = list(paths), list(reserved), {entry[0]: entry[1:] for entry in entries}
    return same


def test_the_largest_of_everything(pair: Any) -> None:
    module, cap = pair
    rows = [row(id_, value=-TICKS, charges=(TICKS,) * 4, deltas=(-TICKS,) * 48) for id_ in range(4)]
    orders = [resting(dict.fromkeys(range(4), 127), Side.BUY, NET, SIZE, NET)] * 50
    exposure = module.Exposure(module.Table(rows), 2**16 - 1)
    for open_ in orders:
        exposure.reserve(*terms(open_), SIZE)
    loss = BPS * (4 * 127 * 2 * TICKS + 2 * NET) + (2**16 - 1) * 4 * 127 * TICKS
    price = -(-loss // (4 * 127))
    assert cap.surplus(exposure, 0, SIZE, orders, None) == -price * SIZE and exposure.prices()[0][1] == price
    exposure = module.Exposure(module.Table(rows), 2**16 - 1)
    for open_ in orders:
        exposure.reserve(*terms(open_), SIZE)
    assert cap.surplus(exposure, -(2**96), SIZE, orders[1:], orders[0]) == -BPS * 2**96 - SIZE * (loss + price)


def test_no_orders_and_no_lots(pair: Any) -> None:
    module, cap = pair
    exposure = made(module, [], held={1: -5})
    assert cap.surplus(exposure, 9, 10, [], None) == exposure.surplus_scaled(9) == exposure.capped_bound_scaled(9, 10)
    assert cap.surplus(exposure, 9, 10, iter(()), None) == exposure.surplus_scaled(9)


# ---- refusals


@pytest.mark.parametrize(
    "call",
    [
        lambda cap, exposure, good: cap.surplus(exposure, 2**96, 1, [good], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, -1, [good], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, SIZE + 1, [good], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, 1.0, [good], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, 1, [replace(good, left_lots=-1)], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, 1, [], replace(good, unit_fee=NET + 1)),
        lambda cap, exposure, good: cap.surplus(exposure, 0, 1, [good, resting({3: 1}, Side.BUY, 1, 1)], None),
        lambda cap, exposure, good: cap.surplus(exposure, 0, 1, [good] * (2**16 + 1), None),
        lambda cap, exposure, good: exposure.capped_bound_scaled(2**96, 1),
        lambda cap, exposure, good: exposure.capped_bound_scaled(0, -1),
        lambda cap, exposure, good: exposure.capped_bound_scaled(0, SIZE + 1),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("asked", [False, True])
def test_bad_calls_are_refused_and_change_nothing(call: Any, asked: bool) -> None:
    good, outcomes = resting({1: 1}, Side.BUY, 21_000, 5), []
    for module, cap in PAIRS:
        exposure = made(module, [good])
        if asked:
            cap.surplus(exposure, 0, 1, [good], None)
        before = exposure.state(), exposure.prices()
        outcomes.append(outcome(call, cap, exposure, good))
        assert (exposure.state(), exposure.prices()) == before
    assert outcomes[0] == outcomes[1] and outcomes[0][0] in (ValueError, TypeError, KeyError)


def test_what_is_no_order_or_exposure_is_a_type_error() -> None:
    cap, exposure, good = PAIRS[1][1], made(compiled, []), resting({1: 1}, Side.BUY, 1, 1)
    half = object.__new__(RestingOrder)
    half.order = good.order
    for given in ([5], [half], [object.__new__(RestingOrder)], [replace(good, order=5)], [replace(good, order=object.__new__(Order))], 5):
        with pytest.raises(TypeError):
            cap.surplus(exposure, 0, 1, given, None)
    for wrong in ((5, 0, 1, [], None), (exposure, 0, 1, [], 5), (exposure, 0, 1, [])):
        with pytest.raises(TypeError):
            cap.surplus(*wrong)
    for classes in ((Order,), (Order, Order), (RestingOrder, RestingOrder), (5, RestingOrder)):
        with pytest.raises(TypeError):
            compiled.Cap(*classes)


def test_reservations_beyond_the_bound_are_refused_with_a_cap_too() -> None:
    """The sum that is kept for the cap has charges in it, so it comes to its bound before the other."""
    table = compiled.Table([row(id_, value=-TICKS, charges=(TICKS,) * 4, deltas=(-TICKS,) * 48) for id_ in range(40)])
    exposure, cap = compiled.Exposure(table, 2**16 - 1), PAIRS[1][1]
    cap.surplus(exposure, 0, 0, [], None)
    largest = [(tuple((id_ + i, 127) for i in range(4)), 1, NET, NET, SIZE) for id_ in range(0, 40, 4)]
    for _ in range(8_256):
        for order in largest:
            exposure.reserve(*order)
    totals = exposure.prices()[1]
    assert totals[1] < 2**126 and max(totals) == totals[1]
    with pytest.raises(ValueError, match="open buys"):
        exposure.reserve(*largest[0])
    assert exposure.prices()[1] == totals


def test_nothing_leaks() -> None:
    cap, orders = PAIRS[1][1], random_orders(random.Random(1), [1, 2, 7], 40)

    def exercise() -> None:
        exposure = made(compiled, orders)
        cap.surplus(exposure, 0, 500, orders, None)
        cap.surplus(exposure.copy(), 0, 300, orders[1:], orders[0])
        outcome(cap.surplus, exposure, 0, 1, [*orders, 5], None)
        exposure.prices(), exposure.capped_bound_scaled(0, 5), compiled.Cap(Order, RestingOrder)

    for _ in range(20):
        exercise()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            exercise()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000
