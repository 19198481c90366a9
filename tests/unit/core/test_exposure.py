from __future__ import annotations

import pytest
from support.market import BUY, CALL, INDEX_TICKS, PERPETUAL, SELL, row, scenarios, table
from support.market import INSTRUMENTS as LISTED

from straddle.core.book import RestingOrder
from straddle.core.exposure import RiskContext, Terms, build_exposure, order_terms
from straddle.core.fees import FeeSchedule
from straddle.core.kernel import Table
from straddle.core.orders import OrderSet, Side, Signature, outright
from straddle.core.params import Params
from straddle.core.risk_table import RiskTable

TABLE = table(row_1={"deltas": scenarios((0, -7_000), (1, 3_000)), "long_im": 10, "short_im": 900})
CONTEXT = RiskContext(TABLE, Params(20, 12, 10_000, 8_000), FeeSchedule())


def resting(side: Side, limit_ticks: int, lots: int, instrument: int = CALL) -> RestingOrder:
    order = outright(1, 0, 1, lots, limit_ticks, instrument, side, 0)
    return RestingOrder(3, order, OrderSet(3, 1, (order,), Signature(0, 0, 0)), 0, 0, lots)


@pytest.mark.parametrize(
    ("side", "limit", "instrument", "terms"),
    [
        (BUY, 20_000, CALL, Terms(((CALL, 1),), 1, 20_000, 3 * INDEX_TICKS // 10_000)),
        (BUY, 500, CALL, Terms(((CALL, 1),), 1, 500, 63)),  # 12.5 % of the price, rounded up
        (SELL, 500, CALL, Terms(((CALL, 1),), -1, 500, 3 * INDEX_TICKS // 10_000)),  # may fill up to the band's upper edge
        (SELL, 900_000, PERPETUAL, Terms(((PERPETUAL, 1),), -1, 900_000, 3 * INDEX_TICKS // 10_000)),
    ],
)
def test_terms_of_an_order(side: Side, limit: int, instrument: int, terms: Terms) -> None:
    assert order_terms(CONTEXT, resting(side, limit, 10, instrument).order) == terms


def test_an_exposure_from_scratch() -> None:
    exposure = build_exposure(CONTEXT, {CALL: -5, PERPETUAL: 2}, [resting(BUY, 21_000, 10), resting(SELL, 900_000, 20, PERPETUAL)])
    stepped = CONTEXT.exposure()
    stepped.reserve(((PERPETUAL, 1),), -1, 900_000, 270, 20)
    stepped.move(PERPETUAL, 2)
    stepped.reserve(((CALL, 1),), 1, 21_000, 270, 10)
    stepped.move(CALL, -5)
    assert exposure == stepped and exposure.lots(CALL) == (-5, 10, 0) and exposure.lots(PERPETUAL) == (2, 0, 20)
    assert exposure.state()[0] == -5 * 20_000 + 2 * 899_000
    assert exposure.state()[4][1] == -10_000 * 10 * (1_000 + 270 + 7_000)  # the sale gains on that path


def test_a_table_is_packed_once() -> None:
    fresh = RiskTable(TABLE.epoch, TABLE.time_ms, TABLE.index_ticks, TABLE.rows)
    assert fresh == TABLE and fresh.packed is fresh.packed and isinstance(fresh.packed, Table) and len(fresh.packed) == len(LISTED)
    assert repr(fresh) == repr(TABLE) and fresh == TABLE
    assert fresh.packed.largest(CALL) == 20_000 and fresh.packed.largest(PERPETUAL) == 899_000


def test_rows_out_of_range_are_refused_when_packed() -> None:
    wide = RiskTable(1, 1, 1, (row(LISTED[0], value=2**39),))
    with pytest.raises(ValueError, match=r"value: 549755813888, expected -549755813887 to 549755813887"):
        _ = wide.packed
