"""Stories told by hand hold everything that a batch may do: the checker and the circuit accept them, and layer-1 data alone gives the same state."""

from __future__ import annotations

import pytest

from straddle.commitments.body import decode_body
from straddle.commitments.data import AuctionCode
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import TABLES, Witness
from tests.differential.scenes import OPERATOR, PARAMS, PRESET, ClosedBatch
from tests.differential.stories import STORIES, told


@pytest.fixture(scope="module")
def batches() -> list[ClosedBatch]:
    return told()


@pytest.mark.parametrize("name", STORIES)
def test_every_story_satisfies_the_statement(name: str) -> None:
    for item in STORIES[name]().closed:
        assert check(item.posted.witness, PRESET) is None, (item.batch.number, check(item.posted.witness, PRESET))


def test_stories_fill_every_table_and_take_every_turn(batches: list[ClosedBatch]) -> None:
    witnesses = [item.posted.witness for item in batches]
    assert all(any(getattr(witness, table) for witness in witnesses) for table in TABLES)
    assert {row.auction for item in batches for row in item.posted.body.accounts} == set(AuctionCode)
    assert {row.kind for witness in witnesses for row in witness.queue} == {1, 2, 3, 4}
    assert {row.kind for witness in witnesses for row in witness.listings} == {1, 2, 3, 4, 5, 6}
    assert {row.kind for witness in witnesses for row in witness.signatures} == {1, 2, 3, 5, 6}
    assert {row.place for witness in witnesses for row in witness.legs} >= {0, 1}
    flagged = [(row.has_positions, row.has_orders) for item in batches for row in item.posted.body.accounts]
    assert set(flagged) == {(False, False), (True, False), (True, True)}


def test_one_batch_uses_the_tables_up_to_their_last_row() -> None:
    """A test that never fills a table would not see what breaks at its end."""
    witness = STORIES["full_batch"]().closed[-1].posted.witness
    for table in ("accounts", "positions", "instruments", "signatures", "orders", "legs", "fills", "queue"):
        assert len(getattr(witness, table)) == getattr(PRESET, table), table


def test_witnesses_survive_their_file(batches: list[ClosedBatch]) -> None:
    for item in batches:
        assert Witness.from_json(item.posted.witness.to_json()) == item.posted.witness


@pytest.mark.parametrize("name", STORIES)
def test_posted_words_alone_give_the_same_state(name: str) -> None:
    rebuilt = CommittedState.genesis(PARAMS, OPERATOR)
    for item in STORIES[name]().closed:
        effects = decode_effects(item.posted.effects_words, PRESET)
        body = decode_body(item.posted.body_words, PRESET)
        assert (effects, body) == (item.posted.effects, item.posted.body)
        assert rebuilt.apply_data(effects, body, item.batch.queue).after == item.after.parts
        assert rebuilt.listed == item.after.listed
        assert {key: known.account for key, known in rebuilt.accounts.items()} == {key: known.account for key, known in item.after.accounts.items()}


def test_closed_accounts_keep_positions_that_nobody_opened() -> None:
    scene = STORIES["settlement_later"]()
    settling = scene.closed[-2]
    assert settling.after.account(3).account.positions == {5: 30}
    assert not any(row.has_positions for row in settling.posted.body.accounts)
    assert scene.state.account(3).account.positions == {}


def test_the_circuit_accepts_every_story(batches: list[ClosedBatch], prover: Prover) -> None:
    results = prover.check_many([item.posted.witness for item in batches])
    refused = {(item.batch.number, i): result for i, (item, result) in enumerate(zip(batches, results, strict=True)) if not (result.ok and result.solver)}
    assert not refused
