"""The margin kernel, in C and in plain Python: the same results and the same refusals."""

from __future__ import annotations

import gc
import importlib
import random
import sys
import threading
import tracemalloc
from collections.abc import Callable
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from support.kernels import KERNELS, compiled, deltas, outcome, reference, row

from straddle.core import kernel

SIZE, TICKS, OPEN, NET = 2**40 - 1, 2**39 - 1, 2**60 - 1, 2**48 - 1
ROWS = [
    row(1, value=20_000, charges=(10, 5, 900, 700), deltas=deltas((0, -7_000), (1, 3_000))),
    row(2, value=15_000, funding=500, charges=(20, 10, 800, 600), deltas=deltas((0, 1_000), (2, -2_000))),
    row(7, linear=True, value=899_000, funding=1_000, charges=(2_000, 1_500, 2_100, 1_600), deltas=deltas((0, 9_000), (1, -4_000))),
    row(9, linear=True, value=-TICKS, charges=(TICKS,) * 4, deltas=(TICKS,) * 24 + (-TICKS,) * 24),
]
EMPTY = (0, 0, 0, (0,) * 49, (0,) * 49, ())


@pytest.fixture(params=KERNELS, ids=["python", "c"])
def implementation(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def table(implementation: Any) -> Any:
    return implementation.Table(ROWS)


@pytest.fixture
def exposure(implementation: Any, table: Any) -> Any:
    return implementation.Exposure(table, 10_000)


def each(call: Callable[[Any, Any, Any], Any]) -> list[Any]:
    """What `call(kernel, table, exposure)` comes to with each implementation."""
    outcomes = []
    for module in KERNELS:
        made = module.Table(ROWS)
        outcomes.append(outcome(call, module, made, module.Exposure(made, 10_000)))
    return outcomes


# ---- values by hand


def test_requirement_by_hand(implementation: Any, table: Any) -> None:
    valued = implementation.requirement(table, 1_000_000, {1: -100, 7: 10}, 10_000, 8_000)
    loss, charge_im, charge_mm = 300_000 + 40_000, 90_000 + 20_000, 70_000 + 15_000
    equity = 1_000_000 - 2_000_000 + 8_990_000
    assert valued == (equity, 10_000 * (loss + charge_im), 8_000 * loss + 10_000 * charge_mm, equity)
    assert implementation.requirement(table, 5, {1: 100}, 10_000, 8_000)[3] == 5  # a long option is not settled cash
    assert implementation.requirement(table, -5, {}, 10_000, 8_000) == (-5, 0, 0, -5)


def test_sweep_is_the_requirement_of_each(implementation: Any, table: Any) -> None:
    accounts = [(cash, {1: cash - 5, 2: -cash}) for cash in range(1, 9)] + [(2**95, {9: SIZE}), (-(2**96), {})]
    assert implementation.sweep(table, accounts, 11_000, 7_500) == [implementation.requirement(table, *account, 11_000, 7_500) for account in accounts]
    assert implementation.sweep(table, iter([(1, MappingProxyType({}))]), 0, 0) == [(1, 0, 0, 1)]
    assert implementation.sweep(table, (), 0, 0) == []


def test_moves_by_hand(exposure: Any) -> None:
    exposure.move(1, -100)
    exposure.move(7, 10)
    value, charges, extra, paths, reserved, entries = exposure.state()
    assert (value, charges, extra) == (-2_000_000 + 8_990_000, 110_000, 0)
    assert paths[:3] == (0, 10_000 * (700_000 + 90_000), -10_000 * 340_000) and not any(paths[3:]) and not any(reserved)
    assert entries == ((1, -100, 0, 0), (7, 10, 0, 0)) and exposure.instruments == 2 and exposure.lots(1) == (-100, 0, 0) and exposure.lots(2) == (0, 0, 0)
    assert exposure.surplus_scaled(1_000_000) == exposure.reserved_surplus_scaled(1_000_000) == 10_000 * (7_990_000 - 110_000 - 340_000)


def test_an_outright_reservation_by_hand(exposure: Any) -> None:
    """A buy of 10 at $10 above the mark, $2 of fees a lot: it loses everywhere; the buyer's charge is that of a long."""
    exposure.reserve(((1, 1),), 1, 21_000, 2, 10)
    _, _, extra, _, reserved, entries = exposure.state()
    assert extra == 100 and entries == ((1, 0, 10, 0),)
    base = -10_000 * 10 * (1_000 + 2)
    assert reserved[:3] == (base, base - 10_000 * 10 * 7_000, 0) and set(reserved[3:]) == {base}
    assert exposure.reserved_surplus_scaled(0) == reserved[1] - 10_000 * 100 and exposure.surplus_scaled(0) == 0


def test_a_combination_by_hand(exposure: Any) -> None:
    """Selling 5 of (2 x instrument 1, less 3 x instrument 2) at a net of -6,600: the mark is 40,000 - 46,500 = -6,500."""
    exposure.reserve(((1, 2), (2, -3)), -1, -6_600, 7, 5)
    _, _, extra, _, reserved, entries = exposure.state()
    base = 10_000 * 5 * (-(-6_500 + 6_600) - 7)
    nets = [0, 2 * -7_000 - 3 * 1_000, 2 * 3_000, -3 * -2_000]
    assert reserved[:4] == tuple(min(0, base - 10_000 * 5 * net) for net in nets) and set(reserved[4:]) == {base}
    assert entries == ((1, 0, 0, 10), (2, 0, 15, 0)) and extra == 10 * 900 + 15 * 20


def test_charges_count_the_worse_of_all_buys_and_all_sells(exposure: Any) -> None:
    exposure.move(1, 4)
    exposure.reserve(((1, 1),), 1, 20_000, 0, 10)
    exposure.reserve(((1, 1),), -1, 20_000, 0, 6)
    assert exposure.state()[1:3] == (40, 2 * 900 - 40)
    exposure.reserve(((1, 1),), -1, 20_000, 0, -3)
    assert exposure.state()[1:3] == (40, 140 - 40) and exposure.lots(1) == (4, 10, 3)


# ---- steps


def test_calls_undo_exactly(exposure: Any) -> None:
    steps = [("move", 1, 5), ("reserve", ((1, 1), (7, -2)), -1, 77, 3, 9), ("move", 7, -40), ("reserve", ((2, 127),), 1, 0, 1, SIZE), ("move", 1, -5)]
    states = [exposure.state()]
    for name, *arguments in steps:
        getattr(exposure, name)(*arguments)
        states.append(exposure.state())
    for name, *arguments in reversed(steps):
        assert exposure.state() == states.pop()
        getattr(exposure, name)(*arguments[:-1], -arguments[-1])
    assert exposure.state() == states.pop() == EMPTY


def test_copies_are_independent(exposure: Any) -> None:
    exposure.move(1, 5)
    copied = exposure.copy()
    assert copied == exposure and copied is not exposure and repr(copied) == repr(exposure) == f"Exposure{copied.state()!r}"
    copied.reserve(((2, 1),), 1, 1, 1, 1)
    copied.move(7, 1)
    assert copied != exposure and exposure.instruments == 1 and copied.instruments == 3 and copied.copy() == copied
    assert exposure != "another thing" and len({type(exposure)}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(exposure)


def test_many_instruments(implementation: Any) -> None:
    """Ids with gaps, entries in any order, all given back."""
    ids = [3 * i + i % 2 for i in range(1, 300)]
    table = implementation.Table([row(id_, value=id_) for id_ in ids])
    exposure = implementation.Exposure(table, 10_000)
    mixed = random.Random(5).sample(ids, len(ids))
    for id_ in mixed:
        exposure.move(id_, id_)
    assert [entry[0] for entry in exposure.state()[5]] == ids and exposure.state()[0] == sum(id_ * id_ for id_ in ids)
    for id_ in range(1000):
        assert (outcome(exposure.lots, id_) == (id_, 0, 0)) is (id_ in ids)
    for id_ in reversed(mixed):
        exposure.move(id_, -id_)
    assert exposure.state() == EMPTY


# ---- refusals, the same in both, and nothing has changed


BAD_TABLES: list[Any] = [
    [row(1), row(1)], [row(2), row(1)], [row(-1)], [row(2**32)], [row(value=TICKS + 1)], [row(value=-TICKS - 1)], [row(funding=2**70)],
    [row(charges=(0, 0, -1, 0))], [row(charges=(0, 0, 0, TICKS + 1))], [row(deltas=(0,) * 47)], [row(deltas=(0,) * 49)],
    [row(deltas=(0,) * 47 + (TICKS + 1,))], [row(deltas=("a",) * 48)], [row(value="a")], [row()[:8]], [[1]], [None], [row(deltas=5)],
    [row(id_) for id_ in range(4097)], [None] * 4097,
]  # fmt: skip


@pytest.mark.parametrize("rows", BAD_TABLES, ids=range(len(BAD_TABLES)))
def test_bad_tables_are_refused(rows: Any) -> None:
    first, second = (outcome(module.Table, rows) for module in KERNELS)
    assert first == second and first[0] in (ValueError, TypeError)


BAD_CALLS: list[Callable[[Any, Any, Any], Any]] = [
    lambda _, __, exposure: exposure.move(3, 1),
    lambda _, __, exposure: exposure.move(2**70, 1),
    lambda _, __, exposure: exposure.move(-1, 1),
    lambda _, __, exposure: exposure.move(-(2**63), 1),
    lambda _, __, exposure: exposure.move("1", 1),
    lambda _, __, exposure: exposure.move(1, 1.0),
    lambda _, __, exposure: exposure.move(1, SIZE + 1),
    lambda _, __, exposure: exposure.move(1, -(2**63)),
    lambda _, __, exposure: exposure.lots(3),
    lambda _, __, exposure: exposure.surplus_scaled(2**96),
    lambda _, __, exposure: exposure.reserved_surplus_scaled(-(2**96) - 1),
    lambda _, __, exposure: exposure.surplus_scaled(0.0),
    lambda _, __, exposure: exposure.reserve((), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),) * 5, 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve([(1, 1)], 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve((1,), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1, 1),), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1), (1, 1)), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((2, 1), (1, 1)), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1), (3, 1)), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 0),), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 128),), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, -128),), 1, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 0, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 2, 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, NET + 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, -NET - 1, 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, 1, -1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, 1, NET + 1, 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, 1, 1, SIZE + 1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, 1, 1, -1),
    lambda _, __, exposure: exposure.reserve(((1, 1),), 1, 1, 1, None),
    lambda module, table, _: module.requirement(table, 0, {3: 1}, 1, 1),
    lambda module, table, _: module.requirement(table, 0, {1: SIZE + 1}, 1, 1),
    lambda module, table, _: module.requirement(table, 0, {1: -(2**64)}, 1, 1),
    lambda module, table, _: module.requirement(table, 2**96, {}, 1, 1),
    lambda module, table, _: module.requirement(table, 0, {}, -1, 1),
    lambda module, table, _: module.requirement(table, 0, {}, 1, 2**16),
    lambda module, table, _: module.requirement("table", 0, {}, 1, 1),
    lambda module, table, _: module.sweep(table, [(0, {}), (0, {1: SIZE + 1})], 1, 1),
    lambda module, table, _: module.sweep(table, [(None, {})], 1, 1),
    lambda module, table, _: module.Exposure(table, 2**16),
    lambda module, table, _: module.Exposure(None, 1),
]


