"""From how large a batch a blob is cheaper than calldata, by what proposals really cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from straddle.l1.blobs import ProposalGas, cheapest_blob_cells
from straddle.research.model import BatchCost, Run
from straddle.research.prices import BLOB_GWEI, GAS_GWEI

WEI_IN_GWEI = 10**9


def gas_line(batches: Sequence[BatchCost]) -> tuple[float, float]:
    """(fixed, a cell): least squares of what proposals in calldata cost. ValueError when all have the same number of cells."""
    cells = np.array([batch.body_cells for batch in batches], dtype=np.float64)
    if len(set(cells)) < 2:
        raise ValueError(f"batches: {len(batches)} with {sorted(set(cells))} cells, expected at least two different sizes")
    slope, fixed = np.polyfit(cells, [batch.propose_gas for batch in batches], 1)
    return float(fixed), float(slope)


def crossovers(calldata: Run, blob: Run) -> Sequence[Mapping[str, float]]:
    """For each price of gas and blob gas: the posted cells from which on a proposal with a blob costs less."""
    fixed, a_cell = gas_line(calldata.batches)
    with_blob = round(float(np.mean([batch.propose_gas for batch in blob.batches])))
    line = round(fixed), Fraction(a_cell)
    gas_of = ProposalGas(*line, *line, with_blob)  # what was measured already is the greater of EIP-7623's two prices
    found = []
    for gas in GAS_GWEI:
        for blob_gwei in BLOB_GWEI:
            prices = round(gas * WEI_IN_GWEI), round(blob_gwei * WEI_IN_GWEI)
            found.append({"gas_gwei": gas, "blob_gwei": blob_gwei, "cells": float(cheapest_blob_cells(gas_of, *prices))})
    return found
