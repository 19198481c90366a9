"""A node that finds a batch of somebody else on layer 1 does not start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from straddle.l1.rollup import RollupClient
from straddle.node.agreement import check_agreement
from straddle.sequencer.foreign import ForeignBatch
from straddle.sequencer.journal import Journal

GENESIS = 7
OWN = [GENESIS, 100, 200, 300]


def agree(roots: list[int], final: int, own: int = 3, begins: int = 0) -> None:
    """Layer 1 has these roots, the genesis first; the journal has `own` batches of OWN, those after `begins` its own."""

    def batch(number: int) -> SimpleNamespace:
        assert final <= number < len(roots), "the contract has no other batches"
        return SimpleNamespace(state_root=roots[number], header_hash=bytes([number]) * 32)

    client = SimpleNamespace(
        final_batch=lambda: final, proposed_batch=lambda: len(roots) - 1, batch=batch, header_hash=lambda number: batch(number).header_hash
    )

    def batch_root(number: int) -> int:
        assert begins <= number <= own, "the journal has no other batches"
        return OWN[number]

    journal = SimpleNamespace(batches=own, batch_root=batch_root, beginning=SimpleNamespace(batches=begins))
    check_agreement(cast(RollupClient, client), cast(Journal, journal), GENESIS)


@pytest.mark.parametrize(("count", "final"), [(1, 0), (2, 0), (2, 1), (4, 0), (4, 2), (4, 3)])
def test_own_batches_agree(count: int, final: int) -> None:
    agree(OWN[:count], final)


@pytest.mark.parametrize(("count", "final", "begins"), [(3, 2, 2), (3, 1, 2), (4, 3, 2), (4, 1, 2), (4, 2, 2), (4, 3, 3)])
def test_a_log_that_begins_after_a_batch_agrees_from_there_on(count: int, final: int, begins: int) -> None:
    agree(OWN[:count], final, begins=begins)


@pytest.mark.parametrize(
    ("roots", "final", "message"),
    [
        ([GENESIS, 100], 1, "batch 2: the log begins after it, but layer 1's newest batch is 1: it went back"),
        ([GENESIS, 100, 201], 1, "batch 2: layer 1 has header 0202.* with state root 0xc9, expected the journal's 0xc8"),
        ([GENESIS, 100, 201, 301], 1, "batch 2: layer 1 has header 0202"),
        ([GENESIS, 100, 200, 301], 2, "batch 3: layer 1 has header 0303"),
    ],
)
def test_a_log_whose_beginning_layer_1_no_longer_has_is_named(roots: list[int], final: int, message: str) -> None:
    with pytest.raises(ForeignBatch, match=message):
        agree(roots, final, begins=2)


@pytest.mark.parametrize(
    ("roots", "final", "own", "message"),
    [
        ([GENESIS, 100, 201], 1, 3, "batch 2: layer 1 has header 0202.* with state root 0xc9, expected the journal's 0xc8"),
        ([GENESIS, 100, 201, 301], 1, 3, "batch 2: layer 1 has header 0202"),
        ([GENESIS, 100, 201], 2, 3, "batch 2: layer 1 has header 0202"),
        ([GENESIS, 101, 201, 301], 3, 3, "batch 3: layer 1 has header 0303"),
        ([8], 0, 0, "batch 0: layer 1 has header 0000"),
        ([GENESIS, 100, 200, 300], 2, 2, "batch 3: proposed on layer 1 with header 0303.*, but this node's newest batch is 2"),
        ([GENESIS, 100, 200, 300], 3, 2, "batch 3: final on layer 1 with header 0303"),
        ([GENESIS, 100, 200, 300], 3, 0, "batch 3: final on layer 1 with header 0303.*, but this node's newest batch is 0"),
        ([GENESIS, 100, 201, 301], 1, 2, "batch 2: layer 1 has header 0202"),
    ],
)
def test_the_first_batch_of_somebody_else_is_named(roots: list[int], final: int, own: int, message: str) -> None:
    with pytest.raises(ForeignBatch, match=message) as raised:
        agree(roots, final, own)
    assert "When others have answered the queue" in str(raised.value) and "keeps everything" in str(raised.value)
