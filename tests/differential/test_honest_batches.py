"""What the sequencer closes satisfies the statement, and layer-1 data alone gives the same state."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from straddle.commitments.body import decode_body
from straddle.commitments.challenge import commitment
from straddle.commitments.effects import decode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.proving.checker import check
from straddle.proving.prover import Prover
from straddle.proving.witness import Witness
from tests.differential.conftest import SEEDS
from tests.differential.histories import History
from tests.differential.scenes import OPERATOR, PRESET, ClosedBatch

CIRCUIT_BATCHES = 24


def test_histories_contain_every_operation(histories: list[History]) -> None:
    accepted = sum((history.accepted for history in histories), Counter[str]())
    accepted["combination"] = sum(row.place == 1 for history in histories for item in history.closed for row in item.posted.witness.legs)
    accepted["closed account"] = sum(
        bool(item.before.account(row.id).account.positions) and not row.has_positions
        for history in histories for item in history.closed for row in item.posted.body.accounts
    )  # fmt: skip
    often = ("L1Deposit", "L1SetKey", "L1ForceWithdraw", "L1ForceClose", "L2Trade", "L2Withdraw", "L2Transfer", "L2Cancel", "InternalList", "InternalEpoch",
             "InternalLiquidate", "AuctionBegun", "AuctionEnded", "Settled", "combination", "closed account")  # fmt: skip
    assert all(accepted[name] >= 4 for name in often), accepted
    assert all(accepted[name] for name in ("L2Bid", "TakenOver", "Delivered", "Retired")), accepted
    assert accepted["Trade"] >= 60


def test_histories_replay_from_their_seed() -> None:
    first, second = (list(History(3).batches(10)) for _ in range(2))
    assert [batch.posted for batch in first] == [batch.posted for batch in second]


def test_every_batch_satisfies_the_statement(closed_batches: list[ClosedBatch]) -> None:
    for item in closed_batches:
        assert check(item.posted.witness, PRESET) is None, (item.batch.number, check(item.posted.witness, PRESET))


def test_every_witness_survives_its_file(closed_batches: list[ClosedBatch]) -> None:
    for item in closed_batches:
        assert Witness.from_json(item.posted.witness.to_json()) == item.posted.witness


def test_building_leaves_the_state_before_as_it_is(closed_batches: list[ClosedBatch]) -> None:
    for item in closed_batches:
        assert item.before.root == item.posted.effects.old_state_root
        assert item.after.root == item.posted.effects.new_state_root


@pytest.mark.parametrize("seed", SEEDS)
def test_rebuilding_from_posted_words_gives_the_same_state(seed: int, histories: list[History]) -> None:
    history = histories[seed]
    rebuilt = CommittedState.genesis(history.exchange.params, OPERATOR)
    for item in history.closed:
        effects = decode_effects(item.posted.effects_words, PRESET)
        body = decode_body(item.posted.body_words, PRESET)
        assert (effects, body) == (item.posted.effects, item.posted.body)
        change = rebuilt.apply_data(effects, body, item.batch.queue)
        assert change.after.root == item.after.root == rebuilt.root
        assert rebuilt.listed == item.after.listed
        assert rebuilt.accounts.keys() == item.after.accounts.keys()
        assert all(rebuilt.accounts[key].account == item.after.accounts[key].account for key in rebuilt.accounts)
    engine = {**history.exchange.accounts, **history.exchange.open_batch.start}  # as of the last closed batch
    assert {key: item.account for key, item in rebuilt.accounts.items()} == {key: account for key, account in engine.items() if account.owner}


def test_any_other_posted_word_is_refused(closed_batches: list[ClosedBatch]) -> None:
    """A changed word is refused by the decoder or by the rebuild, which then leaves the state alone, or is not bound by the state but by C alone."""
    rng = random.Random(5)
    refusals: Counter[str] = Counter()
    for item in closed_batches:
        effects, body = list(item.posted.effects_words), list(item.posted.body_words)
        for _ in range(12):
            words = [*effects, *body]
            at = rng.choice([0, *range(len(words)), *range(len(effects), len(words))])
            words[at] ^= 1 << rng.randrange(0, 253)
            if words[at] == [*effects, *body][at]:
                continue
            state, root = item.before.copy(), item.before.root
            try:
                decoded = decode_effects(words[: len(effects)], PRESET), decode_body(words[len(effects) :], PRESET)
                state.apply_data(*decoded, item.batch.queue)
            except DataError:
                refusals["decoder"] += 1
            except LedgerError:
                refusals["rebuild"] += 1
                assert state.root == root
                assert state.apply_data(item.posted.effects, item.posted.body, item.batch.queue).after.root == item.after.root
            else:
                refusals["commitment"] += 1
                padded = words + [0] * (PRESET.effects_words + PRESET.body_words - len(words))
                assert commitment(padded[: len(effects)], padded[len(effects) :]) != item.posted.witness.public.c
                same_rows = decoded[1].accounts == item.posted.body.accounts and decoded[1].positions == item.posted.body.positions
                assert same_rows, "only the header, log sequences and beneficiaries of withdrawals' data may differ without touching the state"
    assert min(refusals["decoder"], refusals["rebuild"], refusals["commitment"]) > 10, refusals


def test_another_queue_is_refused(closed_batches: list[ClosedBatch]) -> None:
    item = next(item for item in closed_batches if item.batch.queue)
    entry = item.batch.queue[0]
    for queue in ([], [replace(entry, account=entry.account + 1), *item.batch.queue[1:]], [*item.batch.queue, entry]):
        with pytest.raises(LedgerError, match=r"effects\.queue"):
            item.before.copy().apply_data(item.posted.effects, item.posted.body, queue)


def test_the_circuit_accepts_honest_batches(closed_batches: list[ClosedBatch], prover: Prover) -> None:
    rng = random.Random(1)
    busiest = sorted(closed_batches, key=lambda item: -len(item.posted.witness.fills))[: CIRCUIT_BATCHES // 2]
    chosen = [*busiest, *rng.sample(closed_batches, CIRCUIT_BATCHES // 2)]
    for item, result in zip(chosen, prover.check_many([item.posted.witness for item in chosen]), strict=True):
        assert result.ok and result.solver, (item.batch.number, result)
