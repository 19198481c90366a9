"""The compiled margin kernel against the plain one: any calls, sensible or not, come to the same results, refusals and states; calls undo exactly."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kernels import KERNELS, compiled, outcome, reference, row

SIZE, TICKS, NET, CASH = 2**40 - 1, 2**39 - 1, 2**48 - 1, 2**96
IDS = (0, 1, 2, 5, 6, 40, 2**32 - 1)


def around(bound: int) -> Any:
    """Small numbers, numbers within the bound, and some about it or far beyond."""
    near = st.sampled_from([-bound - 1, -bound, bound, bound + 1, -(2**63), 2**63, -(2**63) - 1, 2**64])
    return st.one_of(st.integers(-300, 300), st.integers(-bound, bound), near)


ticks = st.one_of(st.integers(-TICKS, TICKS), st.integers(-100, 100), st.sampled_from([-TICKS, TICKS]))
charge = st.one_of(st.integers(0, TICKS), st.integers(0, 100))
scenarios = st.one_of(st.lists(ticks, min_size=48, max_size=48), ticks.map(lambda tick: [tick] * 48))
rows = st.builds(
    lambda linear, value, funding, charges, moved: row(0, linear=linear, value=value, funding=funding, charges=charges, deltas=tuple(moved))[1:],
    st.booleans(),
    ticks,
    ticks,
    st.tuples(charge, charge, charge, charge),
    scenarios,
)
tables = st.lists(rows, min_size=len(IDS), max_size=len(IDS)).map(lambda made: [(id_, *fields) for id_, fields in zip(IDS, made, strict=True)])
instrument = st.one_of(st.sampled_from(IDS), st.integers(-1, 41), st.just(2**32), st.just(2**70))
ratio = st.one_of(st.integers(-3, 3), st.sampled_from([-128, -127, 127, 128]))
good_ratio = ratio.filter(lambda n: 0 < abs(n) < 128)
good_legs = st.dictionaries(st.sampled_from(IDS), good_ratio, min_size=1, max_size=4).map(lambda ratios: tuple(sorted(ratios.items())))
legs = st.one_of(good_legs, good_legs, st.lists(st.tuples(instrument, ratio), max_size=5).map(tuple))
calls = st.one_of(
    st.tuples(st.just("move"), instrument, around(2 * SIZE)),
    st.tuples(st.just("reserve"), legs, st.sampled_from([1, -1, 1, -1, 0, 2]), around(NET), around(NET).map(abs), around(SIZE)),
    st.tuples(st.sampled_from(["surplus_scaled", "reserved_surplus_scaled"]), around(CASH)),
    st.tuples(st.just("lots"), instrument),
)
factors = st.one_of(st.just(10_000), st.integers(0, 2**16 - 1))
portfolios = st.dictionaries(st.sampled_from(IDS), around(SIZE), max_size=len(IDS))
good_portfolios = st.dictionaries(st.sampled_from(IDS), st.integers(-SIZE, SIZE), max_size=len(IDS))


@given(tables, factors, st.lists(calls, max_size=12), st.integers(0, 12))
def test_any_calls_come_to_the_same(table: Any, factor: int, wanted: list[tuple[Any, ...]], copied_at: int) -> None:
    both = [module.Exposure(module.Table(table), factor) for module in KERNELS]
    for number, (name, *arguments) in enumerate(wanted):
        if number == copied_at:
            both = [exposure.copy() for exposure in both]
        first, second = (outcome(getattr(exposure, name), *arguments) for exposure in both)
        assert first == second
        assert both[0].state() == both[1].state() and both[0].instruments == both[1].instruments
    assert repr(both[0]) == repr(both[1])


@given(tables, factors, factors, st.lists(st.tuples(around(CASH), portfolios), max_size=4))
def test_requirements_are_the_same(table: Any, k_im: int, k_mm: int, accounts: Any) -> None:
    plain, fast = reference.Table(table), compiled.Table(table)
    for account in accounts:
        first = outcome(reference.requirement, plain, *account, k_im, k_mm)
        assert first == outcome(compiled.requirement, fast, *account, k_im, k_mm)
    assert outcome(reference.sweep, plain, accounts, k_im, k_mm) == outcome(compiled.sweep, fast, accounts, k_im, k_mm)
    assert [plain.largest(id_) for id_ in IDS] == [fast.largest(id_) for id_ in IDS]


@pytest.mark.parametrize("module", KERNELS, ids=["python", "c"])
@given(tables, factors, good_portfolios, st.integers(-(10**15), 10**15), st.lists(calls, max_size=8))
def test_steps_agree_with_scratch_and_undo(module: Any, table: Any, factor: int, held: dict[int, int], cash: int, wanted: list[tuple[Any, ...]]) -> None:
    """Positions moved one by one value as from scratch; whatever follows, undone in reverse, leaves the same state."""
    made = module.Table(table)
    exposure = module.Exposure(made, factor)
    for id_, size in held.items():
        exposure.move(id_, size)
    equity, im_scaled, _, _ = module.requirement(made, cash, held, factor, 0)
    assert exposure.surplus_scaled(cash) == exposure.reserved_surplus_scaled(cash) == 10_000 * equity - im_scaled
    before, log = exposure.copy(), []
    for name, *arguments in wanted:
        if name in ("move", "reserve") and outcome(getattr(exposure, name), *arguments) is None:
            log.append((name, *arguments[:-1], -arguments[-1]))
    assert exposure.reserved_surplus_scaled(cash) <= exposure.surplus_scaled(cash)
    for name, *arguments in reversed(log):
        getattr(exposure, name)(*arguments)
    assert exposure == before and exposure.state() == before.state()


def test_a_long_run() -> None:
    """Ten thousand steps of one pair of exposures, most of them sensible, with orders given back in any order."""
    draw = random.Random(20)
    table = []
    for id_ in range(1, 61):
        charges, moved = tuple(draw.randrange(TICKS) for _ in range(4)), tuple(draw.randint(-TICKS, TICKS) for _ in range(48))
        table.append(row(id_, linear=id_ % 5 == 0, value=draw.randint(-TICKS, TICKS), funding=draw.randint(-9, 9), charges=charges, deltas=moved))
    both = [module.Exposure(module.Table(table), 11_000) for module in KERNELS]
    open_orders: list[tuple[Any, ...]] = []
    for number in range(10_000):
        choice = draw.random()
        if choice < 0.4:
            call: tuple[Any, ...] = ("move", draw.randint(1, 60), draw.choice((draw.randint(-1_000, 1_000), draw.randint(-SIZE, SIZE))))
        elif choice < 0.7 or not open_orders:
            ids = sorted(draw.sample(range(1, 61), draw.randint(1, 4)))
            legs_ = tuple((id_, draw.choice((-1, 1)) * draw.randint(1, 127)) for id_ in ids)
            call = ("reserve", legs_, draw.choice((-1, 1)), draw.randint(-NET, NET), draw.randint(0, 9_999), draw.randint(1, SIZE))
            open_orders.append(call)
        else:
            *given_back, units = open_orders.pop(draw.randrange(len(open_orders)))
            call = (*given_back, -units)
        first, second = (outcome(getattr(exposure, call[0]), *call[1:]) for exposure in both)
        assert first == second and (call[0] == "move" or first is None)
        cash = draw.randint(-(2**63), 2**63)
        assert both[0].reserved_surplus_scaled(cash) == both[1].reserved_surplus_scaled(cash) and both[0].surplus_scaled(cash) == both[1].surplus_scaled(cash)
        if number % 100 == 99:
            assert both[0].state() == both[1].state()
            both = [exposure.copy() for exposure in both]
    for *terms, units in open_orders:
        for exposure in both:
            getattr(exposure, terms[0])(*terms[1:], -units)
    assert both[0].state() == both[1].state() and set(both[1].state()[4]) == {0}