@pytest.mark.parametrize("call", BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_bad_calls_are_refused_and_change_nothing(call: Callable[[Any, Any, Any], Any]) -> None:
    def changed(module: Any, table: Any, exposure: Any) -> Any:
        exposure.reserve(((2, 3), (7, -1)), 1, 5, 5, 5)
        exposure.move(2, -3)
        before = exposure.state()
        refusal = outcome(call, module, table, exposure)
        assert exposure.state() == before
        return refusal

    first, second = each(changed)
    assert first == second and first[0] in (ValueError, TypeError, KeyError), (first, second)


@pytest.mark.parametrize("call", [lambda k, t: k.requirement(t, 0), lambda k, t: k.sweep(t), lambda k, t: k.Table(), lambda k, t: k.Exposure(t),
                                  lambda k, t: k.Exposure(t, 1).move(1), lambda k, t: k.Exposure(t, 1).reserve(((1, 1),))])  # fmt: skip
def test_missing_arguments_are_type_errors(implementation: Any, table: Any, call: Any) -> None:
    with pytest.raises(TypeError):
        call(implementation, table)


def test_numbers_at_the_bounds(implementation: Any, table: Any) -> None:
    """The largest of everything is exact."""
    exposure = implementation.Exposure(table, 2**16 - 1)
    exposure.move(9, SIZE)
    exposure.move(9, -2 * SIZE)
    assert exposure.state()[:2] == (SIZE * TICKS, SIZE * TICKS) and exposure.state()[3][1] == -(2**16 - 1) * SIZE * TICKS
    cash = 2**96 - 1
    assert exposure.surplus_scaled(cash) == 10_000 * cash - (2**16 - 1) * SIZE * TICKS
    assert exposure.surplus_scaled(-(2**96)) == -10_000 * 2**96 - (2**16 - 1) * SIZE * TICKS
    valued = implementation.requirement(table, -(2**96), {9: -SIZE}, 2**16 - 1, 2**16 - 1)
    factor = 2**16 - 1 + 10_000
    assert valued == (-(2**96) + SIZE * TICKS, factor * SIZE * TICKS, factor * SIZE * TICKS, -(2**96) + SIZE * TICKS)
    exposure.reserve(((7, 127), (9, 127)), 1, NET, NET, SIZE)
    mark = 127 * (900_000 - TICKS)
    assert exposure.state()[4][0] == 10_000 * SIZE * (mark - 2 * NET)
    assert exposure.state()[4][25] == 10_000 * SIZE * (mark - 2 * NET) - (2**16 - 1) * SIZE * 127 * TICKS
    assert implementation.Exposure(table, 0).surplus_scaled(2**63) == 10_000 * 2**63


def test_open_lots_and_reservations_have_bounds(implementation: Any) -> None:
    """8,256 orders of the largest size reach the bound of one instrument; the refused one changes nothing."""
    worst = implementation.Table([row(1, deltas=(-TICKS,) * 48)])
    exposure = implementation.Exposure(worst, 2**16 - 1)
    largest = ((1, 127),), 1, NET, NET, SIZE
    count = OPEN // (127 * SIZE)
    for _ in range(count):
        exposure.reserve(*largest)
    before = exposure.state()
    with pytest.raises(ValueError, match=rf"open buys: {(count + 1) * 127 * SIZE}, expected 0 to {OPEN}"):
        exposure.reserve(*largest)
    assert exposure.state() == before and before[4][0] == -count * 10_000 * SIZE * 2 * NET
    with pytest.raises(ValueError, match="open sells: -1, expected 0"):
        exposure.reserve(((1, 1),), -1, 1, 0, -1)


def test_the_sum_of_reservations_has_a_bound() -> None:
    """The largest orders, spread over many instruments; in C alone, for its million and more of steps."""
    table = compiled.Table([row(id_, value=-TICKS, deltas=(-TICKS,) * 48) for id_ in range(1_600)])
    exposure = compiled.Exposure(table, 2**16 - 1)
    per_order = 10_000 * SIZE * (4 * 127 * -TICKS - 2 * NET) - (2**16 - 1) * SIZE * 4 * 127 * TICKS
    room, each_four = -(2**126) // per_order, OPEN // (127 * SIZE)
    assert room // each_four < 399
    for number in range(room):
        first = 4 * (number // each_four)
        exposure.reserve(((first, 127), (first + 1, 127), (first + 2, 127), (first + 3, 127)), 1, NET, NET, SIZE)
    before = exposure.state()
    assert before[4][1] == room * per_order and before[4][1] + per_order < -(2**126)
    with pytest.raises(ValueError, match="reserved: beyond"):
        exposure.reserve(((1_596, 127), (1_597, 127), (1_598, 127), (1_599, 127)), 1, NET, NET, SIZE)
    assert exposure.state() == before


# ---- the extension as such


def test_without_the_extension_the_reference_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (kernel.COMPILED, kernel.Exposure) == (True, compiled.Exposure)
    monkeypatch.setitem(sys.modules, "straddle.core._kernel", None)
    try:
        without = importlib.reload(kernel)
        assert (without.COMPILED, without.Exposure, without.Table, without.sweep) == (False, reference.Exposure, reference.Table, reference.sweep)
    finally:
        monkeypatch.undo()
        importlib.reload(kernel)
    assert kernel.COMPILED and kernel.Exposure is compiled.Exposure


def _exercise(module: ModuleType, wide: int) -> None:
    table = module.Table(ROWS)
    exposure = module.Exposure(table, 10_000)
    for call in BAD_CALLS:
        outcome(call, module, table, exposure)
    for rows in BAD_TABLES:
        outcome(module.Table, rows)
    exposure.move(9, wide)
    exposure.reserve(((1, 1), (2, 3), (7, -1), (9, 127)), -1, 5, 5, wide)
    copied = exposure.copy()
    copied.state(), repr(copied), copied == exposure, copied.lots(9), copied.surplus_scaled(wide**2), copied.reserved_surplus_scaled(-wide), len(table)
    module.requirement(table, wide**2, {1: wide, 9: -wide}, 10_000, 8_000)
    module.sweep(table, [(wide**2, {1: wide, 9: -wide}), (0, MappingProxyType({2: 1}))], 10_000, 8_000)
    table.largest(9)


def test_nothing_leaks() -> None:
    """Every path, good and bad, many times: what is allocated and the counts of shared objects stay as they are."""
    for _ in range(50):
        _exercise(compiled, SIZE)
    table = compiled.Table(ROWS)
    held, legs = {1: 5, 9: SIZE}, ((1, 1), (9, 2))
    objects = (table, held, legs, ROWS[0], None, compiled.Table, compiled.Exposure)
    gc.collect()
    counts = [sys.getrefcount(item) for item in objects]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            _exercise(compiled, SIZE)
            exposure = compiled.Exposure(table, 1)
            exposure.reserve(legs, 1, 1, 1, 1)
            exposure.copy()
            compiled.requirement(table, 0, held, 1, 1)
            compiled.sweep(table, [(0, held)], 1, 1)
        del exposure
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000
    after = [sys.getrefcount(item) for item in objects]
    assert max(abs(now - then) for now, then in zip(after, counts, strict=True)) < 50


def test_sweep_lets_other_threads_run() -> None:
    table = compiled.Table([row(id_, deltas=(id_,) * 48) for id_ in range(200)])
    accounts = [(0, dict.fromkeys(range(200), 1))] * 5_000
    expected = compiled.sweep(table, accounts[:1], 1, 1)[0]
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.extend(compiled.sweep(table, accounts, 1, 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20_000 and set(results) == {expected}


class _Emptying:
    """Positions whose reading empties the list of accounts."""

    def __init__(self, accounts: list[Any]) -> None:
        self.accounts = accounts

    def keys(self) -> list[int]:
        self.accounts.clear()
        return [1]

    def __getitem__(self, instrument: int) -> int:
        return instrument


def test_accounts_changed_while_they_are_read_do_no_harm() -> None:
    accounts: list[Any] = []
    accounts += [(1, _Emptying(accounts)), *[(2, {1: 1})] * 100]
    assert len(compiled.sweep(compiled.Table(ROWS), accounts, 1, 1)) == 101 and accounts == []
