"""The requirement is coherent, and what open orders reserve bounds what their fills can cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.market import CALL, INSTRUMENTS, PERPETUAL, PUT, table

from straddle.core.book import RestingOrder
from straddle.core.exposure import RiskContext, build_exposure, order_terms
from straddle.core.fees import FeeSchedule, fill_fee
from straddle.core.kernel import Cap
from straddle.core.margin import requirement
from straddle.core.orders import Order, OrderSet, Side, Signature, outright
from straddle.core.params import BPS, Params

CAP = Cap(Order, RestingOrder)
PARAMS = Params(20, 12, 10_000, 8_000)
SKEWED = Params(20, 12, 11_000, 7_500)
IDS = (CALL, PUT, PERPETUAL)

delta = st.integers(-30_000, 30_000)
charge = st.integers(0, 5_000)
row_changes = st.fixed_dictionaries({"value": st.integers(10_000, 30_000), "deltas": st.lists(delta, min_size=48, max_size=48).map(tuple), "long_im": charge,
                                     "long_mm": charge, "short_im": charge, "short_mm": charge, "band": st.just(9_000)})  # fmt: skip
tables = st.tuples(row_changes, row_changes, row_changes).map(lambda rows: table(row_1=rows[0], row_2=rows[1], row_3=rows[2] | {"funding": 700}))
portfolios = st.dictionaries(st.sampled_from(IDS), st.integers(-1_000, 1_000).filter(bool))
params = st.sampled_from([PARAMS, SKEWED])


def add(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    total = {instrument: first.get(instrument, 0) + second.get(instrument, 0) for instrument in IDS}
    return {instrument: size for instrument, size in total.items() if size}


@given(tables, params, portfolios, portfolios)
def test_merging_never_raises_the_requirement(table_: Any, params_: Params, first: dict[int, int], second: dict[int, int]) -> None:
    """Read backwards: splitting a portfolio over accounts never lowers the total."""
    one, other, merged = (requirement(0, positions, table_, params_) for positions in (first, second, add(first, second)))
    assert merged.im_scaled <= one.im_scaled + other.im_scaled
    assert merged.mm_scaled <= one.mm_scaled + other.mm_scaled
    assert merged.equity == one.equity + other.equity


@given(tables, params, portfolios, st.integers(2, 50))
def test_the_requirement_scales(table_: Any, params_: Params, positions: dict[int, int], factor: int) -> None:
    one = requirement(0, positions, table_, params_)
    many = requirement(0, {instrument: factor * size for instrument, size in positions.items()}, table_, params_)
    assert many == tuple(factor * value for value in one)


@given(tables, params, portfolios, st.integers(-(10**9), 10**9))
def test_margin_is_never_negative_and_cash_moves_nothing_but_equity(table_: Any, params_: Params, positions: dict[int, int], cash: int) -> None:
    base, moved = requirement(0, positions, table_, params_), requirement(cash, positions, table_, params_)
    assert base.im_scaled >= 0 <= base.mm_scaled
    assert (moved.equity - base.equity, moved.settled - base.settled, moved.im_scaled, moved.mm_scaled) == (cash, cash, base.im_scaled, base.mm_scaled)


order = st.tuples(st.sampled_from(IDS), st.sampled_from(Side), st.integers(-8_000, 8_000), st.integers(1, 500), st.integers(0, 500), st.integers(0, 900))
orders = st.lists(order, max_size=8)


@given(tables, params, portfolios, orders, st.booleans())
def test_the_reserved_surplus_bounds_any_fills(table_: Any, params_: Params, positions: dict[int, int], wanted: list[tuple[Any, ...]], taking: bool) -> None:
    """Any part of any orders, filled at their limits or better with fees: the surplus ends no lower than the reserved one was, nor than that under a cap on the
    lots that filled."""
    context = RiskContext(table_, params_, FeeSchedule())
    resting, cash, held, lots_filled = [], 0, dict(positions), 0
    for nonce, (instrument, side, offset, lots, filled, better) in enumerate(wanted, 1):
        row = table_[instrument]
        limit = max(row.mark + offset, 1)
        order = outright(nonce, 0, 1, lots, limit, instrument, side, 0)
        resting.append(RestingOrder(3, order, OrderSet(3, 1, (order,), Signature(0, 0, 0)), 0, 0, lots))
        price = max(limit - better, 1) if side is Side.BUY else min(limit + better, max(limit, row.mark + row.band))
        size = min(filled, lots)
        rate = context.fees.taker_bps if taking else context.fees.maker_bps
        cash -= side.sign * size * (price - row.funding) + fill_fee(rate, context.fees, table_.index_ticks, row, price, size)
        held = add(held, {instrument: side.sign * size})
        lots_filled += size
    exposure = build_exposure(context, positions, resting)
    assert exposure.reserved_surplus_scaled(0) <= exposure.surplus_scaled(0) == requirement(0, positions, table_, params_).surplus_scaled
    assert exposure.reserved_surplus_scaled(0) <= requirement(cash, held, table_, params_).surplus_scaled
    for most in (lots_filled, lots_filled + 7):
        fees_reserved = [replace(open_, unit_fee=order_terms(context, open_.order).fee) for open_ in resting]
        assert CAP.surplus(exposure, 0, most, fees_reserved, None) <= requirement(cash, held, table_, params_).surplus_scaled


@given(tables, params, portfolios, orders)
def test_exposures_kept_in_steps_are_those_from_scratch(table_: Any, params_: Params, positions: dict[int, int], wanted: list[tuple[Any, ...]]) -> None:
    context = RiskContext(table_, params_, FeeSchedule())
    stepped, held = context.exposure(), dict[int, int]()
    kept = []
    for nonce, (instrument, side, offset, lots, filled, _) in enumerate(wanted, 1):
        order = outright(nonce, 0, 1, lots, max(table_[instrument].mark + offset, 1), instrument, side, 0)
        stepped.reserve(*order_terms(context, order), lots)
        size = min(filled, lots)
        stepped.move(instrument, side.sign * size)
        stepped.reserve(*order_terms(context, order), -size)
        held = add(held, {instrument: side.sign * size})
        if lots > size:
            kept.append(RestingOrder(3, order, OrderSet(3, 1, (order,), Signature(0, 0, 0)), 0, 0, lots - size))
    for instrument, size in positions.items():
        stepped.move(instrument, size)
    assert stepped == build_exposure(context, add(held, positions), kept)
    assert BPS == 10_000 and len(INSTRUMENTS) == 3
