"""Blob against calldata, from the same batches in both places."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.research.crossover import Saving, crossovers, saving
from straddle.research.model import BatchCost, Run
from straddle.research.prices import BLOB_GAS, GAS, GAS_A_BLOB

BATCH = BatchCost(1, 0, 0, 0, 0, 0.0, 100.0, 112.0, 112.0, 172.0, 0, 360_000, 9_000, 0, 0, 0, 20.0, 0.0)
A_CELL, FIXED = 800, -60_000


def runs(entries: dict[int, int], sizes: dict[int, int]) -> tuple[Run, Run]:
    """Batches whose proposals cost something of their own (`entries`) besides their cells, the same in both places."""
    calldata = tuple(
        replace(BATCH, number=number, trades=cells // 4, body_cells=cells, propose_gas=200_000 + entries[number] + FIXED + A_CELL * cells)
        for number, cells in sizes.items()
    )
    blob = tuple(replace(batch, blobs=1, propose_gas=200_000 + entries[batch.number]) for batch in calldata)
    return (Run("zk-calldata", calldata, 1, 0, (), ()), Run("zk-blob", blob, 1, 0, (), ()))


def test_what_a_batch_costs_besides_its_cells_does_not_matter():
    """The largest batch is the first, which fills cold slots and answers the queue: a line through calldata's gas alone would be steeper."""
    for entries in ({1: 0, 2: 0, 3: 0}, {1: 90_000, 2: 10_000, 3: 0}):
        found = saving(*runs(entries, {1: 260, 2: 240, 3: 100}))
        assert found == Saving(pytest.approx(FIXED), pytest.approx(A_CELL), pytest.approx(600 / 150), 3)


def test_the_crossover_pays_for_the_blob():
    found = {(each.gas_gwei, each.blob_gwei): each for each in crossovers(Saving(FIXED, A_CELL, 4.0, 3))}
    assert len(found) == len(GAS) * len(BLOB_GAS)
    for (gas_gwei, blob_gwei), each in found.items():
        assert (FIXED + A_CELL * each.cells) * gas_gwei == pytest.approx(GAS_A_BLOB * blob_gwei, abs=1e-3)
        assert each.trades == each.cells / 4
    always = crossovers(Saving(10.0, A_CELL, 4.0, 3))[0]
    assert always.cells == 0
    assert all(each.cells is None for each in crossovers(Saving(FIXED, -1.0, 4.0, 3)))


def test_one_size_tells_nothing_and_other_batches_are_refused():
    assert saving(*runs({1: 0, 2: 0}, {1: 100, 2: 100})) is None
    calldata, blob = runs({1: 0, 2: 0}, {1: 100, 2: 200})
    with pytest.raises(ValueError, match="batch 2: 200 cells in calldata, 150 in a blob"):
        saving(calldata, replace(blob, batches=(blob.batches[0], replace(blob.batches[1], body_cells=150))))
