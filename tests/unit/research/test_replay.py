"""The flow on layer 1, without a chain: numbers, rows, what is posted when, and what follows from the fills."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.core.events import Trade
from straddle.core.orders import Side
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.research.flow import FlowMatch
from straddle.research.replay import FillGas, Replayed, SizeGas, Tables, layer_one_row, numbered

ROW = RiskRow(7, 2**40, True, 9_000_000, -1_234, 100, 11, 12, 13, 14, deltas=tuple(range(-24, 24)))
TIME_MS = 1_590_105_600_000


def table(time_ms: int, *instruments: int, settled: tuple[int, ...] = (), epoch: int = 1) -> RiskTable:
    rows = tuple(replace(ROW, instrument=each, settled=each in settled) for each in instruments)
    return RiskTable(epoch, time_ms, 900_000, rows)


def match(*instruments: int, epoch: int = 1) -> FlowMatch:
    fills = (Trade(each, 5, 1, Side.BUY, 3, 1, 0, 0, 0, 4, 1, 0, 0, 0, 1) for each in instruments)
    return FlowMatch(epoch, False, tuple(fills))


def fields(word: bytes, bits: int) -> list[int]:
    number = int.from_bytes(word, "big")
    return [number >> shift & (1 << bits) - 1 for shift in range(0, 256, bits)]


def test_a_row_keeps_value_funding_charges_and_all_deltas():
    words = layer_one_row(ROW, TIME_MS)
    assert len(words) == 7 * 32
    value, funding, long_im, short_im = fields(words[:32], 40)[:4]
    assert (value - 2**39, funding - 2**39, long_im, short_im) == (ROW.value, ROW.funding, ROW.long_im, ROW.short_im)
    number = int.from_bytes(words[:32], "big")
    assert (number >> 160 & 255, number >> 168) == (1, TIME_MS // 1_000)
    deltas = [field - 2**31 for start in range(32, 7 * 32, 32) for field in fields(words[start : start + 32], 32)]
    assert tuple(deltas) == ROW.deltas and len(deltas) == SCENARIOS


def test_a_settled_row_is_never_too_old_and_never_changes():
    settled = replace(ROW, settled=True)
    assert layer_one_row(settled, TIME_MS) == layer_one_row(settled, TIME_MS + 600_000)
    assert int.from_bytes(layer_one_row(settled, TIME_MS)[:32], "big") >> 160 == 3


def test_a_row_that_layer_1_cannot_hold_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^deltas: 2147483648"):
        layer_one_row(replace(ROW, deltas=(2**31,) * SCENARIOS), TIME_MS)


def test_instruments_are_numbered_as_they_first_trade():
    assert numbered([match(9), match(4, 9), match(1)]) == {9: 0, 4: 1, 1: 2}


@pytest.mark.parametrize("in_code", [False, True])
def test_only_what_is_needed_and_new_is_posted(in_code):
    tables = Tables({each: each for each in range(10)}, in_code)
    first = table(TIME_MS, *range(20))
    row = layer_one_row(replace(ROW, instrument=0), TIME_MS)
    assert tables.posts(first, []) == []
    assert tables.posts(first, [0, 1]) == [(0, [row, row])]
    assert tables.posts(first, [1]) == [], "that stands there already"
    assert tables.posts(replace(first, epoch=2), [0, 1]) == []
    later = layer_one_row(replace(ROW, instrument=0), TIME_MS + 600_000)
    assert tables.posts(table(TIME_MS + 600_000, *range(20)), [1]) == [(0, [later, later]) if in_code else (1, [later])]


def test_rows_in_storage_are_posted_in_runs_and_in_code_as_pages():
    needed = [0, 2, 3, 70, 71]
    numbers = {each: each for each in range(80)}
    runs = Tables(numbers, in_code=False).posts(table(TIME_MS, *range(80)), needed)
    assert [(first, len(rows)) for first, rows in runs] == [(0, 1), (2, 2), (70, 2)]
    pages = Tables(numbers, in_code=True).posts(table(TIME_MS, *range(80)), needed)
    assert [(first, len(rows)) for first, rows in pages] == [(0, 4), (64, 8)]
    assert sum(len(rows) for _, rows in Tables(numbers, in_code=False).posts(table(TIME_MS, *range(80)), range(80))) == 80


def test_a_page_keeps_what_is_held_after_it_left_the_table_and_forgets_what_it_left_out():
    tables = Tables({each: each for each in range(4)}, in_code=True)
    tables.posts(table(TIME_MS, 0, 1, 2, 3, settled=(1, 3)), [0, 1, 2, 3])
    ((first, rows),) = tables.posts(table(TIME_MS + 600_000, 0, 2), [0, 1, 2])
    assert (first, len(rows)) == (0, 3)
    assert rows[1] == layer_one_row(replace(ROW, instrument=1, settled=True), 0), "a settled instrument that left the table"
    ((_, rows),) = tables.posts(table(TIME_MS + 600_000, 0, 2, 3, settled=(3,)), [0, 3])
    assert len(rows) == 4, "the shorter page had taken it away"


def test_what_follows_from_the_fills():
    fills = (FillGas(0, False, 2, 100), FillGas(0, False, 3, 120), FillGas(1, True, 7, 90), FillGas(2, False, 7, 110))
    found = Replayed(True, 3, fills, 4 * 324, 5, 2, 10, 600, 999, 0)
    assert found.gas_per_trade == 420 / 3 and found.gas_per_fill == 105 and found.gas_per_hedge == 90
    assert found.table_gas_per_trade == 200 and found.bytes_per_trade == 432
    assert found.positions_a_side == (2 + 3 + 7 + 7) / 8
    assert found.sizes == (SizeGas(1, 2, 110.0), SizeGas(3, 2, 100.0))
    assert replace(found, fills=(fills[0], fills[3])).gas_per_hedge == 105, "without a hedge, any fill"
