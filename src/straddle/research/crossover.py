"""From how large a batch a blob is cheaper than calldata: the same batches, proposed in both places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from straddle.research.model import Run
from straddle.research.prices import BLOB_GAS, GAS, GAS_A_BLOB


@dataclass(frozen=True, slots=True)
class Saving:
    """Gas that a proposal saves by a blob, blob gas not counted: `fixed + cells x a_cell`, least squares over the batches."""

    fixed: float
    """Negative: with no cells a blob costs more."""
    a_cell: float
    cells_a_trade: float
    """Of the batches that hold trades: turns cells into trades."""
    batches: int


@dataclass(frozen=True, slots=True)
class Crossover:
    """At these prices."""

    gas_gwei: float
    blob_gwei: float
    cells: float | None
    """Posted cells from which on a blob is cheaper; 0: always; None: never."""
    trades: float | None
    """The same in trades of this flow."""


def saving(calldata: Run, blob: Run) -> Saving | None:
    """None where fewer than two sizes were measured. ValueError: the runs are not of the same batches."""
    pairs = [(batch, other) for batch, other in zip(calldata.batches, blob.batches, strict=True)]
    for batch, other in pairs:
        if (batch.number, batch.body_cells, batch.trades) != (other.number, other.body_cells, other.trades):
            raise ValueError(f"batch {batch.number}: {batch.body_cells} cells in calldata, {other.body_cells} in a blob, expected the same batch in both")
    cells = np.array([batch.body_cells for batch, _ in pairs], dtype=np.float64)
    if len(set(cells)) < 2:
        return None
    slope, fixed = np.polyfit(cells, [batch.propose_gas - other.propose_gas for batch, other in pairs], 1)
    return Saving(float(fixed), float(slope), sum(batch.body_cells for batch in calldata.trading) / calldata.trades, len(pairs))


def crossovers(found: Saving) -> Sequence[Crossover]:
    """At each quoted price of gas and of blob gas."""
    return [_at(found, gas.value, blob.value) for gas in GAS for blob in BLOB_GAS]


def _at(found: Saving, gas_gwei: float, blob_gwei: float) -> Crossover:
    if found.a_cell <= 0:
        return Crossover(gas_gwei, blob_gwei, None, None)
    cells = max(0.0, (GAS_A_BLOB * blob_gwei / gas_gwei - found.fixed) / found.a_cell)
    return Crossover(gas_gwei, blob_gwei, cells, cells / found.cells_a_trade)
